//! CSV (RFC 4180) for spreadsheets: nothing in it is taken for a formula, and what is imported again is what it was.

/// What makes a spreadsheet calculate, where a cell begins with it. The full-width signs do so where East Asian text is
/// typed.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
/// Where a cell begins for a program that divides lines by another sign than ours.
const SEPARATORS: [char; 6] = [',', ';', '\t', '|', '\r', '\n'];

/// How a file begins: a byte-order mark, by which spreadsheets know that it is UTF-8, and the names of the columns.
#[derive(Clone, Debug)]
pub struct Head(Vec<u8>);

impl Head {
    /// Of these columns.
    #[must_use]
    pub fn of<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        let mut head = "\u{feff}".as_bytes().to_vec();
        head.extend(line(columns));
        Self(head)
    }

    /// As it is written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// One record with its line end, each cell quoted and made safe.
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let cells: Vec<String> =
        cells.into_iter().map(|text| format!("\"{}\"", neutralized(text).replace('"', "\"\""))).collect();
    format!("{}\r\n", cells.join(",")).into_bytes()
}

/// A cell that no spreadsheet takes for a formula: an apostrophe before what begins like one, and before what would
/// begin a cell for a program that divides by another separator.
fn neutralized(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for piece in pieces(text) {
        let begin = piece.len() - piece.trim_start_matches(' ').len();
        let (spaces, rest) = piece.split_at(begin);
        safe.push_str(spaces);
        if is_formula(rest) {
            safe.push('\'');
        }
        safe.push_str(rest);
    }
    safe
}

/// A cell as it was before [`line()`] made it safe; what was not made safe stays as it is.
#[must_use]
pub fn restored(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for piece in pieces(text) {
        let begin = piece.len() - piece.trim_start_matches(' ').len();
        let (spaces, rest) = piece.split_at(begin);
        plain.push_str(spaces);
        plain.push_str(rest.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(rest));
    }
    plain
}

/// Whether a cell is written as it is.
pub fn is_plain(text: &str) -> bool {
    neutralized(text) == text
}

/// The text cut behind each separator. A separator that is itself a sign of a formula is looked at in both ways.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(SEPARATORS)
}

/// Whether it begins like a formula, or like one that was made safe.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cells: &[&str]) -> String {
        String::from_utf8(line(cells.iter().copied())).unwrap()
    }

    #[test]
    fn what_a_spreadsheet_would_calculate_is_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "＝1", "\r=1", "'=1", " =1"] {
            let written = written(&[text, "b"]);
            assert!(!written[1..].trim_start_matches(' ').starts_with(FORMULA), "{written:?}");
            assert!(written.contains('\'') && written.ends_with(",\"b\"\r\n"), "{written:?}");
        }
        assert_eq!(written(&["a=1", "'Abd al-Rahman", ""]), "\"a=1\",\"'Abd al-Rahman\",\"\"\r\n");
        assert_eq!(written(&["=\"x\",\n"]), "\"'=\"\"x\"\",'\n\"\r\n");
    }

    #[test]
    fn no_separator_begins_a_formula() {
        for separator in [",", ";", "\t", "|", "\n", "; "] {
            let written = written(&[&format!("a{separator}=1+1")]);
            assert_eq!(written, format!("\"a{separator}'=1+1\"\r\n"));
        }
    }

    #[test]
    fn a_file_begins_with_its_mark() {
        assert_eq!(Head::of(["a", "b"]).into_bytes(), b"\xef\xbb\xbf\"a\",\"b\"\r\n");
    }

    #[test]
    fn a_reader_gets_back_what_was_written() {
        let cells = ["a,\"b\"\nc", "", "plain", "é"];
        let text = line(cells);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_slice());
        let read: Vec<_> = reader.records().map(|record| record.unwrap()).collect();
        assert_eq!(read, [csv::StringRecord::from(cells.to_vec())]);
    }

    /// Every text of up to five of the signs that matter comes back as it was.
    #[test]
    fn what_was_made_safe_is_restored() {
        const SIGNS: [char; 7] = ['\'', '=', ';', ' ', '\t', 'a', '\n'];
        let mut texts = vec![String::new()];
        for length in 0..5 {
            let longer: Vec<_> = texts.iter().filter(|text| text.chars().count() == length).cloned().collect();
            texts.extend(longer.iter().flat_map(|text| SIGNS.map(|sign| format!("{text}{sign}"))));
        }
        assert_eq!(texts.len(), 1 + 7 + 49 + 343 + 2401 + 16807);
        for text in &texts {
            let safe = neutralized(text);
            assert_eq!(restored(&safe), *text, "{text:?} by {safe:?}");
            for piece in pieces(&safe) {
                assert!(!piece.trim_start_matches(' ').starts_with(FORMULA), "{text:?} by {safe:?}");
            }
        }
        for text in ["'Abd al-Rahman", "O'Brien", "''", "+49 Team"] {
            assert_eq!(restored(text), text);
        }
    }
}
