//! The discovery documents (OpenID Connect Discovery §3, RFC 8414 §2). What stands here works.

use serde_json::{Value, json};

use super::claims;
use crate::crypto::jws::Algorithm;
use crate::model::authorization::ResponseMode;
use crate::model::client::{AuthMethod, GrantType};
use crate::model::scope::{CLIENT_SCOPES, USER_SCOPES};
use crate::model::session::{ACR_HANDOFF, ACR_PASSWORD};

/// The provider metadata of an issuer, whose address has no slash at its end: one document for both specifications.
#[must_use]
pub fn document(issuer: &str) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let algorithms = Algorithm::ALL.map(Algorithm::name);
    let auth_methods: Vec<_> = AuthMethod::ALL.iter().map(|method| method.as_str()).collect();
    let proving: Vec<_> = AuthMethod::ALL.iter().filter(|m| **m != AuthMethod::None).map(|m| m.as_str()).collect();
    let scopes: Vec<_> =
        USER_SCOPES.iter().map(|(name, ..)| *name).chain(CLIENT_SCOPES.iter().map(|(name, _)| *name)).collect();
    let protocol = ["iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"];
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth2/authorize"),
        "token_endpoint": at("/oauth2/token"),
        "userinfo_endpoint": at("/oauth2/userinfo"),
        "jwks_uri": at("/oauth2/jwks"),
        "introspection_endpoint": at("/oauth2/introspect"),
        "revocation_endpoint": at("/oauth2/revoke"),
        "end_session_endpoint": at("/oauth2/end_session"),
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::ALL.iter().map(|mode| mode.as_str()).collect::<Vec<_>>(),
        "grant_types_supported": GrantType::ALL.iter().map(|grant| grant.as_str()).collect::<Vec<_>>(),
        "subject_types_supported": ["public"],
        "scopes_supported": scopes,
        "claims_supported": claims::all_names().chain(protocol).collect::<Vec<_>>(),
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": true,
        "acr_values_supported": [ACR_PASSWORD, ACR_HANDOFF],
        "id_token_signing_alg_values_supported": algorithms,
        "userinfo_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": auth_methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": proving,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "ui_locales_supported": ["en-US"],
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
    })
}
