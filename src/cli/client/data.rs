//! What can be set on a client by flags and by a file of metadata.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::cli::command::read_file;
use crate::model::client::draft::Draft;

/// What can be set on a client. A list replaces the one before; "" takes a value away.
#[derive(Debug, clap::Args)]
pub struct Data {
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    /// Where answers may go, exactly; may be repeated.
    #[arg(long = "redirect-uri", value_name = "ADDRESS")]
    redirect_uris: Vec<String>,
    /// Where a logout may end, exactly; may be repeated.
    #[arg(long = "post-logout-redirect-uri", value_name = "ADDRESS")]
    post_logout_redirect_uris: Vec<String>,
    /// `authorization_code` (the default), `refresh_token` or `client_credentials`; may be repeated. An empty one: none at
    /// all, for an API that only introspects its resources' tokens.
    #[arg(long = "grant-type", value_name = "GRANT")]
    grant_types: Vec<String>,
    /// What it may ask for, in quotes with spaces between [default at creation: "openid profile email"].
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`, and no other way than that [default:
    /// its secret by basic or post, as it likes].
    #[arg(long, value_name = "METHOD")]
    auth_method: Option<String>,
    /// A file with its public keys as a JWK Set.
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks_file: Option<PathBuf>,
    /// Where its public keys are published.
    #[arg(long, value_name = "ADDRESS")]
    jwks_uri: Option<String>,
    /// `web` (the default) or `native`.
    #[arg(long, value_name = "TYPE")]
    application_type: Option<String>,
    /// First-party app (skip consent).
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    first_party: Option<bool>,
    /// Require PKCE although it has credentials.
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    require_pkce: Option<bool>,
    /// Include the claims of its scopes in its ID tokens too, for programs that read nothing else.
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    id_token_claims: Option<bool>,
    /// The format of its access tokens: `opaque` (the default) or `jwt`.
    #[arg(long, value_name = "FORMAT")]
    access_token_format: Option<String>,
    /// A resource that it may ask tokens for, and introspect tokens for; may be repeated.
    #[arg(long = "resource", value_name = "ADDRESS")]
    resources: Vec<String>,
    /// It may introspect every client's access tokens, as a gateway in front of many resources must.
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    introspect_all: Option<bool>,
    /// Where it is told of logouts, server to server.
    #[arg(long, value_name = "ADDRESS")]
    backchannel_logout_uri: Option<String>,
    /// Where it is told of logouts in the browser.
    #[arg(long, value_name = "ADDRESS")]
    frontchannel_logout_uri: Option<String>,
    /// Where a handoff to this app starts.
    #[arg(long, value_name = "ADDRESS")]
    initiate_login_uri: Option<String>,
    /// The logo shown at sign-in and consent.
    #[arg(long, value_name = "ADDRESS")]
    logo_uri: Option<String>,
    /// Its home page.
    #[arg(long, value_name = "ADDRESS")]
    client_uri: Option<String>,
    /// Its privacy policy.
    #[arg(long, value_name = "ADDRESS")]
    policy_uri: Option<String>,
    /// Its terms of service.
    #[arg(long, value_name = "ADDRESS")]
    tos_uri: Option<String>,
    /// A JSON file with any metadata of RFC 7591; flags win over it.
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

impl Data {
    /// What the file and the flags say.
    pub(super) fn draft(&self) -> anyhow::Result<Draft> {
        let file = match &self.metadata_file {
            Some(path) => Draft::from_json(&read_file(path)?)
                .map_err(anyhow::Error::msg)
                .with_context(|| path.display().to_string())?,
            None => Draft::default(),
        };
        Ok(file.with(Draft::parse(self.flags()?).map_err(anyhow::Error::msg)?))
    }

    fn flags(&self) -> anyhow::Result<Map<String, Value>> {
        let jwks = self.jwks_file.as_deref().map(read_file).transpose()?;
        // One or the other: whoever gives keys one way takes the other away.
        let jwks_uri = self.jwks_uri.clone().or_else(|| jwks.as_ref().map(|_| String::new()));
        let jwks = jwks.or_else(|| self.jwks_uri.as_ref().map(|_| String::new()));
        let mut members = Map::new();
        for (key, text) in [
            ("client_name", &self.name),
            ("scope", &self.scope),
            ("token_endpoint_auth_method", &self.auth_method),
            ("jwks", &jwks),
            ("jwks_uri", &jwks_uri),
            ("application_type", &self.application_type),
            ("access_token_format", &self.access_token_format),
            ("backchannel_logout_uri", &self.backchannel_logout_uri),
            ("frontchannel_logout_uri", &self.frontchannel_logout_uri),
            ("initiate_login_uri", &self.initiate_login_uri),
            ("logo_uri", &self.logo_uri),
            ("client_uri", &self.client_uri),
            ("policy_uri", &self.policy_uri),
            ("tos_uri", &self.tos_uri),
        ] {
            if let Some(text) = text {
                let value = if text.is_empty() { Value::Null } else { text.as_str().into() };
                members.insert(key.into(), value);
            }
        }
        for (key, list) in [
            ("redirect_uris", &self.redirect_uris),
            ("post_logout_redirect_uris", &self.post_logout_redirect_uris),
            ("grant_types", &self.grant_types),
            ("resources", &self.resources),
        ] {
            if !list.is_empty() {
                let given: Vec<&String> = list.iter().filter(|text| !text.is_empty()).collect();
                members.insert(key.into(), serde_json::to_value(given)?);
            }
        }
        for (key, flag) in [
            ("first_party", self.first_party),
            ("require_pkce", self.require_pkce),
            ("id_token_claims", self.id_token_claims),
            ("introspect_all", self.introspect_all),
        ] {
            if let Some(flag) = flag {
                members.insert(key.into(), flag.into());
            }
        }
        Ok(members)
    }
}
