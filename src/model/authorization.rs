//! An authorization request that was checked and found good (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1): what a
//! person, a code and the tokens are made from. It has no redirect URI, scope or challenge that its client may not use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scope::{self, Scope};
use super::words;

/// How the answer travels back (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseMode {
    /// In the query.
    Query,
    /// Behind the `#`.
    Fragment,
    /// As a form that the browser sends.
    FormPost,
}
words!(ResponseMode { Query = "query", Fragment = "fragment", FormPost = "form_post" });

/// What `prompt` asks for (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the standard's four independent words")]
pub struct Prompt {
    /// No page at all.
    pub none: bool,
    /// Credentials again.
    pub login: bool,
    /// The consent page, whatever was allowed before.
    pub consent: bool,
    /// A choice of account: credentials again, since a browser holds one session.
    pub select_account: bool,
}

impl Prompt {
    /// Whether the person must give credentials after the request was made.
    #[must_use]
    pub const fn asks_for_sign_in(self) -> bool {
        self.login || self.select_account
    }
}

/// One claim as `claims` asks for it (OpenID Connect Core §5.5.1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// The client needs it.
    #[serde(default)]
    pub essential: bool,
    /// The values that would do; empty: any.
    #[serde(default)]
    pub values: Vec<Value>,
}

/// The `claims` parameter (OpenID Connect Core §5.5): by name, for either place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    /// For the userinfo endpoint.
    #[serde(default)]
    pub userinfo: BTreeMap<String, Wish>,
    /// For the ID token.
    #[serde(default)]
    pub id_token: BTreeMap<String, Wish>,
}

impl ClaimsRequest {
    /// Reads the parameter. Unknown members are ignored.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let members = crate::crypto::strict_json::parse_object(text.as_bytes()).map_err(|_| "is not a JSON object")?;
        let place = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(BTreeMap::new()),
            Some(Value::Object(claims)) => {
                claims.iter().map(|(name, wish)| Ok((name.clone(), Self::wish(wish)?))).collect()
            }
            Some(_) => Err("has a userinfo or id_token member that is not an object"),
        };
        Ok(Self { userinfo: place("userinfo")?, id_token: place("id_token")? })
    }

    fn wish(value: &Value) -> Result<Wish, &'static str> {
        match value {
            Value::Null => Ok(Wish::default()),
            Value::Object(members) => {
                let essential = members.get("essential").and_then(Value::as_bool).unwrap_or(false);
                let mut values: Vec<Value> =
                    members.get("values").and_then(Value::as_array).cloned().unwrap_or_default();
                values.extend(members.get("value").cloned());
                Ok(Wish { essential, values })
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err("asks for a claim by something that is neither null nor an object")
            }
        }
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// The scopes whose claims it asks for.
    #[must_use]
    pub fn scopes(&self) -> Scope {
        let asked = |name: &&str| self.userinfo.contains_key(*name) || self.id_token.contains_key(*name);
        let names: Vec<&str> = scope::USER_SCOPES
            .iter()
            .filter(|(name, _, claims)| *name != scope::OPENID && claims.iter().any(&asked))
            .map(|(name, ..)| *name)
            .collect();
        Scope::parse(&names.join(" ")).unwrap_or_default()
    }

    /// The one user whom the client wants, where it names one.
    #[must_use]
    pub fn wanted_sub(&self) -> Option<String> {
        self.id_token.get("sub")?.values.first()?.as_str().map(str::to_owned)
    }

    /// The `acr` values that the client cannot do without.
    #[must_use]
    pub fn essential_acr(&self) -> Vec<&str> {
        let wish = self.id_token.get("acr").filter(|wish| wish.essential);
        wish.map(|wish| wish.values.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }
}

/// The request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Whose it is.
    pub client_id: String,
    /// Where the answer goes: one of the client's own.
    pub redirect_uri: String,
    /// How it goes there.
    pub response_mode: ResponseMode,
    /// Given back as it came.
    pub state: Option<String>,
    /// What the client may have of what it asked for; space-separated.
    pub scope: String,
    /// Echoed in the ID token.
    pub nonce: Option<String>,
    /// S256 (RFC 7636 §4.3).
    pub code_challenge: Option<String>,
    /// What `prompt` asks for.
    pub prompt: Prompt,
    /// How old the sign-in may be, in seconds.
    pub max_age: Option<u64>,
    /// Fills in the login page.
    pub login_hint: Option<String>,
    /// The user that `id_token_hint` names.
    pub hinted_sub: Option<String>,
    /// What `acr_values` asks for.
    pub acr_values: Vec<String>,
    /// Claims one by one.
    pub claims: ClaimsRequest,
    /// Whom the access token is for (RFC 8707).
    pub resources: Vec<String>,
}

impl AuthorizationRequest {
    /// What it asks for.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::parse(&self.scope).unwrap_or_default()
    }

    /// What a person is asked to allow: the scopes, and those whose claims are asked for one by one.
    #[must_use]
    pub fn asks_for(&self) -> Scope {
        self.scope().with(&self.claims.scopes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_as_the_standard_writes_them() {
        let text = r#"{"userinfo":{"given_name":{"essential":true},"nickname":null,"x":{"value":1}},
            "id_token":{"acr":{"essential":true,"values":["a","b"]},"auth_time":{"essential":true}},"other":{}}"#;
        let claims = ClaimsRequest::parse(text).unwrap();
        assert!(claims.userinfo["given_name"].essential && !claims.userinfo["nickname"].essential);
        assert_eq!(claims.essential_acr(), ["a", "b"]);
        assert_eq!(claims.scopes().to_string(), "profile");
        for bad in ["", "[]", "{\"userinfo\":1}", "{\"userinfo\":{\"name\":true}}", "{\"id_token\":{},\"id_token\":{}}"]
        {
            assert!(ClaimsRequest::parse(bad).is_err(), "{bad}");
        }
    }
}
