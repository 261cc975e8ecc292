//! `key`: the signing keys, and the key-encryption keys that they are sealed under.

use anyhow::ensure;
use clap::Subcommand;

use super::Console;
use super::console::{Output, Row};
use super::{act, open};
use crate::app::App;
use crate::config::Config;
use crate::crypto::jws::Algorithm;
use crate::crypto::key_ring::KeyRing;
use crate::operations::signing_keys::{self, Listed, Retired, Rotated};
use crate::store::{Database, settings};
use crate::time::{Clock, Random, Timestamp};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make the first key-encryption key, where there is none.
    #[command(after_help = "Example: connect-idp key init\n\n\
                            On PostgreSQL do this once and give every replica a copy of the folder. Keep a backup of it apart \
                            from the database's.")]
    Init,
    /// Add a key-encryption key: it seals from the next start on, and those before it still open.
    #[command(after_help = "Example: connect-idp key renew\n\n\
                            Give every replica a copy of the folder, restart each, then run `connect-idp key reseal`.")]
    Renew,
    /// Seal every signing key anew under the newest key-encryption key.
    #[command(after_help = "Example: connect-idp key reseal")]
    Reseal,
    /// List the signing keys, with their states and dates.
    #[command(after_help = "Example: connect-idp key list --output json")]
    List(Output),
    /// Announce new signing keys, which sign once every client can know them.
    #[command(after_help = "Example: connect-idp key rotate --alg RS256")]
    Rotate {
        /// Of this algorithm alone: RS256, PS256, ES256 or `EdDSA`.
        #[arg(long, value_name = "ALG", value_parser = algorithm)]
        alg: Option<Algorithm>,
        /// Sign with them at once. Clients that cached the key set may refuse what is signed until they read it again.
        #[arg(long)]
        at_once: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Retire a signing key at once: nothing it signed is good any more.
    #[command(after_help = "Example: connect-idp key retire 2Zr1…\n\n\
                            For a key whose private half may be known. If it signs, another takes its place at once.")]
    Retire {
        /// The key's id, as `key list` shows it.
        kid: String,
    },
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    name.parse().map_err(|()| "use RS256, PS256, ES256 or EdDSA".to_owned())
}

pub(super) async fn run(verb: &Verb, config: &Config, console: &mut Console) -> anyhow::Result<()> {
    let dir = &config.keys.dir;
    match verb {
        Verb::Renew => {
            let name = KeyRing::add(dir, &Random::System)?;
            console.say(format_args!(
                "{name} was made in {}. Give every replica a copy, restart each, then run `connect-idp key reseal`.",
                dir.display()
            ))
        }
        Verb::Reseal => {
            let count = signing_keys::reseal(&act(&open(config.clone()).await?)).await?;
            console.say(format_args!("{count} signing keys are sealed under the newest key-encryption key."))
        }
        Verb::List(output) => {
            let app = open(config.clone()).await?;
            let listed = signing_keys::list(&app, app.clock.now()).await?;
            console.rows(output.format, &listed.iter().map(row).collect::<Vec<_>>())
        }
        Verb::Rotate { alg, at_once, output } => {
            rotate(&open(config.clone()).await?, *alg, *at_once, *output, console).await
        }
        Verb::Retire { kid } => retire(&open(config.clone()).await?, kid, console).await,
        Verb::Init => {
            if KeyRing::load(dir)?.is_some() {
                return console
                    .say(format_args!("There is a key-encryption key in {} already; nothing changed.", dir.display()));
            }
            ensure!(
                !has_its_key(config).await,
                "the database has a key-encryption key already, and it is not in {}: restore that folder from its backup",
                dir.display()
            );
            KeyRing::load_or_create(dir, &Random::System)?;
            console.say(format_args!("A key-encryption key was made in {}. Keep a backup of it.", dir.display()))
        }
    }
}

fn row(listed: &Listed) -> Row {
    let key = &listed.key;
    Row::default()
        .with("alg", key.alg.as_str())
        .with("kid", key.kid.as_str())
        .with("state", listed.state.as_str())
        .with("created_at", Timestamp(key.created_at).rfc3339())
        .with("signs_from", Timestamp(key.signs_from).rfc3339())
        .with("retired_at", key.retired_at.map(|at| Timestamp(at).rfc3339()))
}

async fn rotate(
    app: &App,
    alg: Option<Algorithm>,
    at_once: bool,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    let act = act(app);
    // The keys that are there, or the ones that are always there.
    signing_keys::jwks(app, act.now).await?;
    let listed = signing_keys::list(app, act.now).await?;
    let there = |alg: &Algorithm| listed.iter().any(|listed| listed.key.alg == alg.name());
    let wanted: Vec<Algorithm> =
        alg.map_or_else(|| Algorithm::ALL.into_iter().filter(there).collect(), |alg| vec![alg]);
    let mut rows = Vec::new();
    for alg in wanted {
        let (kid, signs_from, done) = match signing_keys::rotate(&act, alg, at_once).await? {
            Rotated::Yes(kid, at) => (Some(kid), Some(at), "rotated"),
            Rotated::Already(kid, at) => (Some(kid), Some(at), "announced before"),
            Rotated::Elsewhere => (None, None, "rotated by another process just now"),
        };
        let row = Row::default().with("alg", alg.name()).with("kid", kid);
        rows.push(row.with("signs_from", signs_from.map(Timestamp::rfc3339)).with("done", done));
    }
    console.rows(output.format, &rows)
}

async fn retire(app: &App, kid: &str, console: &mut Console) -> anyhow::Result<()> {
    match signing_keys::retire(&act(app), kid).await? {
        Retired::Yes(Some(next)) => {
            console.say(format_args!("{kid} is retired; {next} signs in its place. Replicas follow within seconds."))
        }
        Retired::Yes(None) => console.say(format_args!("{kid} is retired. Replicas follow within seconds.")),
        Retired::Already => console.say(format_args!("{kid} is retired already; nothing changed.")),
        Retired::NotFound => anyhow::bail!("there is no signing key {kid:?}: see `connect-idp key list`"),
    }
}

/// Whether the database belongs to a key. One that cannot be asked, or that is empty, does not.
async fn has_its_key(config: &Config) -> bool {
    let exists = !config.on_sqlite() || Database::sqlite_file(&config.database.url).is_some_and(|file| file.exists());
    if !exists {
        return false;
    }
    let Ok(db) = Database::open(&config.database.url, 1, Clock::System).await else { return false };
    let Ok(mut conn) = db.read().await else { return false };
    settings::get(&mut conn, settings::KEY_FINGERPRINT).await.is_ok_and(|found| found.is_some())
}
