//! What programs create, and once only: a repeat under the same key gets the answer of the first time, whether or not
//! that one arrived. The key and what was created under it are one transaction.

use crate::model::client::Client;
use crate::model::issuer::TrustedIssuer;
use crate::model::provider::Provider;
use crate::operations::admin_context::{AdminContext, in_act};
use crate::operations::users::Created;
use crate::operations::users::email::NotMailed;
use crate::operations::{clients, issuers, providers, users};
use crate::store::idempotency::{self, Keyed};
use crate::store::users::NewUser;
use crate::store::{Error, Tx};

/// Something that is not stored yet, checked and built.
#[derive(Clone, Debug)]
pub enum Creation {
    /// An agency.
    Provider(Box<Provider>),
    /// A user of an agency.
    User(Box<Provider>, Box<NewUser>),
    /// A user of an agency who is invited.
    InvitedUser(Box<Provider>, Box<NewUser>),
    /// A client, and its secret if it is to have one.
    Client(Box<Client>, Option<String>),
    /// A trusted issuer.
    Issuer(Box<TrustedIssuer>),
}

/// The result.
#[derive(Clone, Debug)]
pub enum CreateOutcome {
    /// It is there now, and recorded.
    Yes,
    /// Something of the same name stands there already; nothing was written.
    NameTaken,
    /// Another user has the external id; nothing was written.
    ExternalIdTaken,
    /// This User Type cannot be had there; nothing was written.
    WrongType,
    /// No invitation can be mailed; nothing was written.
    NotMailed(NotMailed),
    /// It was made before, under this key: the sealed answer of then.
    Before(String),
    /// The key belongs to another request; nothing was written.
    KeyTaken,
}

/// Creates it, under a key if there is one.
pub async fn create(act: &AdminContext, creation: &Creation, keyed: Option<&Keyed>) -> Result<CreateOutcome, Error> {
    let keyed = keyed.cloned();
    let made = in_act!(act, [creation, keyed], |tx| {
        if let Some(keyed) = &keyed
            && let Some(earlier) = idempotency::claim(tx, keyed, act.now).await?
        {
            let same = earlier.request_hash == keyed.request_hash;
            return Ok(if same { CreateOutcome::Before(earlier.sealed_answer) } else { CreateOutcome::KeyTaken });
        }
        let made = add(tx, &act, &creation).await?;
        let is_nothing = matches!(
            made,
            CreateOutcome::NameTaken
                | CreateOutcome::ExternalIdTaken
                | CreateOutcome::WrongType
                | CreateOutcome::NotMailed(_)
        );
        if let (true, Some(keyed)) = (is_nothing, &keyed) {
            idempotency::release(tx, keyed).await?;
        }
        Ok(made)
    })?;
    act.app.issuers.forget();
    Ok(made)
}

async fn add(tx: &mut Tx, act: &AdminContext, creation: &Creation) -> Result<CreateOutcome, Error> {
    let added = match creation {
        Creation::Provider(provider) => providers::add(tx, act, provider).await?,
        Creation::Client(client, secret) => {
            let hash = secret.as_ref().map(|secret| clients::hash_secret(&act.app, &client.client_id, secret));
            clients::add(tx, act, client, hash.as_deref()).await?
        }
        Creation::Issuer(issuer) => issuers::add(tx, act, issuer).await?,
        Creation::User(provider, user) => return Ok(outcome(&users::add(tx, act, provider, user).await?)),
        Creation::InvitedUser(provider, user) => {
            let made = users::invitation::add(tx, act, provider, user).await?;
            return Ok(made.map_or_else(CreateOutcome::NotMailed, |created| outcome(&created)));
        }
    };
    Ok(if added { CreateOutcome::Yes } else { CreateOutcome::NameTaken })
}

const fn outcome(created: &Created) -> CreateOutcome {
    match created {
        Created::Yes(_) => CreateOutcome::Yes,
        Created::NameTaken => CreateOutcome::NameTaken,
        Created::ExternalIdTaken => CreateOutcome::ExternalIdTaken,
        Created::WrongType | Created::NoSuchProvider => CreateOutcome::WrongType,
    }
}
