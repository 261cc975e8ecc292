//! What a command reads and writes: data on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal as _, Read, Write};

use clap::ValueEnum;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::model::text;

/// Standard input, output and error, or a test's stand-ins.
pub struct Console {
    input: Box<dyn Read>,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    progress: bool,
    asks: bool,
}

/// Whoever read standard output has gone: there is nobody to tell anything more.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct Closed;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// `--output`, where data is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Output {
    /// How data is printed.
    #[arg(long = "output", value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// One thing that is printed: its members in order.
#[derive(Clone, Debug, Default)]
pub struct Row(Vec<(&'static str, Value)>);

impl Row {
    /// This row and one member more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }
}

/// A list that is printed as its rows come.
#[derive(Debug)]
pub struct Listing {
    format: Format,
    widths: Vec<usize>,
    begun: bool,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Console {
    /// The process's own.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            input: Box::new(io::stdin()),
            out: Box::new(BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            progress: io::stderr().is_terminal(),
            asks: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// Stand-ins for tests.
    #[must_use]
    pub fn new(input: impl Read + 'static, out: impl Write + 'static, err: impl Write + 'static) -> Self {
        Self { input: Box::new(input), out: Box::new(out), err: Box::new(err), progress: false, asks: false }
    }

    /// Writes bytes of data.
    ///
    /// # Errors
    /// [`Closed`] when nobody reads any longer; otherwise why they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        written(self.out.write_all(bytes))
    }

    /// Writes one line of data.
    ///
    /// # Errors
    /// As [`Console::write`].
    pub fn say(&mut self, line: impl Display) -> anyhow::Result<()> {
        written(writeln!(self.out, "{line}"))
    }

    /// Hands on what was written.
    ///
    /// # Errors
    /// As [`Console::write`].
    pub fn flush(&mut self) -> anyhow::Result<()> {
        written(self.out.flush())
    }

    /// Prints a list: a table, or a JSON array.
    ///
    /// # Errors
    /// As [`Console::write`].
    pub fn rows(&mut self, format: Format, rows: &[Row]) -> anyhow::Result<()> {
        match format {
            Format::Text => self.write(table(rows).as_bytes()),
            Format::Json => self.json(rows),
        }
    }

    /// Begins a list whose rows are printed as they come: a table of columns as wide as the widest cell that will come,
    /// or a JSON array.
    ///
    /// # Errors
    /// As [`Console::write`].
    pub fn begin(&mut self, format: Format, columns: &[(&'static str, usize)]) -> anyhow::Result<Listing> {
        let widths = columns.iter().map(|(name, width)| name.len().max(*width)).collect();
        let listing = Listing { format, widths, begun: false };
        match format {
            Format::Text => {
                let names = columns.iter().map(|(name, _)| heading(name)).collect::<Vec<_>>();
                self.say(padded(&names, &listing.widths))?;
            }
            Format::Json => self.write(b"[")?,
        }
        Ok(listing)
    }

    /// Prints one row of a list and hands it on at once.
    ///
    /// # Errors
    /// As [`Console::write`].
    pub fn next(&mut self, listing: &mut Listing, row: &Row) -> anyhow::Result<()> {
        self.progress_done();
        match listing.format {
            Format::Text => {
                let cells: Vec<String> = row.0.iter().map(|(_, value)| plain(value)).collect();
                self.say(padded(&cells, &listing.widths))?;
            }
            Format::Json => {
                let comma = if listing.begun { "," } else { "" };
                self.write(format!("{comma}\n  {}", serde_json::to_string(row)?).as_bytes())?;
            }
        }
        listing.begun = true;
        self.flush()
    }

    /// Ends a list.
    ///
    /// # Errors
    /// As [`Console::write`].
    pub fn end(&mut self, listing: &Listing) -> anyhow::Result<()> {
        self.progress_done();
        match listing.format {
            Format::Text => Ok(()),
            Format::Json => self.say("\n]"),
        }
    }

    /// Prints one thing: a line a member, or a JSON object.
    ///
    /// # Errors
    /// As [`Console::write`].
    pub fn row(&mut self, format: Format, row: &Row) -> anyhow::Result<()> {
        match format {
            Format::Text => {
                let width = row.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                row.0.iter().try_for_each(|(name, value)| self.say(format_args!("{name:width$}  {}", plain(value))))
            }
            Format::Json => self.json(row),
        }
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.say(text)
    }

    /// A line on standard error.
    pub fn warn(&mut self, line: impl Display) {
        // When even standard error is gone there is nobody to tell.
        let _ = writeln!(self.err, "{line}");
    }

    /// How far a long work has come: on standard error, and only where a person watches.
    pub fn progress(&mut self, line: impl Display) {
        if self.progress {
            let _ = write!(self.err, "\r\x1b[K{line}").and_then(|()| self.err.flush());
        }
    }

    /// The same as a bar, where it is known how much there is to do.
    pub fn bar(&mut self, done: i64, of: i64, what: &str) {
        const WIDTH: i64 = 40;
        let filled = usize::try_from(done.clamp(0, of) * WIDTH / of.max(1)).unwrap_or(0);
        self.progress(format_args!("[{:-<40}] {done} of {of} {what}", "#".repeat(filled)));
    }

    /// Takes the progress line away.
    pub fn progress_done(&mut self) {
        self.progress("");
    }

    /// Asks whoever sits at the terminal whether to go on, unless that was said already.
    ///
    /// # Errors
    /// Where nobody sits there, or the answer cannot be read.
    pub fn confirm(&mut self, yes: bool, question: impl Display) -> anyhow::Result<bool> {
        if yes {
            return Ok(true);
        }
        anyhow::ensure!(self.asks, "{question} Nobody can be asked here: say --yes");
        self.flush()?;
        let _ = write!(self.err, "{question} Type yes to go on: ").and_then(|()| self.err.flush());
        let mut answer = Vec::new();
        // No further than the line: what follows it is for whoever reads next.
        let mut byte = [0];
        while answer.len() < 64 && self.input.read(&mut byte)? == 1 && byte != *b"\n" {
            answer.extend(byte);
        }
        Ok(answer.trim_ascii().eq_ignore_ascii_case(b"yes"))
    }

    /// Asks whoever sits at the terminal whether to do what cannot be undone (G34), unless that was said already. Where
    /// nobody sits there, a script said it by running the command.
    ///
    /// # Errors
    /// When the answer is no, or cannot be read.
    pub fn ask(&mut self, yes: bool, question: impl Display) -> anyhow::Result<()> {
        let goes_on = self.confirm(yes || !self.asks, question)?;
        anyhow::ensure!(goes_on, "nothing was done, because the answer was not yes");
        Ok(())
    }

    /// All of standard input, at most `most` bytes, without a byte order mark and without the end of its line.
    ///
    /// # Errors
    /// When it is longer or not UTF-8.
    pub fn read(&mut self, most: usize) -> anyhow::Result<Zeroizing<String>> {
        let mut text = Zeroizing::new(String::new());
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let read = (&mut self.input).take(limit).read_to_string(&mut text);
        read.map_err(|error| anyhow::anyhow!("standard input cannot be read as UTF-8 text: {error}"))?;
        anyhow::ensure!(text.len() <= most, "standard input is longer than {most} bytes: give the value alone");
        Ok(Zeroizing::new(text::one_value(&text).to_owned()))
    }
}

fn written(result: io::Result<()>) -> anyhow::Result<()> {
    result.map_err(|error| {
        let closed = error.kind() == io::ErrorKind::BrokenPipe;
        if closed { Closed.into() } else { anyhow::Error::new(error).context("standard output cannot be written") }
    })
}

/// A value as a person reads it; nothing in it can steer a terminal.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    harmless(&text)
}

/// A text in which nothing steers a terminal.
pub(super) fn harmless(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn heading(name: &str) -> String {
    name.to_uppercase().replace('_', " ")
}

/// One line of a table.
fn padded(cells: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return "none\n".into();
    };
    let header: Vec<String> = first.0.iter().map(|(name, _)| heading(name)).collect();
    let cells = rows.iter().map(|row| row.0.iter().map(|(_, value)| plain(value)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(cells).collect();
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..first.0.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        text.push_str(&padded(line, &widths));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_steers_no_terminal() {
        let rows = [
            Row::default().with("login_name", "amina").with("active", true).with("note", Value::Null),
            Row::default().with("login_name", "ana\u{1b}[2J").with("active", false).with("note", "x"),
        ];
        assert_eq!(table(&rows), "LOGIN NAME  ACTIVE  NOTE\namina       yes     -\nana\u{fffd}[2J     no      x\n");
        assert_eq!(serde_json::to_string(&rows[0]).unwrap(), r#"{"login_name":"amina","active":true,"note":null}"#);
    }

    #[test]
    fn who_sits_at_a_terminal_is_asked_and_a_script_is_not() {
        let ask = |answer: &'static str, asks: bool, yes: bool| {
            let mut console = Console::new(answer.as_bytes(), io::sink(), io::sink());
            console.asks = asks;
            console.ask(yes, "This ends it.").is_ok()
        };
        assert!(ask("yes\n", true, false) && ask(" YES \r\nno\n", true, false));
        for answer in ["", "\n", "y\n", "no\n", "no\nyes\n"] {
            assert!(!ask(answer, true, false), "{answer:?}");
            assert!(ask(answer, true, true) && ask(answer, false, false), "{answer:?}");
        }
    }

    #[test]
    fn one_line_feed_is_not_part_of_what_is_read() {
        let read =
            |text: &'static str| Console::new(text.as_bytes(), io::sink(), io::sink()).read(8).map(|t| t.to_string());
        assert_eq!(read("secret\r\n").unwrap(), "secret");
        assert_eq!(read(" a \n\n").unwrap(), " a \n");
        assert_eq!(read("\u{feff}pass").unwrap(), "pass", "as PowerShell pipes it");
        assert!(read("123456789").is_err());
    }
}
