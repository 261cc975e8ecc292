//! A table out of a CSV file that another program wrote (G37): whatever its separator, and however it spells the names
//! of its columns. What is passed over is named in a note; refused is what leaves nothing usable.

use crate::operations::csv::file;

/// The signs that divide cells, the usual one first.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// As many lines may stand above the names of the columns, such as a title.
const LINES_ABOVE: usize = 10;
/// As many columns, and as much of a name, are told of.
const NAMED: usize = 20;
const NAME_CHARS: usize = 50;
/// A row of our own behind the last one: a cell that is never closed swallows it.
const END: &str = "\u{1}end\u{1}";

/// The columns that a table may have.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// Their names, the one by which the line of names is known first.
    pub names: &'static [&'static str],
    /// As many of them, from the first on, it must have.
    pub required: usize,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    columns: Columns,
    /// The rows that are not empty.
    pub rows: Vec<Cells>,
    /// What was passed over, each a sentence.
    pub notes: Vec<String>,
}

/// One row.
#[derive(Debug)]
pub struct Cells {
    /// The line of the file that it begins on.
    pub line: u64,
    /// It has cells beyond the last column that has a name.
    pub too_many: bool,
    /// In the order of [`Columns::names`].
    known: Vec<String>,
}

impl Table {
    /// A cell as it stands in the file, without white space at its ends; empty where there is no such column.
    pub fn cell<'a>(&self, row: &'a Cells, name: &str) -> &'a str {
        let at = self.columns.names.iter().position(|known| *known == name);
        at.and_then(|at| row.known.get(at)).map_or("", String::as_str)
    }

    /// A cell as it was before an export made it safe for spreadsheets.
    pub fn text(&self, row: &Cells, name: &str) -> String {
        file::restored(self.cell(row, name))
    }
}

/// A name as it is compared: its letters and digits alone, small.
#[must_use]
pub fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Reads the text of a file, as [`crate::operations::csv::text::decode`] gives it.
///
/// # Errors
/// Why it is no such table, as a sentence.
pub fn read(text: &str, columns: Columns, most: usize) -> Result<Table, String> {
    match Header::find(text, columns) {
        Ok((header, body)) => read_below(&header, body, columns, most),
        Err(why) => {
            let inner = unwrapped(text).ok_or_else(|| why.clone())?;
            let (header, body) = Header::find(&inner, columns).map_err(|_| why)?;
            read_below(&header, body, columns, most)
        }
    }
}

fn read_below(header: &Header, body: &str, columns: Columns, most: usize) -> Result<Table, String> {
    let mut table = Table { columns, rows: Vec::new(), notes: header.notes() };
    let (mut empty, mut unnamed) = (0_usize, false);
    for record in records(body, header)?.iter().skip(1) {
        let cells: Vec<&str> = record.iter().map(trimmed).collect();
        if cells.iter().all(|cell| cell.is_empty()) {
            empty += 1;
            continue;
        }
        if table.rows.len() == most {
            return Err(format!("The file has more than {most} rows. Please divide it."));
        }
        let at_place =
            |place: &Option<usize>| place.and_then(|at| cells.get(at)).copied().unwrap_or_default().to_owned();
        let named = header.places.iter().map(at_place).collect();
        let holds = |at: usize| cells.get(at).is_some_and(|cell| !cell.is_empty());
        unnamed |= (0..header.width).any(|at| header.names[at].is_empty() && holds(at));
        let too_many = (header.width..cells.len()).any(holds);
        table.rows.push(Cells { line: header.line_of(record, body), too_many, known: named });
    }
    if unnamed {
        table.notes.push("A column without a name was passed over.".into());
    }
    match empty {
        0 => {}
        1 => table.notes.push("An empty row was passed over.".into()),
        more => table.notes.push(format!("{more} empty rows were passed over.")),
    }
    if table.rows.is_empty() {
        return Err("The file has no rows below its first line.".into());
    }
    Ok(table)
}

/// The line with the names of the columns.
struct Header {
    separator: u8,
    /// Its line in the file.
    line: u64,
    /// As many lines above it hold something.
    above: usize,
    /// As they stand there, up to the last that is one.
    names: Vec<String>,
    width: usize,
    /// Where each known column stands.
    places: Vec<Option<usize>>,
    columns: Columns,
}

