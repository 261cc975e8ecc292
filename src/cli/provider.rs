//! `provider`: the agencies.

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};

use super::command::{Asked, act, find_provider, say_switched};
use super::console::{Console, Output, Row};
use crate::app::App;
use crate::model::provider::{Provider, ProviderCode, UnifiedLogin};
use crate::operations::admin_context::{Changed, Switched};
use crate::operations::providers::{self, Created, Draft};
use crate::store;

/// What can be done with providers.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List every provider.
    #[command(after_help = "Example: connect-idp provider list --output json")]
    List(Output),
    /// Show one provider.
    #[command(after_help = "Example: connect-idp provider show --provider SUNRISE-IL")]
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        output: Output,
    },
    /// Create a provider.
    #[command(after_help = "Example: connect-idp provider create --provider SUNRISE-IL --name \"Sunrise Homes\" \
                            --time-zone America/Chicago")]
    Create {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        output: Output,
    },
    /// Change a provider's data.
    #[command(after_help = "Example: connect-idp provider set --provider SUNRISE-IL --idle-minutes 15")]
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        data: Data,
    },
    /// Let a provider's users in again.
    #[command(after_help = "Example: connect-idp provider activate --provider SUNRISE-IL")]
    Activate(Which),
    /// Keep a provider's users out and end all their sessions.
    #[command(after_help = "Example: connect-idp provider deactivate --provider SUNRISE-IL")]
    Deactivate(Asked<Which>),
    /// Switch a provider's Unified Login.
    #[command(after_help = "Example: connect-idp provider unified-login on --provider SUNRISE-IL")]
    UnifiedLogin {
        /// What it is to be.
        state: Switch,
        #[command(flatten)]
        which: Which,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// End every session of a provider's users.
    #[command(after_help = "Example: connect-idp provider end-sessions --provider SUNRISE-IL")]
    EndSessions(Asked<Which>),
}

/// A provider, as commands name one.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The Provider Code.
    #[arg(long, value_name = "CODE")]
    provider: String,
}

/// What can be set on a provider.
#[derive(Debug, clap::Args)]
pub(super) struct Data {
    /// The provider's name.
    #[arg(long)]
    name: Option<String>,
    /// Its IANA time zone [default at creation: `America/New_York`].
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Who its users should contact for help; "" removes it.
    #[arg(long)]
    contact: Option<String>,
    /// Minutes until an unused session is over; 0 for the operator's limit.
    #[arg(long, value_name = "MINUTES")]
    idle_minutes: Option<u32>,
    /// Hours until any session is over; 0 for the operator's limit.
    #[arg(long, value_name = "HOURS")]
    absolute_hours: Option<u32>,
    /// Whether its users may reset a forgotten password by an e-mailed link [default at creation: true].
    #[arg(long, value_name = "BOOL")]
    reset_by_mail: Option<bool>,
}

/// On or off.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Switch {
    /// The provider's users may arrive by handoff.
    On,
    /// They may not.
    Off,
}

impl Data {
    fn draft(&self, app: &App) -> anyhow::Result<Draft> {
        let draft = Draft {
            name: self.name.clone(),
            time_zone: self.time_zone.clone(),
            contact: self.contact.clone(),
            idle_minutes: self.idle_minutes,
            absolute_hours: self.absolute_hours,
            reset_by_mail: self.reset_by_mail,
        };
        draft.check(&app.config)?;
        Ok(draft)
    }
}

