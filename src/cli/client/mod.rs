//! `client`: the relying parties, and programs that act for themselves.

mod data;

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::Value;
use zeroize::Zeroizing;

use self::data::Data;
use super::command::{Asked, act, say_switched, warn_of_keys};
use super::console::{Console, Output, Row};
use crate::app::App;
use crate::model::client::draft::keys;
use crate::model::client::rules::check_client_id;
use crate::model::client::{AuthMethod, Client};
use crate::operations::clients::{self, Changed, Deleted, Rotated};
use crate::store::{self, clients::StoredSecret};
use crate::time::Timestamp;

/// What can be done with clients.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List every client.
    #[command(after_help = "Example: connect-idp client list --output json")]
    List(Output),
    /// Show one client: its metadata and since when its secrets work.
    #[command(after_help = "Example: connect-idp client show --client-id portal")]
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        output: Output,
    },
    /// Create a client. Its secret, if its method has one, is printed once.
    #[command(after_help = "Example: connect-idp client create --client-id portal --name \"Care Portal\" \
                            --redirect-uri https://portal.example.org/callback --grant-type authorization_code \
                            --grant-type refresh_token --scope \"openid profile provider\"")]
    Create {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        data: Box<Data>,
        /// Read the secret from standard input.
        #[arg(long)]
        secret_stdin: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Change a client's metadata.
    #[command(after_help = "Example: connect-idp client set --client-id portal --first-party \
                            --backchannel-logout-uri https://portal.example.org/logout")]
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        data: Box<Data>,
    },
    /// Rotate a client's secret; the new one is printed once, the old ones stay valid for a while.
    #[command(after_help = "Example: connect-idp client rotate-secret --client-id portal --keep-old 48")]
    RotateSecret {
        #[command(flatten)]
        which: Which,
        /// For how many hours the old secrets stay valid; 0 ends them immediately.
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=2160))]
        keep_old: u64,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        /// Read the new secret from standard input.
        #[arg(long)]
        secret_stdin: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Switch a client off: all its tokens are revoked.
    #[command(after_help = "Example: connect-idp client disable --client-id portal")]
    Disable(Asked<Which>),
    /// Switch a client on again.
    #[command(after_help = "Example: connect-idp client enable --client-id portal")]
    Enable(Asked<Which>),
    /// Delete a client, with its secrets, consents and tokens.
    #[command(after_help = "Example: connect-idp client delete --client-id portal")]
    Delete(Asked<Which>),
}

/// A client, as commands name one.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The `client_id`.
    #[arg(long, value_name = "CLIENT", allow_hyphen_values = true)]
    client_id: String,
}

pub(super) async fn run(verb: &Verb, app: &App, console: &mut Console) -> anyhow::Result<()> {
    match verb {
        Verb::List(output) => list(app, *output, console).await,
        Verb::Show { which, output } => {
            let client = find(app, which).await?;
            let secrets = store::clients::secrets(&mut app.db.read().await?, &client.id).await?;
            console.row(output.format, &shown(&client, &secrets, app.clock.now()))
        }
        Verb::Create { which, data, secret_stdin, output } => {
            create(app, which, data, *secret_stdin, *output, console).await
        }
        Verb::Set { which, data } => set(app, which, data, console).await,
        Verb::RotateSecret { which, keep_old, yes, secret_stdin, output } => {
            let name = find(app, which).await?.client_id;
            console.ask(*yes, format_args!("This gives client {name} a new secret."))?;
            rotate_secret(app, which, Duration::from_hours(*keep_old), *secret_stdin, *output, console).await
        }
        Verb::Disable(Asked { of: which, yes }) => {
            find(app, which).await?;
            console.ask(*yes, format_args!("This switches client {} off and revokes its tokens.", which.client_id))?;
            let switched = clients::set_enabled(&act(app), &which.client_id, false).await?;
            say_switched(console, switched, &named(which), "is off")
        }
        Verb::Enable(Asked { of: which, yes }) => {
            find(app, which).await?;
            console.ask(*yes, format_args!("This lets client {} sign people in again.", which.client_id))?;
            let switched = clients::set_enabled(&act(app), &which.client_id, true).await?;
            say_switched(console, switched, &named(which), "is on")
        }
        Verb::Delete(Asked { of: which, yes }) => {
            console.ask(
                *yes,
                format_args!("This deletes client {} with all its secrets, consents and tokens.", which.client_id),
            )?;
            let deleted = clients::delete(&act(app), &which.client_id, None).await?;
            anyhow::ensure!(deleted == Deleted::Done, unknown(which));
            console.say(format_args!("{} is deleted, with everything that was its.", named(which)))
        }
    }
}

async fn list(app: &App, output: Output, console: &mut Console) -> anyhow::Result<()> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = store::clients::list(&mut app.db.read().await?, &after, 500).await?;
        let Some(last) = page.last() else {
            break;
        };
        after.clone_from(&last.client_id);
        rows.extend(page.iter().map(listed));
    }
    console.rows(output.format, &rows)
}

