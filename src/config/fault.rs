//! What is wrong with a value.

/// What is wrong with the value of a key; the words follow the key in a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{key} {words}")]
pub struct Fault {
    pub(super) key: &'static str,
    pub(super) words: String,
}

/// What is wrong with an address of which a password may be cut.
pub const NOT_WHOLE: &str = "has an @ where none can be: write / ? # @ in a user's name or password as %2F %3F %23 %40";

/// Says that a key is wrong, unless something holds of it.
pub(super) fn must(is_so: bool, key: &'static str, words: impl Into<String>) -> anyhow::Result<()> {
    if is_so { Ok(()) } else { Err(Fault { key, words: words.into() }.into()) }
}

/// Says that the value of a key is out of its bounds.
pub(super) fn range(key: &'static str, value: u64, low: u64, high: u64) -> anyhow::Result<()> {
    must((low..=high).contains(&value), key, format!("is {value}: it must be between {low} and {high}"))
}
