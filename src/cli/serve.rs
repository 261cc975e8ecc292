//! `serve`: the log, the configuration, then the service; and what SIGHUP changes of them.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::command::read_config;
use crate::app::{App, Opening};
use crate::config::{self, Config, Log, LogFormat};
use crate::log::format;
use crate::serve::Handed;

/// Runs the service until it is told to stop. `file` is read again on SIGHUP; sockets were perhaps handed over.
pub(super) async fn run(config: Config, file: Option<PathBuf>, handed: Handed) -> anyhow::Result<()> {
    let set_level = start_log(&config.log)?;
    let app = App::open(config, Opening::Run).await?;
    let hangups = signal(SignalKind::hangup()).context("SIGHUP cannot be listened for")?;
    // It ends with the process.
    tokio::spawn(reload(app.clone(), file, set_level, hangups));
    crate::serve::run(app, handed).await
}

/// Gives the log another level.
type SetLevel = Box<dyn Fn(&str) -> anyhow::Result<()> + Send + Sync>;

/// Log lines go to standard error.
fn start_log(log: &Log) -> anyhow::Result<SetLevel> {
    // The two formats are of different types.
    macro_rules! start {
        ($lines:expr) => {{
            let lines = $lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.try_init().map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))?;
            Box::new(move |level: &str| Ok(handle.reload(EnvFilter::try_new(level)?)?))
        }};
    }
    let filter = EnvFilter::try_new(&log.level).context("log.level is not a level")?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    Ok(match log.format {
        LogFormat::Json => start!(lines.with_ansi(false).event_format(format::Json)),
        LogFormat::Text => start!(lines.with_ansi(std::io::stderr().is_terminal()).event_format(format::Text)),
    })
}

/// Reads the configuration at each SIGHUP and takes over what may change. One that is not valid changes nothing.
async fn reload(app: App, file: Option<PathBuf>, set_level: SetLevel, mut hangups: Signal) {
    let mut in_force = app.config.clone();
    while hangups.recv().await.is_some() {
        match next(&in_force, file.as_deref()) {
            Ok((next, later)) => {
                let now = config::changed(&in_force, &next);
                if let Err(error) = set_level(&next.log.level) {
                    tracing::error!("the log's level stays as it was: {error:#}");
                }
                app.adopt(&next);
                in_force = next;
                tracing::info!("the configuration was read again: {}", told(&now, &later));
            }
            Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
        }
    }
}

/// The configuration from now on, and the keys that a restart would change.
fn next(in_force: &Config, file: Option<&std::path::Path>) -> anyhow::Result<(Config, Vec<String>)> {
    let read = read_config(file)?.config;
    let next = in_force.with_live_of(&read);
    // What stays may forbid what is new: an issuer that is not on loopback any longer, for one.
    next.check()?;
    let later = config::changed(&next, &read);
    Ok((next, later))
}

fn told(now: &[String], later: &[String]) -> String {
    let now = if now.is_empty() {
        "nothing of what may change while it runs is different".to_owned()
    } else {
        format!("{} in force", now.join(", "))
    };
    if later.is_empty() { now } else { format!("{now}; {} at the next start", later.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_is_taken_over_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connect.toml");
        let read = |toml: &str| {
            std::fs::write(&file, toml).unwrap();
            next(&Config { issuer: "https://connect.example.org".into(), ..Config::default() }, Some(&file))
        };
        let head = "issuer = \"https://connect.example.org\"\n";
        let (config, later) =
            read(&format!("{head}[throttle]\naddress_per_minute = 7\n[session]\nidle_minutes = 5")).unwrap();
        assert_eq!(config.throttle.address_per_minute, 7);
        assert_eq!(config.session.idle_minutes, 30);
        assert_eq!(later, ["session.idle_minutes"]);
        let why = |toml: &str| format!("{:#}", read(toml).unwrap_err());
        assert!(why("[throttle]\naddress_per_minute = 0").contains("line 2: throttle.address_per_minute"));
        // On loopback it would do; the service is not there.
        assert!(why("[throttle]\nenabled = false").contains("throttle.enabled"));
        assert!(why("trusted_proxies = [\"0.0.0.0/0\"]").contains("trusted_proxies"));
    }
}
