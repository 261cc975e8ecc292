//! A client: a relying party, or a program that acts for itself. Its metadata bear the names of RFC 7591 §2, OpenID
//! Connect Registration §2 and the logout specifications; the last few are ours.

pub mod draft;
pub mod kind;
pub mod rules;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scope::Scope;
use super::version::Version;
use super::{words, words_in_json};
use crate::crypto::jws::Algorithm;

/// How a client proves who it is (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// HTTP Basic (RFC 6749 §2.3.1).
    Basic,
    /// In the form.
    Post,
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt,
    /// A public client: PKCE alone.
    None,
}
words!(AuthMethod {
    Basic = "client_secret_basic",
    Post = "client_secret_post",
    PrivateKeyJwt = "private_key_jwt",
    None = "none",
});

impl AuthMethod {
    /// Whether it needs a client secret.
    #[must_use]
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::Basic | Self::Post)
    }
}

/// What a client may exchange for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 6749 §4.1.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4.
    ClientCredentials,
}
words!(GrantType {
    AuthorizationCode = "authorization_code",
    RefreshToken = "refresh_token",
    ClientCredentials = "client_credentials",
});

/// Where a client runs: it decides which redirect URIs it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationType {
    /// On a server, or in a browser.
    Web,
    /// On a person's machine (RFC 8252).
    Native,
}
words!(ApplicationType { Web = "web", Native = "native" });

/// What an access token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenFormat {
    /// Random bytes; resources ask us (RFC 7662).
    Opaque,
    /// A signed JWT (RFC 9068).
    Jwt,
}
words!(AccessTokenFormat { Opaque = "opaque", Jwt = "jwt" });

words_in_json!(AuthMethod as "AuthMethod");
words_in_json!(GrantType as "GrantType");
words_in_json!(ApplicationType as "ApplicationType");
words_in_json!(AccessTokenFormat as "AccessTokenFormat");

impl utoipa::PartialSchema for Algorithm {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        super::one_of(Self::ALL.map(Self::name))
    }
}

impl utoipa::ToSchema for Algorithm {}

// What is stored may hold members of another version, which are ignored when read.
/// The metadata of a client, every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the standards' own members")]
pub struct Metadata {
    /// What people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// Where answers may go: compared byte for byte.
    pub redirect_uris: Vec<String>,
    /// Where a logout may end: compared byte for byte.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// What it may exchange.
    pub grant_types: Vec<GrantType>,
    /// What it may ask the authorization endpoint for.
    pub response_types: Vec<String>,
    /// How it proves who it is; absent: by its secret, in HTTP Basic or in the form, as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<AuthMethod>,
    /// The only algorithm of its assertions; absent: any of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<Algorithm>,
    /// Its public keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<Value>,
    /// Where its public keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// What it may ask for, space-separated.
    pub scope: String,
    /// Whom to ask about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// Shown at login and consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Its terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Where it runs.
    pub application_type: ApplicationType,
    /// What its ID tokens are signed with.
    pub id_token_signed_response_alg: Algorithm,
    /// Ours: the claims of its scopes stand in its ID tokens too, not at userinfo alone.
    pub id_token_claims: bool,
    /// What its userinfo answers are signed with; absent: plain JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<Algorithm>,
    /// `max_age` where a request names none, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u64>,
    /// `auth_time` is always in the ID token; kept because it is echoed.
    pub require_auth_time: bool,
    /// `acr_values` where a request names none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    /// Where third parties start a sign-in at it (OpenID Connect Core §4): a handoff's target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,
    /// Where it is told of logouts, server to server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether it must be told the `sid`; it always is.
    pub backchannel_logout_session_required: bool,
    /// Where it is told of logouts in an iframe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// Whether `iss` and `sid` are added; they always are.
    pub frontchannel_logout_session_required: bool,
    /// Ours: it belongs to the operator, and needs no consent page unless it asks for one.
    pub first_party: bool,
    /// Ours: PKCE is demanded although it has credentials.
    pub require_pkce: bool,
    /// Ours: what its access tokens are.
    pub access_token_format: AccessTokenFormat,
    /// Ours: the resources it may ask tokens for (RFC 8707), and whose tokens it may introspect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Ours: it may introspect every client's access tokens, as a gateway in front of many resources must.
    pub introspect_all: bool,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            client_name: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            grant_types: vec![GrantType::AuthorizationCode],
            response_types: vec!["code".into()],
            token_endpoint_auth_method: None,
            token_endpoint_auth_signing_alg: None,
            jwks: None,
            jwks_uri: None,
            scope: "openid profile email".into(),
            contacts: Vec::new(),
            logo_uri: None,
            client_uri: None,
            policy_uri: None,
            tos_uri: None,
            application_type: ApplicationType::Web,
            id_token_signed_response_alg: Algorithm::Rs256,
            id_token_claims: false,
            userinfo_signed_response_alg: None,
            default_max_age: None,
            require_auth_time: false,
            default_acr_values: Vec::new(),
            initiate_login_uri: None,
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            frontchannel_logout_uri: None,
            frontchannel_logout_session_required: false,
            first_party: false,
            require_pkce: false,
            access_token_format: AccessTokenFormat::Opaque,
            resources: Vec::new(),
            introspect_all: false,
        }
    }
}

