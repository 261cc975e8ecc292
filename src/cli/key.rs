//! `key`: the key-encryption key.

use clap::Subcommand;

use super::Console;
use crate::config::Config;
use crate::crypto::key_ring::KeyRing;
use crate::time::Random;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make the first key-encryption key, where there is none.
    #[command(after_help = "Example: connect-idp key init\n\n\
                            On PostgreSQL do this once and give every replica a copy of the folder. Keep a backup of it apart \
                            from the database's.")]
    Init,
}

pub(super) fn run(verb: &Verb, config: &Config, console: &mut Console) -> anyhow::Result<()> {
    let dir = &config.keys.dir;
    match verb {
        Verb::Init => {
            if KeyRing::load(dir)?.is_some() {
                return console
                    .say(format_args!("There is a key-encryption key in {} already; nothing changed.", dir.display()));
            }
            KeyRing::load_or_create(dir, &Random::System)?;
            console.say(format_args!("A key-encryption key was made in {}. Keep a backup of it.", dir.display()))
        }
    }
}
