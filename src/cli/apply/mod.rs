//! `apply`: makes providers, users, clients and trusted issuers as a seed file says, all of it or nothing. Twice is the
//! same as once: defaults, passwords and locks count at creation only, and an absent key changes nothing.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use futures_util::stream;

use super::seed::{Locked, Password, Seed, SeedClient, SeedIssuer, SeedProvider, SeedUser, Tie};
use super::{Console, act, read_file};
use crate::app::{App, Opening};
use crate::config::Config;
use crate::crypto::secret::Secret;
use crate::model::client::Client;
use crate::model::issuer::TrustedIssuer;
use crate::model::provider::{Provider, UnifiedLogin};
use crate::model::user::{Account, STRIKES, UserType};
use crate::operations::act::{Act, Changed, Switched, Unfit};
use crate::operations::{clients, issuers, providers, users};
use crate::store::issuers::Tied;
use crate::store::users::NewUser;
use crate::store::{self, Error, Tx, in_transaction};
use crate::time::Deadline;

/// What `apply` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp apply seed.toml --dry-run\n\n\
                        Prints a line for what is new (+) or changed (~). Nothing is ever removed; an absent key changes \
                        nothing; password, temporary and locked count when a user is made and never again. A client_secret that is new \
                        in the file replaces those before it at once.")]
pub(super) struct Args {
    /// The TOML file.
    file: PathBuf,
    /// Print what would change and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args, config: Config, console: &mut Console) -> anyhow::Result<()> {
    let shown = args.file.display().to_string();
    let seed = Seed::parse(&read_file(&args.file)?, &config).context(shown.clone())?;
    let app = App::open(config, if args.dry_run { Opening::Existing } else { Opening::Run }).await?;
    let hashes = hash_passwords(&app, &seed, args.dry_run, console).await.context(shown.clone())?;
    let applied = apply(&app, seed, hashes, args.dry_run).await;
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
async fn apply(app: &App, seed: Seed, hashes: Vec<Option<String>>, dry_run: bool) -> anyhow::Result<Vec<String>> {
    let act = Act { deadline: Deadline::after(Duration::from_hours(1), app.clock.now()), ..act(app) };
    let (seed, hashes, report) = (Arc::new(seed), Arc::new(hashes), Shared::default());
    let written = in_transaction!(app.db, act.deadline, [act, seed, hashes, report], |tx| {
        with(&report, |report| *report = Report::default());
        let applied = Applying { tx, act: &act, report: &report }.all(&seed, &hashes).await;
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
    Stop::Refused(format!("{place}: {}", Unfit::new(key, why)))
}

/// One seed file on its way into the database.
struct Applying<'a> {
    tx: &'a mut Tx,
    act: &'a Act,
    report: &'a Shared,
}

impl Applying<'_> {
    async fn all(mut self, seed: &Seed, hashes: &[Option<String>]) -> Result<(), Stop> {
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
        Ok(())
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
            let drawn = providers::draw(self.act, &seed.code, &seed.draft, seed.active.unwrap_or(true), unified_login);
            providers::add(self.tx, self.act, &drawn).await?;
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
        let Some(held) = store::providers::hold(self.tx, &found.id).await? else {
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
                Switched::OperatorRealm | Switched::NotFound => return Err(realm("active")),
            }
        }
        if let Some(state) = seed.unified_login {
            match providers::switch_unified_login(self.tx, self.act, &held, state).await? {
                Switched::Done => keys.push("unified_login"),
                Switched::Already => {}
                Switched::OperatorRealm | Switched::NotFound => return Err(realm("unified_login")),
            }
        }
        self.changed(&what, &keys);
        Ok(())
    }

    async fn issuer(&mut self, seed: &SeedIssuer) -> Result<(), Stop> {
        let what = format!("trusted_issuer {}", seed.issuer);
        if let Some(held) = store::issuers::hold(self.tx, &seed.issuer).await? {
            let keys = issuers::change(self.tx, self.act, held, &seed.draft).await?;
            self.changed(&what, &keys);
            return Ok(());
        }
        let complete = seed.draft.check_new(&seed.issuer, &self.act.app.config);
        complete.map_err(|unfit| refuse(&seed.place, unfit.key, unfit.why))?;
        issuers::add(self.tx, self.act, &issuers::draw(self.act, &seed.issuer, &seed.draft)).await?;
        self.made(&what);
        Ok(())
    }

