//! What an administrator does to a user: each one transaction with exactly one record, and none when nothing changed.
//!
//! Every function takes the provider it acts for beside the user: another provider's user is not found (G15). Functions
//! that take a `Tx` are the same actions as parts of a larger one (`apply`).

pub mod email;
pub mod import;
pub mod import_job;
pub mod import_report;
pub mod invitation;
pub mod provision;
pub mod selected;
pub mod sign_in_times;

use std::time::Duration;

use zeroize::Zeroizing;

use super::admin_context::{AdminContext, Edited, Lines, Switched, ValidationError, check_words, in_act};
use super::providers::replace;
use crate::app::App;
use crate::cache::hash_queue::Whose;
use crate::crypto::password::{Busy, is_usable_hash};
use crate::metrics::labels::Lockout;
use crate::model::activity::Kind;
use crate::model::claims::Claims;
use crate::model::login_name::LoginName;
use crate::model::password_rules;
use crate::model::provider::{Provider, ProviderKind};
use crate::model::session::EndReason;
use crate::model::text::check_line;
use crate::model::user::{Account, STRIKES, UserType};
use crate::operations::passwords::address::email_of_user;
use crate::operations::passwords::mail::{self, Notice};
use crate::store::users::{NewUser, emails, external_ids};
use crate::store::{Conn, Error, Tx, activity, issuers, providers, sessions, settings, strikes, users};
use crate::time::{Random, Timestamp};

/// A Login Name, or why it cannot be one.
///
/// # Errors
/// What it must be.
pub fn parse_login_name(text: &str) -> Result<LoginName, ValidationError> {
    const WHY: &str = "use 1 to 255 letters, digits or symbols, no spaces, such as amina or a.diallo@example.org";
    LoginName::parse(text).ok_or_else(|| {
        let shown = text.replace(char::is_control, "\u{fffd}");
        ValidationError::new("login_name", format!("“{shown}” is not a valid Login Name: {WHY}"))
    })
}

/// Checks what other systems call a user.
///
/// # Errors
/// What it must be.
pub fn check_external_id(text: &str) -> Result<(), ValidationError> {
    check_line(text, 255).map_err(|why| ValidationError::new("external_id", why))
}

/// Checks a person's name.
///
/// # Errors
/// What it must be.
pub fn check_name(name: &str) -> Result<(), ValidationError> {
    check_line(name, 200).map_err(|why| ValidationError::new("name", why))
}

/// Checks a password that somebody gives a user, and prepares it.
///
/// # Errors
/// Every rule it breaks.
pub fn check_password(text: &str) -> Result<Zeroizing<String>, ValidationError> {
    password_rules::check(text).map_err(|broken| {
        let messages: Vec<_> = broken.into_iter().map(password_rules::Broken::message).collect();
        ValidationError::new("password", messages.join(" "))
    })
}

/// Checks a hash that was made elsewhere.
///
/// # Errors
/// What it must be.
pub fn check_hash(phc: &str) -> Result<(), ValidationError> {
    const WHY: &str = "must be a PHC string of Argon2 with a 32-byte output, such as $argon2id$v=19$m=19456,t=2,p=1$…";
    is_usable_hash(phc).then_some(()).ok_or_else(|| ValidationError::new("password_hash", WHY))
}

/// A password to read out once: three groups that satisfy the password rules, about 57 random bits, without signs that
/// look alike.
#[must_use]
pub fn generate_password(random: &Random) -> Zeroizing<String> {
    const UPPER: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    const LOWER: &[u8] = b"abcdefghjkmnpqrstuvwxyz";
    const DIGIT: &[u8] = b"23456789";
    const SHAPE: &str = "Aaaaa-0000-aaaaa";
    let pick = |from: &[u8]| {
        let chance = u64::from_be_bytes(random.bytes()) % from.len() as u64;
        char::from(from[usize::try_from(chance).unwrap_or(0)])
    };
    let sign = |shape| match shape {
        'A' => pick(UPPER),
        'a' => pick(LOWER),
        '0' => pick(DIGIT),
        other => other,
    };
    Zeroizing::new(SHAPE.chars().map(sign).collect())
}

/// A temporary password: the one given, or a generated one.
///
/// # Errors
/// Every rule that the given one breaks.
pub fn temporary_password(given: Option<&str>, random: &Random) -> Result<Zeroizing<String>, ValidationError> {
    given.map_or_else(|| Ok(generate_password(random)), check_password)
}

