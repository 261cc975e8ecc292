//! The command line: one file a verb. Commands print data on standard output, and what went wrong as one sentence on
//! standard error that says what to do; they end with 0 (done), 1 (refused or failed) or 2 (wrong usage).

mod activity;
mod apply;
mod backup;
mod client;
mod command;
mod config;
mod console;
mod doctor;
mod export;
mod handoff;
mod issuer;
mod key;
mod moving;
mod provider;
mod seed;
mod serve;
mod session;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};

use self::command::{Ended, open, read_config};
pub use self::console::{Closed, Console};
use crate::app::{App, Opening};
use crate::crypto::tls;
use crate::operations;
use crate::serve::Handed;

/// With what a scanner or a support case asks for next.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let (openssl, ends) = tls::openssl();
    let ends = ends.map(|day| format!(", supported until {day}")).unwrap_or_default();
    format!("{}\n{openssl}{ends}", env!("CARGO_PKG_VERSION"))
});

/// The sign-in service of Therap Connect.
#[derive(Debug, Parser)]
#[command(
    name = "connect-idp",
    version,
    long_version = LONG_VERSION.as_str(),
    about = "The sign-in service of Therap Connect",
    after_help = "Example: connect-idp apply seed.toml && connect-idp serve\n\n\
                  Exit status: 0 done, 1 refused or failed, 2 wrong usage."
)]
pub struct Cli {
    /// The configuration file; without one, `CONNECT_IDP__SECTION__KEY` variables and defaults.
    #[arg(long, global = true, env = "CONNECT_IDP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the service.
    #[command(after_help = "Example: connect-idp --config connect.toml serve")]
    Serve,
    /// Bring the database's schema up to date.
    #[command(after_help = "Example: connect-idp migrate\n\n\
                            On SQLite it also makes the file, the keys folder and the key-encryption key.")]
    Migrate {
        /// The address has changed: let the database belong to the `issuer` of the configuration from now on.
        #[arg(long)]
        new_issuer: bool,
    },
    /// Create or update providers, users, clients and trusted issuers from a TOML file.
    Apply(apply::Args),
    /// Write what is set as a seed file, for `apply`.
    Export(export::Args),
    /// Write database and keys into one file, while the service runs (SQLite).
    Backup(backup::BackupArgs),
    /// Put a backup in place, and end every session, code and token that is older.
    Restore(backup::RestoreArgs),
    /// Move everything from SQLite to PostgreSQL.
    Move(moving::Args),
    /// Providers: the agencies.
    #[command(subcommand, after_help = "Example: connect-idp provider list")]
    Provider(provider::Verb),
    /// Users of a provider.
    #[command(subcommand, after_help = "Example: connect-idp user list --provider SUNRISE-IL")]
    User(user::Verb),
    /// Clients: the relying parties, and programs that act for themselves.
    #[command(subcommand, after_help = "Example: connect-idp client list")]
    Client(client::Verb),
    /// Trusted issuers of handoffs.
    #[command(subcommand, after_help = "Example: connect-idp issuer list")]
    Issuer(issuer::Verb),
    /// Sessions of a user.
    #[command(subcommand, after_help = "Example: connect-idp session list --provider SUNRISE-IL --login-name amina")]
    Session(session::Verb),
    /// User Activity: the lasting record.
    #[command(subcommand, after_help = "Example: connect-idp activity export --output csv > activity.csv")]
    Activity(activity::Verb),
    /// Handoffs from Therap Services.
    #[command(subcommand, after_help = "Example: connect-idp handoff explain < assertion.txt")]
    Handoff(handoff::Verb),
    /// The signing keys, and the key-encryption keys.
    #[command(subcommand, after_help = "Example: connect-idp key list")]
    Key(key::Verb),
    /// The settings in force.
    #[command(subcommand, after_help = "Example: connect-idp config show")]
    Config(config::Verb),
    /// Say what is wrong and how to fix it.
    Doctor(doctor::Args),
}

