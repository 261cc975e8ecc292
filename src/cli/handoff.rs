//! `handoff explain`: why an assertion would be accepted or refused, for the people who build the sending side.

use clap::Subcommand;

use super::console::{Format, Output, Row, harmless};
use super::{Console, Ended};
use crate::app::App;

/// What can be asked about handoffs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Read an assertion on standard input and say, check by check, why it would be accepted or refused.
    #[command(after_help = "Example: connect-idp handoff explain < assertion.txt\n\n\
                            Nothing is written: the assertion is not spent. Exit status: 0 accepted, 1 refused.")]
    Explain(Output),
}

pub(super) async fn run(verb: &Verb, app: &App, console: &mut Console) -> anyhow::Result<Ended> {
    let Verb::Explain(output) = verb;
    let assertion = console.read(64 * 1024)?;
    let explanation = crate::handoff::explain::explain(app, &assertion).await?;
    let rows: Vec<Row> = explanation
        .checks
        .iter()
        .map(|check| {
            Row::default().with("check", check.name).with("passed", check.passed).with("detail", check.detail.as_str())
        })
        .collect();
    match output.format {
        Format::Text => {
            for check in &explanation.checks {
                let mark = check.passed.map_or("-", |passed| if passed { "ok" } else { "WRONG" });
                console.say(format_args!("{mark:5}  {}: {}", check.name, harmless(&check.detail)))?;
            }
            match explanation.refused {
                None => console.say(
                    "It would be accepted, sent from a registered page and without the line end that a file has.",
                )?,
                Some(refusal) => {
                    console.say(format_args!("It would be refused: {}. {}", refusal.label(), refusal.cure()))?;
                }
            }
        }
        Format::Json => console.rows(Format::Json, &rows)?,
    }
    Ok(if explanation.refused.is_none() { Ended::Done } else { Ended::Refused })
}
