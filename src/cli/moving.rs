//! `move`: an installation from SQLite to PostgreSQL.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use super::command::{Ended, operator, read_file};
use super::console::Console;
use crate::config::{Config, has_password};
use crate::model::text;
use crate::operations::moving::Move;
use crate::store::Database;

/// What `move` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp move --to-url-file /etc/connect-idp/database-url\n\n\
                        Stop the service first. The PostgreSQL must be empty; all rows go there in one transaction, with their \
                        sessions and tokens. The SQLite database stays as it is. The keys folder is the same afterwards.")]
pub(super) struct Args {
    /// A file that holds the address of the PostgreSQL (postgres://…).
    #[arg(long, value_name = "FILE", required_unless_present = "to")]
    to_url_file: Option<PathBuf>,
    /// The address itself, where it has no password: arguments can be seen by everybody on the machine.
    #[arg(long, value_name = "URL", conflicts_with = "to_url_file")]
    to: Option<String>,
}

impl Args {
    fn url(&self) -> anyhow::Result<String> {
        match (&self.to_url_file, &self.to) {
            (Some(file), _) => Ok(text::one_value(&read_file(file)?).to_owned()),
            (None, Some(url)) => {
                ensure!(
                    !has_password(url),
                    "--to has a password, which everybody on this machine can see: write the address into a file, and name \
                     that with --to-url-file"
                );
                Ok(url.clone())
            }
            (None, None) => bail!("say where to: --to-url-file FILE"),
        }
    }
}

pub(super) async fn run(args: &Args, config: Config, console: &mut Console) -> anyhow::Result<Ended> {
    let url = args.url()?;
    if Database::is_unprotected(&url) {
        console.warn("warning: the address does not ask for TLS: everything that goes there can be read on the way");
    }
    let file = Database::sqlite_file(&config.database.url).unwrap_or_default();
    let begun = Move::begin(config, url).await?;
    let moved = begun.carry_out(&operator(), &mut |what, done, of| show(console, what, done, of)).await?;
    console.progress_done();
    console.say(format_args!(
        "{} rows of {} tables are in the new database, each the same as here.",
        moved.rows(),
        moved.0.len()
    ))?;
    let verified = begun.look(&mut |what, done, of| show(console, what, done, of)).await;
    console.progress_done();
    let verified = verified.context("all rows were moved, and the new database could not be opened afterwards")?;
    if let Some(fault) = verified.fault {
        console.say(format_args!(
            "User Activity is there as it was here, and that is not as it was written: {}. Run `connect-idp activity verify` \
             on both, and keep a copy of both.",
            fault.words()
        ))?;
        return Ok(Ended::Refused);
    }
    console.say(format_args!(
        "User Activity is proven there: {} record(s) as they were written.",
        verified.records + verified.unsealed
    ))?;
    console.say(format_args!(
        "Put the new address into database.url, start the service and run `connect-idp doctor`. {} is as it was: do not start \
         the service on it again, what is done from now on is not in it.",
        file.display()
    ))?;
    Ok(Ended::Done)
}

fn show(console: &mut Console, what: &str, done: u64, of: u64) {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    console.bar(number(done), number(of), what);
}
