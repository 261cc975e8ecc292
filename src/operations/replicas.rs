//! The replicas of a service, side by side: who runs, and whether they are told the same (`doctor` asks).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::app::App;
use crate::store::replicas::{self, Replica};
use crate::store::{Error, in_transaction};
use crate::time::Timestamp;

/// So long a sign of life counts; it is given each minute.
const COUNTS: Duration = Duration::from_mins(3);

/// So long a replica that stops tries to say so.
const FAREWELL: Duration = Duration::from_secs(2);

/// Gives a sign of life.
///
/// # Errors
/// When it cannot be written; a minute later it is tried again.
pub async fn give_sign(app: &App) -> Result<(), Error> {
    let us = &app.presence;
    let Ok(settings) = serde_json::to_string(&us.agreement()) else { return Ok(()) };
    // By one clock for all: a replica whose own is off is seen like the others.
    let now = app.db.now().await?;
    let replica = Replica {
        id: us.id.clone(),
        host: host(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: us.started_at.0,
        seen_at: now.0,
        expires_at: now.after(COUNTS).0,
        settings,
    };
    in_transaction!(app.db, app.patient_deadline(), [replica], |tx| replicas::keep(tx, &replica).await)
}

/// Takes the sign back: this replica stops.
///
/// # Errors
/// When it cannot be written; it is removed automatically a little later.
pub async fn leave(app: &App) -> Result<(), Error> {
    let (id, db) = (app.presence.id.clone(), &app.db);
    let left = async { in_transaction!(db, app.patient_deadline(), [id], |tx| replicas::remove(tx, &id).await) };
    // A stop does not wait for a database that is gone.
    tokio::time::timeout(FAREWELL, left).await.unwrap_or(Err(Error::Silent))
}

/// The machine's name, which in Kubernetes is the pod's.
fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.chars().take(100).collect()
}

/// A replica that runs, or died within the last three minutes without a word.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its machine's name, and where that has several, when it started.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// How long ago it gave its last sign of life, in seconds.
    pub seen_ago: i64,
}

/// The replicas that run, and a key for each of whose values they are not of one mind, with who has which.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Each one, the oldest first.
    pub replicas: Vec<Running>,
    /// A key of the configuration, and those that have the same value of it together.
    pub differing: Vec<(String, Vec<Vec<String>>)>,
}

impl Compared {
    /// The versions that run, each once.
    #[must_use]
    pub fn versions(&self) -> Vec<&str> {
        let versions: BTreeSet<&str> = self.replicas.iter().map(|one| one.version.as_str()).collect();
        versions.into_iter().collect()
    }
}

/// Compares those that run. A key that one of them does not know is another version's.
pub async fn compare(app: &App) -> Result<Compared, Error> {
    let now = app.db.now().await?;
    let alive = replicas::alive(&mut app.db.read().await?, now).await?;
    Ok(compared(&alive, now))
}

fn compared(alive: &[Replica], now: Timestamp) -> Compared {
    let settings: Vec<BTreeMap<String, String>> =
        alive.iter().map(|replica| serde_json::from_str(&replica.settings).unwrap_or_default()).collect();
    // Several of one machine are told apart by when they started.
    let names: Vec<String> = alive
        .iter()
        .map(|one| {
            let alone = alive.iter().filter(|other| other.host == one.host).count() == 1;
            let started = Timestamp(one.started_at).rfc3339();
            if alone { one.host.clone() } else { format!("{} (started {started})", one.host) }
        })
        .collect();
    let mut differing = Vec::new();
    for key in settings.first().into_iter().flat_map(BTreeMap::keys) {
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (settings, name) in settings.iter().zip(&names) {
            if let Some(digest) = settings.get(key) {
                groups.entry(digest).or_default().push(name.clone());
            }
        }
        let all: usize = groups.values().map(Vec::len).sum();
        if groups.len() > 1 && all == alive.len() {
            let mut groups: Vec<_> = groups.into_values().collect();
            groups.sort();
            differing.push((key.clone(), groups));
        }
    }
    let running = |(one, name): (&Replica, String)| Running {
        name,
        version: one.version.clone(),
        seen_ago: (now.0 - one.seen_at).max(0) / 1000,
    };
    Compared { replicas: alive.iter().zip(names).map(running).collect(), differing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_with_who_has_it() {
        let replica = |host: &str, version: &str, settings: &str| Replica {
            id: host.into(),
            host: host.into(),
            version: version.into(),
            started_at: 1,
            seen_at: 1,
            expires_at: 2,
            settings: settings.into(),
        };
        let found = compared(
            &[
                replica("web-1", "1", r#"{"issuer":"a","session.idle_minutes":"30","tokens.old":"x"}"#),
                replica("web-2", "1", r#"{"issuer":"a","session.idle_minutes":"31","tokens.old":"y"}"#),
                replica("web-3", "2", r#"{"issuer":"a","session.idle_minutes":"30","tokens.new":"z"}"#),
            ],
            Timestamp(9_001),
        );
        let groups = vec![vec!["web-1".to_owned(), "web-3".into()], vec!["web-2".into()]];
        assert_eq!(found.differing, [("session.idle_minutes".to_owned(), groups)]);
        assert_eq!(found.versions(), ["1", "2"]);
        assert!(found.replicas.iter().all(|one| one.seen_ago == 9), "{found:?}");
        assert!(compared(&[], Timestamp(1)).differing.is_empty());
        let twins = compared(&[replica("web", "1", r#"{"a":"1"}"#), replica("web", "1", r#"{"a":"2"}"#)], Timestamp(0));
        assert_eq!(twins.replicas[0].seen_ago, 0, "the database's clock was set back");
        assert!(twins.differing[0].1[0][0].starts_with("web (started 1970"), "{twins:?}");
    }
}
