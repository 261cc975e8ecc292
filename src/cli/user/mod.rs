//! `user`: the users of a provider.

pub(in crate::cli) mod import;

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, ValueEnum};
use serde_json::Value;
use zeroize::Zeroizing;

use super::command::{Asked, Who, act, find_provider, say_switched};
use super::console::{Console, Output, Row};
use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::claims::Claims;
use crate::model::user::{Account, STRIKES, UserType};
use crate::operations::admin_context::{AdminContext, Switched};
use crate::operations::passwords::address::email_of_user;
use crate::operations::passwords::link;
use crate::operations::users::email::{self, NotMailed, Vouched};
use crate::operations::users::{self, Changed, Created, Draft, Ended, Locks, Reset, Unlocked, Untied, invitation};
use crate::store;
use crate::store::users::{NewUser, external_ids};
use crate::time::Timestamp;

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the users of a provider.
    #[command(after_help = "Example: connect-idp user list --provider SUNRISE-IL --output json")]
    List {
        /// The Provider Code.
        #[arg(long, value_name = "CODE")]
        provider: String,
        /// Only the user whom other systems call so.
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show one user.
    #[command(after_help = "Example: connect-idp user show --provider SUNRISE-IL --login-name amina")]
    Show {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        output: Output,
    },
    /// Create a user with a temporary password.
    #[command(
        after_help = "Example: connect-idp user create --provider SUNRISE-IL --login-name amina --name \"Amina Diallo\"\n\n\
                            Without --password-stdin a temporary password is made and printed once; for a Therap Admin, \
                            a link by which that person sets a password, once and within 24 hours."
    )]
    Create {
        #[command(flatten)]
        who: Who,
        /// The person's name.
        #[arg(long)]
        name: String,
        /// "Regular User" (the default), "Provider Admin" or, in the operator realm alone, "Therap Admin".
        #[arg(long, value_name = "TYPE", value_parser = str::parse::<UserType>)]
        user_type: Option<UserType>,
        /// OpenID Connect standard claims as a JSON object.
        #[arg(long, value_name = "JSON", value_parser = Claims::from_json)]
        claims: Option<Claims>,
        /// What other systems, such as an HR system, call the user.
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
        /// Read the temporary password from standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Mail a link to the claim `email`, by which the user sets a password, instead of a temporary one.
        #[arg(long, conflicts_with = "password_stdin")]
        invite: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Change a user's data.
    #[command(
        after_help = "Example: connect-idp user set --provider SUNRISE-IL --login-name amina --user-type \"Provider Admin\""
    )]
    Set {
        #[command(flatten)]
        who: Who,
        /// The person's name.
        #[arg(long)]
        name: Option<String>,
        /// "Regular User" or "Provider Admin".
        #[arg(long, value_name = "TYPE", value_parser = str::parse::<UserType>)]
        user_type: Option<UserType>,
        /// All OpenID Connect standard claims, in place of those before, as a JSON object. The same address stays
        /// verified unless `email_verified` says otherwise.
        #[arg(long, value_name = "JSON", value_parser = Claims::from_json)]
        claims: Option<Claims>,
        /// What other systems, such as an HR system, call the user; empty takes it away.
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
    },
    /// Give a user another Login Name. The old one is free then; sessions, locks, the password and links stay.
    #[command(
        after_help = "Example: connect-idp user rename --provider SUNRISE-IL --login-name amina --to amina.diallo\n\n\
                            Therap Services must name the user by the new Login Name, too."
    )]
    Rename {
        #[command(flatten)]
        who: Who,
        /// The new Login Name.
        #[arg(long, value_name = "NAME")]
        to: String,
    },
    /// Lock a user out and end every session.
    #[command(
        after_help = "Example: connect-idp user lock --provider SUNRISE-IL --login-name amina --reason \"on leave\""
    )]
    Lock {
        #[command(flatten)]
        who: Who,
        /// Why, for the record and for other administrators; at most 500 characters.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Unlock a user.
    #[command(after_help = "Example: connect-idp user unlock --provider SUNRISE-IL --login-name amina --only password")]
    Unlock {
        #[command(flatten)]
        who: Who,
        /// Only this lock.
        #[arg(long, value_name = "LOCK")]
        only: Option<Only>,
    },
    /// Deactivate a user and end every session.
    #[command(after_help = "Example: connect-idp user deactivate --provider SUNRISE-IL --login-name amina")]
    Deactivate(Asked<Who>),
    /// Activate a user again.
    #[command(after_help = "Example: connect-idp user reactivate --provider SUNRISE-IL --login-name amina")]
    Reactivate(Who),
    /// Give a user a temporary password and end every session. Lifts a password lock, never an administrator's.
    #[command(after_help = "Example: connect-idp user reset-password --provider SUNRISE-IL --login-name amina\n\n\
                            Without --password-stdin a temporary password is made and printed once.")]
    ResetPassword {
        #[command(flatten)]
        who: Who,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        /// Read the temporary password from standard input.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Remove the link between a user and their Therap Services id.
    #[command(after_help = "Example: connect-idp user untie --provider SUNRISE-IL --login-name amina")]
    Untie {
        #[command(flatten)]
        who: Who,
        /// Only the link to this issuer.
        #[arg(long, value_name = "ISSUER")]
        issuer: Option<String>,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Print a link by which the user sets a password, once and within 24 hours.
    #[command(after_help = "Example: connect-idp user set-up-link --provider THERAP --login-name root")]
    SetUpLink {
        #[command(flatten)]
        who: Who,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Mail a user a link by which the e-mail address is verified, once and within 7 days.
    #[command(
        after_help = "Example: connect-idp user send-verification-email --provider SUNRISE-IL --login-name amina"
    )]
    SendVerificationEmail(Who),
    /// Vouch for a user's e-mail address: it is verified then.
    #[command(
        after_help = "Example: connect-idp user verify-email amina@example.org --provider SUNRISE-IL --login-name amina"
    )]
    VerifyEmail {
        /// The address, as it stands in the user's claims.
        #[arg(value_name = "ADDRESS")]
        email: String,
        #[command(flatten)]
        who: Who,
    },
    /// Mail a user who has no password of their own a link to set one. The link of an earlier invitation ends.
    #[command(after_help = "Example: connect-idp user send-invitation --provider SUNRISE-IL --login-name amina")]
    SendInvitation(Who),
    /// Create many users from a CSV file, each row all or nothing, with a report.
    #[command(after_help = "Example: connect-idp user import staff.csv --provider SUNRISE-IL --dry-run\n\n\
                            The first line names the columns: login_name and name, and of user_type, email, external_id, password, \
                            handoff_sub, handoff_issuer those that are needed. Where password is empty a temporary one \
                            is made and printed once; a given one is temporary too. Who exists already is left alone. \
                            Of a refused row everything that is wrong is said, each time with its column: correct the file, and import all of it again.")]
    Import(crate::cli::user::import::Args),
    /// End every session of a user.
    #[command(after_help = "Example: connect-idp user end-sessions --provider SUNRISE-IL --login-name amina")]
    EndSessions(Asked<Who>),
}

