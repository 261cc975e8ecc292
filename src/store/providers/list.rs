//! Providers as the operator looks through them: searched, by code, a page at a time.

use crate::model::provider::UnifiedLogin;
use crate::model::{words, words_in_json};
use crate::store::users::directory::pattern;
use crate::store::{Conn, Error, from_row, query};

/// A provider as the list shows one.
#[derive(Clone, Debug)]
pub struct ListedProvider {
    /// UUIDv7.
    pub id: String,
    /// Provider Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Active.
    pub active: bool,
    /// Unified Login.
    pub unified_login: UnifiedLogin,
    /// What the next page begins after.
    pub code_folded: String,
}
from_row!(ListedProvider { id, code, name, active, code_folded } parsed { unified_login });

/// Which providers are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderState {
    /// All.
    #[default]
    Any,
    /// Active ones.
    Active,
    /// Inactive ones.
    Inactive,
    /// With Unified Login.
    On,
    /// That wait for it.
    Requested,
    /// Without it.
    Off,
}
words!(ProviderState {
    Any = "any",
    Active = "active",
    Inactive = "inactive",
    On = "on",
    Requested = "requested",
    Off = "off",
});
words_in_json!(ProviderState as "ProviderState");

/// Up to `limit` agencies that fit, whose folded code comes after one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(
    conn: &mut Conn,
    text: &str,
    state: ProviderState,
    after: &str,
    limit: i64,
) -> Result<Vec<ListedProvider>, Error> {
    const SQL: &str = "SELECT id, code, name, active, unified_login, code_folded FROM providers \
                       WHERE kind = 'agency' AND code_folded > $1 \
                       AND ($2 = '' OR code_folded LIKE $2 ESCAPE '!' OR LOWER(name) LIKE $2 ESCAPE '!') \
                       AND CASE $3 WHEN 'active' THEN active WHEN 'inactive' THEN NOT active WHEN 'any' THEN TRUE \
                       ELSE unified_login = $3 END ORDER BY code_folded LIMIT $4";
    query(SQL).bind(after).bind(pattern(text)).bind(state.as_str()).bind(limit).fetch_all(conn).await
}
