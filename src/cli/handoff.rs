//! `handoff`: for the people who build the sending side: why an assertion would be accepted or refused, and a key to
//! sign with.

use anyhow::Context as _;
use clap::Subcommand;

use super::command::Ended;
use super::console::{Console, Format, Output, Row, harmless};
use crate::app::App;
use crate::crypto::jws::Algorithm;
use crate::handoff::explain::{Explanation, Reader, explain};
use crate::handoff::new_key::new_key;
use crate::handoff::trail::{Outcome, Step};
use crate::model::refusal::Refusal;
use crate::time::Timestamp;

/// What can be asked about handoffs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Read an assertion on standard input and say, check by check, why it would be accepted or refused.
    #[command(after_help = "Example: connect-idp handoff explain < assertion.txt\n\n\
                            Nothing is written: the assertion is not spent. Exit status: 0 accepted, 1 refused.")]
    Explain {
        /// Check it as at this time: RFC 3339, or seconds since 1970. Providers and users are those of now.
        #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
        at: Option<Timestamp>,
        #[command(flatten)]
        output: Output,
    },
    /// Make a key to sign assertions with: JSON with `private`, the key, and `public`, the key set to register.
    #[command(after_help = "Example: connect-idp handoff new-key > key.json\n\n\
                            Nothing is registered or kept: whoever has `private` is the sender. Give us `public`, with \
                            `issuer create --jwks-file` or at a jwks_uri.")]
    NewKey {
        /// The algorithm it is good for.
        #[arg(long, value_name = "ALG", default_value = "ES256", value_parser = algorithm)]
        alg: Algorithm,
        /// Its name; default: its thumbprint (RFC 7638).
        #[arg(long, value_name = "KID", value_parser = kid)]
        kid: Option<String>,
    },
}

fn time(text: &str) -> Result<Timestamp, String> {
    let seconds = || text.parse().ok().map(Timestamp::from_seconds);
    Timestamp::parse_rfc3339(text)
        .or_else(seconds)
        .ok_or_else(|| "must be a time such as 2027-01-15T08:00:00Z, or seconds since 1970".into())
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    text.parse().map_err(|()| "must be ES256, PS256, RS256 or EdDSA".into())
}

fn kid(text: &str) -> Result<String, String> {
    let good = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 255 printable ASCII characters without a space".into())
}

pub(super) async fn run(
    verb: &Verb,
    app: impl AsyncFnOnce() -> anyhow::Result<App>,
    console: &mut Console,
) -> anyhow::Result<Ended> {
    match verb {
        Verb::NewKey { alg, kid } => {
            let both = new_key(*alg, kid.as_deref()).context("the key cannot be made")?;
            console.say(serde_json::to_string_pretty(&both)?)?;
            Ok(Ended::Done)
        }
        Verb::Explain { at, output } => {
            let assertion = console.read(64 * 1024)?;
            let explanation = explain(&app().await?, &assertion, *at, Reader::Operator).await?;
            match output.format {
                Format::Text => say(&explanation, console)?,
                Format::Json => console.rows(Format::Json, &explanation.checks.iter().map(row).collect::<Vec<_>>())?,
            }
            Ok(if explanation.refused.is_none() { Ended::Done } else { Ended::Refused })
        }
    }
}

fn row(step: &Step) -> Row {
    let (passed, result, wrong) = match step.outcome {
        Outcome::Good => (Some(true), "ok", None),
        Outcome::Wrong(refusal) => (Some(false), "wrong", Some(refusal)),
        Outcome::Skipped => (None, "skipped", None),
    };
    Row::default()
        .with("check", step.name)
        .with("passed", passed)
        .with("result", result)
        .with("detail", step.detail.as_str())
        .with("reason", wrong.map(Refusal::as_str))
        .with("cure", wrong.map(|_| step.cure()))
}

fn say(explanation: &Explanation, console: &mut Console) -> anyhow::Result<()> {
    for step in &explanation.checks {
        let detail = harmless(&step.detail);
        match step.outcome {
            Outcome::Good => console.say(format_args!("OK       {}: {detail}", step.name))?,
            Outcome::Skipped => console.say(format_args!("SKIPPED  {}: {detail}", step.name))?,
            Outcome::Wrong(refusal) => {
                let line = format!("WRONG    {}: {detail}. {refusal}: {}", step.name, step.cure());
                console.say(format_args!("{}", line.trim_end_matches(": ")))?;
            }
        }
    }
    match (explanation.refused, explanation.at_its_time) {
        (None, _) => {
            console.say("It would be accepted, sent from a registered page and without the line end that a file has.")
        }
        (Some(refusal), Some(at)) => console.say(format_args!(
            "It would be refused now: {}. At its own time it would have been accepted: say --at {}",
            refusal.label(),
            at.rfc3339()
        )),
        (Some(refusal), None) => {
            console.say(format_args!("It would be refused: {}. {}", refusal.label(), refusal.senders_cure()))
        }
    }
}
