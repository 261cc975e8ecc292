//! `activity`: the lasting record, for reading and for files (A1, A2, A5).

pub(in crate::cli) mod chain;
mod moment;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};

use self::moment::moment;
use super::command::{Ended, Who, find_provider};
use super::console::{Console, Output, Row};
use crate::app::App;
use crate::model::activity::{Kind, Outcome};
use crate::model::{reason, reference};
use crate::operations::activity::browse::Reach;
use crate::operations::activity::export::{Line, MEMBERS, PLACE};
use crate::operations::csv::file;
use crate::store::activity::chain::Placed;
use crate::store::activity::{Record, Search, Whose};
use crate::time::Timestamp;

/// How many records are in memory at once.
const PAGE: i64 = 1000;

/// What can be done with the record.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the newest records.
    #[command(after_help = "Example: connect-idp activity list --provider SUNRISE-IL --outcome refused\n\
                            Example: connect-idp activity list --reference 7K3M-9Q0T")]
    List {
        #[command(flatten)]
        filters: Filters,
        /// What this reference number stands for, in words with what to do about it. Without --provider also what was
        /// refused before a trusted signature, which is not in the record.
        #[arg(long, value_name = "NUMBER", value_parser = reference_number, conflicts_with_all = ["login_name", "since", "until", "kind", "outcome", "limit"])]
        reference: Option<String>,
        /// How many at most.
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        output: Output,
    },
    /// Write every record to standard output, in the order of their commits.
    #[command(
        after_help = "Example: connect-idp activity export --provider SUNRISE-IL --since 2026-01-01 --output csv > january.csv\n\n\
                      Each record has its number in that order, `seq`. With --after and the last one that you have, the next \
                      file begins where the one before ended, and none is missed."
    )]
    Export {
        #[command(flatten)]
        filters: Filters,
        /// Only what comes after this number: `seq` of the last record that you have.
        #[arg(long, value_name = "SEQ", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
        after: i64,
        /// One JSON object a line, or CSV.
        #[arg(long = "output", value_enum, default_value_t = FileFormat::Json, value_name = "FORMAT")]
        format: FileFormat,
    },
    /// Prove that no record was changed, removed, inserted or moved since it was written.
    Verify(chain::VerifyArgs),
    /// Write down how far the record goes, to be kept elsewhere: `activity verify --anchor` compares with it.
    #[command(after_help = "Example: connect-idp activity anchor >> anchors.jsonl\n\n\
                            Keep the file where whoever can change the database cannot change it.")]
    Anchor,
    /// Remove old records for good.
    Prune(chain::PruneArgs),
}

/// How records stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    /// One object a line.
    Json,
    /// RFC 4180 with a byte-order mark and a header, each cell quoted; an apostrophe stands before what a spreadsheet
    /// would take for a formula.
    Csv,
}

/// Which records are meant: all that fit every filter.
#[derive(Debug, clap::Args)]
pub(super) struct Filters {
    /// Of this provider.
    #[arg(long, value_name = "CODE")]
    provider: Option<String>,
    /// Of this user.
    #[arg(long, value_name = "NAME", requires = "provider")]
    login_name: Option<String>,
    /// From this moment on: RFC 3339, or a date in the provider's time zone (without --provider: UTC).
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before this moment; a date means its beginning.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Of this kind, such as `sign_in`.
    #[arg(long, value_parser = str::parse::<Kind>)]
    kind: Option<Kind>,
    /// With this outcome: success, refused or unfinished.
    #[arg(long, value_parser = str::parse::<Outcome>)]
    outcome: Option<Outcome>,
}

impl Filters {
    async fn search(&self, app: &App) -> anyhow::Result<(Reach, Search)> {
        let (mut provider_id, mut zone) = (None, "UTC".to_owned());
        if let Some(code) = &self.provider {
            let provider = find_provider(app, code).await?;
            (provider_id, zone) = (Some(provider.id), provider.time_zone);
        }
        let moment = |text: &String| moment(text, &zone).map(Timestamp);
        let mut search = Search {
            kind: self.kind,
            outcome: self.outcome,
            since: self.since.as_ref().map(moment).transpose().context("--since")?,
            until: self.until.as_ref().map(moment).transpose().context("--until")?,
            ..Search::default()
        };
        if let (Some(provider), Some(login_name)) = (&self.provider, &self.login_name) {
            let who = Who { provider: provider.clone(), login_name: login_name.clone() };
            search.whose = Whose::User(who.find(app).await?.id);
        }
        Ok((Reach::Operator(provider_id), search))
    }
}

