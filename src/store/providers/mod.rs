//! Providers.

pub mod list;

use super::{Conn, Error, Tx, from_row, locking, query};
use crate::model::provider::{Provider, ProviderCode, UnifiedLogin};
use crate::time::Timestamp;

from_row!(Provider { id, code, name, active, time_zone, contact, idle_minutes, absolute_hours, reset_by_mail, epoch, revision } parsed { kind, unified_login });

/// The provider with exactly this code.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_code(conn: &mut Conn, code: &str) -> Result<Option<Provider>, Error> {
    const SQL: &str = "SELECT id, kind, code, name, active, unified_login, time_zone, \
         contact, idle_minutes, absolute_hours, reset_by_mail, epoch, revision FROM providers WHERE code = $1";
    if !super::can_be_stored(code) {
        return Ok(None);
    }
    query(SQL).bind(code).fetch_optional(conn).await
}

/// The provider whose code differs from this one in case at most.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_folded_code(conn: &mut Conn, code: &ProviderCode) -> Result<Option<Provider>, Error> {
    const SQL: &str = "SELECT id, kind, code, name, active, unified_login, time_zone, \
         contact, idle_minutes, absolute_hours, reset_by_mail, epoch, revision FROM providers WHERE code_folded = $1";
    query(SQL).bind(code.folded()).fetch_optional(conn).await
}

/// The operator realm.
///
/// # Errors
/// When the database cannot be asked.
pub async fn operator_realm(conn: &mut Conn) -> Result<Option<Provider>, Error> {
    const SQL: &str = "SELECT id, kind, code, name, active, unified_login, time_zone, \
         contact, idle_minutes, absolute_hours, reset_by_mail, epoch, revision FROM providers WHERE kind = 'operator'";
    query(SQL).fetch_optional(conn).await
}

/// Every provider, by code.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut Conn) -> Result<Vec<Provider>, Error> {
    const SQL: &str = "SELECT id, kind, code, name, active, unified_login, time_zone, \
         contact, idle_minutes, absolute_hours, reset_by_mail, epoch, revision FROM providers ORDER BY code_folded";
    query(SQL).fetch_all(conn).await
}

/// Adds a provider; `false` when its code is taken in any case.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, provider: &Provider, folded: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO providers (id, kind, code, code_folded, name, active, unified_login, time_zone, \
                       contact, idle_minutes, absolute_hours, reset_by_mail, epoch, created_at) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING";
    let p = provider;
    let rows = query(SQL)
        .bind(&p.id)
        .bind(p.kind.as_str())
        .bind(&p.code)
        .bind(folded)
        .bind(&p.name)
        .bind(p.active)
        .bind(p.unified_login.as_str())
        .bind(&p.time_zone)
        .bind(&p.contact)
        .bind(p.idle_minutes)
        .bind(p.absolute_hours)
        .bind(p.reset_by_mail)
        .bind(p.epoch)
        .bind(now.0)
        .execute(tx)
        .await?;
    Ok(rows == 1)
}

/// Writes what an administrator may change.
///
/// # Errors
/// When it cannot be written.
pub async fn update(tx: &mut Tx, provider: &Provider) -> Result<(), Error> {
    const SQL: &str = "UPDATE providers SET name = $2, time_zone = $3, contact = $4, idle_minutes = $5, absolute_hours = $6, \
                       reset_by_mail = $7, revision = revision + 1 \
                       WHERE id = $1";
    let p = provider;
    query(SQL)
        .bind(&p.id)
        .bind(&p.name)
        .bind(&p.time_zone)
        .bind(&p.contact)
        .bind(p.idle_minutes)
        .bind(p.absolute_hours)
        .bind(p.reset_by_mail)
        .execute(tx)
        .await?;
    Ok(())
}

/// Gives the operator realm another code.
///
/// # Errors
/// When it cannot be written, or an agency has the code.
pub async fn rename_operator_realm(tx: &mut Tx, code: &ProviderCode) -> Result<(), Error> {
    const SQL: &str = "UPDATE providers SET code = $1, code_folded = $2 WHERE kind = 'operator'";
    query(SQL).bind(code.as_str()).bind(code.folded()).execute(tx).await?;
    Ok(())
}

/// Activates or deactivates; `false` when it was so already. Deactivating ends every session of the provider at once,
/// by its epoch (G9).
///
/// # Errors
/// When it cannot be written.
pub async fn set_active(tx: &mut Tx, id: &str, active: bool) -> Result<bool, Error> {
    const SQL: &str = "UPDATE providers SET active = $2, epoch = epoch + CASE WHEN $2 THEN 0 ELSE 1 END \
                       WHERE id = $1 AND active <> $2";
    let rows = query(SQL).bind(id).bind(active).execute(tx).await?;
    if rows == 1 && !active {
        super::logouts::note_provider(tx, id).await?;
    }
    Ok(rows == 1)
}

/// Ends every session of the provider at once.
///
/// # Errors
/// When it cannot be written.
pub async fn bump_epoch(tx: &mut Tx, id: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE providers SET epoch = epoch + 1 WHERE id = $1";
    query(SQL).bind(id).execute(tx).await?;
    super::logouts::note_provider(tx, id).await
}

/// Switches Unified Login, which makes another revision; `false` when it stood so already.
///
/// # Errors
/// When it cannot be written.
pub async fn set_unified_login(tx: &mut Tx, id: &str, state: UnifiedLogin) -> Result<bool, Error> {
    const SQL: &str =
        "UPDATE providers SET unified_login = $2, revision = revision + 1 WHERE id = $1 AND unified_login <> $2";
    let rows = query(SQL).bind(id).bind(state.as_str()).execute(tx).await?;
    Ok(rows == 1)
}

/// The provider with this id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_id(conn: &mut Conn, id: &str) -> Result<Option<Provider>, Error> {
    const SQL: &str = "SELECT id, kind, code, name, active, unified_login, time_zone, \
         contact, idle_minutes, absolute_hours, reset_by_mail, epoch, revision FROM providers WHERE id = $1";
    query(SQL).bind(id).fetch_optional(conn).await
}

/// The provider with this id, its row held until the transaction ends.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, id: &str) -> Result<Option<Provider>, Error> {
    query(locking!(
        "SELECT id, kind, code, name, active, unified_login, time_zone, \
         contact, idle_minutes, absolute_hours, reset_by_mail, epoch, revision FROM providers WHERE id = $1",
        "FOR NO KEY UPDATE"
    ))
    .bind(id)
    .fetch_optional(tx)
    .await
}

/// The ids of all providers, the operator realm's too, or of the one with this code; in one order, so that two who hold
/// them all take turns.
///
/// # Errors
/// When the database cannot be asked.
pub async fn ids(conn: &mut Conn, only: Option<&str>) -> Result<Vec<String>, Error> {
    const SQL: &str = "SELECT id FROM providers WHERE $1 IS NULL OR code = $1 ORDER BY id";
    let rows: Vec<(String,)> = query(SQL).bind(only).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
