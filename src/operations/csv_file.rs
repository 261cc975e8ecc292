//! CSV (RFC 4180) for spreadsheets: nothing in it is taken for a formula.

/// One record with its line end, each cell made safe.
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut line = Vec::new();
    for (at, text) in cells.into_iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        let text = cell(text);
        if text.contains(['"', ',', '\r', '\n']) {
            line.push(b'"');
            line.extend(text.replace('"', "\"\"").into_bytes());
            line.push(b'"');
        } else {
            line.extend(text.into_bytes());
        }
    }
    line.extend(b"\r\n");
    line
}

/// A cell that no spreadsheet takes for a formula: what begins like one begins with an apostrophe. The full-width signs
/// are formulas too where East Asian text is typed.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cells: &[&str]) -> String {
        String::from_utf8(line(cells.iter().copied())).unwrap()
    }

    #[test]
    fn what_a_spreadsheet_would_calculate_is_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "＝1"] {
            assert_eq!(written(&[text, "b"]), format!("'{text},b\r\n"));
        }
        assert_eq!(written(&["a=1"]), "a=1\r\n");
        assert_eq!(written(&["=\"x\",\n"]), "\"'=\"\"x\"\",\n\"\r\n");
    }

    #[test]
    fn a_reader_gets_back_what_was_written() {
        let cells = ["a,\"b\"\nc", "", "plain", "é"];
        let text = line(cells);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_slice());
        let read: Vec<_> = reader.records().map(|record| record.unwrap()).collect();
        assert_eq!(read, [csv::StringRecord::from(cells.to_vec())]);
    }
}
