//! Plain texts: those that people give, names of persons, agencies and issuers; those that files and pipes bring; and
//! ours.

/// A text without the byte order mark that some programs write before it.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The one value that a file or a pipe holds: without a byte order mark, and without the end of its line. A space
/// belongs to it.
#[must_use]
pub fn one_value(text: &str) -> &str {
    let text = without_mark(text);
    let line = text.strip_suffix('\n').unwrap_or(text);
    if line.len() < text.len() { line.strip_suffix('\r').unwrap_or(line) } else { line }
}

/// The line that a byte of a text is on, counted from 1; beyond its end, the last.
#[must_use]
pub fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

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
    fn a_line_is_counted_by_the_bytes_before_it() {
        let text = "ä = 1\nö = 2\n";
        let lines: Vec<usize> = [0, 1, 6, 7, 8, 100].into_iter().map(|byte| line_at(text, byte)).collect();
        assert_eq!(lines, [1, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn only_the_mark_and_the_end_of_the_line_are_not_part_of_a_value() {
        for (given, value) in [
            ("pass \n", "pass "),
            ("pass\r\n", "pass"),
            ("pass\n\n", "pass\n"),
            ("pass\r", "pass\r"),
            ("\u{feff}pass", "pass"),
            ("\u{feff}\u{feff}pass\n", "\u{feff}pass"),
            ("\n", ""),
        ] {
            assert_eq!(one_value(given), value, "{given:?}");
        }
    }

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