impl Cli {
    /// Runs the command that these arguments name (the program's own name first).
    pub fn run<I, T>(args: I) -> ExitCode
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        ExitCode::from(Self::run_on(args, &mut Console::of_process()))
    }

    /// [`Cli::run`] with another console; the exit status as a number.
    pub fn run_on<I, T>(args: I, console: &mut Console) -> u8
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        Self::run_all(&args, console)
    }

    /// Nothing here depends on who calls: else the compiler would make the whole program once more for each of them.
    fn run_all(args: &[OsString], console: &mut Console) -> u8 {
        let cli = match Self::try_parse_from(args) {
            Ok(cli) => cli,
            Err(usage) => return explain_usage(&usage, console),
        };
        // Before there are threads: it changes the environment.
        let handed = if matches!(cli.verb, Verb::Serve) { Handed::take() } else { Ok(Handed::default()) };
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                console.warn(format_args!("connect-idp: the process cannot start its threads: {error}"));
                return 1;
            }
        };
        let ended = runtime.block_on(cli.execute(handed, console)).and_then(|ended| console.flush().map(|()| ended));
        match ended {
            Ok(Ended::Done) => 0,
            Ok(Ended::Refused) => 1,
            Err(error) if error.is::<Closed>() => 0,
            Err(error) => {
                console.progress_done();
                console.warn(format_args!("connect-idp: {error:#}"));
                1
            }
        }
    }

    async fn execute(self, handed: anyhow::Result<Handed>, console: &mut Console) -> anyhow::Result<Ended> {
        let loaded = || read_config(self.config.as_deref());
        let config = || loaded().map(|loaded| loaded.config);
        match self.verb {
            Verb::Config(verb) => return config::run(&verb, &loaded()?, console),
            Verb::Key(verb) => key::run(&verb, config()?, console).await?,
            Verb::Doctor(args) => return doctor::run(&args, config()?, console).await,
            Verb::Serve => serve::run(config()?, self.config.clone(), handed?).await?,
            Verb::Migrate { new_issuer } => {
                let app = App::open(config()?, Opening::Migrate).await?;
                if new_issuer {
                    app.adopt_issuer().await?;
                    console.say(format_args!("The database belongs to the issuer {} now.", app.config.issuer))?;
                }
                console.say(format_args!("The {} database is up to date.", app.db.engine_name()))?;
                app.db.close().await;
            }
            Verb::Apply(args) => apply::run(&args, config()?, console).await?,
            Verb::Export(args) => export::run(&args, &open(config()?).await?, console).await?,
            Verb::Backup(args) => backup::run(&args, config()?, console).await?,
            Verb::Restore(args) => backup::run_restore(&args, config()?, console).await?,
            Verb::Move(args) => return moving::run(&args, config()?, console).await,
            Verb::Provider(verb) => provider::run(&verb, &open(config()?).await?, console).await?,
            Verb::User(user::Verb::Import(args)) if args.template => {
                console.write(&operations::users::import::template())?;
            }
            Verb::User(verb) => user::run(&verb, &open(config()?).await?, console).await?,
            Verb::Client(verb) => client::run(&verb, &open(config()?).await?, console).await?,
            Verb::Issuer(verb) => issuer::run(&verb, &open(config()?).await?, console).await?,
            Verb::Session(verb) => session::run(&verb, &open(config()?).await?, console).await?,
            Verb::Activity(verb) => return activity::run(&verb, &open(config()?).await?, console).await,
            Verb::Handoff(verb) => return handoff::run(&verb, async || open(config()?).await, console).await,
        }
        Ok(Ended::Done)
    }
}

fn explain_usage(usage: &clap::Error, console: &mut Console) -> u8 {
    if usage.use_stderr() {
        console.warn(usage.render().to_string().trim_end());
        return 2;
    }
    // Help and version were asked for: they are the data.
    let said = console.say(usage.render().to_string().trim_end()).and_then(|()| console.flush());
    u8::from(said.is_err_and(|error| !error.is::<Closed>()))
}

#[cfg(test)]
mod tests;
