//! What other systems, such as an agency's HR system, call a user: unique in a provider, compared byte for byte.

use crate::store::{Conn, Error, Tx, query};

/// What a user is called elsewhere.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_user(conn: &mut Conn, user_id: &str) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT external_id FROM external_ids WHERE user_id = $1";
    let row: Option<(String,)> = query(SQL).bind(user_id).fetch_optional(conn).await?;
    Ok(row.map(|(external_id,)| external_id))
}

/// The id of the user of a provider who is called so elsewhere.
///
/// # Errors
/// When the database cannot be asked.
pub async fn user_of(conn: &mut Conn, provider_id: &str, external_id: &str) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT user_id FROM external_ids WHERE provider_id = $1 AND external_id = $2";
    let row: Option<(String,)> = query(SQL).bind(provider_id).bind(external_id).fetch_optional(conn).await?;
    Ok(row.map(|(user_id,)| user_id))
}

/// Says what a user is called elsewhere; empty is nothing. Whether it is free was asked first, by [`user_of`].
///
/// # Errors
/// [`Error::Contended`] when somebody took it since: tried again, that is seen. Otherwise when it cannot be written.
pub async fn set(tx: &mut Tx, provider_id: &str, user_id: &str, external_id: &str) -> Result<(), Error> {
    const REMOVE: &str = "DELETE FROM external_ids WHERE user_id = $1";
    const SET: &str = "INSERT INTO external_ids (user_id, provider_id, external_id) VALUES ($1, $2, $3) \
                       ON CONFLICT (user_id) DO UPDATE SET external_id = $3";
    if external_id.is_empty() {
        query(REMOVE).bind(user_id).execute(tx).await?;
    } else {
        query(SET).bind(user_id).bind(provider_id).bind(external_id).execute(tx).await?;
    }
    Ok(())
}
