//! What a password must be (L8), and the one preparation every password goes through (G25).

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// One rule that a new password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Fewer than 8 or more than 64 characters.
    Length,
    /// No English uppercase letter.
    Uppercase,
    /// No English lowercase letter.
    Lowercase,
    /// No digit 0-9.
    Digit,
    /// Nothing that is neither letter, digit nor white space.
    Special,
    /// White space at the beginning or end.
    Edges,
    /// A control character.
    Control,
}

impl Broken {
    /// What the user reads.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Length => "The password must be 8 to 64 characters long.",
            Self::Uppercase => "The password must contain at least one uppercase letter (A-Z).",
            Self::Lowercase => "The password must contain at least one lowercase letter (a-z).",
            Self::Digit => "The password must contain at least one digit (0-9).",
            Self::Special => "The password must contain at least one special character, such as ! or #.",
            Self::Edges => "The password must not begin or end with a space.",
            Self::Control => "The password must not contain control characters, such as a tab or a line break.",
        }
    }
}

/// Prepares a password for hashing: NFC, every space separator becomes a plain space, control characters are
/// refused. Nothing else is changed: RFC 8265's class tables would refuse emoji.
#[must_use]
pub fn prepare(text: &str) -> Option<Zeroizing<String>> {
    if text.chars().any(char::is_control) {
        return None;
    }
    Some(Zeroizing::new(text.nfc().map(|c| if is_space_separator(c) { ' ' } else { c }).collect()))
}

/// A prepared new password, or every rule that it breaks.
///
/// # Errors
/// The broken rules, in the order of [`Broken`]; never empty.
pub fn check(text: &str) -> Result<Zeroizing<String>, Vec<Broken>> {
    let prepared = prepare(text);
    let checked = prepared.clone().unwrap_or_else(|| Zeroizing::new(text.nfc().collect()));
    let has = |test: fn(char) -> bool| checked.chars().any(test);
    let rules = [
        (Broken::Length, (8..=64).contains(&checked.chars().count())),
        (Broken::Uppercase, has(|c| c.is_ascii_uppercase())),
        (Broken::Lowercase, has(|c| c.is_ascii_lowercase())),
        (Broken::Digit, has(|c| c.is_ascii_digit())),
        (Broken::Special, has(|c| !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control())),
        (Broken::Edges, !checked.starts_with(char::is_whitespace) && !checked.ends_with(char::is_whitespace)),
        (Broken::Control, prepared.is_some()),
    ];
    let broken: Vec<_> = rules.into_iter().filter(|(_, kept)| !kept).map(|(rule, _)| rule).collect();
    match prepared {
        Some(password) if broken.is_empty() => Ok(password),
        _ => Err(broken),
    }
}

/// Unicode's space separators (general category Zs).
const fn is_space_separator(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broken_rule_is_named_at_once() {
        use Broken::{Control, Digit, Edges, Length, Lowercase, Special, Uppercase};
        assert_eq!(check("").unwrap_err(), [Length, Uppercase, Lowercase, Digit, Special]);
        assert_eq!(check("abcdefgh").unwrap_err(), [Uppercase, Digit, Special]);
        assert_eq!(check(" Correct-Horse-9").unwrap_err(), [Edges]);
        assert_eq!(check("Correct-Horse-9\u{3000}").unwrap_err(), [Edges]);
        assert_eq!(check("Correct\tHorse-9").unwrap_err(), [Control]);
        assert_eq!(check("ABCDEFG1é").unwrap_err(), [Lowercase, Special]);
        assert_eq!(check("Correct Horse 9").unwrap_err(), [Special]);
        assert_eq!(check("Ab1!").unwrap_err(), [Length]);
    }

    #[test]
    fn characters_are_counted_after_composition() {
        let decomposed = format!("Ab1!{}", "e\u{301}".repeat(4));
        assert_eq!(check(&decomposed).unwrap().chars().count(), 8);
        assert!(check(&format!("Ab1!{}", "x".repeat(60))).is_ok());
        assert_eq!(check(&format!("Ab1!{}", "x".repeat(61))).unwrap_err(), [Broken::Length]);
        assert!(check("Ab1😀😀😀😀😀").is_ok());
    }

    #[test]
    fn spellings_of_one_password_are_one() {
        assert_eq!(prepare("Cafe\u{301}\u{a0}9"), prepare("Café 9"));
        assert_eq!(prepare("a\0b"), None);
        assert_ne!(prepare("ﬁ"), prepare("fi"));
    }
}