    async fn client(&mut self, seed: &SeedClient) -> Result<(), Stop> {
        let what = format!("client {}", seed.client_id);
        let unfit = |unfit: Unfit| refuse(&seed.place, unfit.key, unfit.why);
        let no_secret = || {
            let why = "stands there, but token_endpoint_auth_method is one without a secret: take one of the two out";
            refuse(&seed.place, "client_secret", why)
        };
        let Some(held) = store::clients::hold(self.tx, &seed.client_id).await? else {
            let metadata = seed.metadata.new_metadata(self.act.app.config.client_rules()).map_err(unfit)?;
            let needs_secret = metadata.token_endpoint_auth_method.has_secret();
            if seed.secret.is_some() && !needs_secret {
                return Err(no_secret());
            }
            let drawn = clients::draw(self.act, &seed.client_id, metadata, seed.enabled.unwrap_or(true));
            let hash = seed.secret.as_ref().map(|s| clients::hash_secret(&self.act.app, &seed.client_id, &s.0));
            clients::add(self.tx, self.act, &drawn, hash.as_deref()).await?;
            let missing = needs_secret && hash.is_none();
            let hint = if missing { " (no secret: `client rotate-secret` gives one)" } else { "" };
            self.made(&format!("{what}{hint}"));
            return Ok(());
        };
        let mut keys = match clients::change(self.tx, self.act, &held, &seed.metadata).await? {
            clients::Changed::Keys(keys) => keys,
            clients::Changed::Unfit(why) => return Err(unfit(why)),
            clients::Changed::NotFound => return Err(Error::Damaged(what).into()),
        };
        if let Some(secret) = &seed.secret {
            // Read again: the method may have changed just now.
            let Some(held) = store::clients::hold(self.tx, &seed.client_id).await? else {
                return Err(Error::Damaged(what).into());
            };
            match self.client_secret(&held, &secret.0).await? {
                Secrets::Same => {}
                Secrets::Replaced => keys.push("client_secret"),
                Secrets::Ended => with(self.report, |report| {
                    let why = "client_secret is one that was replaced: write the new one, or take the key out";
                    report.lines.push(format!("! {what}: {why}"));
                }),
                Secrets::NotNeeded => return Err(no_secret()),
            }
        }
        if let Some(enabled) = seed.enabled
            && clients::switch_enabled(self.tx, self.act, &held, enabled).await? == Switched::Done
        {
            keys.push("enabled");
        }
        self.changed(&what, &keys);
        Ok(())
    }

    /// Lets the file's secret be the client's only one, if it is new. One that was replaced since stays dead.
    async fn client_secret(&mut self, held: &Client, secret: &str) -> Result<Secrets, Stop> {
        let hash = clients::hash_secret(&self.act.app, &held.client_id, secret);
        let known = store::clients::secrets(self.tx, &held.id).await?;
        if !held.metadata.token_endpoint_auth_method.has_secret() {
            return Ok(Secrets::NotNeeded);
        }
        let same: Vec<_> = known.iter().filter(|known| known.hash == hash).collect();
        if same.iter().any(|known| known.expires_at.is_none_or(|at| at > self.act.now.0)) {
            return Ok(Secrets::Same);
        }
        if !same.is_empty() {
            return Ok(Secrets::Ended);
        }
        match clients::replace_secret(self.tx, self.act, held, secret, Duration::ZERO).await? {
            clients::Rotated::Done { .. } => Ok(Secrets::Replaced),
            clients::Rotated::NoSecret | clients::Rotated::NotFound => Ok(Secrets::NotNeeded),
        }
    }

