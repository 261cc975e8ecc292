//! What a directory does to the users of one provider: it creates, changes, deactivates and deletes them, each in one
//! transaction with its records. A deleted user is not there for directories any more; the account stays, deactivated,
//! and comes back with its id when the same person is created again.

use std::sync::Arc;

use crate::model::activity::Kind;
use crate::model::claims::Claims;
use crate::model::login_name::LoginName;
use crate::model::provider::Provider;
use crate::model::user::{Account, UserType};
use crate::operations::admin_context::{AdminContext, in_act};
use crate::operations::users::{self, Changed, Created, Draft};
use crate::store::users::provisioned::{self, Provisioned};
use crate::store::users::{NewUser, external_ids};
use crate::store::{self, Conn, Error, Tx, activity};

/// What a directory wants a user to be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Login Name.
    pub login_name: LoginName,
    /// What the directory calls the user; empty is nothing, and absent stays as it is.
    pub external_id: Option<String>,
    /// The person's name.
    pub name: String,
    /// Not deactivated; absent stays as it is.
    pub active: Option<bool>,
    /// All standard claims.
    pub claims: Claims,
    /// How the directory writes what is kept once: one JSON object.
    pub written: String,
}

/// The result.
#[derive(Clone, Debug)]
pub enum Outcome<E> {
    /// The user as it stands now.
    Done(Box<Provisioned>),
    /// There is no such user for directories.
    NotFound,
    /// Another user of the provider has the Login Name.
    NameTaken,
    /// Another user of the provider has the external id.
    ExternalIdTaken,
    /// Whoever asked does not want it any more, as the user stands.
    Unwanted(E),
}

/// What is wanted of a user as it stands: asked while its row is held, so that no other writer comes in between. It is
/// asked again when the transaction is tried again.
pub type Wanted<E> = Arc<dyn Fn(&Provisioned) -> Result<Wish, E> + Send + Sync>;
/// Whether a user as it stands may be deleted.
pub type Allowed<E> = Arc<dyn Fn(&Provisioned) -> Result<(), E> + Send + Sync>;

/// The record of a user who is not there for directories any more.
const DELETED: &str = "deleted by its directory";
/// The record of a user of whom a directory changed nothing but how it writes them.
const WRITTEN: &str = "directory";

/// Those who stand where a new user is to stand.
struct InTheWay {
    by_name: Option<Provisioned>,
    by_external_id: Option<Provisioned>,
}

impl InTheWay {
    async fn of(conn: &mut Conn, provider_id: &str, wish: &Wish) -> Result<Self, Error> {
        let by_name = provisioned::by_login_name(conn, provider_id, &wish.login_name).await?;
        let by_external_id = match wish.external_id.as_deref().filter(|id| !id.is_empty()) {
            Some(external_id) => provisioned::by_external_id(conn, provider_id, external_id).await?,
            None => None,
        };
        Ok(Self { by_name, by_external_id })
    }

    fn taken<E>(&self) -> Option<Outcome<E>> {
        let is_there = |user: &Option<Provisioned>| user.as_ref().is_some_and(|user| user.deleted_at.is_none());
        if is_there(&self.by_name) {
            return Some(Outcome::NameTaken);
        }
        is_there(&self.by_external_id).then_some(Outcome::ExternalIdTaken)
    }

    /// The deleted account of the same person. What the directory calls a person says who it is: a Login Name may have been
    /// given to somebody else since, who must not become the person before (apps know people by the account's id).
    fn returning(&self, wish: &Wish) -> Option<&Provisioned> {
        let is_same = |user: &&Provisioned| user.external_id.is_none() || wish.external_id.is_none();
        self.by_external_id.as_ref().or_else(|| self.by_name.as_ref().filter(is_same))
    }
}