/// Until when a temporary password set `now` works.
#[must_use]
pub fn temporary_until(app: &App, now: Timestamp) -> Timestamp {
    now.after(Duration::from_secs(u64::from(app.config.password.temporary_days) * 86_400))
}

/// Hashes a prepared password on the bounded pool. What administrators set takes turns, one at a time: people who sign
/// in meanwhile always find room.
///
/// # Errors
/// When the pool has no room.
pub async fn hash(app: &App, password: &Zeroizing<String>) -> Result<String, Busy> {
    let turn = app.hashes.turn(Whose::Administration).await;
    app.hashes.hash(&turn, password.clone()).await
}

/// A person as the user that is to be added, with a temporary password by its hash.
#[must_use]
pub fn with_temporary_password(
    act: &AdminContext,
    login_name: LoginName,
    name: String,
    user_type: UserType,
    claims: &Claims,
    password_hash: String,
) -> NewUser {
    NewUser {
        id: act.app.random.id(act.now),
        login_name,
        name,
        user_type,
        active: true,
        admin_locked: false,
        failures: 0,
        password_hash,
        temporary_until: Some(temporary_until(&act.app, act.now)),
        claims: claims.to_json(),
        external_id: None,
    }
}

/// The result of a creation.
#[derive(Clone, Debug)]
pub enum Created {
    /// The user, by id.
    Yes(String),
    /// The provider has the Login Name already.
    NameTaken,
    /// Another user of the provider has the external id.
    ExternalIdTaken,
    /// Therap Admins, and only they, belong to the operator realm.
    WrongType,
    /// There is no such provider.
    NoSuchProvider,
}

/// Makes a user whose password is hashed already.
pub async fn create(act: &AdminContext, provider_id: &str, user: &NewUser) -> Result<Created, Error> {
    let provider_id = provider_id.to_owned();
    in_act!(act, [provider_id, user], |tx| {
        match providers::by_id(tx, &provider_id).await? {
            Some(provider) => add(tx, &act, &provider, &user).await,
            None => Ok(Created::NoSuchProvider),
        }
    })
}

/// Adds a user. What an admin or a program adds is mailed a link that verifies the address, where there is one.
pub async fn add(tx: &mut Tx, act: &AdminContext, provider: &Provider, user: &NewUser) -> Result<Created, Error> {
    let created = insert(tx, act, provider, user).await?;
    if let Created::Yes(id) = &created {
        let made = users::by_id(tx, id).await?;
        let is_mailed = match &made {
            Some(made) => email::verify_new(tx, act, made).await?,
            None => false,
        };
        record_created(tx, act, provider, user, is_mailed.then_some(email::SENT)).await?;
    }
    Ok(created)
}

/// Writes a user, without the record.
async fn insert(tx: &mut Tx, act: &AdminContext, provider: &Provider, user: &NewUser) -> Result<Created, Error> {
    if !user.user_type.belongs_in(provider.kind) {
        return Ok(Created::WrongType);
    }
    if let Some(external_id) = &user.external_id
        && external_ids::user_of(tx, &provider.id, external_id).await?.is_some()
    {
        return Ok(Created::ExternalIdTaken);
    }
    if !users::insert(tx, provider, user, act.now).await? {
        return Ok(Created::NameTaken);
    }
    if !Claims::from_json(&user.claims).unwrap_or_default().email().is_empty() {
        emails::put(tx, &user.id, None, act.now).await?;
    }
    Ok(Created::Yes(user.id.clone()))
}

/// Records that a user was made, and what was mailed with that.
async fn record_created(
    tx: &mut Tx,
    act: &AdminContext,
    provider: &Provider,
    user: &NewUser,
    mailed: Option<&str>,
) -> Result<(), Error> {
    let mut note = user.user_type.to_string();
    for (so, words) in [
        (!user.active, "; deactivated"),
        (user.admin_locked, "; locked by an administrator"),
        (user.failures >= STRIKES, "; password locked"),
    ] {
        if so {
            note.push_str(words);
        }
    }
    if let Some(mailed) = mailed {
        note = format!("{note}; {mailed}");
    }
    let mut event = act.event_of(Kind::UserCreated, provider).noting(note);
    event.user_id = Some(user.id.clone());
    event.login_name = Some(user.login_name.shown().to_owned());
    activity::record(tx, &event).await
}

