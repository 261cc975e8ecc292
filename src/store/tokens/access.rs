//! Access tokens: usable while they are young, nothing revoked them, and what they were born under still stands (G9).

use crate::model::client::{ClientProof, ProvenBy};
use crate::store::{Conn, Error, FromRow, Query, Row, Tx, from_row, locking, query};
use crate::time::Timestamp;

/// A token about to be given.
#[derive(Clone, Debug)]
pub struct NewAccessToken {
    /// Digest of the token, or of a JWT's `jti`.
    pub hash: String,
    /// The family it is born of; none for the client's own.
    pub family_id: Option<String>,
    /// Who bought it, and by what.
    pub proof: ClientProof,
    /// What it allows, space-separated.
    pub scope: String,
    /// Whom it is for, space-separated.
    pub audience: String,
    /// Over then.
    pub expires_at: Timestamp,
}

/// Remembers a token, where what its client proved itself by still stands. That is read here, and held until the
/// transaction ends: whoever takes it away was first, or waits and then finds the token among those to revoke (G28).
///
/// # Errors
/// [`Error::NoAuthority`] when it was taken away: then nothing of the transaction may stand.
pub async fn insert(tx: &mut Tx, token: &NewAccessToken, now: Timestamp) -> Result<(), Error> {
    macro_rules! insert {
        () => {
            "INSERT INTO access_tokens (hash, family_id, client, client_epoch, scope, audience, created_at, expires_at) \
             SELECT $1, $2, c.id, c.epoch, $3, $4, $5, $6 FROM clients c"
        };
    }
    // The row of the secret is held alone: whoever switches the client off bumps the epoch, and the token is dead then.
    macro_rules! by_secret {
        () => {
            concat!(
                insert!(),
                " JOIN client_secrets s ON s.client = c.id WHERE c.id = $7 AND c.enabled AND c.epoch = $8 \
                    AND ($9 IS NULL OR c.revision = $9) AND s.id = $10 AND (s.expires_at IS NULL OR s.expires_at > $5)"
            )
        };
    }
    macro_rules! by_registration {
        () => {
            concat!(
                insert!(),
                " WHERE c.id = $7 AND c.enabled AND c.epoch = $8 AND ($9 IS NULL OR c.revision = $9) AND c.revision = $10"
            )
        };
    }
    let (t, proof) = (token, &token.proof);
    let insert = match &proof.by {
        ProvenBy::Secret(_) => locking!((by_secret!()), "FOR SHARE OF s"),
        ProvenBy::Registration(_) => locking!((by_registration!()), "FOR SHARE OF c"),
    };
    let insert = query(insert)
        .bind(&t.hash)
        .bind(&t.family_id)
        .bind(&t.scope)
        .bind(&t.audience)
        .bind(now.0)
        .bind(t.expires_at.0)
        .bind(&proof.client)
        .bind(proof.epoch)
        .bind(proof.known);
    let rows = by(insert, proof).execute(tx).await?;
    if rows == 1 { Ok(()) } else { Err(Error::NoAuthority) }
}

/// Binds what a client proved itself by.
pub(super) fn by<'q>(query: Query<'q>, proof: &'q ClientProof) -> Query<'q> {
    match &proof.by {
        ProvenBy::Secret(id) => query.bind(id),
        ProvenBy::Registration(revision) => query.bind(*revision),
    }
}

/// Forgets all but the newest tokens of a family, so that one sign-in of an app never fills the table.
///
/// # Errors
/// When it cannot be written.
pub async fn keep_newest(tx: &mut Tx, family: &str, count: i64) -> Result<(), Error> {
    // One comes with each that is added; a hundred where there were more once.
    const SQL: &str = "DELETE FROM access_tokens WHERE hash IN \
                       (SELECT hash FROM access_tokens WHERE family_id = $1 ORDER BY created_at DESC, hash LIMIT 100 OFFSET $2)";
    query(SQL).bind(family).bind(count).execute(tx).await?;
    Ok(())
}

/// A usable token, with the client it belongs to and the user it speaks of.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The digest under which it is remembered.
    pub hash: String,
    /// The family it was born of; none for a client's own.
    pub family_id: Option<String>,
    /// The client's row.
    pub client: String,
    /// The client's `client_id`.
    pub client_id: String,
    /// The client's metadata, JSON.
    pub metadata: String,
    /// What it allows, space-separated.
    pub scope: String,
    /// Whom it is for, space-separated.
    pub audience: String,
    /// Since when (Unix ms).
    pub created_at: i64,
    /// Over then (Unix ms).
    pub expires_at: i64,
    /// The user.
    pub user_id: Option<String>,
    /// The `claims` parameter, JSON.
    pub wishes: Option<String>,
    /// How sure the sign-in was.
    pub acr: Option<String>,
    /// When credentials were checked (Unix ms).
    pub auth_time: Option<i64>,
    /// The person's name.
    pub name: Option<String>,
    /// Login Name.
    pub login_name: Option<String>,
    /// User Type's word.
    pub user_type: Option<String>,
    /// Standard claims, JSON.
    pub claims: Option<String>,
    /// The provider's code.
    pub provider_code: Option<String>,
    /// The provider's name.
    pub provider_name: Option<String>,
}
from_row!(AccessToken {
    hash, family_id, client, client_id, metadata, scope, audience, created_at, expires_at, user_id, wishes, acr, auth_time, name,
    login_name, user_type, claims, provider_code, provider_name,
} parsed {});

