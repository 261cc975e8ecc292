//! The tables of a seed file, as they are read.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Table;
use toml::value::Datetime;

/// `[[provider]]` as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvider {
    pub(super) code: String,
    pub(super) name: Option<String>,
    pub(super) active: Option<bool>,
    pub(super) unified_login: Option<String>,
    pub(super) time_zone: Option<String>,
    pub(super) contact: Option<String>,
    pub(super) idle_minutes: Option<u32>,
    pub(super) absolute_hours: Option<u32>,
    pub(super) reset_by_mail: Option<bool>,
}

/// `[[user]]` as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUser {
    pub(super) provider: String,
    pub(super) login_name: String,
    pub(super) external_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) user_type: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_hash: Option<String>,
    pub(super) temporary: Option<bool>,
    pub(super) temporary_until: Option<Datetime>,
    pub(super) active: Option<bool>,
    #[serde(default)]
    pub(super) locked: Locked,
    pub(super) handoff_sub: Option<String>,
    pub(super) handoff_issuer: Option<String>,
    #[serde(default)]
    pub(super) handoff_subs: BTreeMap<String, String>,
    pub(super) claims: Option<Table>,
}

/// `[[trusted_issuer]]` as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIssuer {
    pub(super) issuer: String,
    pub(super) display_name: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) origins: Option<Vec<String>>,
    pub(super) jwks: Option<String>,
    pub(super) jwks_uri: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) acr: Option<BTreeMap<String, String>>,
}

/// `[[client]]` as it is read.
#[derive(Deserialize)]
pub(super) struct RawClient {
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
    pub(super) enabled: Option<bool>,
    #[serde(flatten)]
    pub(super) metadata: serde_json::Map<String, serde_json::Value>,
}

/// `locked`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Locked {
    #[default]
    No,
    Password,
    Admin,
    Both,
}
