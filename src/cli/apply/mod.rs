//! `apply`: makes providers, users, clients and trusted issuers as a seed file says, all of it or nothing. Twice is the
//! same as once: defaults, passwords and locks count at creation only, and an absent key changes nothing.

mod client;
mod prune;
mod user;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use futures_util::stream;

use super::command::{act, read_file, warn_of_keys};
use super::console::Console;
use super::seed::{Password, Seed, SeedIssuer, SeedProvider};
use crate::app::{App, Opening};
use crate::config::Config;
use crate::crypto::secret::Secret;
use crate::model::provider::{Provider, UnifiedLogin};
use crate::operations::admin_context::{AdminContext, Changed, Switched, ValidationError};
use crate::operations::seed_file::is_broken_off;
use crate::operations::{issuers, providers, users};
use crate::store::{self, Error, Tx, in_transaction};
use crate::time::Deadline;

/// What `apply` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp apply seed.toml --dry-run\n\n\
                        Prints a line for what is new (+), changed (~) or switched off by --prune (-). Nothing is ever removed; an \
                        absent key changes nothing; password, temporary and locked count when a user is made and never again. A \
                        client_secret that is new in the file replaces those before it at once.\n\n\
                        --prune deactivates providers and users and disables clients and trusted issuers that the file does not \
                        name. It leaves alone each kind of table that the file has none of, the users of a provider of whom the \
                        file names none, and the operator realm; and it never takes the last active Therap Admin. With \
                        prune = [\"user\", …] at its top the file says which kinds of table --prune covers.")]
pub(super) struct Args {
    /// The TOML file.
    file: PathBuf,
    /// Print what would change and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Switch off what the file does not name.
    #[arg(long)]
    prune: bool,
}

pub(super) async fn run(args: &Args, config: Config, console: &mut Console) -> anyhow::Result<()> {
    let shown = args.file.display().to_string();
    let text = read_file(&args.file)?;
    ensure!(
        !args.prune || !is_broken_off(&text),
        "{shown} is an export that broke off before its end, so --prune cannot know what is unwanted: export it again"
    );
    let seed = Seed::parse(&text, &config).context(shown.clone())?;
    let app = App::open(config, if args.dry_run { Opening::Existing } else { Opening::Run }).await?;
    for issuer in &seed.issuers {
        warn_of_keys(console, &format!("trusted_issuer {}", issuer.issuer), &issuer.draft.warnings());
    }
    for client in &seed.clients {
        warn_of_keys(console, &format!("client {}", client.client_id), &client.metadata.warnings());
    }
    let hashes = hash_passwords(&app, &seed, args.dry_run, console).await.context(shown.clone())?;
    let applied = apply(&app, seed, hashes, args).await;
    app.db.close().await;
    let lines = applied.context(shown)?;
    for line in &lines {
        console.say(line)?;
    }
    if lines.is_empty() {
        console.say("= nothing changed")?;
    }
    if args.dry_run {
        console.warn("Dry run: nothing was written.");
    }
    Ok(())
}

/// A hash for each user that is not there yet: made before the transaction, which must not wait for it.
async fn hash_passwords(
    app: &App,
    seed: &Seed,
    dry_run: bool,
    console: &mut Console,
) -> anyhow::Result<Vec<Option<String>>> {
    let mut hashes: Vec<Option<String>> = Vec::with_capacity(seed.users.len());
    let mut wanted = Vec::new();
    let mut conn = app.db.read().await?;
    for (index, user) in seed.users.iter().enumerate() {
        let known = store::users::by_name(&mut conn, &user.provider, &user.login_name).await?.is_some();
        hashes.push(match &user.password {
            Password::Hash(phc) => Some(phc.clone()),
            Password::Given(_) | Password::None if known => None,
            Password::Given(_) | Password::None if dry_run => Some("never written".into()),
            Password::Given(password) => {
                wanted.push((index, password.clone()));
                None
            }
            Password::None => {
                wanted.push((index, Secret::random(&app.random).reveal().into()));
                None
            }
        });
    }
    drop(conn);
    let all = wanted.len();
    // As many at once as there are threads: nobody waits in the pool's queue, so nobody is turned away.
    let at_once = app.config.pool_limits().threads;
    let work = wanted.into_iter().map(|(index, password)| async move { (index, users::hash(app, &password).await) });
    let mut answers = stream::iter(work).buffer_unordered(at_once);
    let mut done = 0;
    while let Some((index, hash)) = answers.next().await {
        hashes[index] =
            Some(hash.map_err(|_| anyhow::anyhow!("the machine is too busy to hash passwords: try again"))?);
        done += 1;
        console.progress(format_args!("{done} of {all} passwords hashed"));
    }
    console.progress_done();
    Ok(hashes)
}

