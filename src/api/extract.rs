//! What is read of a request: parts of the path, the query, the body. Each once, into types that refuse what they do
//! not know (G16).

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::caller::param;
use super::problem::{Kind, Problem};
use crate::app::App;
use crate::crypto::strict_json;
use crate::model::client::rules::check_client_id;
use crate::model::header_text;
use crate::model::validation_error::ValidationError;
use crate::web::ids::checked;

/// Makes an extractor for a part of the path that must pass a test; what does not is as unknown as any other.
macro_rules! path_parts {
    ($($(#[$meta:meta])* $type:ident = $name:literal if $test:expr),* $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $type(pub String);

        impl FromRequestParts<App> for $type {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
                let text = param(parts, app, $name).await?;
                if $test(&text) { Ok(Self(text)) } else { Err(Problem::not_found()) }
            }
        }
    )*};
}
path_parts! {
    /// `{user_id}`
    UserId = "user_id" if is_id,
    /// `{session_id}`
    SessionId = "session_id" if is_id,
    /// `{issuer_id}`
    IssuerId = "issuer_id" if is_id,
    /// `{client_id}`
    ClientId = "client_id" if is_client_id,
    /// `{kid}`
    Kid = "kid" if is_storable,
}

fn is_id(text: &str) -> bool {
    checked(text).is_some()
}

fn is_client_id(text: &str) -> bool {
    check_client_id(text).is_ok()
}

/// What cannot be stored is no name.
pub(super) fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// The query: no parameter twice, none that is not known.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let read = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        read.map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Problem::new(Kind::Malformed, sentence(&error.body_text())))
    }
}

/// The body: one JSON object, no member twice, none that is not known.
#[derive(Debug)]
pub struct Body<T> {
    /// As it was read.
    pub read: T,
    /// Its bytes, by which a repeat is known.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        const TYPES: [&str; 2] = ["application/json", "application/merge-patch+json"];
        let bytes = of_type(request, app, &TYPES).await?;
        let mut members = strict_json::parse_object(&bytes)
            .map_err(|fault| Problem::new(Kind::Malformed, format!("The body must be one JSON object: {fault}.")))?;
        members.values_mut().for_each(make_whole);
        let read = serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
            let path = error.path().to_string();
            let why = error.into_inner().to_string();
            if path == "." {
                return Problem::invalid(named_in(&why).unwrap_or("body"), &sentence(&why));
            }
            Problem::invalid(&path, &sentence(&format!("{path}: {why}")))
        })?;
        Ok(Self { read, bytes })
    }
}

/// A whole number is one however it is written: JSON Schema knows no difference between 10 and 10.0.
fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Beyond this not every whole number can be told from its neighbours.
            const SURE: f64 = 9_007_199_254_740_991.0;
            let whole = number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() <= SURE);
            if let Some(whole) = whole.and_then(|n| format!("{n:.0}").parse::<i64>().ok()) {
                *value = Value::from(whole);
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(make_whole),
        Value::Object(members) => members.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The member that a library's words about a whole body name, as one that is missing.
fn named_in(words: &str) -> Option<&str> {
    let begins = ["missing field", "unknown field", "duplicate field"].iter().any(|begin| words.starts_with(begin));
    words.split('`').nth(1).filter(|_| begins)
}

/// The body of a request whose Content-Type is one of these.
pub async fn of_type(request: Request, app: &App, types: &[&str]) -> Result<Bytes, Problem> {
    if !types.iter().any(|one| header_text::is_of_type(request.headers(), one)) {
        let detail = format!("Send a body of Content-Type {}.", types.join(" or "));
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    Bytes::from_request(request, app).await.map_err(|rejection| {
        let kind = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { Kind::TooLarge } else { Kind::Malformed };
        Problem::new(kind, kind.title())
    })
}

/// A library's words as a sentence.
fn sentence(words: &str) -> String {
    let words: String = words.chars().filter(|c| !c.is_control()).take(300).collect();
    if words.ends_with('.') { words } else { format!("{words}.") }
}

/// What is to become of a value that may be taken away (RFC 7396).
#[derive(Debug, Default)]
pub enum Change<T> {
    /// Absent: it stays as it is.
    #[default]
    Keep,
    /// `null`: it is taken away.
    Clear,
    /// This is its value from now on.
    Set(T),
}

impl<T: Default> Change<T> {
    /// The same for a draft, to which an empty value takes it away.
    pub fn for_draft(self) -> Option<T> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(T::default()),
            Self::Set(value) => Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Clear, Self::Set))
    }
}

