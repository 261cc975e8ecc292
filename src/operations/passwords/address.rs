//! The e-mail address to which a user's mail goes.

use crate::model::claims::Claims;
use crate::model::email_state::UserEmail;
use crate::store::users::emails;
use crate::store::{Conn, Error};

/// What is known of a user's address; `None` when there is no such user.
pub async fn email_of_user(conn: &mut Conn, user_id: &str) -> Result<Option<UserEmail>, Error> {
    let stored = emails::find(conn, user_id).await?;
    Ok(stored.map(|stored| {
        let claims = Claims::from_json(&stored.claims).unwrap_or_default();
        UserEmail::of(&claims, stored.email_checked.as_deref(), stored.email_at)
    }))
}
