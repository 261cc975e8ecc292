//! What is to be set on a client, by a seed file or a command: the strict reading of metadata. A registration reads
//! leniently, as the standard says, by deserializing [`Metadata`].

use serde::Deserialize as _;
use serde::de::{Deserializer, Error as _, Visitor};
use serde_json::{Map, Value};

use crate::crypto::strict_json;
use crate::model::client::rules::{Rules, key_warnings};
use crate::model::client::{GrantType, Metadata};
use crate::model::validation_error::ValidationError;

/// Members of a client's metadata and their values: what is absent stays as it is, `null` takes a value away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft(Map<String, Value>);

impl Draft {
    /// Takes members of metadata, each of its type. `jwks` may also be a text that holds the JSON.
    ///
    /// # Errors
    /// One sentence that names the member.
    pub fn parse(mut members: Map<String, Value>) -> Result<Self, String> {
        if let Some(name) = members.keys().find(|name| key(name).is_none()) {
            return Err(format!("{name}: there is no such key: use {}", keys().join(", ")));
        }
        if let Some(Value::String(text)) = members.get("jwks") {
            let set = strict_json::parse_object(text.as_bytes()).map_err(|fault| format!("jwks: {fault}"))?;
            members.insert("jwks".into(), Value::Object(set));
        }
        let draft = Self(members);
        draft.over(&Metadata::default()).map_err(|invalid| invalid.to_string())?;
        Ok(draft)
    }

    /// Reads a JSON object of metadata.
    ///
    /// # Errors
    /// One sentence that says what it must be.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let members = strict_json::parse_object(text.as_bytes())
            .map_err(|fault| format!("the metadata must be one JSON object: {fault}"))?;
        Self::parse(members)
    }

    /// Takes members of metadata as a seed file has them. TOML knows no `null`: there an empty text takes away what
    /// need not be there.
    ///
    /// # Errors
    /// One sentence that names the member.
    pub fn from_seed(mut values: Map<String, Value>) -> Result<Self, String> {
        let always = members(&Metadata::default());
        for (name, value) in &mut values {
            if value.as_str() == Some("") && !always.contains_key(name) {
                *value = Value::Null;
            }
        }
        Self::parse(values)
    }

    /// What is taken all the same: keys of the given set that are passed over.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.0.get("jwks").map(key_warnings).unwrap_or_default()
    }

    /// Both, and where both set a member, what the other says.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The metadata of a new client. Without the code flow it needs no user's scopes unless it asks for them.
    ///
    /// # Errors
    /// The first member that is not accepted.
    pub fn new_metadata(&self, rules: Rules) -> Result<Metadata, ValidationError> {
        let (mut metadata, _) = self.over(&Metadata::default())?;
        if !metadata.may(GrantType::AuthorizationCode) && !self.0.contains_key("scope") {
            metadata.scope = String::new();
        }
        metadata.check(rules)?;
        Ok(metadata)
    }

    /// What [`Self::new_metadata`], or [`Self::change`] of `before`, would not accept: all of it, as a form shows it.
    #[must_use]
    pub fn all_errors(&self, before: Option<&Metadata>, rules: Rules) -> Vec<ValidationError> {
        match self.over(before.unwrap_or(&Metadata::default())) {
            Ok((_, keys)) if keys.is_empty() && before.is_some() => Vec::new(),
            Ok((metadata, _)) => metadata.all_errors(rules),
            Err(invalid) => vec![invalid],
        }
    }

    /// A client's metadata with these members set, and the keys whose values are new.
    ///
    /// # Errors
    /// The first member that is not accepted, of the whole.
    pub fn change(&self, metadata: &Metadata, rules: Rules) -> Result<(Metadata, Vec<&'static str>), ValidationError> {
        let (changed, keys) = self.over(metadata)?;
        if !keys.is_empty() {
            changed.check(rules)?;
        }
        Ok((changed, keys))
    }

    fn over(&self, metadata: &Metadata) -> Result<(Metadata, Vec<&'static str>), ValidationError> {
        let before = members(metadata);
        let mut after = before.clone();
        for (name, value) in &self.0 {
            if value.is_null() {
                after.remove(name);
            } else {
                after.insert(name.clone(), value.clone());
            }
        }
        let mut changed: Metadata = serde_path_to_error::deserialize(Value::Object(after)).map_err(
            |error: serde_path_to_error::Error<serde_json::Error>| {
                let path = error.path().to_string();
                let first = path.split(['.', '[']).next().and_then(key);
                ValidationError::new(first.unwrap_or("metadata"), error.into_inner().to_string())
            },
        )?;
        // RFC 7591 §2.1: who says which grants says which response types, unless told otherwise.
        if self.0.contains_key("grant_types") && !self.0.contains_key("response_types") {
            let code = changed.may(GrantType::AuthorizationCode);
            changed.response_types = if code { vec!["code".into()] } else { Vec::new() };
        }
        let now = members(&changed);
        let keys = keys().iter().copied().filter(|key| before.get(*key) != now.get(*key)).collect();
        Ok((changed, keys))
    }
}

/// Every member of metadata as [`Draft::from_seed`] reads it; what is not there is an empty text or list.
#[must_use]
pub fn seed_members(metadata: &Metadata) -> Map<String, Value> {
    const LISTS: [&str; 4] = ["contacts", "default_acr_values", "post_logout_redirect_uris", "resources"];
    let members = members(metadata);
    let member = |key: &&'static str| {
        let value = match members.get(*key) {
            Some(set) if *key == "jwks" => set.to_string().into(),
            Some(value) => value.clone(),
            None if LISTS.contains(key) => Value::Array(Vec::new()),
            None => "".into(),
        };
        ((*key).to_owned(), value)
    };
    keys().iter().map(member).collect()
}