/// One of the two locks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Only {
    /// Three wrong passwords.
    Password,
    /// An administrator's.
    Admin,
}

pub(super) async fn run(verb: &Verb, app: &App, console: &mut Console) -> anyhow::Result<()> {
    match verb {
        Verb::List { provider, external_id, output } => {
            list(app, provider, external_id.as_deref(), *output, console).await
        }
        Verb::Show { who, output } => show(app, who, *output, console).await,
        Verb::Create { who, name, user_type, claims, external_id, password_stdin, invite, output } => {
            let (claims, external_id) = (claims.as_ref(), external_id.as_deref());
            let (password_stdin, invite) = (*password_stdin, *invite);
            let new = New { name, user_type: *user_type, claims, external_id, password_stdin, invite };
            create(app, who, new, *output, console).await
        }
        Verb::Set { who, name, user_type, claims, external_id } => {
            let draft = Draft {
                name: name.clone(),
                user_type: *user_type,
                claims: claims.clone(),
                external_id: external_id.clone(),
                ..Draft::default()
            };
            set(app, who, &draft, console).await
        }
        Verb::Rename { who, to } => {
            let draft = Draft { login_name: Some(users::parse_login_name(to)?), ..Draft::default() };
            set(app, who, &draft, console).await
        }
        Verb::Lock { who, reason, yes } => {
            let reason = users::check_reason(reason.as_deref().unwrap_or_default())?;
            let user = who.find(app).await?;
            console.ask(*yes, format_args!("This locks {} out and ends every session.", named(&user)))?;
            let switched = users::lock_because(&act(app), &user.provider_id, &user.id, reason).await?;
            say_switched(console, switched, &named(&user), "is locked by an administrator")
        }
        Verb::Unlock { who, only } => unlock(app, who, *only, console).await,
        Verb::Deactivate(Asked { of: who, yes }) => {
            let user = who.find(app).await?;
            console.ask(*yes, format_args!("This keeps {} out and ends every session.", named(&user)))?;
            set_active(app, &user, false, console).await
        }
        Verb::Reactivate(who) => set_active(app, &who.find(app).await?, true, console).await,
        Verb::ResetPassword { who, yes, password_stdin, output } => {
            let user = who.find(app).await?;
            console
                .ask(*yes, format_args!("This replaces the password of {} and ends every session.", named(&user)))?;
            reset_password(app, &user, *password_stdin, *output, console).await
        }
        Verb::Untie { who, issuer, yes } => {
            let user = who.find(app).await?;
            console.ask(*yes, format_args!("This unlinks {} from Therap Services.", named(&user)))?;
            untie(app, &user, issuer.as_deref(), console).await
        }
        Verb::SetUpLink { who, yes, output } => {
            let user = who.find(app).await?;
            let question = format!("This prints a link by which whoever has it sets the password of {}.", named(&user));
            console.ask(*yes, question)?;
            let row = Row::default()
                .with("provider_code", user.provider_code.as_str())
                .with("login_name", user.login_name.as_str());
            print_link(&act(app), &user.provider_id, &user.id, false, row, *output, console).await
        }
        Verb::SendVerificationEmail(who) => {
            let user = who.find(app).await?;
            let sent = email::send_verification(&act(app), &user.provider_id, &user.id).await?;
            say_mailed(console, sent, &user, "A verification e-mail")
        }
        Verb::VerifyEmail { email: address, who } => {
            let user = who.find(app).await?;
            let done = email::vouch(&act(app), &user.provider_id, &user.id, address, Vouched::Verified).await?;
            ensure!(
                done != Switched::Stale,
                "{address:?} is not the e-mail address of {}: see `connect-idp user show`",
                named(&user)
            );
            say_switched(console, done, &named(&user), "has a verified e-mail address")
        }
        Verb::SendInvitation(who) => {
            let user = who.find(app).await?;
            let sent = invitation::send(&act(app), &user.provider_id, &user.id).await?;
            say_mailed(console, sent, &user, "An invitation")
        }
        Verb::Import(args) => crate::cli::user::import::run(app, args, console).await,
        Verb::EndSessions(Asked { of: who, yes }) => {
            let user = who.find(app).await?;
            console.ask(*yes, format_args!("This ends every session of {}.", named(&user)))?;
            match users::end_sessions(&act(app), &user.provider_id, &user.id).await? {
                Ended::Yes(_) => {}
                Ended::Stale | Ended::NotFound => bail!(gone(&user)),
            }
            console.say(format_args!("{}: every session is ended.", named(&user)))
        }
    }
}

