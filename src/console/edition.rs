//! A form that changes what stands already. It carries the edition that was read; when somebody else wrote since, nothing is
//! saved, and the form says what stands there now beside what was typed.

use crate::web::fields::Fields;
use crate::web::notice::Notice;

/// As many signs of a stored value are said: a key set has thousands.
const SAID: usize = 200;

/// What stands in the fields of a form, by the names that people read, in order.
pub(super) type Values = Vec<(&'static str, String)>;

/// Which edition a form shows.
pub(super) struct Edition {
    /// Of what, in a word.
    pub what: &'static str,
    /// Its number, which the form carries.
    pub read: i64,
    /// Somebody else wrote meanwhile: what is stored now where it differs from what was typed.
    pub stale: Option<Values>,
}

impl Edition {
    /// The newest one.
    pub(super) const fn of(what: &'static str, revision: i64) -> Self {
        Self { what, read: revision, stale: None }
    }

    /// The one that was read before the form was filled. It stays that one however often the form comes back with a
    /// fault: what somebody else wrote meanwhile is told once the rest is right.
    pub(super) fn typed(&mut self, fields: &mut Fields) -> i64 {
        self.read = fields.take("revision").parse().unwrap_or(0);
        self.read
    }

    /// Somebody else wrote meanwhile: sent again, the form writes over what `stored` says.
    pub(super) fn is_overtaken(&mut self, revision: i64, stored: Values, typed: &Values) {
        self.read = revision;
        let differs = |value: &(&'static str, String)| !typed.contains(value);
        let short = |(label, value): (&'static str, String)| match value.char_indices().nth(SAID) {
            Some((end, _)) => (label, format!("{}…", value.get(..end).unwrap_or_default())),
            None => (label, value),
        };
        self.stale = Some(stored.into_iter().filter(differs).map(short).collect());
    }
}

/// What an edit says that went through; `keys` have new values.
pub(super) const fn saved(keys: &[&'static str]) -> Notice {
    if keys.is_empty() { Notice::NothingToSave } else { Notice::Saved }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_what_was_typed_is_said() {
        let mut edition = Edition::of("user", 1);
        let typed = vec![("Name", "Mine".to_owned()), ("Keys", String::new()), ("Zone", "UTC".to_owned())];
        let stored = vec![("Name", "Theirs".to_owned()), ("Keys", "é".repeat(201)), ("Zone", "UTC".to_owned())];
        edition.is_overtaken(7, stored, &typed);
        let said = vec![("Name", "Theirs".to_owned()), ("Keys", format!("{}…", "é".repeat(200)))];
        assert_eq!((edition.read, edition.stale), (7, Some(said)));
    }
}
