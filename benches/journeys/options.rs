//! What may be said on the command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::filling::Size;
use crate::journeys::{JOURNEYS, Journey};
use crate::report::NAMED_SHARE;

/// Measures whole journeys on the real program: what each costs, how many a core bears, how long they take under load.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(name = "journeys", disable_version_flag = true)]
pub struct Options {
    /// A look of about a minute for each site: short runs, latency at 70 % of the best rate alone.
    #[arg(long)]
    pub quick: bool,
    /// Only journeys whose name holds this; may be given several times.
    #[arg(long, value_name = "NAME")]
    journey: Vec<String>,
    /// Only on these; may be given several times.
    #[arg(long)]
    engine: Vec<Place>,
    /// How long each load lasts.
    #[arg(long, default_value_t = 3.0, default_value_if("quick", "true", "0.5"), value_parser = seconds)]
    pub seconds: f64,
    /// How often each load is repeated: a comparison needs three.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    runs: u8,
    /// Says what is better, worse or noise beside an earlier report.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Where report.markdown, report.json and the pictures go; by default target/journeys.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Measures on databases that hold much already: rows as of some years, made by PostgreSQL.
    #[arg(long)]
    pub full: bool,
    #[command(flatten)]
    pub size: Size,
    /// Live sessions, each with an app's tokens.
    #[arg(long, default_value_t = 1_000_000)]
    pub sessions: i64,
    /// Another build of the program than cargo's: to be compared with.
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_connect-idp"))]
    pub program: PathBuf,
    /// Prints the names of the journeys.
    #[arg(long)]
    pub list: bool,
    /// What cargo adds automatically.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where journeys are measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Place {
    Sqlite,
    /// Where `CONNECT_IDP_TEST_POSTGRES` names a server.
    Postgres,
    /// Node's oidc-provider.
    Peer,
}

impl Options {
    pub fn wants(&self, place: Place) -> bool {
        self.engine.is_empty() || self.engine.contains(&place)
    }

    pub fn journeys(&self) -> Vec<Journey> {
        let wanted = |journey: &Journey| {
            self.journey.is_empty() || self.journey.iter().any(|part| journey.name.contains(part.as_str()))
        };
        JOURNEYS.into_iter().filter(wanted).collect()
    }

    pub fn runs(&self) -> usize {
        self.runs.into()
    }

    /// Of the best rate, in percent.
    pub fn shares(&self) -> Vec<u32> {
        if self.quick { vec![NAMED_SHARE] } else { vec![10, 30, 50, NAMED_SHARE, 90] }
    }

    /// Loads of one journey.
    pub fn steps(&self) -> usize {
        2 * self.runs() + self.shares().len() - 1
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    // An assertion lives for a minute, and what is used up is made beforehand.
    if (0.1..=15.0).contains(&seconds) { Ok(seconds) } else { Err("from 0.1 to 15".to_owned()) }
}