/// What an administrator may change on a user. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Login Name: the user is renamed. The id stays, and with it sessions, locks, password and links.
    pub login_name: Option<LoginName>,
    /// What other systems call the user; empty is nothing.
    pub external_id: Option<String>,
    /// The person's name.
    pub name: Option<String>,
    /// User Type; only between Regular User and Provider Admin.
    pub user_type: Option<UserType>,
    /// All standard claims, in place of those before; the same address stays verified unless they say otherwise.
    pub claims: Option<Claims>,
}

/// The result of a change of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These keys have new values now, and that is recorded; when it is empty, nothing was new and nothing is recorded.
    Keys(Vec<&'static str>),
    /// There is no such user here.
    NotFound,
    /// Another user of the provider has the Login Name.
    NameTaken,
    /// Another user of the provider has the external id.
    ExternalIdTaken,
    /// Therap Admins, and only they, belong to the operator realm.
    WrongType,
    /// Nobody gives oneself another User Type.
    Own,
}

/// Changes a user's data.
pub async fn set(act: &AdminContext, provider_id: &str, user_id: &str, draft: &Draft) -> Result<Changed, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id, draft], |tx| {
        match users::lock_for_update(tx, &provider_id, &user_id).await? {
            Some(user) => change(tx, &act, user, &draft).await,
            None => Ok(Changed::NotFound),
        }
    })
}

/// Changes the data of a user whose row is held.
pub async fn change(tx: &mut Tx, act: &AdminContext, mut user: Account, draft: &Draft) -> Result<Changed, Error> {
    let realm = if user.user_type == UserType::TherapAdmin { ProviderKind::Operator } else { ProviderKind::Agency };
    if draft.user_type.is_some_and(|wanted| !wanted.belongs_in(realm)) {
        return Ok(Changed::WrongType);
    }
    if act.is_by(&user) && draft.user_type.is_some_and(|wanted| wanted != user.user_type) {
        return Ok(Changed::Own);
    }
    // What is taken is found before anything is written.
    let new_name = draft.login_name.as_ref().filter(|name| name.shown() != user.login_name);
    if let Some(name) = new_name
        && users::id_of_name(tx, &user.provider_id, name).await?.is_some_and(|id| id != user.id)
    {
        return Ok(Changed::NameTaken);
    }
    let mut external_id = external_ids::of_user(tx, &user.id).await?.unwrap_or_default();
    let is_called_otherwise = replace(&mut external_id, draft.external_id.clone());
    if is_called_otherwise
        && !external_id.is_empty()
        && external_ids::user_of(tx, &user.provider_id, &external_id).await?.is_some()
    {
        return Ok(Changed::ExternalIdTaken);
    }
    let stored = users::claims(tx, &user.id).await?.unwrap_or_default();
    let stored_claims = Claims::from_json(&stored).ok();
    // Rows that were written before have their members in whatever order.
    let mut claims = stored_claims.as_ref().map_or(stored, Claims::to_json);
    let stored_claims = stored_claims.unwrap_or_default();
    let wanted = draft.claims.clone().map(|wanted| wanted.in_place_of(&stored_claims).to_json());
    let email = email_of_user(tx, &user.id).await?;
    let before = user.user_type;
    let mut keys = Vec::new();
    for (key, changed) in [
        ("name", replace(&mut user.name, draft.name.clone())),
        ("user_type", replace(&mut user.user_type, draft.user_type)),
        ("claims", replace(&mut claims, wanted)),
        ("external_id", is_called_otherwise),
    ] {
        if changed {
            keys.push(key);
        }
    }
    if let Some(name) = new_name {
        users::rename(tx, &user.id, name).await?;
        let former = std::mem::replace(&mut user.login_name, name.shown().to_owned());
        let note = format!("from {former} to {}", user.login_name);
        activity::record(tx, &act.event(Kind::UserRenamed).about(&user).noting(note)).await?;
    }
    if is_called_otherwise {
        external_ids::set(tx, &user.provider_id, &user.id, &external_id).await?;
    }
    if new_name.is_some() || !keys.is_empty() {
        users::update(tx, &user.id, &user.name, user.user_type, &claims).await?;
    }
    if !keys.is_empty() {
        let mut note = keys.join(", ");
        if before != user.user_type {
            note = format!("{note}; from {before} to {}", user.user_type);
        }
        if let Some(email) = email
            && email::changed(tx, act, &user, &email).await?
        {
            note = format!("{note}; {}", email::SENT);
        }
        activity::record(tx, &act.event(Kind::UserChanged).about(&user).noting(note)).await?;
    }
    if new_name.is_some() {
        keys.insert(0, "login_name");
    }
    Ok(Changed::Keys(keys))
}

