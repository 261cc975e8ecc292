//! What a request paid of a throttle.

use crate::cache::throttle::SharedThrottle;
use crate::time::Timestamp;
use crate::web::oauth_error::OAuthError;

/// Whether a request has had its place: it takes one, however often it is looked at.
#[derive(Debug, Default)]
pub(super) struct Paid(bool);

impl Paid {
    /// Takes a place, the first time.
    pub(super) async fn once(
        &mut self,
        throttle: &SharedThrottle<String>,
        whose: &str,
        now: Timestamp,
    ) -> Result<(), OAuthError> {
        if !self.0 {
            throttle.take(whose.to_owned(), now).await.map_err(OAuthError::too_often)?;
            self.0 = true;
        }
        Ok(())
    }
}
