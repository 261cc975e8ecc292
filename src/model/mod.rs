//! What things are: types that parse, and the rules that need nothing but them. No I/O.

pub mod activity;
pub mod address;
pub mod authorization;
pub mod claims;
pub mod client;
pub mod email;
pub mod email_state;
pub mod header_text;
pub mod issuer;
pub mod login_name;
pub mod password_rules;
pub mod provider;
pub mod reason;
pub mod reference;
pub mod refusal;
pub mod scope;
pub mod session;
pub mod signing_key;
pub mod tenant;
pub mod text;
pub mod trace_context;
pub mod user;
pub mod validation_error;
pub mod version;

/// Gives an enum its stored words: `as_str`, `Display` and `FromStr` from one list.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $name {
            /// Every variant, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that stands for it in the database, in files and on pages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("{text:?} is none of: {}", [$($word),*].join(", "))),
                }
            }
        }
    };
}
pub(crate) use words;

/// Lets an enum of `words!` stand in JSON as its words, with a schema of this name.
macro_rules! words_in_json {
    ($name:ident as $schema:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::model::one_of(Self::ALL.iter().map(|one| one.as_str()))
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }
        }
    };
}
pub(crate) use words_in_json;

/// The schema of a text that is one of these words.
pub(crate) fn one_of(
    words: impl IntoIterator<Item = &'static str>,
) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    let text = utoipa::openapi::schema::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
    text.enum_values(Some(words)).build().into()
}
