//! Moves an installation from SQLite to PostgreSQL: all rows, under the same keys, so that nobody notices but who
//! waited.

use anyhow::{Context as _, bail, ensure};

use crate::app::{App, Opening, RECORD_KEY};
use crate::config::Config;
use crate::crypto::key_ring::KeyRing;
use crate::crypto::secret::Secret;
use crate::model::activity::{Event, Kind, Outcome};
use crate::operations::Actor;
use crate::operations::activity::verify::{Terms, Verified, verify};
use crate::store::moving::{Moved, NobodyKnows, Told, move_all};
use crate::store::sqlite_files::Place;
use crate::store::{Database, settings};
use crate::time::{Clock, Random};

/// An installation that one has alone, and where it goes.
#[derive(Debug)]
pub struct Move {
    place: Place,
    source: Database,
    target: Config,
    /// Which its records are proven by.
    record_key: Secret,
}

impl Move {
    /// Takes the SQLite database of a configuration for oneself; `url` is the address of the new one. Nothing is
    /// changed yet.
    ///
    /// # Errors
    /// When it is in use, its keys are not there, or the address is not PostgreSQL's.
    pub async fn begin(config: Config, url: String) -> anyhow::Result<Self> {
        ensure!(
            config.on_sqlite(),
            "database.url is PostgreSQL's already: `move` takes the configuration of the installation on SQLite"
        );
        let place = Place::of(&config)?;
        let file = place.database().display().to_string();
        ensure!(place.database().exists(), "there is no database at {file}: check database.url");
        let mut target = config;
        target.database.url = url;
        let is_known = ["postgres://", "postgresql://"].iter().any(|scheme| target.database.url.starts_with(scheme));
        ensure!(is_known, "the new address must begin with postgres://");
        let alone = place.take()?.with_context(|| {
            format!("{file} is in use: stop the service and every command that works on it, then try again")
        })?;
        let source = Database::open_alone(alone)?;
        let ring = find_keys(&source, &target).await?;
        let record_key = ring.oldest().derive(RECORD_KEY);
        Ok(Self { place, source, target, record_key })
    }

    /// Moves, and records there who did it. Until this returns what was moved, the new database is as it was; the old
    /// one stays as it is.
    ///
    /// # Errors
    /// When something cannot be read or written, or the new database is not empty.
    pub async fn carry_out(&self, actor: &Actor, told: &mut Told<'_>) -> anyhow::Result<Moved> {
        let now = Clock::System.now();
        let event = Event::new(Kind::Moved, Outcome::Success, &actor.name, &actor.visitor, now, &Random::System)
            .noting("from SQLite to PostgreSQL, with every row");
        let settings = crate::config::Database { connections: 1, ..self.target.database.clone() };
        let target = Database::open(&settings, Clock::System).await?;
        let moved = move_all(&self.source, &target, (&event, &self.record_key), told).await;
        target.close().await;
        let moved = moved
            .map_err(|error| if error.is::<NobodyKnows>() { error } else { error.context("nothing was moved") })?;
        self.place
            .note_moved()
            .context("all was moved, and that could not be noted: do not start the service on SQLite again")?;
        Ok(moved)
    }

    /// Opens the new database as the service will, and proves the record there.
    pub async fn look(&self, told: &mut Told<'_>) -> anyhow::Result<Verified> {
        let app = App::open(self.target.clone(), Opening::Existing).await?;
        let bar = |done: i64, of: i64| {
            let number = |n: i64| u64::try_from(n).unwrap_or(0);
            told("records proven", number(done), number(of));
        };
        let verified = verify(&app, &Terms::default(), bar).await;
        app.db.close().await;
        Ok(verified?)
    }
}

/// What was sealed under a key that is not there would be lost on the other side as it is here: better found out
/// before.
async fn find_keys(source: &Database, config: &Config) -> anyhow::Result<KeyRing> {
    let shown = config.keys.dir.display();
    let ring = KeyRing::load(&config.keys.dir)?;
    let ring = ring.with_context(|| format!("there is no key-encryption key in {shown}: restore that folder first"))?;
    let known = settings::get(&mut source.read_much().await?, settings::KEY_FINGERPRINT).await?;
    let has = ring.fingerprints().first().map(|(_, print)| print.clone());
    if known.is_some() && known != has {
        bail!("the keys folder {shown} does not belong to this database: restore the folder that it was made with");
    }
    Ok(ring)
}
