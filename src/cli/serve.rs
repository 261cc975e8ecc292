//! `serve`: the log, the house, then the service.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::app::{App, Opening};
use crate::config::{Config, Log, LogFormat};

/// Runs the service until it is told to stop.
pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    start_log(&config.log)?;
    let app = App::open(config, Opening::Run).await?;
    crate::serve::run(app).await
}

/// Log lines go to standard error.
fn start_log(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.level).context("log.level is not a level")?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}
