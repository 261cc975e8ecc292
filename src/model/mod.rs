//! What things are: types that parse, and the rules that need nothing but them. No I/O.

pub mod address;
pub mod authorization;
pub mod claims;
pub mod client;
pub mod client_draft;
pub mod client_rules;
pub mod event;
pub mod issuer;
pub mod login_name;
pub mod password_rules;
pub mod provider;
pub mod scope;
pub mod session;
pub mod signing_key;
pub mod tenant;
pub mod text;
pub mod unfit;
pub mod user;

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