pub(super) async fn run(verb: &Verb, app: &App, console: &mut Console) -> anyhow::Result<()> {
    match verb {
        Verb::List(output) => {
            let list = store::providers::list(&mut app.db.read().await?).await?;
            console.rows(output.format, &list.iter().map(listed).collect::<Vec<_>>())
        }
        Verb::Show { which, output } => {
            let provider = find_provider(app, &which.provider).await?;
            console.row(output.format, &shown(&provider))
        }
        Verb::Create { which, data, output } => create(app, which, data, *output, console).await,
        Verb::Set { which, data } => set(app, which, data, console).await,
        Verb::Activate(which) => set_active(app, which, true, console).await,
        Verb::Deactivate(Asked { of: which, yes }) => {
            let code = find_provider(app, &which.provider).await?.code;
            console.ask(*yes, format_args!("This keeps every user of {code} out and ends all their sessions."))?;
            set_active(app, which, false, console).await
        }
        Verb::UnifiedLogin { state, which, yes } => {
            let provider = find_provider(app, &which.provider).await?;
            let what = match state {
                Switch::On => "lets the users of this provider come in from Therap Services without a password here",
                Switch::Off => "keeps the users of this provider from coming in from Therap Services",
            };
            console.ask(*yes, format_args!("{}: this {what}.", provider.code))?;
            let (state, done) = match state {
                Switch::On => (UnifiedLogin::On, "is on"),
                Switch::Off => (UnifiedLogin::Off, "is off"),
            };
            let switched = providers::set_unified_login(&act(app), &provider.id, state).await?;
            say_switched(console, switched, &format!("Unified Login of {}", provider.code), done)
        }
        Verb::EndSessions(Asked { of: which, yes }) => {
            let provider = find_provider(app, &which.provider).await?;
            console.ask(*yes, format_args!("This ends every session of {}.", provider.code))?;
            match providers::end_sessions(&act(app), &provider.id).await? {
                Switched::NotFound => bail!("provider {} is not there any more", provider.code),
                Switched::Done
                | Switched::Already
                | Switched::OperatorRealm
                | Switched::LastAdmin
                | Switched::Own
                | Switched::Stale => console.say(format_args!("Every session of {} is ended.", provider.code)),
            }
        }
    }
}

async fn create(app: &App, which: &Which, data: &Data, output: Output, console: &mut Console) -> anyhow::Result<()> {
    let code = ProviderCode::parse(&which.provider).with_context(|| {
        format!("{:?} cannot be a Provider Code: use 1 to 32 letters, digits and hyphens", which.provider)
    })?;
    let draft = data.draft(app)?;
    if draft.name.is_none() {
        bail!("the provider has no name yet: add --name");
    }
    match providers::create(&act(app), &code, &draft).await? {
        Created::Yes(provider) => console.row(output.format, &shown(&provider)),
        Created::CodeTaken => {
            bail!("there is a provider {} already, in this or another case: choose another code", code.as_str())
        }
    }
}

async fn set(app: &App, which: &Which, data: &Data, console: &mut Console) -> anyhow::Result<()> {
    let provider = find_provider(app, &which.provider).await?;
    match providers::set(&act(app), &provider.id, &data.draft(app)?).await? {
        Changed::Keys(keys) if keys.is_empty() => console.say("Nothing changed."),
        Changed::Keys(keys) => console.say(format_args!("Provider {} has a new {}.", provider.code, keys.join(", "))),
        Changed::NotFound => bail!("provider {} is not there any more", provider.code),
        Changed::OperatorRealm => bail!("the operator realm keeps its name: leave --name out"),
    }
}

async fn set_active(app: &App, which: &Which, active: bool, console: &mut Console) -> anyhow::Result<()> {
    let provider = find_provider(app, &which.provider).await?;
    let switched = providers::set_active(&act(app), &provider.id, active).await?;
    let done = if active { "is active" } else { "is inactive" };
    say_switched(console, switched, &format!("Provider {}", provider.code), done)
}

fn listed(provider: &Provider) -> Row {
    Row::default()
        .with("code", provider.code.as_str())
        .with("name", provider.name.as_str())
        .with("kind", provider.kind.as_str())
        .with("active", provider.active)
        .with("unified_login", provider.unified_login.as_str())
        .with("time_zone", provider.time_zone.as_str())
}

fn shown(provider: &Provider) -> Row {
    listed(provider)
        .with("contact", provider.contact.clone())
        .with("idle_minutes", provider.idle_minutes)
        .with("absolute_hours", provider.absolute_hours)
        .with("reset_by_mail", provider.reset_by_mail)
}