fn members(metadata: &Metadata) -> Map<String, Value> {
    match serde_json::to_value(metadata) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The key of this name, where there is one.
fn key(name: &str) -> Option<&'static str> {
    keys().iter().copied().find(|key| *key == name)
}

/// Every key of the metadata, as [`Metadata`] itself tells a deserializer.
#[must_use]
pub fn keys() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It is asked for its fields and given nothing: the failure is the end of the question.
    let _ = Metadata::deserialize(Asking(&mut names));
    names
}

struct Asking<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Self::Error::custom("asked for its fields alone"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("asked for its fields alone"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "json!(…) reads better without &")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::client::AuthMethod;

    fn draft(members: Value) -> Draft {
        Draft::parse(members.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_seed_file_says_what_there_is_and_takes_away_what_there_is_not() {
        let jwks = json!({"keys": [{"kid": "a", "kty": "EC", "crv": "P-256",
            "x": "QlZDrGpOH98XOLEUquJsBwwJTenqECunjDu3eiRqSVU", "y": "I9eXDYJ2LsxDePSy9IewZ9UbptxSRTHbtA2lcGIfKL0"}]});
        let mut full = portal();
        full.jwks = Some(jwks);
        full.contacts = vec!["a@example.org".into()];
        full.default_max_age = Some(0);
        for metadata in [portal(), full.clone()] {
            let written = seed_members(&metadata);
            assert_eq!(written.len(), keys().len());
            let draft = Draft::from_seed(written).unwrap();
            assert_eq!(draft.change(&full, Rules::default()).unwrap().0, metadata);
            assert_eq!(draft.new_metadata(Rules::default()).unwrap(), metadata);
        }
        let program = json!({"grant_types": ["client_credentials"], "scope": ""});
        let program = Draft::from_seed(program.as_object().unwrap().clone()).unwrap();
        assert_eq!(program.new_metadata(Rules::default()).unwrap().scope, "");
    }

    fn portal() -> Metadata {
        let draft = draft(json!({"client_name": "Portal", "redirect_uris": ["https://portal.example.org/cb"]}));
        draft.new_metadata(Rules::default()).unwrap()
    }

    #[test]
    fn every_key_is_known_and_no_other() {
        assert!(keys().len() > 25 && keys().contains(&"client_name") && keys().contains(&"resources"));
        let why = Draft::from_json(r#"{"client_nmae": "x"}"#).unwrap_err();
        assert!(why.starts_with("client_nmae: there is no such key: use client_name, redirect_uris"), "{why}");
        assert!(Draft::from_json(r#"{"client_name": "x", "client_name": "y"}"#).unwrap_err().contains("repeated"));
        assert!(Draft::from_json(r#"{"client_id": "x"}"#).is_err());
        let why = Draft::from_json(r#"{"redirect_uris": ["https://a.example/", 5]}"#).unwrap_err();
        assert!(why.starts_with("redirect_uris: invalid type"), "{why}");
    }

    #[test]
    fn what_is_absent_stays_and_null_takes_away() {
        let before = portal();
        let (same, keys) = Draft::default().change(&before, Rules::default()).unwrap();
        assert_eq!((same, keys.len()), (before.clone(), 0));
        let set = draft(
            json!({"client_name": null, "tos_uri": "https://portal.example.org/terms", "scope": "openid profile email"}),
        );
        let (after, keys) = set.change(&before, Rules::default()).unwrap();
        assert_eq!(keys, ["client_name", "tos_uri"]);
        assert_eq!((after.client_name, after.redirect_uris), (None, before.redirect_uris.clone()));
        let invalid = draft(json!({"token_endpoint_auth_method": "private_key_jwt"})).change(&before, Rules::default());
        assert_eq!(invalid.unwrap_err().key, "jwks");
        let pinned = draft(json!({"token_endpoint_auth_method": "client_secret_basic"}));
        let (pinned, keys) = pinned.change(&before, Rules::default()).unwrap();
        assert_eq!((pinned.token_endpoint_auth_method, keys.len()), (Some(AuthMethod::Basic), 1));
        let (free, _) = draft(json!({"token_endpoint_auth_method": null})).change(&pinned, Rules::default()).unwrap();
        assert_eq!(free.token_endpoint_auth_method, None);
    }

    #[test]
    fn the_response_types_follow_the_grants() {
        let service = draft(json!({"grant_types": ["client_credentials"]})).new_metadata(Rules::default()).unwrap();
        assert_eq!((service.response_types.len(), service.scope.as_str()), (0, ""));
        assert_eq!(service.token_endpoint_auth_method, None);
        let both = draft(json!({"grant_types": ["client_credentials", "authorization_code"]}));
        assert_eq!(both.change(&portal(), Rules::default()).unwrap().1, ["grant_types"]);
        let odd = draft(json!({"grant_types": ["client_credentials"], "response_types": ["code"]}));
        assert_eq!(odd.new_metadata(Rules::default()).unwrap_err().key, "response_types");
    }

    #[test]
    fn keys_may_be_a_text_that_holds_them() {
        let text = draft(json!({"jwks": "{\"keys\":[]}"}));
        assert_eq!(text, draft(json!({"jwks": {"keys": []}})));
        assert!(Draft::from_json(r#"{"jwks": "{"}"#).unwrap_err().starts_with("jwks: it is not a JSON object"));
    }
}
