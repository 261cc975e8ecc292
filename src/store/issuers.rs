//! Trusted issuers, and the ties between their `sub` and our users (U12).

use super::{Conn, Error, FromRow, Row, Tx, locking, query};
use crate::model::issuer::TrustedIssuer;
use crate::time::Timestamp;

impl FromRow for TrustedIssuer {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
            serde_json::from_str(text).map_err(|error| Error::Damaged(error.to_string()))
        }
        Ok(Self {
            id: row.get("id")?,
            issuer: row.get("issuer")?,
            display_name: row.get("display_name")?,
            origins: json(&row.get::<String>("origins")?)?,
            jwks: row.get("jwks")?,
            jwks_uri: row.get("jwks_uri")?,
            last_good_jwks: row.get("last_good_jwks")?,
            client_id: row.get("client_id")?,
            acr: json(&row.get::<String>("acr")?)?,
            enabled: row.get("enabled")?,
            epoch: row.get("epoch")?,
            revision: row.get("revision")?,
        })
    }
}

/// Every trusted issuer, by name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut Conn) -> Result<Vec<TrustedIssuer>, Error> {
    const SQL: &str = "SELECT id, issuer, display_name, origins, jwks, jwks_uri, last_good_jwks, \
         client_id, acr, enabled, epoch, revision FROM issuers ORDER BY issuer";
    query(SQL).fetch_all(conn).await
}

/// The issuer of exactly this name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_name(conn: &mut Conn, issuer: &str) -> Result<Option<TrustedIssuer>, Error> {
    const SQL: &str = "SELECT id, issuer, display_name, origins, jwks, jwks_uri, last_good_jwks, \
         client_id, acr, enabled, epoch, revision FROM issuers WHERE issuer = $1";
    query(SQL).bind(issuer).fetch_optional(conn).await
}

/// Adds an issuer; `false` when there is one of that name.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, issuer: &TrustedIssuer, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO issuers (id, issuer, display_name, origins, jwks, jwks_uri, client_id, acr, enabled, epoch, \
                       revision, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, 1, $10) ON CONFLICT (issuer) DO NOTHING";
    let i = issuer;
    let rows = query(SQL)
        .bind(&i.id)
        .bind(&i.issuer)
        .bind(&i.display_name)
        .bind(json(&i.origins))
        .bind(&i.jwks)
        .bind(&i.jwks_uri)
        .bind(&i.client_id)
        .bind(json(&i.acr))
        .bind(i.enabled)
        .bind(now.0)
        .execute(tx)
        .await?;
    Ok(rows == 1)
}

/// Writes everything an operator may change, and a new revision. What `jwks_uri` gave before is forgotten when the
/// address changes.
///
/// # Errors
/// When it cannot be written.
pub async fn update(tx: &mut Tx, issuer: &TrustedIssuer) -> Result<(), Error> {
    const SQL: &str = "UPDATE issuers SET display_name = $2, origins = $3, jwks = $4, \
                       last_good_jwks = CASE WHEN jwks_uri = $5 THEN last_good_jwks ELSE NULL END, jwks_uri = $5, \
                       client_id = $6, acr = $7, enabled = $8, revision = revision + 1 WHERE id = $1";
    let i = issuer;
    query(SQL)
        .bind(&i.id)
        .bind(&i.display_name)
        .bind(json(&i.origins))
        .bind(&i.jwks)
        .bind(&i.jwks_uri)
        .bind(&i.client_id)
        .bind(json(&i.acr))
        .bind(i.enabled)
        .execute(tx)
        .await?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Keeps what `jwks_uri` gave, for the next start; leaves the revision alone, the row's meaning is the same.
///
/// # Errors
/// When it cannot be written.
pub async fn keep_fetched(tx: &mut Tx, id: &str, jwks_uri: &str, jwks: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE issuers SET last_good_jwks = $3 WHERE id = $1 AND jwks_uri = $2";
    query(SQL).bind(id).bind(jwks_uri).bind(jwks).execute(tx).await?;
    Ok(())
}

/// Switches an issuer on or off; `false` when it was so already.
///
/// # Errors
/// When it cannot be written.
pub async fn set_enabled(tx: &mut Tx, id: &str, enabled: bool) -> Result<bool, Error> {
    const SQL: &str = "UPDATE issuers SET enabled = $2, revision = revision + 1 WHERE id = $1 AND enabled <> $2";
    let rows = query(SQL).bind(id).bind(enabled).execute(tx).await?;
    Ok(rows == 1)
}

/// Ends every session that came from the issuer (G9).
///
/// # Errors
/// When it cannot be written.
pub async fn bump_epoch(tx: &mut Tx, id: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE issuers SET epoch = epoch + 1 WHERE id = $1";
    query(SQL).bind(id).execute(tx).await?;
    super::logouts::note_issuer(tx, id).await
}

/// A tie as stored.
#[derive(Clone, Debug)]
pub struct Tie {
    /// The issuer's name.
    pub issuer: String,
    /// The issuer's stable id for the user.
    pub sub: String,
    /// The user's Login Name.
    pub login_name: String,
    /// The user's id.
    pub user_id: String,
}
super::from_row!(Tie { issuer, sub, login_name, user_id } parsed {});

/// The ties of one user.
///
/// # Errors
/// When the database cannot be asked.
pub async fn ties_of_user(conn: &mut Conn, user_id: &str) -> Result<Vec<Tie>, Error> {
    const SQL: &str = "SELECT i.issuer, t.sub, u.login_name, t.user_id FROM handoff_ties t JOIN issuers i ON i.id = t.issuer_id \
                       JOIN users u ON u.id = t.user_id WHERE t.user_id = $1 ORDER BY i.issuer";
    query(SQL).bind(user_id).fetch_all(conn).await
}

/// What the ties say of a handoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tied {
    /// This `sub` is this user's.
    Yes,
    /// Neither is tied yet.
    No,
    /// The `sub` is somebody else's.
    SubElsewhere,
    /// The user is tied to another `sub`.
    UserElsewhere,
}