/// Changes a user's data, unless somebody else wrote since they were read in the revision `revision`.
pub async fn edit(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    revision: i64,
    draft: &Draft,
) -> Result<Edited<Changed>, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id, draft], |tx| {
        match users::lock_for_update(tx, &provider_id, &user_id).await? {
            Some(user) if user.revision != revision => Ok(Edited::Stale),
            Some(user) => change(tx, &act, user, &draft).await.map(Edited::Changed),
            None => Ok(Edited::Changed(Changed::NotFound)),
        }
    })
}

/// Checks an e-mail address; empty is none.
///
/// # Errors
/// What it must be.
pub fn check_email(email: &str) -> Result<Claims, ValidationError> {
    with_email(Claims::default(), email)
}

/// Claims with another e-mail address; empty is none.
///
/// # Errors
/// What it must be.
pub fn with_email(claims: Claims, email: &str) -> Result<Claims, ValidationError> {
    claims.with_email(email).map_err(|why| ValidationError::new("email", why))
}

/// What the record says of an admin's lock; a reason follows after a semicolon.
const LOCKED: &str = "locked by an administrator";

/// Checks the reason of a lock; empty is none.
///
/// # Errors
/// What it must be.
pub fn check_reason(reason: &str) -> Result<Option<String>, ValidationError> {
    check_words("reason", reason, Lines::One)
}

/// An admin's lock as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockRecord {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// Why, where it was said.
    pub reason: Option<String>,
}

/// The newest admin's lock of a user on record.
pub async fn newest_lock(conn: &mut Conn, user_id: &str) -> Result<Option<LockRecord>, Error> {
    let found = activity::newest_noted(conn, user_id, Kind::AccountLocked, LOCKED).await?;
    Ok(found.map(|(at, actor, note)| {
        let reason = note.strip_prefix(LOCKED).and_then(|rest| rest.strip_prefix("; "));
        LockRecord { at: Timestamp(at), actor, reason: reason.map(str::to_owned) }
    }))
}

/// Puts an admin's lock on a user, which ends every session.
pub async fn lock(act: &AdminContext, provider_id: &str, user_id: &str) -> Result<Switched, Error> {
    lock_because(act, provider_id, user_id, None).await
}

/// The same, with a reason that was checked.
pub async fn lock_because(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    reason: Option<String>,
) -> Result<Switched, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    let done = in_act!(act, [provider_id, user_id, reason], |tx| {
        let Some(user) = users::lock_for_update(tx, &provider_id, &user_id).await? else {
            return Ok(Switched::NotFound);
        };
        if act.is_by(&user) {
            return Ok(Switched::Own);
        }
        if act.is_stale(user.version()) {
            return Ok(Switched::Stale);
        }
        if !users::set_admin_lock(tx, &user.id, true).await? {
            return Ok(Switched::Already);
        }
        let note = reason.map_or_else(|| LOCKED.to_owned(), |reason| format!("{LOCKED}; {reason}"));
        let event = act.event(Kind::AccountLocked).about(&user).noting(note);
        activity::record(tx, &event).await?;
        Ok(Switched::Done)
    })?;
    if done == Switched::Done {
        act.app.metrics.locked(Lockout::Admin);
    }
    Ok(done)
}

/// Which lock is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locks {
    /// Whichever there is.
    Both,
    /// Three wrong passwords alone.
    Password,
    /// An admin's alone.
    Admin,
}

/// The result of unlocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// These locks are off now.
    Yes {
        /// The one of three wrong passwords.
        password: bool,
        /// An admin's.
        admin: bool,
    },
    /// There was none of those named.
    WasNot,
    /// There is no such user here.
    NotFound,
    /// Somebody changed the user since it was seen; it stays as it is.
    Stale,
}

