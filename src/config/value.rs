//! A value as it was given, with its origin, read by the type of its key: a variable is a text that becomes a number, a
//! boolean or a list where the key is one. Every error says whose value it is.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::value::SeqDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Table;
use toml::de::DeValue;

use super::keys::{Source, under};
use super::reference;

/// A section, a list or one value.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Section(BTreeMap<String, Self>),
    List(Vec<Self>, Source),
    Value(Given, Source),
}

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// With a type of its own, as a file says.
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String(String),
    /// A text whose type is its key's.
    Text(String),
}

impl Node {
    /// What a configuration file says; `source` makes a line's.
    pub(super) fn from_toml(value: &DeValue<'_>, at: usize, source: &impl Fn(usize) -> Source) -> Self {
        let one = |given| Self::Value(given, source(at));
        match value {
            DeValue::Boolean(is) => one(Given::Boolean(*is)),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => one(Given::Integer(number)),
                Err(_) => one(Given::String(number.to_string())),
            },
            DeValue::Float(number) => one(Given::Float(number.as_str().parse().unwrap_or(f64::NAN))),
            DeValue::String(text) => one(Given::String(text.to_string())),
            DeValue::Datetime(moment) => one(Given::String(moment.to_string())),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| Self::from_toml(item.as_ref(), item.span().start, source));
                Self::List(items.collect(), source(at))
            }
            DeValue::Table(entries) => {
                let entry = |(name, value): (&toml::Spanned<_>, &toml::Spanned<_>)| {
                    let name: &std::borrow::Cow<'_, str> = name.as_ref();
                    (name.to_string(), Self::from_toml(value.as_ref(), value.span().start, source))
                };
                Self::Section(entries.iter().map(entry).collect())
            }
        }
    }

    /// Where it, or the first that it holds, came from.
    pub(super) fn source(&self) -> Option<&Source> {
        match self {
            Self::Section(entries) => entries.values().find_map(Self::source),
            Self::List(_, source) | Self::Value(_, source) => Some(source),
        }
    }

    /// The node at a dotted key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        key.split('.').try_fold(self, |node, name| match node {
            Self::Section(entries) => entries.get(name),
            Self::List(..) | Self::Value(..) => None,
        })
    }

    /// Takes the node at a dotted key away.
    pub(super) fn remove(&mut self, key: &str) -> Option<Self> {
        let Self::Section(entries) = self else { return None };
        match key.split_once('.') {
            None => entries.remove(key),
            Some((section, rest)) => entries.get_mut(section)?.remove(rest),
        }
    }

    /// Puts a node at a dotted key; `false` where something that is no section is in the way.
    pub(super) fn set(&mut self, key: &str, node: Self) -> bool {
        let Self::Section(entries) = self else { return false };
        match key.split_once('.') {
            None => {
                entries.insert(key.to_owned(), node);
                true
            }
            Some((section, rest)) => {
                let section = entries.entry(section.to_owned()).or_insert_with(|| Self::Section(BTreeMap::new()));
                section.set(rest, node)
            }
        }
    }

    /// Each value with its dotted key.
    pub(super) fn each(&self, prefix: &str, see: &mut impl FnMut(&str, &Self)) {
        match self {
            Self::Section(entries) => {
                for (name, node) in entries {
                    node.each(&under(prefix, name), see);
                }
            }
            Self::List(..) | Self::Value(..) => see(prefix, self),
        }
    }
}

/// What is wrong with a value.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(super) struct Invalid {
    /// The key, once it is known.
    pub(super) key: Option<String>,
    pub(super) origin: Option<Source>,
    /// What follows the key in a sentence.
    pub(super) words: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary,
    /// A key of this name is not there.
    Missing(&'static str),
}

impl Invalid {
    fn new(words: impl Display) -> Self {
        Self { key: None, origin: None, words: words.to_string(), kind: Kind::Ordinary }
    }

    /// The innermost key that is at fault is named.
    fn at(mut self, key: &str, source: Option<&Source>) -> Self {
        if self.key.is_none() {
            self.key = Some(match self.kind {
                Kind::Missing(name) => under(key, name),
                Kind::Ordinary => key.to_owned(),
            });
            self.origin = match (&self.kind, source) {
                // Another variable of its section is there, and is not at fault.
                (Kind::Missing(_), Some(Source::Variable(_))) => {
                    self.key.as_deref().map(reference::variable).map(Source::Variable)
                }
                _ => source.cloned(),
            };
        }
        self
    }
}

