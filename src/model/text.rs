//! Plain texts: those that people give, names of persons, agencies and issuers; and ours.

/// Checks a text of one line: 1 to `most` characters, no control characters, no white space at either end.
///
/// # Errors
/// What it must be, as the end of a sentence.
pub fn check_line(text: &str, most: usize) -> Result<(), String> {
    let good = (1..=most).contains(&text.chars().count())
        && !text.chars().any(char::is_control)
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace);
    if good {
        return Ok(());
    }
    Err(format!("must be 1 to {most} characters on one line, without control characters or spaces at its ends"))
}

/// Words as the beginning of a sentence.
#[must_use]
pub fn capitalized(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_a_capital() {
        assert_eq!(["élan x", "", "7K"].map(capitalized), ["Élan x", "", "7K"]);
    }

    #[test]
    fn a_name_is_one_line_without_edges() {
        assert!(check_line("Amina Diallo", 200).is_ok());
        for text in ["", " a", "a ", "a\nb", "a\0b", "abcd"] {
            assert!(check_line(text, 3).is_err(), "{text:?}");
        }
    }
}