async fn list(
    app: &App,
    provider: &str,
    external_id: Option<&str>,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    let provider = find_provider(app, provider).await?;
    if let Some(external_id) = external_id {
        let mut conn = app.db.read().await?;
        let id = external_ids::user_of(&mut conn, &provider.id, external_id).await?;
        let found = match id {
            Some(id) => store::users::by_id(&mut conn, &id).await?,
            None => None,
        };
        return console.rows(output.format, &found.iter().map(listed).collect::<Vec<_>>());
    }
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = store::users::list(&mut app.db.read().await?, &provider.id, &after, 1000).await?;
        let Some((last, _)) = page.last() else {
            break;
        };
        after.clone_from(last);
        rows.extend(page.iter().map(|(_, user)| listed(user)));
        console.progress(format_args!("{} users", rows.len()));
    }
    console.progress_done();
    console.rows(output.format, &rows)
}

async fn show(app: &App, who: &Who, output: Output, console: &mut Console) -> anyhow::Result<()> {
    let user = who.find(app).await?;
    let mut conn = app.db.read().await?;
    let claims = store::users::claims(&mut conn, &user.id).await?.unwrap_or_default();
    let email = email_of_user(&mut conn, &user.id).await?;
    let ties = store::issuers::ties_of_user(&mut conn, &user.id).await?;
    let ties = ties.iter().map(|tie| Value::from(format!("{} {}", tie.issuer, tie.sub))).collect::<Vec<_>>();
    let row = listed(&user)
        .with("external_id", external_ids::of_user(&mut conn, &user.id).await?)
        .with("failures", user.failures)
        .with("temporary_until", user.temporary_until.map(|at| Timestamp(at).rfc3339()))
        .with("email_state", email.as_ref().map(|email| email.state.as_str()))
        .with("email_state_since", email.and_then(|email| email.since).map(|at| Timestamp(at).rfc3339()))
        .with("claims", serde_json::from_str::<Value>(&claims).unwrap_or_default())
        .with("ties", ties);
    console.row(output.format, &row)
}

