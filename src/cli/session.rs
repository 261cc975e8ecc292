//! `session`: the sessions of a user.

use clap::Subcommand;

use super::command::{Who, act, find_provider, say_switched};
use super::console::{Console, Output, Row};
use crate::app::App;
use crate::operations::admin_context::Switched;
use crate::operations::sessions::end;
use crate::operations::users;
use crate::store::sessions;
use crate::time::Timestamp;

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the open sessions of a user, newest first.
    #[command(after_help = "Example: connect-idp session list --provider SUNRISE-IL --login-name amina")]
    List {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        output: Output,
    },
    /// End one session of a user.
    #[command(after_help = "Example: connect-idp session end --provider SUNRISE-IL --login-name amina --id 019…\n\n\
                            To end them all: connect-idp user end-sessions")]
    End {
        #[command(flatten)]
        who: Who,
        /// The session's id, from `session list`.
        #[arg(long)]
        id: String,
    },
    /// End every session and every token, of one provider or of all: for the hour of an incident.
    #[command(after_help = "Example: connect-idp session end-all --provider SUNRISE-IL --yes\n\n\
                            Everybody signs in again; apps are told. Without --provider, programs get new tokens too.")]
    EndAll {
        /// Only of this provider.
        #[arg(long, value_name = "CODE")]
        provider: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(verb: &Verb, app: &App, console: &mut Console) -> anyhow::Result<()> {
    match verb {
        Verb::List { who, output } => {
            let user = who.find(app).await?;
            let mut conn = app.db.read_much().await?;
            let open = sessions::of_user(&mut conn, &user.id, app.clock.now()).await?;
            let origins = sessions::origins(&mut conn, &user.id).await?;
            let rows: Vec<Row> = open
                .iter()
                .map(|session| {
                    let origin = origins.iter().find(|(id, ..)| *id == session.id);
                    Row::default()
                        .with("id", session.id.as_str())
                        .with("login_type", session.method.login_type())
                        .with("signed_in", Timestamp(session.created_at).rfc3339())
                        .with("last_used", session.used_at.map(|at| Timestamp(at).rfc3339()))
                        .with("ends", Timestamp(session.idle_until.min(session.expires_at)).rfc3339())
                        .with("address", origin.map(|(_, address, _)| address.as_str()))
                        .with("browser", origin.map(|(.., browser)| browser.as_str()))
                })
                .collect();
            console.rows(output.format, &rows)
        }
        Verb::End { who, id } => {
            let user = who.find(app).await?;
            let switched = users::end_session(&act(app), &user.provider_id, &user.id, id).await?;
            if switched == Switched::Already {
                let (code, name) = (&user.provider_code, &user.login_name);
                anyhow::bail!("user {code}/{name} has no open session {id:?}: see `connect-idp session list`");
            }
            say_switched(console, switched, &format!("Session {id}"), "is ended")
        }
        Verb::EndAll { provider, yes } => end_all(app, provider.as_deref(), *yes, console).await,
    }
}

async fn end_all(app: &App, only: Option<&str>, yes: bool, console: &mut Console) -> anyhow::Result<()> {
    if let Some(code) = only {
        find_provider(app, code).await?;
    }
    let whose = only.map_or_else(|| "of every provider".to_owned(), |code| format!("of {code}"));
    let question = format!("This ends every session {whose}, and every token that came of those sessions.");
    if !console.confirm(yes, question)? {
        return console.say("Nothing was ended.");
    }
    end::end_all(&act(app), only).await?;
    console.say(format_args!("Every session {whose} is ended."))
}