impl Header {
    /// Finds it, and gives the text from it on.
    fn find(text: &str, columns: Columns) -> Result<(Self, &str), String> {
        let (mut said, mut first, mut above) = (None, None, 0);
        let mut left = text;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let rest = left;
            left = left.strip_prefix(line).unwrap_or_default();
            if number == 0 {
                said = said_separator(line);
            }
            let is_empty = line.chars().all(|c| is_invisible(c) || matches!(c, ',' | ';' | '"'));
            if is_empty || (number == 0 && said.is_some()) {
                continue;
            }
            // Each line that was looked at counts: a file of lines without end is not read line by line.
            above += 1;
            let header = Self::at(rest, number, said, columns);
            let Some(header) = header else {
                if above == LINES_ABOVE {
                    break;
                }
                continue;
            };
            if header.places.first().is_some_and(Option::is_some) {
                return Header { above: above - 1, ..header }.checked().map(|header| (header, rest));
            }
            first.get_or_insert((header, rest));
            if above == LINES_ABOVE {
                break;
            }
        }
        match first {
            Some((header, rest)) => header.checked().map(|header| (header, rest)),
            None => Err(format!("The file is empty. Its first line names its columns: {}.", columns.names.join(", "))),
        }
    }

    /// The line at the beginning of a text by the separator that fits best; `None` when nothing is on it.
    fn at(text: &str, number: usize, said: Option<u8>, columns: Columns) -> Option<Self> {
        let parsed = said.into_iter().chain(SEPARATORS).filter_map(|separator| {
            let record = reader(text, separator, true).into_records().next()?.ok()?;
            let mut names: Vec<String> = record.iter().map(|name| file::restored(trimmed(name))).collect();
            while names.last().is_some_and(String::is_empty) {
                names.pop();
            }
            let place = |known: &&str| names.iter().position(|name| folded(name) == folded(known));
            let places = columns.names.iter().map(place).collect();
            let line = u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1);
            Some(Self { separator, line, above: 0, width: names.len(), names, places, columns })
        });
        // Of those that are as good the first: what was said, or the usual one.
        let mut best: Option<Self> = None;
        for header in parsed.filter(|header| header.width > 0) {
            let worth = |header: &Self| (header.places.iter().flatten().count(), header.width);
            if best.as_ref().is_none_or(|best| worth(&header) > worth(best)) {
                best = Some(header);
            }
        }
        best
    }

    fn checked(self) -> Result<Self, String> {
        for (known, place) in self.columns.names.iter().zip(&self.places) {
            if place.is_some() && self.names.iter().filter(|name| folded(name) == folded(known)).count() > 1 {
                return Err(format!("The first line names the column “{known}” twice."));
            }
        }
        let required = self.columns.names.iter().zip(&self.places).take(self.columns.required);
        match required.into_iter().find(|(_, place)| place.is_none()) {
            Some((missing, _)) => Err(format!(
                "The first line names no column “{missing}”. It names: {}.",
                told(self.names.iter().filter(|name| !name.is_empty()))
            )),
            None => Ok(self),
        }
    }

    /// The line of the file on which a record of the text from here on begins.
    fn line_of(&self, record: &csv::StringRecord, text: &str) -> u64 {
        self.line.saturating_add(line_of(record, text).saturating_sub(1))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match self.above {
            0 => {}
            1 => notes.push("A line above the names of the columns was passed over.".into()),
            more => notes.push(format!("{more} lines above the names of the columns were passed over.")),
        }
        let is_known = |at: usize| self.places.contains(&Some(at));
        let unknown = self.names.iter().enumerate().filter(|(at, name)| !is_known(*at) && !name.is_empty());
        let unknown: Vec<_> = unknown.map(|(_, name)| name).collect();
        match unknown.len() {
            0 => {}
            1 => notes.push(format!("This column is not known here and was passed over: {}.", told(unknown))),
            _ => notes.push(format!("These columns are not known here and were passed over: {}.", told(unknown))),
        }
        notes
    }
}

/// The lines inside the cells of a file that has one cell a line, each on the line that it began on: a spreadsheet that
/// divides by semicolons shows a file with commas so, and saves it so.
fn unwrapped(text: &str) -> Option<String> {
    let (mut inner, mut lines) = (String::new(), 1_u64);
    for record in reader(text, b';', true).into_records() {
        let record = record.ok().filter(|record| record.len() == 1)?;
        let (begin, cell) = (line_of(&record, text), record.get(0)?);
        while lines < begin {
            inner.push('\n');
            lines += 1;
        }
        inner.push_str(cell);
        lines += cell.bytes().filter(|byte| *byte == b'\n').map(|_| 1_u64).sum::<u64>();
    }
    Some(inner).filter(|inner| inner != text.trim_end_matches('\n'))
}