/// Gathers what is wrong with each member, so that all of it is said at once.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<ValidationError>);

impl FieldErrors {
    /// The value, or nothing and one more fault.
    pub fn check<T>(&mut self, checked: Result<T, ValidationError>) -> Option<T> {
        checked.map_err(|invalid| self.0.push(invalid)).ok()
    }

    /// Goes on only when nothing is wrong.
    ///
    /// # Errors
    /// 422 with all that is.
    pub fn none(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::from(self.0)) }
    }
}

/// The rows of a list, unless told otherwise.
const USUAL: u32 = 50;
/// The most rows of a page.
const MOST: u32 = 200;

/// Where in a list, and how much of it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct Paging {
    /// At most this number of rows.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl Paging {
    /// How many rows to ask the store for: one more than are shown tells whether there is a next page.
    ///
    /// # Errors
    /// 422 when the number is out of bounds.
    pub fn rows(limit: Option<u32>) -> Result<usize, Problem> {
        match limit.unwrap_or(USUAL) {
            limit @ 1..=MOST => Ok(limit as usize),
            _ => Err(ValidationError::new("limit", format!("must be 1 to {MOST}")).into()),
        }
    }

    /// A place in a list that has no other parameters.
    ///
    /// # Errors
    /// 422 when the number is out of bounds.
    pub fn plain(self) -> Result<(usize, String), Problem> {
        Ok((Self::rows(self.limit)?, storable(self.cursor)))
    }
}

/// A `cursor` that is the id of a row.
///
/// # Errors
/// 422 when it is none.
pub fn cursor_id(cursor: Option<&str>) -> Result<Option<String>, Problem> {
    cursor.map(|id| checked(id).ok_or_else(bad_cursor)).transpose()
}

/// The answer to a cursor that no page gave.
pub fn bad_cursor() -> Problem {
    ValidationError::new("cursor", "must be `next` of the page before").into()
}

/// A text to look for. What cannot be stored is not there.
pub fn storable(text: Option<String>) -> String {
    text.unwrap_or_default().chars().filter(|c| *c != '\0').collect()
}

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// The `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The first `rows` of what the store gave, which was asked for one more.
    pub fn of<R>(mut found: Vec<R>, rows: usize, cursor: impl Fn(&R) -> String, view: impl Fn(R) -> T) -> Self {
        let more = found.len() > rows;
        found.truncate(rows);
        let next = found.last().filter(|_| more).map(cursor);
        Self { items: found.into_iter().map(view).collect(), next }
    }
}

/// One more than this number.
#[must_use]
pub fn one_more(rows: usize) -> i64 {
    i64::try_from(rows + 1).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_number_is_whole_however_it_is_written() {
        let mut value: Value =
            serde_json::from_str(r#"{"a": 10.0, "b": [1e3, -2.0], "c": 1.5, "d": 1e300, "e": 7}"#).unwrap();
        make_whole(&mut value);
        assert_eq!(value, json!({"a": 10, "b": [1000, -2], "c": 1.5, "d": 1e300, "e": 7}));
    }

    #[test]
    fn a_member_is_named() {
        assert_eq!(named_in("missing field `reason`"), Some("reason"));
        assert_eq!(named_in("invalid type: `x`"), None);
    }
}