/// Whether another user has a name already, before anything costs something.
///
/// # Errors
/// When the database cannot be asked.
pub async fn taken<E>(conn: &mut Conn, provider_id: &str, wish: &Wish) -> Result<Option<Outcome<E>>, Error> {
    Ok(InTheWay::of(conn, provider_id, wish).await?.taken())
}

/// Creates a user with a temporary password that nobody knows, by its hash; or brings back the one who was deleted.
pub async fn create<E: Send + 'static>(
    act: &AdminContext,
    provider: &Provider,
    wish: &Wish,
    hash: String,
) -> Result<Outcome<E>, Error> {
    let new = users::with_temporary_password(
        act,
        wish.login_name.clone(),
        wish.name.clone(),
        UserType::Regular,
        &wish.claims,
        hash,
    );
    let external_id = wish.external_id.clone().filter(|id| !id.is_empty());
    let new = NewUser { active: wish.active.unwrap_or(true), external_id, ..new };
    in_act!(act, [provider, wish, new], |tx| {
        let in_the_way = InTheWay::of(tx, &provider.id, &wish).await?;
        if let Some(taken) = in_the_way.taken() {
            return Ok(taken);
        }
        let returning = in_the_way.returning(&wish).map(|user| user.id.clone());
        if let Some(other) = in_the_way.by_name.filter(|user| Some(&user.id) != returning.as_ref()) {
            make_room(tx, &act, &provider.id, &other.id).await?;
        }
        if let Some(id) = returning {
            let wish = Wish { active: Some(wish.active.unwrap_or(true)), ..wish };
            return bring_back(tx, &act, &provider.id, &id, &wish).await;
        }
        match users::add(tx, &act, &provider, &new).await? {
            Created::Yes(id) => {
                provisioned::write(tx, &provider.id, &id, &wish.written, act.now).await?;
                as_it_stands(tx, &provider.id, &id).await
            }
            Created::NameTaken => Ok(Outcome::NameTaken),
            Created::ExternalIdTaken => Ok(Outcome::ExternalIdTaken),
            Created::WrongType | Created::NoSuchProvider => Ok(Outcome::NotFound),
        }
    })
}

/// Changes a user to what is wanted.
pub async fn update<E: Send + 'static>(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    wanted: Wanted<E>,
) -> Result<Outcome<E>, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id, wanted], |tx| {
        let Some((user, standing)) = lock_visible(tx, &provider_id, &user_id).await? else {
            return Ok(Outcome::NotFound);
        };
        let wish = match wanted(&standing) {
            Ok(wish) => wish,
            Err(unwanted) => return Ok(Outcome::Unwanted(unwanted)),
        };
        let in_the_way = InTheWay::of(tx, &provider_id, &wish).await?;
        let mut others: Vec<_> = in_the_way.by_name.into_iter().chain(in_the_way.by_external_id).collect();
        others.retain(|other| other.deleted_at.is_some());
        others.dedup_by(|one, other| one.id == other.id);
        for other in others {
            make_room(tx, &act, &provider_id, &other.id).await?;
        }
        write(tx, &act, user, &standing, &wish).await
    })
}

/// Deletes a user for directories: deactivated with all that ends, if that was not so already.
pub async fn delete<E: Send + 'static>(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    allowed: Allowed<E>,
) -> Result<Outcome<E>, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id, allowed], |tx| {
        let Some((user, standing)) = lock_visible(tx, &provider_id, &user_id).await? else {
            return Ok(Outcome::NotFound);
        };
        if let Err(unwanted) = allowed(&standing) {
            return Ok(Outcome::Unwanted(unwanted));
        }
        store::users::set_active(tx, &user.id, false).await?;
        provisioned::delete(tx, &provider_id, &user.id, act.now).await?;
        activity::record(tx, &act.event(Kind::UserDeactivated).about(&user).noting(DELETED)).await?;
        Ok(Outcome::Done(Box::new(standing)))
    })
}