/// What the transaction did, as far as it came; and why it stopped, if it did.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    refusal: Option<String>,
}

type Shared = Arc<Mutex<Report>>;

fn with<T>(report: &Shared, work: impl FnOnce(&mut Report) -> T) -> T {
    work(&mut report.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Applies the whole in one transaction; a rehearsal takes it back.
async fn apply(app: &App, seed: Seed, hashes: Vec<Option<String>>, args: &Args) -> anyhow::Result<Vec<String>> {
    let act = AdminContext { deadline: Deadline::after(Duration::from_hours(1), app.clock.now()), ..act(app) };
    let (dry_run, prune) = (args.dry_run, args.prune);
    let (seed, hashes, report) = (Arc::new(seed), Arc::new(hashes), Shared::default());
    let written = in_transaction!(app.db, act.deadline, [act, seed, hashes, report], |tx| {
        with(&report, |report| *report = Report::default());
        let applied = Applying { tx, act: &act, report: &report }.all(&seed, &hashes, prune).await;
        match applied {
            Ok(()) if dry_run => Err(Error::Withdrawn),
            Ok(()) => Ok(()),
            Err(Stop::Refused(why)) => {
                with(&report, |report| report.refusal = Some(why));
                Err(Error::Withdrawn)
            }
            Err(Stop::Broke(error)) => Err(error),
        }
    });
    app.issuers.forget();
    let report = with(&report, std::mem::take);
    match (written, report.refusal) {
        (Err(Error::Withdrawn), Some(why)) => bail!("{why} (nothing was written)"),
        (Ok(()) | Err(Error::Withdrawn), None) => Ok(report.lines),
        (Err(error), _) => Err(error).context("nothing was written"),
        (Ok(()), Some(why)) => bail!(why),
    }
}

/// Why applying stops.
enum Stop {
    /// The file asks for what cannot be.
    Refused(String),
    /// The database failed.
    Broke(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Broke(error)
    }
}

fn refuse(place: &str, key: &'static str, why: impl Into<String>) -> Stop {
    Stop::Refused(format!("{place}: {}", ValidationError::new(key, why)))
}

/// One seed file on its way into the database.
struct Applying<'a> {
    tx: &'a mut Tx,
    act: &'a AdminContext,
    report: &'a Shared,
}

impl Applying<'_> {
    async fn all(mut self, seed: &Seed, hashes: &[Option<String>], prune: bool) -> Result<(), Stop> {
        for provider in &seed.providers {
            self.provider(provider).await?;
        }
        for issuer in &seed.issuers {
            self.issuer(issuer).await?;
        }
        for client in &seed.clients {
            self.client(client).await?;
        }
        let trusted = store::issuers::list(self.tx).await?;
        let mut provider: Option<Provider> = None;
        for (user, hash) in seed.users.iter().zip(hashes) {
            // Users mostly stand in the file provider by provider.
            if provider.as_ref().is_none_or(|p| p.code != user.provider.as_str()) {
                provider = store::providers::by_code(self.tx, user.provider.as_str()).await?;
            }
            let Some(provider) = &provider else {
                return Err(refuse(
                    &user.place,
                    "provider",
                    "there is no such provider: add a [[provider]] table for it",
                ));
            };
            self.user(user, provider, hash.as_deref(), &trusted).await?;
        }
        if prune { self.prune(seed).await } else { Ok(()) }
    }

    fn made(&self, what: &str) {
        with(self.report, |report| report.lines.push(format!("+ {what}")));
    }

    fn changed(&self, what: &str, keys: &[&'static str]) {
        if !keys.is_empty() {
            with(self.report, |report| report.lines.push(format!("~ {what}: {}", keys.join(", "))));
        }
    }

    async fn provider(&mut self, seed: &SeedProvider) -> Result<(), Stop> {
        let what = format!("provider {}", seed.code.as_str());
        let Some(found) = store::providers::by_folded_code(self.tx, &seed.code).await? else {
            if seed.draft.name.is_none() {
                return Err(refuse(
                    &seed.place,
                    "name",
                    "is missing, and the provider is not there yet: give it a name",
                ));
            }
            let unified_login = seed.unified_login.unwrap_or(UnifiedLogin::Off);
            let new = providers::build(self.act, &seed.code, &seed.draft, seed.active.unwrap_or(true), unified_login);
            providers::add(self.tx, self.act, &new).await?;
            self.made(&what);
            return Ok(());
        };
        if found.code != seed.code.as_str() {
            let why = format!(
                "there is a provider {} that differs in case only: use that spelling or another code",
                found.code
            );
            return Err(refuse(&seed.place, "code", why));
        }
        let realm =
            |key| refuse(&seed.place, key, "the operator realm keeps its name, is active and has no Unified Login");
        let Some(held) = store::providers::lock_for_update(self.tx, &found.id).await? else {
            return Err(Error::Damaged(what).into());
        };
        let mut keys = match providers::change(self.tx, self.act, held.clone(), &seed.draft).await? {
            Changed::Keys(keys) => keys,
            Changed::OperatorRealm | Changed::NotFound => return Err(realm("name")),
        };
        if let Some(active) = seed.active {
            match providers::switch_active(self.tx, self.act, &held, active).await? {
                Switched::Done => keys.push("active"),
                Switched::Already => {}
                Switched::OperatorRealm
                | Switched::LastAdmin
                | Switched::NotFound
                | Switched::Own
                | Switched::Stale => {
                    return Err(realm("active"));
                }
            }
        }
        if let Some(state) = seed.unified_login {
            match providers::switch_unified_login(self.tx, self.act, &held, state).await? {
                Switched::Done => keys.push("unified_login"),
                Switched::Already => {}
                Switched::OperatorRealm
                | Switched::LastAdmin
                | Switched::NotFound
                | Switched::Own
                | Switched::Stale => {
                    return Err(realm("unified_login"));
                }
            }
        }
        self.changed(&what, &keys);
        Ok(())
    }

    async fn issuer(&mut self, seed: &SeedIssuer) -> Result<(), Stop> {
        let what = format!("trusted_issuer {}", seed.issuer);
        if let Some(held) = store::issuers::lock_for_update(self.tx, &seed.issuer).await? {
            let mut keys = issuers::change(self.tx, self.act, held.clone(), &seed.draft).await?;
            if let Some(enabled) = seed.enabled
                && issuers::switch_enabled(self.tx, self.act, &held, enabled).await? == Switched::Done
            {
                keys.push("enabled");
            }
            self.changed(&what, &keys);
            return Ok(());
        }
        let complete = seed.draft.check_new(&seed.issuer, &self.act.app.config);
        complete.map_err(|invalid| refuse(&seed.place, invalid.key, invalid.why))?;
        let new = issuers::build(self.act, &seed.issuer, &seed.draft, seed.enabled.unwrap_or(true));
        issuers::add(self.tx, self.act, &new).await?;
        self.made(&what);
        Ok(())
    }
}
