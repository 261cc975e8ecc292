//! A tenant's scope as a type (G15): which provider somebody may look into is proven by a session or a token, never
//! asked for.

use super::provider::Provider;
use super::session::Session;
use super::user::UserType;

/// One agency, as its own Provider Admins may see and change it. Statements of their pages take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderScope {
    provider_id: String,
}

impl ProviderScope {
    /// The scope of a Provider Admin's session; nobody else has one.
    #[must_use]
    pub fn of(session: &Session) -> Option<Self> {
        let own = || Self { provider_id: session.provider_id.clone() };
        (session.user_type == UserType::ProviderAdmin).then(own)
    }

    /// The scope of whoever was granted this agency, or all of them: a program, or a Therap Admin.
    #[must_use]
    pub fn granted(provider: &Provider) -> Self {
        Self { provider_id: provider.id.clone() }
    }

    /// The agency's id.
    #[must_use]
    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }
}