/// The line on which a record of a text begins. The reader counts from the end of the record before, and so the empty
/// lines in between are still to be counted.
fn line_of(record: &csv::StringRecord, text: &str) -> u64 {
    let Some(position) = record.position() else { return 1 };
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| text.as_bytes().get(byte..)).unwrap_or_default();
    let empty = rest.iter().zip(1_u64..).take_while(|(byte, _)| **byte == b'\n').map(|(_, count)| count).last();
    position.line().saturating_add(empty.unwrap_or(0))
}

/// Names for a sentence.
fn told<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let short = |name: &String| name.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect::<String>();
    let mut names: Vec<String> = names.into_iter().map(short).collect();
    if names.len() > NAMED {
        names.truncate(NAMED);
        names.push("…".into());
    }
    names.join(", ")
}

/// The separator that a first line `sep=;` says, for Excel alone.
fn said_separator(line: &str) -> Option<u8> {
    let line = line.trim_end_matches('\n').trim_matches('"');
    let (word, sign) = line.split_at_checked(4)?;
    let sign = sign.bytes().next()?;
    (word.eq_ignore_ascii_case("sep=") && !sign.is_ascii_alphanumeric() && sign.is_ascii()).then_some(sign)
}

/// Every record of a text. In a file with tabs a quotation mark may be one that somebody typed, and close nothing.
fn records(text: &str, header: &Header) -> Result<Vec<csv::StringRecord>, String> {
    let whole = format!("{text}\n{END}\n");
    let mut last = Err(String::new());
    for quoting in [true, false] {
        let mut all = reader(&whole, header.separator, quoting)
            .into_records()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("The file cannot be read as CSV: {error}."))?;
        let end = all.pop();
        if end.as_ref().is_some_and(|end| end.get(0) == Some(END)) {
            return Ok(all);
        }
        let line = end.map_or(header.line, |end| header.line_of(&end, &whole));
        last = Err(format!("A quotation mark in the row on line {line} is never closed."));
        if header.separator != b'\t' {
            break;
        }
    }
    last
}

fn reader(text: &str, separator: u8, quoting: bool) -> csv::Reader<&[u8]> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(separator).quoting(quoting);
    builder.from_reader(text.as_bytes())
}