/// Takes locks off a user.
pub async fn unlock(act: &AdminContext, provider_id: &str, user_id: &str, locks: Locks) -> Result<Unlocked, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id], |tx| {
        let Some(user) = users::lock_for_update(tx, &provider_id, &user_id).await? else {
            return Ok(Unlocked::NotFound);
        };
        if act.is_stale(user.version()) {
            return Ok(Unlocked::Stale);
        }
        let admin = locks != Locks::Password && users::set_admin_lock(tx, &user.id, false).await?;
        let password =
            locks != Locks::Admin && user.failures >= STRIKES && strikes::clear(tx, &user.id).await? >= STRIKES;
        let note = match (password, admin) {
            (true, true) => "password lock and administrator's lock lifted",
            (true, false) => "password lock lifted",
            (false, true) => "administrator's lock lifted",
            (false, false) => return Ok(Unlocked::WasNot),
        };
        activity::record(tx, &act.event(Kind::AccountUnlocked).about(&user).noting(note)).await?;
        Ok(Unlocked::Yes { password, admin })
    })
}

/// Deactivates or reactivates a user. Deactivating ends every session.
pub async fn set_active(act: &AdminContext, provider_id: &str, user_id: &str, active: bool) -> Result<Switched, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id], |tx| {
        match users::lock_for_update(tx, &provider_id, &user_id).await? {
            Some(user) if act.is_stale(user.version()) => Ok(Switched::Stale),
            Some(user) => switch_active(tx, &act, &user, active).await,
            None => Ok(Switched::NotFound),
        }
    })
}

/// Deactivates or reactivates a user whose row is held.
pub async fn switch_active(tx: &mut Tx, act: &AdminContext, user: &Account, active: bool) -> Result<Switched, Error> {
    if !active && act.is_by(user) {
        return Ok(Switched::Own);
    }
    if !active && is_last_admin(tx, user).await? {
        return Ok(Switched::LastAdmin);
    }
    if !users::set_active(tx, &user.id, active).await? {
        return Ok(Switched::Already);
    }
    let kind = if active { Kind::UserReactivated } else { Kind::UserDeactivated };
    activity::record(tx, &act.event(kind).about(user)).await?;
    Ok(Switched::Done)
}

/// Whether a user is the last Therap Admin who can sign in: without one nobody operates the service by its pages.
async fn is_last_admin(tx: &mut Tx, user: &Account) -> Result<bool, Error> {
    if user.user_type != UserType::TherapAdmin || !user.active || user.admin_locked {
        return Ok(false);
    }
    // Two who end each other at once take turns.
    settings::take_turn(tx).await?;
    users::has_no_other_admin(tx, &user.id).await
}

/// The result of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The user has a temporary password now.
    Yes {
        /// Until when it works.
        until: Timestamp,
        /// A password lock was lifted by it.
        lifted: bool,
        /// An admin's lock still stands.
        still_locked: bool,
    },
    /// The password is not the one that was to be replaced any more.
    Before,
    /// There is no such user here.
    NotFound,
    /// It is the admin's own account.
    Own,
    /// There is no room to hash.
    Busy,
}

/// Gives a user a temporary password; on a page that was shown once, only in place of the password of that version. It
/// lifts a password lock, never an admin's, and ends every session (L7, R4).
pub async fn reset_password(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    password: &Zeroizing<String>,
    seen: Option<i64>,
) -> Result<Reset, Error> {
    // What needs no hash is checked before there is one (G31); the transaction checks it again.
    let found = users::by_id(&mut act.app.db.read().await?, user_id).await?;
    if let Err(refused) = may_reset(act, found.filter(|user| user.provider_id == provider_id), seen) {
        return Ok(refused);
    }
    let Ok(hash) = hash(&act.app, password).await else {
        return Ok(Reset::Busy);
    };
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id, hash], |tx| {
        let user = match may_reset(&act, users::lock_for_update(tx, &provider_id, &user_id).await?, seen) {
            Ok(user) => user,
            Err(refused) => return Ok(refused),
        };
        if act.is_stale(user.version()) {
            return Ok(Reset::Before);
        }
        let until = temporary_until(&act.app, act.now);
        users::reset_password(tx, &user.id, &hash, until).await?;
        let lifted = strikes::clear(tx, &user.id).await? >= STRIKES;
        let mut event = act.event(Kind::PasswordReset).about(&user);
        if lifted {
            event = event.noting("password lock lifted");
        }
        activity::record(tx, &event).await?;
        mail::notify(tx, &act.app, &user, Notice::Reset, act.now).await?;
        Ok(Reset::Yes { until, lifted, still_locked: user.admin_locked })
    })
}