async fn lock_visible(tx: &mut Tx, provider_id: &str, user_id: &str) -> Result<Option<(Account, Provisioned)>, Error> {
    let Some(user) = store::users::lock_for_update(tx, provider_id, user_id).await? else {
        return Ok(None);
    };
    let standing = provisioned::one(tx, provider_id, user_id).await?;
    Ok(standing.filter(|standing| standing.deleted_at.is_none()).map(|standing| (user, standing)))
}

async fn as_it_stands<E>(tx: &mut Tx, provider_id: &str, user_id: &str) -> Result<Outcome<E>, Error> {
    let standing = provisioned::one(tx, provider_id, user_id).await?;
    Ok(standing.map_or(Outcome::NotFound, |standing| Outcome::Done(Box::new(standing))))
}

/// The same person is there again, with the account of before: id, password, locks and links.
async fn bring_back<E>(
    tx: &mut Tx,
    act: &AdminContext,
    provider_id: &str,
    id: &str,
    wish: &Wish,
) -> Result<Outcome<E>, Error> {
    let user = store::users::lock_for_update(tx, provider_id, id).await?;
    let standing = provisioned::one(tx, provider_id, id).await?;
    match (user, standing) {
        // Somebody else brought it back a moment ago.
        (Some(_), Some(standing)) if standing.deleted_at.is_none() => Ok(Outcome::NameTaken),
        (Some(user), Some(standing)) => write(tx, act, user, &standing, wish).await,
        (None, _) | (_, None) => Ok(Outcome::NotFound),
    }
}

/// Makes a user whose row is held what is wanted, each change with its record.
async fn write<E>(
    tx: &mut Tx,
    act: &AdminContext,
    user: Account,
    standing: &Provisioned,
    wish: &Wish,
) -> Result<Outcome<E>, Error> {
    let draft = Draft {
        login_name: Some(wish.login_name.clone()),
        external_id: wish.external_id.clone(),
        name: Some(wish.name.clone()),
        user_type: None,
        claims: Some(wish.claims.clone()),
    };
    let (provider_id, was_active) = (user.provider_id.clone(), user.active);
    let mut is_recorded = match users::change(tx, act, user, &draft).await? {
        Changed::Keys(keys) => !keys.is_empty(),
        Changed::NameTaken => return Ok(Outcome::NameTaken),
        Changed::ExternalIdTaken => return Ok(Outcome::ExternalIdTaken),
        Changed::NotFound | Changed::WrongType | Changed::Own => return Ok(Outcome::NotFound),
    };
    // With the data as they are from now on, which the record names.
    let Some(user) = store::users::by_id(tx, &standing.id).await? else { return Ok(Outcome::NotFound) };
    if let Some(active) = wish.active.filter(|active| *active != was_active) {
        users::switch_active(tx, act, &user, active).await?;
        is_recorded = true;
    }
    let is_written = standing.written.as_ref() == Some(&wish.written) && standing.deleted_at.is_none();
    if !is_written && !is_recorded {
        activity::record(tx, &act.event(Kind::UserChanged).about(&user).noting(WRITTEN)).await?;
    }
    if !is_written || is_recorded {
        provisioned::write(tx, &provider_id, &user.id, &wish.written, act.now).await?;
    }
    as_it_stands(tx, &provider_id, &user.id).await
}

/// A deleted account gives its names to another person: they are its own no longer, and it stays who it was.
async fn make_room(tx: &mut Tx, act: &AdminContext, provider_id: &str, id: &str) -> Result<(), Error> {
    let Some(user) = store::users::lock_for_update(tx, provider_id, id).await? else { return Ok(()) };
    let begin: String = user.login_name.chars().take(200).collect();
    let name = LoginName::parse(&format!("{begin}.{}", user.id)).or_else(|| LoginName::parse(&user.id));
    let external_id = external_ids::of_user(tx, id).await?.map(|_| String::new());
    let draft = Draft { login_name: name, external_id, ..Draft::default() };
    users::change(tx, act, user, &draft).await?;
    Ok(())
}
