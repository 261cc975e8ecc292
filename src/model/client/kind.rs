//! What kind of program a client is. It is not stored: the metadata say it, whoever wrote them, by a form, the API, a seed
//! file or a command.

use super::{ApplicationType, AuthMethod, GrantType, Metadata};
use crate::model::words;

/// A kind of program, as the forms of clients know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// It signs people in, and has a server that keeps a secret or a key.
    WebApp,
    /// It signs people in, in the browser alone, and can keep no secret (OAuth 2.0 for Browser-Based Apps).
    SinglePageApp,
    /// It signs people in, and is installed on their machine (RFC 8252).
    NativeApp,
    /// It acts for itself (RFC 6749 §4.4).
    Service,
    /// An API that gets access tokens, and asks what they are worth (RFC 7662) or reads them (RFC 9068).
    ResourceServer,
}
words!(ClientKind {
    WebApp = "web",
    SinglePageApp = "single-page",
    NativeApp = "native",
    Service = "service",
    ResourceServer = "resource-server",
});

impl ClientKind {
    /// The kind that metadata describe.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        match metadata.application_type {
            _ if !metadata.may(GrantType::AuthorizationCode) => {
                if metadata.may(GrantType::ClientCredentials) {
                    Self::Service
                } else {
                    Self::ResourceServer
                }
            }
            ApplicationType::Native => Self::NativeApp,
            ApplicationType::Web if metadata.is_public() => Self::SinglePageApp,
            ApplicationType::Web => Self::WebApp,
        }
    }

    /// What a new client of this kind starts with.
    #[must_use]
    pub fn metadata(self) -> Metadata {
        let signs_in = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
        let without_people = |grant_types| Metadata {
            grant_types,
            response_types: Vec::new(),
            scope: String::new(),
            ..Metadata::default()
        };
        match self {
            Self::WebApp => Metadata { grant_types: signs_in, ..Metadata::default() },
            Self::SinglePageApp => Metadata {
                grant_types: signs_in,
                token_endpoint_auth_method: Some(AuthMethod::None),
                ..Metadata::default()
            },
            Self::NativeApp => Metadata {
                application_type: ApplicationType::Native,
                grant_types: signs_in,
                token_endpoint_auth_method: Some(AuthMethod::None),
                ..Metadata::default()
            },
            Self::Service => without_people(vec![GrantType::ClientCredentials]),
            Self::ResourceServer => without_people(Vec::new()),
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebApp => "Web app",
            Self::SinglePageApp => "Single-page app",
            Self::NativeApp => "Native app",
            Self::Service => "Service",
            Self::ResourceServer => "Resource server",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_client_of_a_kind_is_of_that_kind() {
        for kind in ClientKind::ALL {
            assert_eq!(ClientKind::of(&kind.metadata()), *kind);
        }
        let keyed = Metadata { token_endpoint_auth_method: Some(AuthMethod::PrivateKeyJwt), ..Metadata::default() };
        assert_eq!(ClientKind::of(&keyed), ClientKind::WebApp);
        let both = vec![GrantType::ClientCredentials, GrantType::AuthorizationCode];
        assert_eq!(ClientKind::of(&Metadata { grant_types: both, ..keyed }), ClientKind::WebApp);
    }
}