    async fn user(
        &mut self,
        seed: &SeedUser,
        provider: &Provider,
        hash: Option<&str>,
        trusted: &[TrustedIssuer],
    ) -> Result<(), Stop> {
        let what = format!("user {}/{}", provider.code, seed.login_name.shown());
        let wrong_type = || {
            let why =
                "Therap Admins, and only they, belong to the operator realm: write the type that fits the provider";
            refuse(&seed.place, "user_type", why)
        };
        if let Some(known) = store::users::by_name(self.tx, &seed.provider, &seed.login_name).await? {
            let Some(held) = store::users::hold(self.tx, &provider.id, &known.id).await? else {
                return Err(Error::Damaged(what).into());
            };
            let mut keys = match users::change(self.tx, self.act, held.clone(), &seed.draft).await? {
                users::Changed::Keys(keys) => keys,
                users::Changed::WrongType | users::Changed::NotFound => return Err(wrong_type()),
            };
            if let Some(active) = seed.active
                && users::switch_active(self.tx, self.act, &held, active).await? == Switched::Done
            {
                keys.push("active");
            }
            if self.tie(seed, &held, trusted).await? {
                keys.push("handoff_sub");
            }
            self.changed(&what, &keys);
            return Ok(());
        }
        let Some(hash) = hash else {
            return Err(refuse(&seed.place, "login_name", "the user went away while this ran: run it again"));
        };
        let new = self.new_user(seed, hash)?;
        match users::add(self.tx, self.act, provider, &new).await? {
            users::Created::Yes(_) => {}
            users::Created::WrongType => return Err(wrong_type()),
            users::Created::NameTaken | users::Created::NoSuchProvider => return Err(Error::Damaged(what).into()),
        }
        if seed.tie.is_some() {
            let made = store::users::by_id(self.tx, &new.id).await?.ok_or_else(|| Error::Damaged(what.clone()))?;
            self.tie(seed, &made, trusted).await?;
        }
        let hint = if matches!(seed.password, Password::None) {
            " (no password: `user reset-password` gives one)"
        } else {
            ""
        };
        self.made(&format!("{what}{hint}"));
        Ok(())
    }

    fn new_user(&self, seed: &SeedUser, hash: &str) -> Result<NewUser, Stop> {
        let Some(name) = seed.draft.name.clone() else {
            return Err(refuse(
                &seed.place,
                "name",
                "is missing, and the user is not there yet: give the person's name",
            ));
        };
        Ok(NewUser {
            id: self.act.app.random.id(self.act.now),
            login_name: seed.login_name.clone(),
            name,
            user_type: seed.draft.user_type.unwrap_or(UserType::Regular),
            active: seed.active.unwrap_or(true),
            admin_locked: seed.locked == Locked::Admin,
            failures: if seed.locked == Locked::Password { STRIKES } else { 0 },
            password_hash: hash.to_owned(),
            temporary_until: seed.temporary.then(|| users::temporary_until(&self.act.app, self.act.now)),
            claims: seed.draft.claims.clone().unwrap_or_default().to_json(),
        })
    }

    /// Ties what the file ties; whether that was new.
    async fn tie(&mut self, seed: &SeedUser, user: &Account, trusted: &[TrustedIssuer]) -> Result<bool, Stop> {
        let Some(tie) = &seed.tie else {
            return Ok(false);
        };
        let issuer = issuer_of(tie, trusted).map_err(|why| refuse(&seed.place, "handoff_issuer", why))?;
        let taken = |why: &str| Err(refuse(&seed.place, "handoff_sub", why));
        match issuers::tie(self.tx, self.act, issuer, user, &tie.sub).await? {
            Tied::No => Ok(true),
            Tied::Yes => Ok(false),
            Tied::SubElsewhere => {
                taken("is tied to another user of the provider: untie that one first with `user untie`")
            }
            Tied::UserElsewhere => {
                taken("is not the one that the user is tied to: untie the user first with `user untie`")
            }
        }
    }
}

/// What became of a client's secret in the file.
enum Secrets {
    /// It works already.
    Same,
    /// It is the client's only one now.
    Replaced,
    /// It worked once and was replaced.
    Ended,
    /// The client's method has none.
    NotNeeded,
}

fn issuer_of<'a>(tie: &Tie, trusted: &'a [TrustedIssuer]) -> Result<&'a TrustedIssuer, &'static str> {
    match (&tie.issuer, trusted) {
        (Some(name), _) => trusted
            .iter()
            .find(|issuer| issuer.issuer == *name)
            .ok_or("there is no such trusted issuer: add a [[trusted_issuer]] table for it"),
        (None, [only]) => Ok(only),
        (None, []) => Err(
            "handoff_sub needs a trusted issuer and there is none yet: add a [[trusted_issuer]] table, or take handoff_sub out",
        ),
        (None, _) => Err("is missing, and several issuers are trusted: say which one handoff_sub is of"),
    }
}
