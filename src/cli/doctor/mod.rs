//! `doctor`: what is wrong and how to fix it, one line a check. This file asks and prints; [`machine`] is what can be
//! looked at without the database's contents, [`contents`] what is in it, [`keys`] ours and other people's; [`finding`]
//! is what a check says.

mod contents;
mod finding;
mod keys;
mod machine;

use self::finding::{Finding, Level};
use super::command::Ended;
use super::console::{Console, Format, Output, Row, harmless};
use crate::app::{App, Opening};
use crate::cli::activity::chain::{Anchors, OlderVersion};
use crate::config::Config;
use crate::operations::activity::verify::Terms;

/// What `doctor` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp doctor\nExample: connect-idp doctor --quick\n\n\
                        Exit status: 0 all is well, or there is only something to note (NOTE); 1 something is wrong (WRONG).")]
pub(super) struct Args {
    /// Leave out what reads all of User Activity.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    anchors: Anchors,
    #[command(flatten)]
    older_version: OlderVersion,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(args: &Args, config: Config, console: &mut Console) -> anyhow::Result<Ended> {
    let terms = Terms { anchors: args.anchors.read()?, ..args.older_version.terms()? };
    let findings = examine(config, &terms, args.quick).await;
    match args.output.format {
        Format::Text => {
            for Finding { check, level, detail } in &findings {
                let mark = match level {
                    Level::Ok => "ok   ",
                    Level::Note => "NOTE ",
                    Level::Wrong => "WRONG",
                };
                let colon = if detail.is_empty() { "" } else { ": " };
                console.say(format_args!("{mark}  {}{colon}{}", harmless(check), harmless(detail)))?;
            }
        }
        Format::Json => {
            let row = |Finding { check, level, detail }: &Finding| {
                let row = Row::default().with("check", check.as_str()).with("ok", *level != Level::Wrong);
                row.with("level", level.word()).with("detail", detail.as_str())
            };
            console.rows(Format::Json, &findings.iter().map(row).collect::<Vec<_>>())?;
        }
    }
    Ok(if findings.iter().all(|finding| finding.level != Level::Wrong) { Ended::Done } else { Ended::Refused })
}

async fn examine(config: Config, terms: &Terms, quick: bool) -> Vec<Finding> {
    let mut findings = vec![machine::configuration(&config), machine::openssl()];
    findings.extend(machine::certificate(&config));
    let keys = machine::keys(&config);
    let database = machine::database(&config).await;
    let both = keys.is_ok() && database.is_ok();
    findings.push(Finding::of("keys folder", keys));
    findings.push(Finding::of("database", database));
    if let Some(settings) = &config.redis {
        findings.push(Finding::of("redis", machine::redis(settings).await));
    }
    if both {
        match App::open(config, Opening::Existing).await {
            Ok(app) => {
                findings.push(Finding::of("the keys belong to the database", Ok(String::new())));
                contents::examine(&app, terms, quick, &mut findings).await;
                keys::examine(&app, &mut findings).await;
                app.db.close().await;
            }
            Err(error) => findings.push(Finding::of("opening the service's parts", Err(format!("{error:#}")))),
        }
    }
    findings
}
