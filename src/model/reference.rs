//! Reference numbers, as people read them out and type them.

/// What it looks like, as the end of a sentence.
pub const SHAPE: &str = "has eight letters and digits, such as 7K3M-9Q0T";

/// The number that a person means: small letters, spaces and a hyphen too few or too many are forgiven, and so is a
/// letter that looks like a digit.
#[must_use]
pub fn read(text: &str) -> Option<String> {
    let mut letters = String::new();
    for typed in text.chars().filter(|c| !c.is_whitespace() && !is_hyphen(*c)) {
        letters.push(match typed.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter if letter.is_ascii_alphanumeric() && letter != 'U' => letter,
            _ => return None,
        });
    }
    (letters.len() == 8).then(|| {
        letters.insert(4, '-');
        letters
    })
}

/// What keyboards and word processors make of a hyphen.
const fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Random;

    #[test]
    fn a_number_is_read_however_it_is_typed() {
        for typed in ["7K3M-9Q01", "7k3m9q01", " 7k3m 9qOI ", "7K3M–9QoL", "7-K-3-M-9-Q-0-1"] {
            assert_eq!(read(typed).as_deref(), Some("7K3M-9Q01"), "{typed}");
        }
        for typed in ["", "7K3M-9Q0", "7K3M-9Q012", "7K3M-9QU1", "7K3M/9Q01", "7K3M-9Qé1", "７K3M9Q01"] {
            assert_eq!(read(typed), None, "{typed}");
        }
        let random = Random::seeded(3);
        for _ in 0..200 {
            let reference = random.reference();
            assert_eq!(read(&reference.to_lowercase().replace('-', " ")), Some(reference));
        }
    }
}
