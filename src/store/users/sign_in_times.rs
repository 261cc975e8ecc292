//! When each user last signed in, as lists are sorted by it: read from the record beside the sign-ins, never by them.

use crate::store::{Conn, Error, Tx, query};
use crate::time::Timestamp;

/// Users whose last sign-in since a moment is not noted yet, with what is noted and its time (Unix ms).
///
/// # Errors
/// When the database cannot be asked.
pub async fn unnoted(conn: &mut Conn, since: Timestamp, limit: i64) -> Result<Vec<(String, i64, i64)>, Error> {
    const SQL: &str = "SELECT u.id, u.signed_in_at, MAX(a.at) AS at FROM activity a JOIN users u ON u.id = a.user_id \
                       WHERE a.kind = 'sign_in' AND a.outcome = 'success' AND a.at >= $1 AND u.signed_in_at < a.at \
                       GROUP BY u.id, u.signed_in_at ORDER BY u.id LIMIT $2";
    query(SQL).bind(since.0).bind(limit).fetch_all(conn).await
}

/// Up to `limit` users after one of them, by id: what is noted, and the last sign-in on record (Unix ms; 0 where there is none).
///
/// # Errors
/// When the database cannot be asked.
pub async fn on_record(conn: &mut Conn, after: &str, limit: i64) -> Result<Vec<(String, i64, i64)>, Error> {
    const SQL: &str = "SELECT u.id, u.signed_in_at, COALESCE((SELECT a.at FROM activity a WHERE a.user_id = u.id \
                       AND a.kind = 'sign_in' AND a.outcome = 'success' ORDER BY a.id DESC LIMIT 1), 0) AS at \
                       FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2";
    query(SQL).bind(after).bind(limit).fetch_all(conn).await
}

/// Notes when a user last signed in, unless something else was noted since `noted` was read.
///
/// # Errors
/// When it cannot be written.
pub async fn note(tx: &mut Tx, id: &str, noted: i64, at: i64) -> Result<(), Error> {
    const SQL: &str = "UPDATE users SET signed_in_at = $3 WHERE id = $1 AND signed_in_at = $2";
    query(SQL).bind(id).bind(noted).bind(at).execute(tx).await?;
    Ok(())
}