/// Without white space at its ends, and what is as invisible.
fn trimmed(cell: &str) -> &str {
    cell.trim_matches(is_invisible)
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: Columns = Columns { names: &["login_name", "name", "user_type"], required: 2 };

    fn table(text: &str) -> Table {
        read(text, PEOPLE, 10).unwrap()
    }

    /// Line, Login Name and name of each row.
    fn rows(text: &str) -> Vec<String> {
        let table = table(text);
        let row = |row: &Cells| format!("{} {}|{}", row.line, table.text(row, "login_name"), table.text(row, "name"));
        table.rows.iter().map(row).collect()
    }

    /// Lines on which nothing is seen are no work: one upload keeps no thread for long.
    #[test]
    fn a_file_of_invisible_lines_is_refused_at_once() {
        for line in ["\u{200b}\n", "\u{feff}\n", " ;,\"\u{200e}\n", "'\n"] {
            let begun = tokio::time::Instant::now();
            assert!(read(&line.repeat(100_000), PEOPLE, 10).is_err());
            assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{line:?}");
        }
    }

    #[test]
    fn every_separator_is_found_on_the_line_of_names() {
        for text in [
            "login_name,name\na,A; B\n",
            "login_name;name\na;A, B\n",
            "login_name\tname\na\tA, B\n",
            "\"login_name\";\"name\";\"first, last\"\na;A, B\n",
            "sep=;\nlogin_name;name\na;A, B\n",
            "\"sep=;\"\nlogin_name;name\na;A, B\n",
            "SEP=|\nlogin_name|name\na|A, B\n",
            // It says what it is not.
            "sep=,\nlogin_name;name\na;A, B\n",
        ] {
            let table = table(text);
            let row = &table.rows[0];
            assert!(["A, B", "A; B"].contains(&table.cell(row, "name")), "{text:?}");
            assert_eq!(row.line, if text.to_lowercase().contains("sep=") { 3 } else { 2 }, "{text:?}");
        }
    }

    #[test]
    fn a_name_of_a_column_is_known_however_it_is_spelled() {
        for names in
            ["Login Name,NAME", " LOGIN_NAME , Name ", "login-name,name", "LoginName,\"Name\"", "name,Login\u{a0}name"]
        {
            assert_eq!(table(&format!("{names}\nx,x\n")).notes, [""; 0], "{names}");
        }
        assert_eq!(rows("\"Login\nName\",name\na,A\n"), ["3 a|A"]);
    }

    #[test]
    fn what_is_passed_over_is_named() {
        let text = "\n;;\nStaff of Sunrise;;\nLogin Name;Name;Room;;shoe size;\na;A;1;?;44;\n;;;;;\n\nb;B\n";
        let table = read(text, Columns { names: &["login_name", "name"], required: 2 }, 10).unwrap();
        assert_eq!(
            table.notes,
            [
                "A line above the names of the columns was passed over.",
                "These columns are not known here and were passed over: Room, shoe size.",
                "A column without a name was passed over.",
                "An empty row was passed over."
            ]
        );
        let lines: Vec<_> = table.rows.iter().map(|row| (row.line, row.too_many)).collect();
        assert_eq!(lines, [(5, false), (8, false)]);
        assert!(self::table("login_name,name\na,A,,\nb,B,x\n").rows.iter().map(|row| row.too_many).eq([false, true]));
    }

    #[test]
    fn a_file_that_was_saved_as_one_column_is_divided() {
        let text = "\"login_name,\"\"name\"\"\"\n\n\"a,\"\"A, B\"\"\"\nb,B\n\"c,\"\"C\nC\"\"\"\nd,D\n";
        assert_eq!(rows(text), ["3 a|A, B", "4 b|B", "5 c|C\nC", "7 d|D"]);
        let why = read("\"who,name\"\n\"a,A\"\n", PEOPLE, 10).unwrap_err();
        assert!(why.starts_with("The first line names no column “login_name”."), "{why}");
    }

    #[test]
    fn rows_are_counted_as_people_do() {
        let text = "login_name,name\n\na,\"A\n\nB\"\n\n\n b , \"B\"\nc,C";
        assert_eq!(rows(text), ["3 a|A\n\nB", "8 b|\"B\"", "9 c|C"]);
    }

    #[test]
    fn quotation_marks_are_taken_as_they_are_meant() {
        assert_eq!(rows("login_name,name\na,\"A \"\"B\"\" C\"\nb,5\" B\n"), ["2 a|A \"B\" C", "3 b|5\" B"]);
        // Google Sheets quotes nothing between tabs.
        assert_eq!(rows("login_name\tname\na\t\"A\nb\tB\n"), ["2 a|\"A", "3 b|B"]);
        let why = read("login_name,name\na,A\nb,\"B\nc,C\n", PEOPLE, 10).unwrap_err();
        assert_eq!(why, "A quotation mark in the row on line 3 is never closed.");
    }

    #[test]
    fn what_an_export_made_safe_is_as_it_was() {
        assert_eq!(rows("login_name,name\n'-evil,'+49 Team\napos,'Abd\n"), ["2 -evil|+49 Team", "3 apos|'Abd"]);
        assert_eq!(table("login_name,name\nx,'=1\n").cell(&table("login_name,name\nx,'=1\n").rows[0], "name"), "'=1");
    }

    #[test]
    fn a_file_that_is_no_table_says_why() {
        for (text, why) in [
            ("", "The file is empty. Its first line names its columns: login_name, name, user_type."),
            (" \n\n", "The file is empty. Its first line names its columns: login_name, name, user_type."),
            ("sep=;\n", "The file is empty. Its first line names its columns: login_name, name, user_type."),
            ("login_name\na\n", "The first line names no column “name”. It names: login_name."),
            ("who;Name;;\na;A\n", "The first line names no column “login_name”. It names: who, Name."),
            ("login_name,Login Name,name\n", "The first line names the column “login_name” twice."),
            ("login_name,name\n", "The file has no rows below its first line."),
            ("login_name,name\n,\n", "The file has no rows below its first line."),
        ] {
            assert_eq!(read(text, PEOPLE, 10).unwrap_err(), why, "{text:?}");
        }
        let rows = |count: usize| format!("login_name,name\n{}", "u,U\n,\n".repeat(count));
        assert_eq!(read(&rows(10), PEOPLE, 10).unwrap().rows.len(), 10);
        assert_eq!(read(&rows(11), PEOPLE, 10).unwrap_err(), "The file has more than 10 rows. Please divide it.");
    }
}