/// The usable token of digest `$2`; `$1` is now.
macro_rules! live {
    () => {
        "SELECT a.hash, a.family_id, a.client, c.client_id, c.metadata, a.scope, a.audience, a.created_at, a.expires_at, \
         f.user_id, f.claims AS wishes, f.acr, f.auth_time, u.name, u.login_name, u.user_type, u.claims, p.code AS provider_code, \
         p.name AS provider_name \
         FROM access_tokens a JOIN clients c ON c.id = a.client LEFT JOIN families f ON f.id = a.family_id \
         LEFT JOIN users u ON u.id = f.user_id LEFT JOIN providers p ON p.id = f.provider_id LEFT JOIN issuers i ON i.id = f.issuer_id \
         WHERE a.hash = $2 AND a.revoked_at IS NULL AND a.expires_at > $1 AND c.enabled AND c.epoch = a.client_epoch \
         AND (a.family_id IS NULL OR (f.revoked_at IS NULL AND u.active AND u.epoch = f.user_epoch AND p.active \
         AND p.epoch = f.provider_epoch AND (f.issuer_id IS NULL OR i.epoch = f.issuer_epoch) AND (f.offline OR EXISTS \
         (SELECT 1 FROM sessions s WHERE s.sid = f.sid AND s.ended_at IS NULL AND s.expires_at > $1))))"
    };
}

/// The usable token behind a digest.
///
/// # Errors
/// When the database cannot be asked.
pub async fn live(conn: &mut Conn, hash: &str, now: Timestamp) -> Result<Option<AccessToken>, Error> {
    const SQL: &str = live!();
    query(SQL).bind(now.0).bind(hash).fetch_optional(conn).await
}

/// The same for a client that asks, where what it proved itself by still stands.
///
/// # Errors
/// [`Error::NoAuthority`] when that was taken away; when the database cannot be asked.
pub async fn live_for(
    conn: &mut Conn,
    proof: &ClientProof,
    hash: &str,
    now: Timestamp,
) -> Result<Option<AccessToken>, Error> {
    macro_rules! asked {
        ($proven:literal) => {
            concat!(
                "SELECT t.* FROM clients me LEFT JOIN (",
                live!(),
                ") t ON TRUE WHERE me.id = $3 AND me.enabled AND me.epoch = $4 AND ($5 IS NULL OR me.revision = $5) AND ",
                $proven
            )
        };
    }
    let sql: &'static str = match &proof.by {
        ProvenBy::Secret(_) => asked!(
            "EXISTS (SELECT 1 FROM client_secrets s WHERE s.client = me.id AND s.id = $6 \
             AND (s.expires_at IS NULL OR s.expires_at > $1))"
        ),
        ProvenBy::Registration(_) => asked!("me.revision = $6"),
    };
    let asked = query(sql).bind(now.0).bind(hash).bind(&proof.client).bind(proof.epoch).bind(proof.known);
    let found: Option<Found> = by(asked, proof).fetch_optional(conn).await?;
    found.map(|Found(token)| token).ok_or(Error::NoAuthority)
}

/// A token, or a row that says that there is none.
struct Found(Option<AccessToken>);

impl FromRow for Found {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let hash: Option<String> = row.get("hash")?;
        Ok(Self(hash.map(|_| AccessToken::from_row(row)).transpose()?))
    }
}

/// Whether a program may still act by a token of its own: neither it nor its client was taken away or changed since it was
/// checked. The rows are held (G28).
///
/// # Errors
/// When the database cannot be asked.
pub async fn may_act(tx: &mut Tx, hash: &str, metadata: &str, now: Timestamp) -> Result<bool, Error> {
    let row: Option<(i64,)> = query(locking!(
        "SELECT CAST(1 AS BIGINT) FROM clients c, access_tokens a \
         WHERE c.id = a.client AND a.hash = $1 AND a.family_id IS NULL AND a.revoked_at IS NULL AND a.expires_at > $2 \
         AND c.enabled AND c.epoch = a.client_epoch AND c.metadata = $3",
        "FOR SHARE OF c, a"
    ))
    .bind(hash)
    .bind(now.0)
    .bind(metadata)
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some())
}

/// Revokes every token that a client was given; its users' apps get new ones with what they hold.
///
/// # Errors
/// When it cannot be written.
pub async fn revoke_of_client(tx: &mut Tx, client: &str, now: Timestamp) -> Result<(), Error> {
    const SQL: &str =
        "UPDATE access_tokens SET revoked_at = $2 WHERE client = $1 AND revoked_at IS NULL AND expires_at > $2";
    query(SQL).bind(client).bind(now.0).execute(tx).await?;
    Ok(())
}

/// Revokes every token that a client got for itself; those of users die with their sessions' epochs.
///
/// # Errors
/// When it cannot be written.
pub async fn revoke_all(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    const SQL: &str =
        "UPDATE access_tokens SET revoked_at = $1 WHERE revoked_at IS NULL AND expires_at > $1 AND family_id IS NULL";
    query(SQL).bind(now.0).execute(tx).await?;
    Ok(())
}

/// Revokes one token of a client; `false` when it has none such.
///
/// # Errors
/// When it cannot be written.
pub async fn revoke(tx: &mut Tx, hash: &str, client: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "UPDATE access_tokens SET revoked_at = $3 WHERE hash = $1 AND client = $2 AND revoked_at IS NULL";
    let rows = query(SQL).bind(hash).bind(client).bind(now.0).execute(tx).await?;
    Ok(rows == 1)
}

/// Whose token a digest is: the client's row. Whether it is still good does not matter.
///
/// # Errors
/// When the database cannot be asked.
pub async fn owner(conn: &mut Conn, hash: &str) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT client FROM access_tokens WHERE hash = $1";
    let row: Option<(String,)> = query(SQL).bind(hash).fetch_optional(conn).await?;
    Ok(row.map(|(client,)| client))
}

/// Forgets a batch of tokens that were over before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM access_tokens WHERE hash IN \
                       (SELECT hash FROM access_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}