pub(super) async fn run(verb: &Verb, app: &App, console: &mut Console) -> anyhow::Result<Ended> {
    match verb {
        Verb::List { filters, reference: Some(reference), output, .. } => {
            let (reach, search) = filters.search(app).await?;
            let search = Search { reference: Some(reference.clone()), ..search };
            let records = reach.all(&mut app.db.read_much().await?, &search).await?;
            if records.is_empty() {
                bail!("nothing has the reference number {reference}: look for it in the log of the service");
            }
            console.rows(output.format, &records.iter().map(explained).collect::<Vec<_>>())?;
        }
        Verb::List { filters, limit, output, .. } => {
            let (reach, search) = filters.search(app).await?;
            let records = reach.newest(&mut app.db.read_much().await?, &search, usize::from(*limit)).await?;
            console.rows(output.format, &records.iter().map(listed).collect::<Vec<_>>())?;
        }
        Verb::Export { filters, after, format } => {
            let (reach, search) = filters.search(app).await?;
            export(app, &reach, &search, *after, *format, console).await?;
        }
        Verb::Verify(args) => return chain::verify(args, app, console).await,
        Verb::Anchor => chain::anchor(app, console).await?,
        Verb::Prune(args) => return chain::prune(args, app, console).await,
    }
    Ok(Ended::Done)
}

async fn export(
    app: &App,
    reach: &Reach,
    search: &Search,
    mut after: i64,
    format: FileFormat,
    console: &mut Console,
) -> anyhow::Result<()> {
    chain::seal_all(app, console).await?;
    if format == FileFormat::Csv {
        console.write(&file::Head::of(MEMBERS.into_iter().chain([PLACE])).into_bytes())?;
    }
    let mut count = 0;
    loop {
        let page = reach.forward(app, search, after, PAGE).await?;
        count += page.records.len();
        let lines = match format {
            FileFormat::Json => json_lines(&page.records)?,
            FileFormat::Csv => page.records.iter().flat_map(|placed| Line::placed(placed).csv()).collect(),
        };
        console.write(&lines)?;
        console.progress(format_args!("{count} records"));
        after = page.read_to;
        if after >= page.last {
            break;
        }
    }
    console.progress_done();
    Ok(())
}

fn json_lines(page: &[Placed]) -> anyhow::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for placed in page {
        serde_json::to_writer(&mut lines, &Line::placed(placed))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn listed(record: &Record) -> Row {
    let line = Line::of(record);
    Row::default()
        .with("time", line.time)
        .with("provider_code", line.provider_code)
        .with("login_name", line.login_name)
        .with("actor", line.actor)
        .with("kind", line.kind)
        .with("login_type", line.login_type)
        .with("outcome", line.outcome)
        .with("reason", line.reason)
        .with("note", line.note)
        .with("address", line.address)
        .with("reference", line.reference)
}

/// A record with its reason in words, and what to do about it.
fn explained(record: &Record) -> Row {
    let words = record.reason.as_deref().and_then(reason::words);
    listed(record)
        .with("browser", record.browser.clone())
        .with("what", record.reason.as_deref().map(reason::label))
        .with("what_to_do", words.map(|words| words.cure))
}

fn reference_number(text: &str) -> Result<String, String> {
    reference::read(text).ok_or_else(|| format!("it {}", reference::SHAPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_both_formats_are_the_same() {
        let record = Record {
            id: "1".into(),
            at: 0,
            provider_code: None,
            user_id: None,
            login_name: None,
            name_hash: None,
            actor: "system".into(),
            kind: Kind::SignIn,
            login_type: None,
            note: None,
            outcome: Outcome::Refused,
            reason: None,
            address: Some(String::new()),
            browser: None,
            reference: "r".into(),
            session_id: None,
            handoff_id: None,
        };
        let text = String::from_utf8(json_lines(&[Placed { seq: 7, record }]).unwrap()).unwrap();
        let names = MEMBERS.iter().chain([&PLACE]).map(|name| text.find(&format!("\"{name}\":")).unwrap());
        let names: Vec<usize> = names.collect();
        assert!(names.is_sorted(), "{text}");
        assert!(text.contains("\"address\":null"));
    }
}
