//! `export`: what was set, as a seed file for `apply`.

use super::command::find_provider;
use super::console::Console;
use crate::app::App;
use crate::operations::seed_file::{self, Place, Users};

/// What `export` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp export --without-users > seed.toml\n\n\
                        Writes providers, trusted issuers, clients and users to standard output, each with every key that apply \
                        reads, always in the same order. Applied to the same database the file changes nothing; applied to an empty \
                        one, and exported again, it is the same file.\n\n\
                        Client secrets are not in it: only keyed hashes of them are stored. A client that is made from the file is \
                        given one by `client rotate-secret`. Passwords are in it as hashes with --with-password-hashes alone; \
                        without it a user who is made from the file comes in by a handoff, or after `user reset-password`.")]
pub(super) struct Args {
    /// Only this provider and its users.
    #[arg(long, value_name = "CODE")]
    provider: Option<String>,
    /// Leave users out.
    #[arg(long)]
    without_users: bool,
    /// Write the hashes of passwords, too: keep such a file as secret as the database.
    #[arg(long, conflicts_with = "without_users")]
    with_password_hashes: bool,
}

pub(super) async fn run(args: &Args, app: &App, console: &mut Console) -> anyhow::Result<()> {
    let only = match &args.provider {
        Some(code) => Some(Box::new(find_provider(app, code).await?)),
        None => None,
    };
    let users = match (args.without_users, args.with_password_hashes) {
        (true, _) => Users::Without,
        (false, false) => Users::Named,
        (false, true) => Users::WithPasswordHashes,
    };
    let mut place = Place::start(only);
    console.write(&seed_file::head(&place, users))?;
    while let Some((text, next)) = seed_file::next(app, users, place).await? {
        console.write(&text)?;
        console.progress(format_args!("{} users", next.users()));
        place = next;
    }
    console.progress_done();
    Ok(())
}