struct New<'a> {
    name: &'a str,
    user_type: Option<UserType>,
    claims: Option<&'a Claims>,
    external_id: Option<&'a str>,
    password_stdin: bool,
    invite: bool,
}

async fn create(app: &App, who: &Who, new: New<'_>, output: Output, console: &mut Console) -> anyhow::Result<()> {
    let provider = find_provider(app, &who.provider).await?;
    let login_name = users::parse_login_name(&who.login_name)?;
    users::check_name(new.name)?;
    new.external_id.map(users::check_external_id).transpose()?;
    let user_type = new.user_type.unwrap_or(UserType::Regular);
    ensure!(user_type.belongs_in(provider.kind), wrong_type(&provider.code));
    // There is no default account, and nobody but the person learns a Therap Admin's password.
    let by_link = user_type == UserType::TherapAdmin && !new.password_stdin && !new.invite;
    let password = if by_link || new.invite {
        Secret::random(&app.random).reveal().into()
    } else {
        temporary_password(app, new.password_stdin, console)?
    };
    let password_hash = hash(app, &password).await?;
    let act = act(app);
    let until = users::temporary_until(app, act.now);
    let claims = new.claims.cloned().unwrap_or_default();
    let user = users::with_temporary_password(&act, login_name, new.name.to_owned(), user_type, &claims, password_hash);
    let user = NewUser { external_id: new.external_id.map(str::to_owned), ..user };
    let created = if new.invite {
        let invited = invitation::create(&act, &provider.id, &user).await?;
        invited.map_err(|why| anyhow::anyhow!("no user was created: {}", why.message()))?
    } else {
        users::create(&act, &provider.id, &user).await?
    };
    match created {
        Created::Yes(_) => {}
        Created::NameTaken => {
            bail!("{} has a user {:?} already: choose another Login Name", provider.code, user.login_name.shown())
        }
        Created::ExternalIdTaken => bail!(external_id_taken(&provider.code)),
        Created::WrongType => bail!(wrong_type(&provider.code)),
        Created::NoSuchProvider => bail!("provider {} is not there any more", provider.code),
    }
    let row = Row::default()
        .with("provider_code", provider.code.as_str())
        .with("login_name", user.login_name.shown())
        .with("user_type", user_type.as_str());
    if by_link {
        return print_link(&act, &provider.id, &user.id, true, row, output, console).await;
    }
    if new.invite {
        return console.row(output.format, &row.with("invited_until", until.rfc3339()));
    }
    print_once(row, (!new.password_stdin).then_some(&password), until, output, console)
}

/// Says until when a mailed link works.
fn say_mailed(
    console: &mut Console,
    sent: Result<Timestamp, NotMailed>,
    user: &Account,
    what: &str,
) -> anyhow::Result<()> {
    match sent {
        Ok(until) => console.say(format_args!(
            "{what} to {} is on its way; its link works until {}.",
            named(user),
            until.rfc3339()
        )),
        Err(why) => bail!("nothing was sent to {}: {}", named(user), why.message()),
    }
}

async fn set(app: &App, who: &Who, draft: &Draft, console: &mut Console) -> anyhow::Result<()> {
    let user = who.find(app).await?;
    if let Some(name) = &draft.name {
        users::check_name(name)?;
    }
    if let Some(external_id) = draft.external_id.as_deref().filter(|id| !id.is_empty()) {
        users::check_external_id(external_id)?;
    }
    match users::set(&act(app), &user.provider_id, &user.id, draft).await? {
        Changed::Keys(keys) if keys.is_empty() => console.say("Nothing changed."),
        Changed::Keys(keys) => console.say(format_args!("{} has a new {}.", named(&user), keys.join(", "))),
        Changed::NotFound => bail!(gone(&user)),
        Changed::NameTaken => {
            bail!("{} has another user of that name already: choose another Login Name", user.provider_code)
        }
        Changed::ExternalIdTaken => bail!(external_id_taken(&user.provider_code)),
        Changed::WrongType | Changed::Own => bail!(wrong_type(&user.provider_code)),
    }
}