/// The user whose password this act may reset, or why it may not.
fn may_reset(act: &AdminContext, found: Option<Account>, seen: Option<i64>) -> Result<Account, Reset> {
    match found {
        None => Err(Reset::NotFound),
        Some(user) if act.is_by(&user) => Err(Reset::Own),
        Some(user) if seen.is_some_and(|version| version != user.password_version) => Err(Reset::Before),
        Some(user) => Ok(user),
    }
}

/// The result of untying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untied {
    /// The number of ties that are gone.
    Yes(u64),
    /// There was none.
    WasNot,
    /// There is no such user here.
    NoSuchUser,
    /// There is no such issuer.
    NoSuchIssuer,
    /// Somebody changed the user since it was seen; it stays as it is.
    Stale,
}

/// Removes a user's tie to one issuer, or to all (U12), which makes another revision of the user.
pub async fn untie(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    issuer: Option<&str>,
) -> Result<Untied, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    let issuer = issuer.map(str::to_owned);
    in_act!(act, [provider_id, user_id, issuer], |tx| {
        let Some(user) = users::lock_for_update(tx, &provider_id, &user_id).await? else {
            return Ok(Untied::NoSuchUser);
        };
        if act.is_stale(user.version()) {
            return Ok(Untied::Stale);
        }
        let issuer_id = match &issuer {
            Some(name) => match issuers::by_name(tx, name).await? {
                Some(found) => Some(found.id),
                None => return Ok(Untied::NoSuchIssuer),
            },
            None => None,
        };
        let count = issuers::untie(tx, issuer_id.as_deref(), Some(&user.id)).await?;
        if count == 0 {
            return Ok(Untied::WasNot);
        }
        users::bump_revision(tx, &user.id).await?;
        let note = issuer.unwrap_or_else(|| "every issuer".into());
        activity::record(tx, &act.event(Kind::HandoffUntied).about(&user).noting(note)).await?;
        Ok(Untied::Yes(count))
    })
}

/// The result of ending every session of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// They are over, and that is recorded: the number that was open.
    Yes(u64),
    /// Somebody changed the user since it was seen; the sessions stay.
    Stale,
    /// There is no such user here.
    NotFound,
}

/// Ends every session of a user: the open ones by their rows, and whatever is on its way by the epoch.
pub async fn end_sessions(act: &AdminContext, provider_id: &str, user_id: &str) -> Result<Ended, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id], |tx| {
        let Some(user) = users::lock_for_update(tx, &provider_id, &user_id).await? else {
            return Ok(Ended::NotFound);
        };
        if act.is_stale(user.version()) {
            return Ok(Ended::Stale);
        }
        users::bump_epoch(tx, &user.id).await?;
        let ended = sessions::end_others(tx, &user.id, None, EndReason::EndedByAdmin, act.now).await?;
        let event = act.event(Kind::SessionEnded).about(&user).noting("every session of the user");
        activity::record(tx, &event).await?;
        Ok(Ended::Yes(ended))
    })
}

/// Ends one session of a user.
pub async fn end_session(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    session_id: &str,
) -> Result<Switched, Error> {
    let (provider_id, user_id, session_id) = (provider_id.to_owned(), user_id.to_owned(), session_id.to_owned());
    in_act!(act, [provider_id, user_id, session_id], |tx| {
        let Some(user) = users::lock_for_update(tx, &provider_id, &user_id).await? else {
            return Ok(Switched::NotFound);
        };
        if act.is_stale(user.version()) {
            return Ok(Switched::Stale);
        }
        let standing = sessions::one_of_user(tx, &user.id, &session_id, act.now).await?;
        if standing.is_none() || !sessions::end(tx, &session_id, EndReason::EndedByAdmin, act.now).await? {
            return Ok(Switched::Already);
        }
        activity::record(tx, &act.event(Kind::SessionEnded).about(&user).of_session(&session_id)).await?;
        Ok(Switched::Done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_satisfy_the_rules_and_differ() {
        let random = Random::seeded(11);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..500 {
            let password = generate_password(&random);
            assert!(password_rules::check(&password).is_ok(), "{}", *password);
            assert!(seen.insert(password.to_string()));
        }
    }

    #[test]
    fn names_passwords_and_hashes_are_checked_with_reasons() {
        assert!(parse_login_name("a b").unwrap_err().why.contains("no spaces"));
        assert!(check_password("short").unwrap_err().why.contains("8 to 64 characters"));
        assert!(check_password("Correct-Horse-9").is_ok());
        assert_eq!(check_hash("$2b$10$x").unwrap_err().key, "password_hash");
    }
}