impl serde::de::Error for Invalid {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(format_args!("is not valid: {}", message.to_string().replace('\n', " ")))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("it is {unexpected}, where {} is expected", in_words(expected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("it is {unexpected}, where {} is expected", in_words(expected)))
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::new("is no setting")
    }

    fn missing_field(field: &'static str) -> Self {
        Self { kind: Kind::Missing(field), ..Self::new("is missing") }
    }
}

/// What was expected, without the names that Rust has for it.
fn in_words(expected: &dyn Expected) -> String {
    let name = expected.to_string();
    let is_number = name.strip_prefix(['u', 'i']).is_some_and(|bits| bits.parse::<u8>().is_ok());
    if is_number { "a whole number, without quotes,".to_owned() } else { name }
}

/// A node and its dotted key, from which serde reads.
pub(super) struct At<'a> {
    pub(super) key: String,
    pub(super) node: &'a Node,
}

impl<'a> At<'a> {
    fn text(&self) -> Option<&'a str> {
        match self.node {
            Node::Value(Given::Text(text), _) => Some(text),
            Node::Section(_) | Node::List(..) | Node::Value(..) => None,
        }
    }

    /// A number out of a text.
    fn number<T: FromStr>(text: &str) -> Result<T, Invalid> {
        text.trim().parse().map_err(|_| Invalid::custom(format_args!("{text:?} is not a whole number that it can be")))
    }
}

fn boolean(text: &str) -> Result<bool, Invalid> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Invalid::custom(format_args!("{text:?} is neither true nor false"))),
    }
}

/// A list as TOML or JSON writes it, or its items with commas between them.
fn items(text: &str) -> Result<Vec<String>, Invalid> {
    let text = text.trim();
    if !text.starts_with('[') {
        return Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect());
    }
    let by_toml = || {
        let mut table = format!("v = {text}").parse::<Table>().ok()?;
        table.remove("v")?.try_into().ok()
    };
    let read: Option<Vec<String>> = by_toml().or_else(|| serde_json::from_str(text).ok());
    read.ok_or_else(|| Invalid::custom(format_args!("{text:?} is not a list of texts")))
}

macro_rules! numbers {
    ($($method:ident $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
            match self.text() {
                Some(text) => visitor.$visit(Self::number(text)?),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Invalid;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self.node {
            Node::Section(entries) => visitor.visit_map(Entries { key: self.key, left: entries.iter(), next: None }),
            Node::List(items, _) => visitor.visit_seq(Items { key: self.key, items: items.iter() }),
            Node::Value(Given::Boolean(is), _) => visitor.visit_bool(*is),
            Node::Value(Given::Integer(number), _) => visitor.visit_i64(*number),
            Node::Value(Given::Float(number), _) => visitor.visit_f64(*number),
            Node::Value(Given::String(text) | Given::Text(text), _) => visitor.visit_str(text),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self.text() {
            Some(text) => visitor.visit_bool(boolean(text)?),
            None => self.deserialize_any(visitor),
        }
    }

    numbers! {
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64,
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_f32 visit_f32, deserialize_f64 visit_f64,
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self.text() {
            Some(text) => visitor.visit_seq(SeqDeserializer::new(items(text)?.into_iter())),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        match self.node {
            Node::Value(Given::String(text) | Given::Text(text), _) => {
                visitor.visit_enum(text.as_str().into_deserializer())
            }
            Node::Section(_) | Node::List(..) | Node::Value(..) => {
                Err(Invalid::custom(format_args!("it must be one of {}", names.join(", "))))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        match self.node {
            Node::Section(_) => self.deserialize_any(visitor),
            Node::List(..) | Node::Value(..) => Err(Invalid::new("is a section: name one of its keys")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

struct Entries<'a> {
    key: String,
    left: std::collections::btree_map::Iter<'a, String, Node>,
    next: Option<(String, &'a Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Invalid;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Invalid> {
        let Some((name, node)) = self.left.next() else { return Ok(None) };
        let key = under(&self.key, name);
        let read = seed.deserialize(name.as_str().into_deserializer());
        let read = read.map_err(|error: Invalid| error.at(&key, node.source()))?;
        self.next = Some((key, node));
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Invalid> {
        let Some((key, node)) = self.next.take() else { return Err(Invalid::new("has a value before its key")) };
        seed.deserialize(At { key: key.clone(), node }).map_err(|error| error.at(&key, node.source()))
    }
}

struct Items<'a> {
    key: String,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Invalid;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Invalid> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let at = At { key: self.key.clone(), node };
        seed.deserialize(at).map(Some).map_err(|error| error.at(&self.key, node.source()))
    }
}
