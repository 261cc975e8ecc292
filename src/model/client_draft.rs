//! What is to be set on a client, by a seed file or a command: the strict reading of metadata. A registration reads
//! leniently, as the standard says, by deserializing [`Metadata`].

use serde::Deserialize as _;
use serde::de::{Deserializer, Error as _, Visitor};
use serde_json::{Map, Value};

use super::client::{GrantType, Metadata};
use super::client_rules::Rules;
use super::unfit::Unfit;
use crate::crypto::strict_json;

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
        draft.over(&Metadata::default()).map_err(|unfit| unfit.to_string())?;
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
    pub fn new_metadata(&self, rules: Rules) -> Result<Metadata, Unfit> {
        let (mut metadata, _) = self.over(&Metadata::default())?;
        if !metadata.may(GrantType::AuthorizationCode) && !self.0.contains_key("scope") {
            metadata.scope = String::new();
        }
        metadata.check(rules)?;
        Ok(metadata)
    }

    /// A client's metadata with these members set, and the keys whose values are new.
    ///
    /// # Errors
    /// The first member that is not accepted, of the whole.
    pub fn change(&self, metadata: &Metadata, rules: Rules) -> Result<(Metadata, Vec<&'static str>), Unfit> {
        let (changed, keys) = self.over(metadata)?;
        if !keys.is_empty() {
            changed.check(rules)?;
        }
        Ok((changed, keys))
    }

    fn over(&self, metadata: &Metadata) -> Result<(Metadata, Vec<&'static str>), Unfit> {
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
                Unfit::new(first.unwrap_or("metadata"), error.into_inner().to_string())
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
