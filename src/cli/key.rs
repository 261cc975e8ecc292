//! `key`: the signing keys, and the key-encryption key that seals them.

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;

use super::command::{act, open};
use super::console::{Console, Output, Row};
use crate::app::{App, has_its_key};
use crate::config::Config;
use crate::crypto::jws::Algorithm;
use crate::crypto::key_ring::KeyRing;
use crate::operations::keys::in_use::{self, Listed};
use crate::operations::keys::rotation::{self, Retired, Rotated, When};
use crate::operations::keys::sealing;
use crate::time::{Random, Timestamp};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make the first key-encryption key, where there is none.
    #[command(after_help = "Example: connect-idp key init\n\n\
                            On PostgreSQL do this once and give every replica a copy of the folder. Keep a backup of it apart \
                            from the database's.")]
    Init,
    /// List every signing key: its state and dates.
    #[command(after_help = "Example: connect-idp key list --output json")]
    List(Output),
    /// Give each algorithm a new signing key. It is published now, and signs once every app knows it.
    #[command(after_help = "Example: connect-idp key rotate --alg RS256\n\n\
                            `serve` does this automatically every keys.rotate_days.")]
    Rotate {
        /// Only this algorithm, such as RS256; may be repeated.
        #[arg(long = "alg", value_name = "ALG", value_parser = algorithm)]
        algorithms: Vec<Algorithm>,
        /// Let the new key sign immediately. Apps with a cached key set fail until they fetch it again.
        #[arg(long)]
        at_once: bool,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Revoke a signing key: what it signed is no longer valid. For a key that was stolen.
    #[command(after_help = "Example: connect-idp key retire NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")]
    Retire {
        /// The key's `kid`, as `key list` shows it.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Add a new key-encryption key.
    #[command(after_help = "Example: connect-idp key renew\n\n\
                            On SQLite everything is sealed again under it immediately. On PostgreSQL first give every replica \
                            the new file, then run `connect-idp key reseal`. Keep the old files: see keys/README.md.")]
    Renew,
    /// Seal every private signing key again, under the current key-encryption key.
    #[command(after_help = "Example: connect-idp key reseal\n\n\
                            On PostgreSQL first give every replica the same files.")]
    Reseal,
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    name.parse().map_err(|()| "it must be RS256, PS256, ES256 or EdDSA".into())
}

pub(super) async fn run(verb: &Verb, config: Config, console: &mut Console) -> anyhow::Result<()> {
    match verb {
        Verb::Init => init(&config, console).await,
        Verb::List(output) => {
            let app = open(config).await?;
            let keys = in_use::list(&app, app.clock.now()).await?;
            console.rows(output.format, &keys.iter().map(listed).collect::<Vec<_>>())
        }
        Verb::Rotate { algorithms, at_once, yes, output } => {
            if *at_once {
                console
                    .ask(*yes, "The new key signs now: apps with a cached key set fail until they fetch it again.")?;
            }
            let when = if *at_once { When::AtOnce } else { When::Announced };
            rotate(&open(config).await?, algorithms, when, *output, console).await
        }
        Verb::Retire { kid, yes } => {
            console.ask(*yes, format_args!("This revokes key {kid}: what it signed is no longer valid."))?;
            retire(&open(config).await?, kid, console).await
        }
        Verb::Renew => renew(&open(config).await?, console).await,
        Verb::Reseal => reseal(&open(config).await?, console).await,
    }
}

async fn init(config: &Config, console: &mut Console) -> anyhow::Result<()> {
    let dir = &config.keys.dir;
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

fn listed(listed: &Listed) -> Row {
    let key = &listed.key;
    let date = |at: Option<i64>| at.map(|at| Timestamp(at).rfc3339());
    Row::default()
        .with("kid", key.kid.as_str())
        .with("alg", key.alg.as_str())
        .with("state", listed.state.as_str())
        .with("signs_from", date(Some(key.signs_from)))
        .with("verifies_until", date(key.verifies_until))
        .with("retired_at", date(key.retired_at))
        .with("created_at", date(Some(key.created_at)))
        .with("sealed_under", listed.sealed_under.clone())
}

async fn rotate(
    app: &App,
    algorithms: &[Algorithm],
    when: When,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    let mut wanted = algorithms.to_vec();
    if wanted.is_empty() {
        let known = in_use::list(app, app.clock.now()).await?;
        let known = |alg: &Algorithm| known.iter().any(|listed| listed.key.alg == alg.name());
        wanted.extend(Algorithm::ALL.into_iter().filter(|alg| known(alg) || in_use::ALWAYS.contains(alg)));
    }
    let mut rows = Vec::with_capacity(wanted.len());
    for alg in wanted {
        console.progress(format_args!("making a key for {}", alg.name()));
        let rotated = rotation::rotate(&act(app), alg, when).await?;
        console.progress_done();
        let (kid, signs_from, new) = match rotated {
            Rotated::Done { kid, signs_from } => (kid, signs_from, true),
            Rotated::Already { kid, signs_from } => (kid, signs_from, false),
            Rotated::TooMany => {
                bail!("the limit of published {} keys is reached: wait until one is retired, or retire one", alg.name())
            }
        };
        let row = Row::default().with("alg", alg.name()).with("kid", kid).with("signs_from", signs_from.rfc3339());
        rows.push(row.with("changed", new));
    }
    console.rows(output.format, &rows)
}

async fn retire(app: &App, kid: &str, console: &mut Console) -> anyhow::Result<()> {
    match rotation::retire(&act(app), kid).await? {
        Retired::Done { successor: None } => console.say(format_args!("Key {kid} is retired.")),
        Retired::Done { successor: Some(successor) } => {
            console.say(format_args!("Key {kid} is retired; key {successor} takes its place."))
        }
        Retired::Already => console.say(format_args!("Key {kid} is retired already; nothing changed.")),
        // Commands confirm no version.
        Retired::NotFound | Retired::Stale => bail!("there is no signing key {kid:?}: see `connect-idp key list`"),
    }
}

async fn renew(app: &App, console: &mut Console) -> anyhow::Result<()> {
    let name = sealing::renew(&act(app)).await?;
    let dir = app.config.keys.dir.display();
    console.say(format_args!("{name} was made in {dir}. Keep a backup of it, and keep the keys before it."))?;
    if app.config.on_sqlite() {
        return reseal(app, console).await;
    }
    console.say("Now give every replica that file, then run `connect-idp key reseal`.")
}

async fn reseal(app: &App, console: &mut Console) -> anyhow::Result<()> {
    let count = sealing::reseal(&act(app)).await.context("nothing was sealed again")?;
    let (name, _) = app.keys.newest();
    console.say(format_args!("{count} signing key(s) sealed again; all are under {name}."))
}
