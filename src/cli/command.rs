//! What commands have in common: the configuration, who acts, whom they name, and how they end.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context as _;

use super::console::{Console, harmless};
use crate::app::{App, Opening};
use crate::config::{Config, ENV_PREFIX, Loaded};
use crate::model::activity::Visitor;
use crate::model::login_name::LoginName;
use crate::model::provider::{Provider, ProviderCode};
use crate::model::text;
use crate::model::user::Account;
use crate::operations::Actor;
use crate::operations::admin_context::{AdminContext, Authority, Switched};
use crate::store::{providers, users};
use crate::time::Random;

/// How a command ended, when nothing broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    /// What was asked for was said, and the answer is no.
    Refused,
}

/// The configuration of a file and of this process's variables.
pub(super) fn read_config(file: Option<&Path>) -> anyhow::Result<Loaded> {
    Loaded::read(file, variables()?.into_iter())
}

/// The variables that are text; of ours, each must be.
fn variables() -> anyhow::Result<Vec<(String, String)>> {
    let text = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        match value.into_string() {
            Ok(value) => Some(Ok((name, value))),
            Err(_) if name.starts_with(ENV_PREFIX) => {
                Some(Err(anyhow::anyhow!("{name} is not UTF-8 text: save it as UTF-8")))
            }
            Err(_) => None,
        }
    };
    std::env::vars_os().filter_map(text).collect()
}

pub(super) async fn open(config: Config) -> anyhow::Result<App> {
    App::open(config, Opening::Existing).await
}

/// An act of whoever runs this command.
pub(super) fn act(app: &App) -> AdminContext {
    AdminContext {
        app: app.clone(),
        actor: operator(),
        authority: Authority::Machine,
        now: app.clock.now(),
        deadline: app.patient_deadline(),
        seen: None,
    }
}

/// Whoever runs this command.
pub(super) fn operator() -> Actor {
    let visitor = Visitor { reference: Random::System.reference(), ..Visitor::default() };
    Actor { name: format!("operator {}", login_of_this_process()), visitor }
}

/// The name of the operating system's user, from the process itself: variables can say anything.
fn login_of_this_process() -> String {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}

/// A user, as commands name one.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Who {
    /// The Provider Code.
    #[arg(long, value_name = "CODE")]
    pub(super) provider: String,
    /// The Login Name.
    #[arg(long, value_name = "NAME")]
    pub(super) login_name: String,
}

/// Whose act is asked about on a terminal (G34).
#[derive(Debug, clap::Args)]
pub(super) struct Asked<T: clap::Args> {
    #[command(flatten)]
    pub(super) of: T,
    /// Do it without asking.
    #[arg(long)]
    pub(super) yes: bool,
}

impl Who {
    pub(super) async fn find(&self, app: &App) -> anyhow::Result<Account> {
        let provider = find_provider(app, &self.provider).await?;
        let code = ProviderCode::parse(&provider.code).context("a stored Provider Code is damaged")?;
        let found = match LoginName::parse(&self.login_name) {
            Some(name) => users::by_name(&mut app.db.read().await?, &code, &name).await?,
            None => None,
        };
        found.with_context(|| {
            format!(
                "there is no user {:?} in {}: see `connect-idp user list --provider {1}`",
                self.login_name, provider.code
            )
        })
    }
}

pub(super) async fn find_provider(app: &App, code: &str) -> anyhow::Result<Provider> {
    let found = providers::by_code(&mut app.db.read().await?, code).await?;
    found.with_context(|| format!("there is no provider {code:?}: see `connect-idp provider list`"))
}

/// Says the result of switching something.
pub(super) fn say_switched(console: &mut Console, switched: Switched, subject: &str, done: &str) -> anyhow::Result<()> {
    match switched {
        Switched::Done => console.say(format_args!("{subject} {done}.")),
        Switched::Already => console.say(format_args!("{subject} {done} already; nothing changed.")),
        Switched::NotFound => anyhow::bail!("{subject} is not there any more: list again and retry"),
        Switched::LastAdmin => anyhow::bail!(
            "{subject} is the last Therap Admin who can sign in and cannot be deactivated: make another one first, with `connect-idp user create`"
        ),
        // Commands act by nobody's account.
        Switched::Own => anyhow::bail!("{subject} is your own account: ask somebody else"),
        Switched::Stale => anyhow::bail!("somebody else changed {subject} at this moment: look at it and retry"),
        Switched::OperatorRealm => anyhow::bail!("the operator realm cannot be switched: name an agency"),
    }
}

/// Says of a key set that was taken what in it is not used.
pub(super) fn warn_of_keys(console: &mut Console, subject: &str, warnings: &[String]) {
    for why in warnings {
        console.warn(format_args!("warning: {subject}: not used: {}", harmless(why)));
    }
}

/// The text of a file that a command names, without the byte order mark that editors on Windows write (G37).
pub(super) fn read_file(path: &Path) -> anyhow::Result<String> {
    let mut text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    // In place: it may hold passwords, of which no copy is left behind.
    text.drain(..text.len() - text::without_mark(&text).len());
    Ok(text)
}
