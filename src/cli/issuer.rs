//! `issuer`: the trusted issuers of handoffs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::Value;

use super::command::{Asked, act, read_file, say_switched, warn_of_keys};
use super::console::{Console, Output, Row};
use crate::app::App;
use crate::model::issuer::TrustedIssuer;
use crate::operations::admin_context::{Changed, Edited};
use crate::operations::issuers::{self, Draft};
use crate::store;

/// What can be done with trusted issuers.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List every trusted issuer.
    #[command(after_help = "Example: connect-idp issuer list --output json")]
    List(Output),
    /// Show one trusted issuer.
    #[command(after_help = "Example: connect-idp issuer show --issuer https://secure.example.net")]
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        output: Output,
    },
    /// Trust an issuer's handoffs.
    #[command(after_help = "Example: connect-idp issuer create --issuer https://secure.example.net \
                            --origin https://secure.example.net --jwks-uri https://secure.example.net/keys.json")]
    Create {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        data: Data,
    },
    /// Change a trusted issuer.
    #[command(after_help = "Example: connect-idp issuer set --issuer https://secure.example.net --jwks-file keys.json")]
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        data: Data,
    },
    /// Trust an issuer again.
    #[command(after_help = "Example: connect-idp issuer enable --issuer https://secure.example.net")]
    Enable(Asked<Which>),
    /// Stop trusting an issuer, immediately.
    #[command(after_help = "Example: connect-idp issuer disable --issuer https://secure.example.net --end-sessions")]
    Disable {
        #[command(flatten)]
        which: Which,
        /// Also end every session that it opened.
        #[arg(long)]
        end_sessions: bool,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// End every session that an issuer opened.
    #[command(after_help = "Example: connect-idp issuer end-sessions --issuer https://secure.example.net")]
    EndSessions(Asked<Which>),
    /// Remove every link between an issuer's ids and our users; the next handoffs link them again.
    #[command(after_help = "Example: connect-idp issuer untie --issuer https://secure.example.net")]
    Untie(Asked<Which>),
}

/// An issuer, as commands name one.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The issuer: exactly the `iss` of its assertions.
    #[arg(long, value_name = "ISSUER")]
    issuer: String,
}

/// What can be set on an issuer.
#[derive(Debug, clap::Args)]
pub(super) struct Data {
    /// What people call it.
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// An origin that its pages send from; may be repeated. All of them, in place of those before.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// A file with its public keys as a JWK Set.
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks_file: Option<PathBuf>,
    /// Where its public keys are published.
    #[arg(long, value_name = "ADDRESS")]
    jwks_uri: Option<String>,
    /// Its own client here; "" removes it.
    #[arg(long, value_name = "CLIENT")]
    client_id: Option<String>,
    /// An `acr` of its own and what it becomes here; may be repeated. All of them, in place of those before.
    #[arg(long = "acr", value_name = "THEIRS=OURS")]
    acr: Vec<String>,
}

impl Data {
    fn draft(&self) -> anyhow::Result<Draft> {
        let pair = |text: &String| {
            let (theirs, ours) = text.split_once('=').context("--acr is to be THEIRS=OURS")?;
            Ok((theirs.to_owned(), ours.to_owned()))
        };
        let acr = self.acr.iter().map(pair).collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        Ok(Draft {
            display_name: self.display_name.clone(),
            origins: Some(self.origins.clone()).filter(|o| !o.is_empty()),
            jwks: self.jwks_file.as_deref().map(read_file).transpose()?,
            jwks_uri: self.jwks_uri.clone(),
            client_id: self.client_id.clone(),
            acr: Some(acr).filter(|a| !a.is_empty()),
        })
    }
}