async fn unlock(app: &App, who: &Who, only: Option<Only>, console: &mut Console) -> anyhow::Result<()> {
    let user = who.find(app).await?;
    let locks = match only {
        None => Locks::Both,
        Some(Only::Password) => Locks::Password,
        Some(Only::Admin) => Locks::Admin,
    };
    let name = named(&user);
    match users::unlock(&act(app), &user.provider_id, &user.id, locks).await? {
        Unlocked::Yes { .. } => {
            let user = who.find(app).await?;
            match user.lock() {
                None => console.say(format_args!("{name} is unlocked.")),
                Some(_) => {
                    console.say(format_args!("That lock is off; {name} has another: run unlock without --only."))
                }
            }
        }
        Unlocked::WasNot => console.say(format_args!("{name} had no such lock; nothing changed.")),
        Unlocked::NotFound | Unlocked::Stale => bail!(gone(&user)),
    }
}

async fn set_active(app: &App, user: &Account, active: bool, console: &mut Console) -> anyhow::Result<()> {
    let switched = users::set_active(&act(app), &user.provider_id, &user.id, active).await?;
    say_switched(console, switched, &named(user), if active { "is active" } else { "is deactivated" })
}

async fn reset_password(
    app: &App,
    user: &Account,
    from_stdin: bool,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    let password = temporary_password(app, from_stdin, console)?;
    match users::reset_password(&act(app), &user.provider_id, &user.id, &password, None).await? {
        Reset::Yes { until, lifted, still_locked } => {
            let row = Row::default()
                .with("provider_code", user.provider_code.as_str())
                .with("login_name", user.login_name.as_str())
                .with("password_lock_lifted", lifted)
                .with("admin_locked", still_locked);
            print_once(row, (!from_stdin).then_some(&password), until, output, console)
        }
        Reset::Before | Reset::NotFound | Reset::Own => bail!(gone(user)),
        Reset::Busy => bail!(BUSY),
    }
}

async fn untie(app: &App, user: &Account, issuer: Option<&str>, console: &mut Console) -> anyhow::Result<()> {
    let act: AdminContext = act(app);
    match users::untie(&act, &user.provider_id, &user.id, issuer).await? {
        Untied::Yes(_) => {
            console.say(format_args!("{} is unlinked; the next handoff links the user again.", named(user)))
        }
        Untied::WasNot => console.say(format_args!("{} was not linked; nothing changed.", named(user))),
        Untied::NoSuchUser | Untied::Stale => bail!(gone(user)),
        Untied::NoSuchIssuer => {
            bail!("there is no trusted issuer {:?}: see `connect-idp issuer list`", issuer.unwrap_or_default())
        }
    }
}

fn temporary_password(app: &App, from_stdin: bool, console: &mut Console) -> anyhow::Result<Zeroizing<String>> {
    let given = from_stdin.then(|| console.read(1024)).transpose()?;
    Ok(users::temporary_password(given.as_ref().map(|text| text.as_str()), &app.random)?)
}

/// What overload says.
const BUSY: &str = "the machine is too busy to hash a password: try again";

async fn hash(app: &App, password: &Zeroizing<String>) -> anyhow::Result<String> {
    users::hash(app, password).await.map_err(|_| anyhow::anyhow!(BUSY))
}

/// Prints what was done, with a generated password this once.
fn print_once(
    row: Row,
    generated: Option<&Zeroizing<String>>,
    until: Timestamp,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    let row = match generated {
        Some(password) => row.with("temporary_password", password.as_str()),
        None => row,
    };
    console.row(output.format, &row.with("temporary_until", until.rfc3339()))
}

/// Makes a one-time link and prints it, this once.
async fn print_link(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    new: bool,
    row: Row,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    let link = link::make(act, provider_id, user_id, new).await?.context("the user is not there any more")?;
    let row = row.with("set_up_link", link.address).with("works_until", link.until.rfc3339());
    console.row(output.format, &row)
}

fn listed(user: &Account) -> Row {
    Row::default()
        .with("provider_code", user.provider_code.as_str())
        .with("login_name", user.login_name.as_str())
        .with("name", user.name.as_str())
        .with("user_type", user.user_type.as_str())
        .with("active", user.active)
        .with("password_locked", user.failures >= STRIKES)
        .with("admin_locked", user.admin_locked)
        .with("must_update", user.must_update())
}

fn named(user: &Account) -> String {
    format!("User {}/{}", user.provider_code, user.login_name)
}

fn gone(user: &Account) -> String {
    format!("user {:?} is not in {} any more", user.login_name, user.provider_code)
}

fn external_id_taken(code: &str) -> String {
    format!(
        "another user of {code} has that external id: see `connect-idp user list --provider {code} --external-id ID`"
    )
}

fn wrong_type(code: &str) -> String {
    format!("that User Type cannot be had in {code}: Therap Admins, and only they, belong to the operator realm")
}
