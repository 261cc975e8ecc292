//! The whole of it on one machine, to try: `cargo run --release --example demo`.
//!
//! The real service, on SQLite in a folder of its own, beside a stand-in for Therap Services on another host
//! ([`therap`]: its own login, its own sessions, the "Therap Connect" button, and a page of everything that a sender
//! can do wrong), a relying party ([`portal`]) and a page of strangers ([`stranger`]). [`cast`] is who there is,
//! [`sender`] signs.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it says to the person who started it")]

mod cast;
mod misbehave;
mod pages;
mod place;
mod portal;
mod sender;
mod stranger;
mod therap;
mod welcome;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::ensure;
use axum::Router;
use clap::{Parser, ValueEnum};
use connect_idp::app::{App, Opening};
use connect_idp::cli::{Cli, Console};
use connect_idp::config::{Config, Log, LogFormat, Site};
use connect_idp::serve::{self, Listeners};
use connect_idp::time::{Clock, Random};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use cast::Cast;
use place::{Addresses, Folder};
use sender::Sender;

/// Therap Connect and a stand-in for Therap Services on this machine, to try.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Args {
    /// Where Therap Connect is served; 0 takes any free port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where the stand-in for Therap Services is served; 0 takes any free port.
    #[arg(long, default_value_t = 8081)]
    therap_port: u16,
    /// Where the relying party is served; 0 takes any free port.
    #[arg(long, default_value_t = 8082)]
    portal_port: u16,
    /// Keep everything in this folder, and find it again; without it a temporary one is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Which of the two sites it is.
    #[arg(long, value_enum, default_value = "beta")]
    site: Which,
    /// End a session unused this long.
    #[arg(long, value_name = "N")]
    session_idle_minutes: Option<u32>,
    /// For tests: passwords are cheap to hash, nobody is throttled.
    #[arg(long)]
    fast: bool,
    /// What is printed once everything listens: a page for people, or one line of JSON.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    Production,
    Beta,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    refuse_variables()?;
    let addresses = Addresses::bind(args.port, args.therap_port, args.portal_port)?;
    let folder = Folder::open(args.data.as_deref())?;
    let config = configuration(args, &addresses, &folder)?;
    let sender = Arc::new(Sender::new(&addresses)?);
    let cast = Arc::new(Cast::read(&addresses, &sender)?);
    apply(&config, &cast, &folder)?;
    // Dropped after the runtime, so that nothing writes into the folder while it is removed.
    tokio::runtime::Runtime::new()?.block_on(serve_all(args, config, addresses, &folder, &cast, &sender))
}

/// The settings stand in a file of the folder, which commands could not read if variables said otherwise.
fn refuse_variables() -> anyhow::Result<()> {
    let variable = std::env::vars_os().find(|(name, _)| name.to_string_lossy().starts_with("CONNECT_IDP__"));
    let name = variable.map(|(name, _)| name.to_string_lossy().into_owned()).unwrap_or_default();
    ensure!(name.is_empty(), "{name} is set, and the demo makes all its settings itself: unset it");
    Ok(())
}

fn configuration(args: &Args, addresses: &Addresses, folder: &Folder) -> anyhow::Result<Config> {
    let mut config = Config {
        issuer: addresses.issuer.clone(),
        listen: addresses.public.local_addr()?.into(),
        internal_listen: addresses.internal.local_addr()?.into(),
        site: match args.site {
            Which::Production => Site::Production,
            Which::Beta => Site::Beta,
        },
        drain_seconds: 0, // nobody is in front
        therap_services_url: format!("{}/", addresses.therap_services),
        log: Log { format: LogFormat::Text, level: "info".into(), ..Log::default() },
        ..Config::default()
    };
    config.database.url = format!("sqlite://{}", folder.file("connect.db")?);
    config.keys.dir = folder.path().join("keys");
    if let Some(minutes) = args.session_idle_minutes {
        config.session.idle_minutes = minutes;
    }
    if args.fast {
        // Allowed because the issuer is on loopback.
        config.password.memory_kib = 64;
        config.password.iterations = 1;
        config.throttle.enabled = false;
    }
    config.check()?;
    Ok(config)
}

/// Writes settings and seed into the folder, and has the product's own command apply them.
fn apply(config: &Config, cast: &Cast, folder: &Folder) -> anyhow::Result<()> {
    let settings = folder.write("connect.toml", &toml::to_string(config)?)?;
    let seed = folder.write("seed.toml", &cast.seed)?;
    let mut console = Console::new(io::empty(), io::sink(), io::stderr());
    let status = Cli::run_on(["connect-idp", "--config", &settings, "apply", &seed], &mut console);
    ensure!(status == 0, "{seed} was not applied");
    Ok(())
}

async fn serve_all(
    args: &Args,
    config: Config,
    addresses: Addresses,
    folder: &Folder,
    cast: &Arc<Cast>,
    sender: &Arc<Sender>,
) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log.level)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let welcome = match args.output {
        Output::Text => welcome::page(&config, &addresses, cast, folder),
        Output::Json => welcome::line(&config, &addresses, folder),
    };
    let app = App::open_with(config, Opening::Run, Clock::System, Random::System).await?;
    let listeners =
        Listeners { public: listener(addresses.public)?.into(), internal: listener(addresses.internal)?.into() };
    let therap = therap::site(&addresses.issuer, &addresses.therap_services, &addresses.foreign, cast, sender);
    tokio::spawn(serve_site(listener(addresses.therap)?, therap));
    tokio::spawn(serve_site(listener(addresses.portal_listener)?, portal::site(&addresses.issuer, &addresses.portal)));
    tokio::spawn(serve_site(listener(addresses.stranger)?, stranger::site(&addresses.issuer, &addresses.foreign)));
    println!("{welcome}");
    serve::run_on(app, listeners, stop()).await
}

fn listener(bound: std::net::TcpListener) -> io::Result<TcpListener> {
    bound.set_nonblocking(true)?;
    TcpListener::from_std(bound)
}

async fn serve_site(listener: TcpListener, site: Router) {
    if let Err(error) = axum::serve(listener, site).await {
        tracing::error!("a site of the demo stopped: {error}");
    }
}

/// The first Ctrl-C (or SIGTERM) stops in good order, the second at once.
#[expect(clippy::exit, reason = "at once: nothing is waited for")]
async fn stop() {
    signalled().await;
    eprintln!("Stopping. Once more stops at once.");
    tokio::spawn(async {
        signalled().await;
        std::process::exit(130);
    });
}

async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
