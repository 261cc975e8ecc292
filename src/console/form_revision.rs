//! A form that changes what stands already. It carries the revision that was read; when somebody else wrote since,
//! nothing is saved, and the form says what stands there now beside what was typed.

use crate::web::fields::Fields;
use crate::web::notice::Notice;

/// How many characters of a stored value are shown: a key set has thousands.
const SAID: usize = 200;

/// What stands in the fields of a form, by the names that people read, in order.
pub(super) type Values = Vec<(&'static str, String)>;

/// Which revision a form shows.
pub(super) struct FormRevision {
    /// Of what, in a word.
    pub what: &'static str,
    /// Its number, which the form carries.
    pub read: i64,
    /// Somebody else wrote meanwhile: what is stored now where it differs from what was typed.
    pub stale: Option<Values>,
}

impl FormRevision {
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
    pub(super) fn mark_stale(&mut self, revision: i64, stored: Values, typed: &Values) {
        self.read = revision;
        let mut differing = Vec::new();
        for (label, value) in stored {
            let typed = typed.iter().find(|(name, _)| *name == label).map_or("", |(_, typed)| typed.as_str());
            if !lines(&value).eq(lines(typed)) {
                differing.push((label, shown(&value, typed)));
            }
        }
        self.stale = Some(differing);
    }
}

/// A browser sends other ends of lines than are stored, and a list may end with an empty one.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// A stored value; of a long one the part where it begins to differ from what was typed.
fn shown(value: &str, typed: &str) -> String {
    if value.chars().count() <= SAID {
        return value.to_owned();
    }
    let same = value.chars().zip(typed.replace("\r\n", "\n").chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(SAID / 4);
    let mut rest = value.chars().skip(from);
    let part: String = rest.by_ref().take(SAID).collect();
    let mark = |is_cut: bool| if is_cut { "…" } else { "" };
    format!("{}{part}{}", mark(from > 0), mark(rest.next().is_some()))
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
        let mut revision = FormRevision::of("user", 1);
        let list = "a\nb";
        let typed = vec![("Name", "Mine".to_owned()), ("Keys", "é".repeat(300)), ("Lines", "a\r\nb\r\n".to_owned())];
        let keys = format!("{}z", "é".repeat(299));
        let stored = vec![("Name", "Theirs".to_owned()), ("Keys", keys), ("Lines", list.to_owned())];
        revision.mark_stale(7, stored, &typed);
        let said = vec![("Name", "Theirs".to_owned()), ("Keys", format!("…{}z", "é".repeat(50)))];
        assert_eq!((revision.read, revision.stale), (7, Some(said)));
    }
}