impl Metadata {
    /// The scopes it may ask for.
    #[must_use]
    pub fn scopes(&self) -> Scope {
        Scope::parse(&self.scope).unwrap_or_default()
    }

    /// Whether it may use a grant.
    #[must_use]
    pub fn may(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    /// Whether it proves who it is by a secret.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.token_endpoint_auth_method.is_none_or(AuthMethod::has_secret)
    }

    /// How it proves who it is, as people read it.
    #[must_use]
    pub fn proves_itself_by(&self) -> &'static str {
        self.token_endpoint_auth_method.map_or("client_secret_basic or client_secret_post", AuthMethod::as_str)
    }

    /// Whether it has no credentials.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == Some(AuthMethod::None)
    }

    /// Whether what proved it under these metadata proves it no longer under the next ones: its secret, or one of its
    /// keys. What an address gives as its keys is the client's own affair.
    #[must_use]
    pub fn loses_a_proof(&self, next: &Self) -> bool {
        if self.has_secret() {
            return !next.has_secret();
        }
        let keys = |metadata: &Self| match metadata.jwks.as_ref().and_then(|set| set.get("keys")) {
            Some(Value::Array(keys)) => keys.clone(),
            _ => Vec::new(),
        };
        let kept = keys(next);
        !self.is_public()
            && (next.token_endpoint_auth_method != self.token_endpoint_auth_method
                || next.jwks_uri != self.jwks_uri
                || keys(self).iter().any(|key| !kept.contains(key)))
    }

    /// Whether every code of its must be bound by PKCE.
    #[must_use]
    pub fn needs_pkce(&self) -> bool {
        self.is_public() || self.require_pkce
    }
}

/// A client as stored.
#[derive(Clone, Debug)]
pub struct Client {
    /// The row's id: what other tables point at.
    pub id: String,
    /// The `client_id` it is known by.
    pub client_id: String,
    /// Everything else.
    pub metadata: Metadata,
    /// Whether it may do anything.
    pub enabled: bool,
    /// What was given under an older one is dead (G9).
    pub epoch: i64,
    /// Goes up with every change.
    pub revision: i64,
    /// When it came to be (Unix ms).
    pub created_at: i64,
}

/// How a client proved who it is: what a transaction that gives it a token reads again (G28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientProof {
    /// The client's row.
    pub client: String,
    /// Its epoch as checked.
    pub epoch: i64,
    /// Its registration's revision, where that was not read for this request: all that was checked of it rests on this.
    pub known: Option<i64>,
    /// By what.
    pub by: ProvenBy,
}

/// What a client's word rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProvenBy {
    /// The row of its secret.
    Secret(String),
    /// Its registration in this revision: the keys that stand there, or that it has no credentials.
    Registration(i64),
}

impl Client {
    /// Its version, for who is asked to confirm an act.
    #[must_use]
    pub const fn version(&self) -> Version {
        Version { revision: self.revision, epoch: self.epoch }
    }

    /// Where a sign-in at it is started by somebody else, naming us (OpenID Connect Core §4).
    #[must_use]
    pub fn start_of_sign_in(&self, issuer: &str) -> Option<String> {
        let start = self.metadata.initiate_login_uri.as_ref()?;
        let joint = if start.contains('?') { '&' } else { '?' };
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("iss", issuer).finish();
        Some(format!("{start}{joint}{query}"))
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.client_name.as_deref().unwrap_or(&self.client_id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_client_loses_a_proof_with_its_secret_or_one_of_its_keys() {
        let keys = |names: &[&str]| Metadata {
            token_endpoint_auth_method: Some(AuthMethod::PrivateKeyJwt),
            jwks: Some(json!({"keys": names.iter().map(|name| json!({"kid": name})).collect::<Vec<_>>()})),
            ..Metadata::default()
        };
        let by = |method| Metadata { token_endpoint_auth_method: method, ..Metadata::default() };
        let fetched = Metadata { jwks: None, jwks_uri: Some("https://a.example/jwks".into()), ..keys(&[]) };
        for (before, after, loses) in [
            (by(None), by(Some(AuthMethod::Post)), false),
            (by(Some(AuthMethod::Basic)), by(Some(AuthMethod::None)), true),
            (by(Some(AuthMethod::Basic)), keys(&["a"]), true),
            (by(Some(AuthMethod::None)), by(None), false),
            (keys(&["a"]), keys(&["b", "a"]), false),
            (keys(&["a", "b"]), keys(&["b"]), true),
            (keys(&["a"]), by(None), true),
            (keys(&["a"]), fetched.clone(), true),
            (fetched.clone(), Metadata { client_name: Some("x".into()), ..fetched.clone() }, false),
            (fetched, keys(&["a"]), true),
        ] {
            assert_eq!(before.loses_a_proof(&after), loses, "{before:?} {after:?}");
        }
    }
}