/// Reads the ties that concern a `sub` or a user.
///
/// # Errors
/// When the database cannot be asked.
pub async fn tied(
    conn: &mut Conn,
    issuer_id: &str,
    provider_id: &str,
    sub: &str,
    user_id: &str,
) -> Result<Tied, Error> {
    const SQL: &str = "SELECT sub, user_id FROM handoff_ties WHERE issuer_id = $1 AND provider_id = $2 AND (sub = $3 OR user_id = $4)";
    let rows: Vec<(String, String)> =
        query(SQL).bind(issuer_id).bind(provider_id).bind(sub).bind(user_id).fetch_all(conn).await?;
    let of_sub = rows.iter().find(|(known, _)| known == sub).map(|(_, user)| user.as_str());
    let of_user = rows.iter().find(|(_, user)| user == user_id).map(|(sub, _)| sub.as_str());
    Ok(Tied::of((sub, of_sub), (user_id, of_user)))
}

impl Tied {
    /// A `sub` with whose it is, and a user with which `sub` is that user's.
    #[must_use]
    pub fn of((sub, its_user): (&str, Option<&str>), (user, its_sub): (&str, Option<&str>)) -> Self {
        match (its_user, its_sub) {
            (Some(tied), _) if tied == user => Self::Yes,
            (Some(_), _) => Self::SubElsewhere,
            (None, Some(tied)) if tied == sub => Self::Yes,
            (None, Some(_)) => Self::UserElsewhere,
            (None, None) => Self::No,
        }
    }
}

/// Ties a `sub` to a user; `false` when either is tied already.
///
/// # Errors
/// When it cannot be written.
pub async fn tie(
    tx: &mut Tx,
    issuer_id: &str,
    provider_id: &str,
    sub: &str,
    user_id: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO handoff_ties (issuer_id, provider_id, user_id, sub, created_at) VALUES ($1, $2, $3, $4, $5) \
                       ON CONFLICT DO NOTHING";
    let rows = query(SQL).bind(issuer_id).bind(provider_id).bind(user_id).bind(sub).bind(now.0).execute(tx).await?;
    Ok(rows == 1)
}

/// Removes ties: of one user (with one issuer or all), or of a whole issuer; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn untie(tx: &mut Tx, issuer_id: Option<&str>, user_id: Option<&str>) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM handoff_ties WHERE (issuer_id = $1 OR $1 IS NULL) AND (user_id = $2 OR $2 IS NULL) \
                       AND ($1 IS NOT NULL OR $2 IS NOT NULL)";
    query(SQL).bind(issuer_id).bind(user_id).execute(tx).await
}

/// Makes another revision of an issuer: what is kept beside its row, and shown with it, changed.
///
/// # Errors
/// When it cannot be written.
pub async fn bump_revision(tx: &mut Tx, id: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE issuers SET revision = revision + 1 WHERE id = $1";
    query(SQL).bind(id).execute(tx).await?;
    Ok(())
}

/// The issuer of exactly this name, its row held until the transaction ends.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, issuer: &str) -> Result<Option<TrustedIssuer>, Error> {
    query(locking!(
        "SELECT id, issuer, display_name, origins, jwks, jwks_uri, last_good_jwks, \
         client_id, acr, enabled, epoch, revision FROM issuers WHERE issuer = $1",
        "FOR NO KEY UPDATE"
    ))
    .bind(issuer)
    .fetch_optional(tx)
    .await
}

/// How many users are tied to an issuer.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count_ties(conn: &mut Conn, issuer_id: &str) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM handoff_ties WHERE issuer_id = $1";
    let (count,): (i64,) = query(SQL).bind(issuer_id).fetch_one(conn).await?;
    Ok(count)
}
