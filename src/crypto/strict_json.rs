//! JSON objects from strangers: repeated member names and deep nesting are refused at every level (G11).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How many objects and arrays may stand inside one another.
pub const MAX_DEPTH: usize = 8;

/// Why a text is not an object that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not JSON, or not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A member name stands twice in one object.
    #[error("a member name is repeated")]
    DuplicateMember,
    /// More levels than are read, [`MAX_DEPTH`] unless told otherwise.
    #[error("it is nested too deep")]
    TooDeep,
}

/// Reads one JSON object and nothing after it.
///
/// # Errors
/// The [`Fault`] that was met first.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    parse_object_within(bytes, MAX_DEPTH)
}

/// The same, with another bound of its depth.
///
/// # Errors
/// The [`Fault`] that was met first.
pub fn parse_object_within(bytes: &[u8], most: usize) -> Result<Map<String, Value>, Fault> {
    let fault = Cell::new(Fault::NotAnObject);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0, most, fault: &fault }.deserialize(&mut deserializer).map_err(|_| fault.get())?;
    deserializer.end().map_err(|_| Fault::NotAnObject)?;
    match value {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(Fault::NotAnObject),
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    most: usize,
    fault: &'a Cell<Fault>,
}

impl Strict<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == self.most {
            self.fault.set(Fault::TooDeep);
            return Err(E::custom(Fault::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                self.fault.set(Fault::DuplicateMember);
                return Err(A::Error::custom(Fault::DuplicateMember));
            }
            let value = members.next_value_seed(inside)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_members_are_refused_wherever_they_stand() {
        assert_eq!(parse_object(br#"{"a":1,"a":1}"#), Err(Fault::DuplicateMember));
        assert_eq!(parse_object(br#"{"b":[{"a":1,"\u0061":2}]}"#), Err(Fault::DuplicateMember));
        assert!(parse_object(br#"{"a":{"a":1}}"#).is_ok());
    }

    #[test]
    fn only_one_whole_shallow_object_is_read() {
        for text in ["", "1", "[]", "{} {}", "{\"a\":1e999}", "{\"a\":\"\u{1}\"}"] {
            assert_eq!(parse_object(text.as_bytes()), Err(Fault::NotAnObject), "{text}");
        }
        let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_object(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert_eq!(parse_object(nested(MAX_DEPTH).as_bytes()), Err(Fault::TooDeep));
    }
}
