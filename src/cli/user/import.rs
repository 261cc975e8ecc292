//! `user import`: many users out of a CSV file, with a report of every row, which is written as soon as the row is.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, ensure};
use futures_util::{StreamExt as _, stream};
use zeroize::Zeroizing;

use crate::app::App;
use crate::cli::command::{act, find_provider};
use crate::cli::console::{Console, Listing, Output, Row};
use crate::crypto::password::Busy;
use crate::model::provider::Provider;
use crate::operations::csv::text;
use crate::operations::users;
use crate::operations::users::import::{self, People, RowPlan};

/// As many rows are read from one file.
const MOST_ROWS: usize = 100_000;
/// How long a password that we make is.
const MADE_PASSWORD: usize = 16;

/// Which file, and whose users.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The CSV file, as a spreadsheet saves it; “CSV UTF-8” is best.
    #[arg(required_unless_present = "template")]
    file: Option<PathBuf>,
    /// The Provider Code.
    #[arg(long, value_name = "CODE", required_unless_present = "template")]
    provider: Option<String>,
    /// Only show what would happen to each row.
    #[arg(long)]
    dry_run: bool,
    /// Write a template to standard output: only the names of the columns.
    #[arg(long, conflicts_with_all = ["file", "provider", "dry_run"])]
    pub(in crate::cli) template: bool,
    #[command(flatten)]
    output: Output,
}

/// A row whose password, if a user is made of it, is hashed.
type Ready = (import::Row, Option<Result<(Zeroizing<String>, String), Busy>>);

/// What was printed so far.
struct Report<'a> {
    console: &'a mut Console,
    listing: Listing,
    dry_run: bool,
    of: usize,
    printed: usize,
    refused: usize,
}

pub(in crate::cli) async fn run(app: &App, args: &Args, console: &mut Console) -> anyhow::Result<()> {
    let (file, code) = args.file.as_ref().zip(args.provider.as_ref()).context("name a FILE and --provider CODE")?;
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let provider = find_provider(app, code).await?;
    let people = read(app, &Zeroizing::new(bytes), &provider)
        .await?
        .map_err(|why| anyhow!("{} is not a file of users: {why}", file.display()))?;
    for note in &people.notes {
        console.warn(note);
    }
    let mut report = Report::begin(&people, args, console)?;
    let done = import(app, &provider, people, &mut report).await;
    let ended = report.console.end(&report.listing);
    done?;
    ended?;
    let (refused, rows) = (report.refused, report.printed);
    ensure!(refused == 0, "{refused} of {rows} rows were refused: fix them and import the file again");
    Ok(())
}

async fn read(app: &App, bytes: &[u8], provider: &Provider) -> anyhow::Result<Result<People, String>> {
    let (text, encoding) = match text::decode(bytes) {
        Ok((text, encoding)) => (Zeroizing::new(text), encoding),
        Err(why) => return Ok(Err(why)),
    };
    let mut conn = app.db.read().await?;
    Ok(import::plan(&mut conn, provider, &text, encoding, MOST_ROWS).await?)
}

async fn import(app: &App, provider: &Provider, people: People, report: &mut Report<'_>) -> anyhow::Result<()> {
    let dry_run = report.dry_run;
    // As many hashes at once as there are threads: nobody waits in the pool's queue, so nobody is turned away.
    let at_once = app.config.pool_limits().threads;
    let ready = people.rows.into_iter().map(|row| async move {
        let hashed = match &row.plan {
            RowPlan::Create(person) if !dry_run => {
                let password = person.password(app);
                let hash = users::hash(app, &password).await;
                Some(hash.map(|hash| (password, hash)))
            }
            RowPlan::Create(_) | RowPlan::Exists | RowPlan::Refused(_) => None,
        };
        (row, hashed)
    });
    let mut ready = std::pin::pin!(stream::iter(ready).buffered(at_once));
    while let Some(row) = ready.next().await {
        let (row, password) = make(app, provider, row).await?;
        report.print(&row, password.as_ref())?;
    }
    Ok(())
}

/// Makes the user of a row, if there is one to make.
async fn make(
    app: &App,
    provider: &Provider,
    (mut row, hashed): Ready,
) -> anyhow::Result<(import::Row, Option<Zeroizing<String>>)> {
    let (RowPlan::Create(person), Some(hashed)) = (&row.plan, hashed) else { return Ok((row, None)) };
    let hashed = hashed.map_err(|_| anyhow!("the machine is too busy to hash passwords: import the file again"));
    let (password, hash) = hashed?;
    match import::create(&act(app), &provider.id, person, hash).await? {
        None => Ok((row, Some(password))),
        Some(plan) => {
            row.plan = plan;
            Ok((row, None))
        }
    }
}

impl<'a> Report<'a> {
    fn begin(people: &People, args: &Args, console: &'a mut Console) -> anyhow::Result<Self> {
        let widest = |cell: &dyn Fn(&import::Row) -> usize| people.rows.iter().map(cell).max().unwrap_or(0);
        let columns = [
            ("line", widest(&|row| row.line.to_string().len())),
            ("login_name", widest(&|row| row.login_name.chars().count())),
            ("fate", if args.dry_run { "will be created" } else { "created" }.len()),
            ("temporary_password", if args.dry_run { 1 } else { MADE_PASSWORD }),
            ("why", 1),
        ];
        let listing = console.begin(args.output.format, &columns)?;
        Ok(Self { console, listing, dry_run: args.dry_run, of: people.rows.len(), printed: 0, refused: 0 })
    }

    /// Prints a row before the next one is made: its password is nowhere else.
    fn print(&mut self, row: &import::Row, password: Option<&Zeroizing<String>>) -> anyhow::Result<()> {
        let (plan, why) = match &row.plan {
            RowPlan::Create(_) if self.dry_run => ("will be created", None),
            RowPlan::Create(_) => ("created", None),
            RowPlan::Exists => ("exists", None),
            RowPlan::Refused(why) => ("refused", Some(why.join(" "))),
        };
        let cells = Row::default()
            .with("line", row.line)
            .with("login_name", row.login_name.as_str())
            .with("fate", plan)
            .with("temporary_password", password.map(|password| password.to_string()))
            .with("why", why);
        let printed = self.console.next(&mut self.listing, &cells);
        if let (Err(error), false) = (&printed, self.dry_run) {
            // Not as if nobody were there to be told: the rows that follow are not imported.
            let lost = password.map(|_| format!(", and {:?} was created: reset that password", row.login_name));
            let lost = lost.unwrap_or_default();
            return Err(anyhow!("the report cannot be written any longer ({error}){lost}. Then import the file again"));
        }
        printed?;
        self.refused += usize::from(matches!(row.plan, RowPlan::Refused(_)));
        self.printed += 1;
        self.console.progress(format_args!("{} of {} rows", self.printed, self.of));
        Ok(())
    }
}
