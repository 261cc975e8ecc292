//! `key`: the key-encryption key.

use anyhow::ensure;
use clap::Subcommand;

use super::Console;
use crate::config::Config;
use crate::crypto::key_ring::KeyRing;
use crate::store::{Database, settings};
use crate::time::{Clock, Random};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make the first key-encryption key, where there is none.
    #[command(after_help = "Example: connect-idp key init\n\n\
                            On PostgreSQL do this once and give every replica a copy of the folder. Keep a backup of it apart \
                            from the database's.")]
    Init,
}

pub(super) async fn run(verb: &Verb, config: &Config, console: &mut Console) -> anyhow::Result<()> {
    let dir = &config.keys.dir;
    match verb {
        Verb::Init => {
            if KeyRing::load(dir)?.is_some() {
                return console
                    .say(format_args!("There is a key-encryption key in {} already; nothing changed.", dir.display()));
            }
            ensure!(
                !has_its_key(config).await,
                "the database has a key-encryption key already, and it is not in {}: restore that folder from its backup",
                dir.display()
            );
            KeyRing::load_or_create(dir, &Random::System)?;
            console.say(format_args!("A key-encryption key was made in {}. Keep a backup of it.", dir.display()))
        }
    }
}

/// Whether the database belongs to a key. One that cannot be asked, or that is empty, does not.
async fn has_its_key(config: &Config) -> bool {
    let exists = !config.on_sqlite() || Database::sqlite_file(&config.database.url).is_some_and(|file| file.exists());
    if !exists {
        return false;
    }
    let Ok(db) = Database::open(&config.database.url, 1, Clock::System).await else { return false };
    let Ok(mut conn) = db.read().await else { return false };
    settings::get(&mut conn, settings::KEY_FINGERPRINT).await.is_ok_and(|found| found.is_some())
}