async fn create(
    app: &App,
    which: &Which,
    data: &Data,
    secret_stdin: bool,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    check_client_id(&which.client_id)?;
    let draft = data.draft()?;
    let metadata = draft.new_metadata(app.config.client_rules())?;
    warn_of_keys(console, &format!("client {}", which.client_id), &draft.warnings());
    let needs_secret = metadata.has_secret();
    if secret_stdin && !needs_secret {
        bail!(no_secret(which));
    }
    let secret = needs_secret.then(|| secret(app, secret_stdin, console)).transpose()?;
    let act = act(app);
    let client = clients::build(&act, &which.client_id, metadata, true);
    if !clients::create(&act, &client, secret.as_ref().map(|text| text.as_str())).await? {
        bail!("there is a client {} already: change it with `connect-idp client set`", which.client_id);
    }
    let row = Row::default().with("client_id", which.client_id.as_str());
    console.row(output.format, &with_secret(row, secret.filter(|_| !secret_stdin)))
}

async fn set(app: &App, which: &Which, data: &Data, console: &mut Console) -> anyhow::Result<()> {
    let draft = data.draft()?;
    let changed = clients::set(&act(app), &which.client_id, &draft).await?;
    if matches!(changed, Changed::Keys(_)) {
        warn_of_keys(console, &format!("client {}", which.client_id), &draft.warnings());
    }
    match changed {
        Changed::Keys(keys) if keys.is_empty() => console.say("Nothing changed."),
        Changed::Keys(keys) => {
            console.say(format_args!("{} has a new {}.", named(which), keys.join(", ")))?;
            let client = find(app, which).await?;
            let mut conn = app.db.read().await?;
            let secrets = store::clients::secret_hashes(&mut conn, &client.id, app.clock.now()).await?;
            if client.metadata.has_secret() && secrets.is_empty() {
                console.say("It has no secret yet: `connect-idp client rotate-secret` gives one.")?;
            }
            Ok(())
        }
        Changed::Invalid(invalid) => bail!(invalid),
        Changed::NotFound => bail!(unknown(which)),
    }
}

async fn rotate_secret(
    app: &App,
    which: &Which,
    keep_old: Duration,
    secret_stdin: bool,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    let secret = secret(app, secret_stdin, console)?;
    let act = act(app);
    let before = match clients::rotate_secret(&act, &which.client_id, &secret, keep_old, None).await? {
        Rotated::Done { before } => before,
        Rotated::NoSecret => bail!(no_secret(which)),
        Rotated::Before | Rotated::NotFound => bail!(unknown(which)),
    };
    let row = Row::default().with("client_id", which.client_id.as_str());
    let row = with_secret(row, (!secret_stdin).then_some(secret));
    let until = (before > 0).then(|| act.now.after(keep_old).rfc3339());
    console.row(output.format, &row.with("old_secrets_until", until))
}

/// A secret that was given, or one that is made.
fn secret(app: &App, from_stdin: bool, console: &mut Console) -> anyhow::Result<Zeroizing<String>> {
    if !from_stdin {
        return Ok(Zeroizing::new(clients::make_secret(app)));
    }
    let given = console.read(1024)?;
    clients::check_secret(&given, &app.config)?;
    Ok(given)
}

/// The row with a generated secret, this once.
fn with_secret(row: Row, generated: Option<Zeroizing<String>>) -> Row {
    match generated {
        Some(secret) => row.with("client_secret", secret.as_str()),
        None => row,
    }
}

async fn find(app: &App, which: &Which) -> anyhow::Result<Client> {
    let found = store::clients::by_client_id(&mut app.db.read().await?, &which.client_id).await?;
    found.with_context(|| unknown(which))
}

fn named(which: &Which) -> String {
    format!("Client {}", which.client_id)
}

fn unknown(which: &Which) -> String {
    format!("there is no client {:?}: see `connect-idp client list`", which.client_id)
}

fn no_secret(which: &Which) -> String {
    format!("client {} has a token_endpoint_auth_method without a secret: set another method first", which.client_id)
}

fn listed(client: &Client) -> Row {
    let grants: Vec<Value> = client.metadata.grant_types.iter().map(|grant| grant.as_str().into()).collect();
    Row::default()
        .with("client_id", client.client_id.as_str())
        .with("client_name", client.metadata.client_name.clone())
        .with("enabled", client.enabled)
        .with("first_party", client.metadata.first_party)
        .with("token_endpoint_auth_method", client.metadata.token_endpoint_auth_method.map(AuthMethod::as_str))
        .with("grant_types", grants)
}

/// Everything that is set, by its own name, and the secrets that work.
fn shown(client: &Client, secrets: &[StoredSecret], now: Timestamp) -> Row {
    let metadata = serde_json::to_value(&client.metadata).unwrap_or_default();
    let row = Row::default()
        .with("client_id", client.client_id.as_str())
        .with("enabled", client.enabled)
        .with("created_at", Timestamp(client.created_at).rfc3339());
    let set = keys().iter().filter_map(|key| Some((*key, metadata.get(*key)?.clone())));
    let row = set.fold(row, |row, (key, value)| row.with(key, value));
    let working = secrets.iter().filter(|secret| secret.expires_at.is_none_or(|at| at > now.0));
    let secrets: Vec<Value> = working.map(|secret| dates(secret).into()).collect();
    row.with("secrets", secrets)
}

fn dates(secret: &StoredSecret) -> String {
    let since = Timestamp(secret.created_at).rfc3339();
    let until = secret.expires_at.map(|at| format!(" until {}", Timestamp(at).rfc3339())).unwrap_or_default();
    format!("{} since {since}{until}", secret.id)
}
