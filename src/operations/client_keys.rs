//! stub
use crate::app::App;
use crate::crypto::jws::{Algorithm, Unverified};
use crate::model::client::Client;
use crate::store;
use crate::time::Timestamp;
/// x
pub async fn verifies(
    _app: &App,
    _client: &Client,
    _jws: &Unverified<'_>,
    _kid: Option<&str>,
    _alg: Algorithm,
    _now: Timestamp,
) -> Result<bool, store::Error> {
    Ok(false)
}