pub(super) async fn run(verb: &Verb, app: &App, console: &mut Console) -> anyhow::Result<()> {
    match verb {
        Verb::List(output) => {
            let list = store::issuers::list(&mut app.db.read().await?).await?;
            console.rows(output.format, &list.iter().map(listed).collect::<Vec<_>>())
        }
        Verb::Show { which, output } => {
            let mut conn = app.db.read().await?;
            let issuer = store::issuers::by_name(&mut conn, &which.issuer).await?.with_context(|| unknown(which))?;
            let ties = store::issuers::count_ties(&mut conn, &issuer.id).await?;
            console.row(output.format, &shown(&issuer).with("ties", ties))
        }
        Verb::Create { which, data } => {
            let draft = data.draft()?;
            draft.check_new(&which.issuer, &app.config)?;
            warn_of_keys(console, &format!("issuer {}", which.issuer), &draft.warnings());
            if !issuers::create(&act(app), &which.issuer, &draft).await? {
                bail!("{} is a trusted issuer already: change it with `connect-idp issuer set`", which.issuer);
            }
            console.say(format_args!("Handoffs from {} are trusted now.", which.issuer))
        }
        Verb::Set { which, data } => {
            let draft = data.draft()?;
            draft.check(&app.config)?;
            warn_of_keys(console, &format!("issuer {}", which.issuer), &draft.warnings());
            match issuers::set(&act(app), &which.issuer, &draft).await? {
                Changed::Keys(keys) if keys.is_empty() => console.say("Nothing changed."),
                Changed::Keys(keys) => {
                    console.say(format_args!("Issuer {} has a new {}.", which.issuer, keys.join(", ")))
                }
                Changed::NotFound | Changed::OperatorRealm => bail!(unknown(which)),
            }
        }
        Verb::Enable(Asked { of: which, yes }) => {
            find(app, which).await?;
            console.ask(*yes, format_args!("This trusts the handoffs of {} again.", which.issuer))?;
            let switched = issuers::enable(&act(app), &which.issuer).await?;
            say_switched(console, switched, &format!("Issuer {}", which.issuer), "is on")
        }
        Verb::Disable { which, end_sessions, yes } => {
            find(app, which).await?;
            let too = if *end_sessions { ", and ends every session that it opened" } else { "" };
            console.ask(*yes, format_args!("This stops all handoffs of {}{too}.", which.issuer))?;
            let switched = issuers::disable(&act(app), &which.issuer, *end_sessions).await?;
            let done = if *end_sessions { "is off and its sessions are ended" } else { "is off" };
            say_switched(console, switched, &format!("Issuer {}", which.issuer), done)
        }
        Verb::EndSessions(Asked { of: which, yes }) => {
            find(app, which).await?;
            console.ask(*yes, format_args!("This ends every session that {} opened.", which.issuer))?;
            issuers::end_sessions(&act(app), &which.issuer).await?;
            console.say(format_args!("Every session from {} is ended.", which.issuer))
        }
        Verb::Untie(Asked { of: which, yes }) => {
            console.ask(*yes, format_args!("This removes the links of all users to {}.", which.issuer))?;
            match issuers::untie_all(&act(app), &which.issuer).await? {
                Edited::Changed(Some(0)) => {
                    console.say(format_args!("Nobody was linked to {}; nothing changed.", which.issuer))
                }
                Edited::Changed(Some(count)) => {
                    console.say(format_args!("{count} users are unlinked; their next handoffs link them again."))
                }
                // Commands confirm no version.
                Edited::Changed(None) | Edited::Stale => bail!(unknown(which)),
            }
        }
    }
}

async fn find(app: &App, which: &Which) -> anyhow::Result<TrustedIssuer> {
    let found = store::issuers::by_name(&mut app.db.read().await?, &which.issuer).await?;
    found.with_context(|| unknown(which))
}

fn unknown(which: &Which) -> String {
    format!("there is no trusted issuer {:?}: see `connect-idp issuer list`", which.issuer)
}

fn listed(issuer: &TrustedIssuer) -> Row {
    Row::default()
        .with("issuer", issuer.issuer.as_str())
        .with("display_name", issuer.display_name.as_str())
        .with("enabled", issuer.enabled)
        .with("origins", issuer.origins.clone())
}

fn shown(issuer: &TrustedIssuer) -> Row {
    let keys = issuers::keys_in_force(issuer);
    let skipped: Vec<Value> = keys.skipped().iter().map(|why| why.as_str().into()).collect();
    let keys: Vec<Value> = keys.names().into_iter().map(|(kid, alg)| format!("{kid} {alg}").into()).collect();
    let acr = issuer.acr.iter().map(|(theirs, ours)| (theirs.clone(), Value::from(ours.as_str())));
    listed(issuer)
        .with("jwks_uri", issuer.jwks_uri.clone())
        .with("keys", keys)
        .with("not_used", skipped)
        .with("client_id", issuer.client_id.clone())
        .with("acr", Value::Object(acr.collect()))
}
