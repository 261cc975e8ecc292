//! Puts a backup in an installation's place, and ends everything that is older (G36): in the copy, before it is
//! anybody's database. The same ending alone, for a database that other programs brought back.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::app::{App, Opening};
use crate::config::Config;
use crate::model::activity::Kind;
use crate::operations::Actor;
use crate::operations::admin_context::{AdminContext, Authority, in_act};
use crate::operations::backup::Progress;
use crate::operations::backup::archive::{self, Manifest};
use crate::operations::providers::end_sessions_of;
use crate::store::endings::{self, Ended, Older};
use crate::store::sqlite_files::{Alone, DATABASE, KEYS, Occupied, Place};
use crate::store::{self, Database, activity, providers};
use crate::time::{Clock, Deadline, Random, Timestamp};

/// How long the ending may take. Nobody waits for it, and half of it is none.
const PATIENCE: Duration = Duration::from_hours(1);

/// A backup that was proven, and the place where it goes.
#[derive(Debug)]
pub struct Restore {
    file: File,
    /// What it says of itself.
    pub manifest: Manifest,
    alone: Alone,
    /// What is in the place now.
    pub occupied: Occupied,
    config: Config,
}

impl Restore {
    /// Proves a backup and takes its place for oneself. Nothing is changed yet.
    ///
    /// # Errors
    /// When it is not whole, or newer than this program, or the place's database is in use.
    pub fn begin(config: Config, path: &Path, told: &mut Progress<'_>) -> anyhow::Result<Self> {
        let place = Place::of(&config)?;
        let shown = path.display();
        let mut file = File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        let size = file.metadata()?.len();
        let manifest = archive::prove(&mut file, &mut |done| told("proving the backup", done, size))
            .with_context(|| format!("{shown} was not restored"))?;
        let unknown = Database::unknown_steps(&manifest.schema);
        ensure!(
            unknown.is_empty(),
            "{shown} is of a newer version ({}) than this program, which does not know the steps {unknown:?} of its \
             schema: restore it with that version",
            manifest.version
        );
        let alone = place.take()?.with_context(|| {
            let database = place.database().display();
            format!("{database} is in use: stop the service and every command that works on it, then try again")
        })?;
        let occupied = alone.occupied(&manifest.keys(), archive::sha256);
        Ok(Self { file, manifest, alone, occupied, config })
    }

    /// Restores. When this returns an error, nothing was changed, unless the error says that it was decided.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub async fn carry_out(
        mut self,
        actor: Actor,
        clock: Clock,
        random: Random,
        told: &mut Progress<'_>,
    ) -> anyhow::Result<Restored> {
        let prepared = Prepared(self.alone.prepare()?);
        let size = self.manifest.files.iter().map(|part| part.size).sum();
        archive::extract(&mut self.file, &self.manifest, &prepared.0, &mut |done| told("unpacking", done, size))?;
        told("ending what is older", 0, 0);
        let now = clock.now();
        let ended = self.end_all_in(&prepared.0, actor, clock, random).await?;
        let replaced: String = now.rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
        self.alone.decide(&replaced)?;
        Ok(Restored { ended, at: now, replaced, occupied: self.occupied })
    }

    /// Opens the copy as this program does, which brings its schema up to date and proves that its keys are its own.
    async fn end_all_in(&self, folder: &Path, actor: Actor, clock: Clock, random: Random) -> anyhow::Result<Ended> {
        let mut config = self.config.clone();
        config.database.url = Database::sqlite_url(&folder.join(DATABASE));
        config.keys.dir = folder.join(KEYS);
        let app = App::open_with(config, Opening::Migrate, clock, random).await.context("nothing was restored")?;
        let (now, taken_at) = (app.clock.now(), &self.manifest.taken_at);
        let act = AdminContext {
            app,
            actor,
            authority: Authority::Machine,
            now,
            deadline: Deadline::after(PATIENCE, now),
            seen: None,
        };
        let note = format!("a backup of {taken_at}; everything older than {} is ended", now.rfc3339());
        let ended = end_older(&act, Older::All, note).await?;
        act.app.db.close().await;
        let log = folder.join(format!("{DATABASE}-wal"));
        ensure!(!log.exists(), "nothing was restored: {} could not be closed", folder.display());
        Ok(ended)
    }
}

/// The folder in which a restore is prepared; gone when it was not decided.
struct Prepared(PathBuf);

impl Drop for Prepared {
    fn drop(&mut self) {
        // After the decision it has another name. What is left is removed by the next try.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What lived in the backup.
    pub ended: Ended,
    /// When.
    pub at: Timestamp,
    /// What the names of the files that were replaced end with.
    pub replaced: String,
    /// What there was.
    pub occupied: Occupied,
}

/// Ends and records it in one transaction. Of a copy, whole providers are ended besides: whatever is born under an
/// epoch is reached, also what a later version of this program keeps.
///
/// # Errors
/// When it cannot be written: then nothing was ended.
pub async fn end_older(act: &AdminContext, older: Older, note: String) -> Result<Ended, store::Error> {
    in_act!(act, [note], |tx| {
        if older == Older::All {
            for id in providers::ids(tx, None).await? {
                let Some(provider) = providers::lock_for_update(tx, &id).await? else { continue };
                end_sessions_of(tx, &act, &provider).await?;
            }
        }
        let ended = endings::end_older(tx, older, act.now).await?;
        activity::record(tx, &act.event(Kind::Restored).noting(note)).await?;
        Ok(ended)
    })
}

/// Ends everything that was born before a moment, after somebody else's restore.
///
/// # Errors
/// As [`end_older`].
pub async fn end_before(act: &AdminContext, moment: Timestamp) -> Result<Ended, store::Error> {
    let act = AdminContext { deadline: Deadline::after(PATIENCE, act.now), ..act.clone() };
    end_older(&act, Older::Than(moment), format!("everything older than {} is ended", moment.rfc3339())).await
}
