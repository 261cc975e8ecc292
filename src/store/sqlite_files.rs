//! The files of a SQLite installation: who has the database open, and how a restored one takes its place, whole or not
//! at all, whenever the process or the machine dies.
//!
//! A restore prepares everything in a folder beside the database, `….restoring`. One rename to `….restored` decides:
//! before it nothing has changed, after it whoever comes next finishes ([`Place::finish`]). What was there before is
//! kept under names that say when it was replaced.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::sqlite::file_of;
use crate::config::Config;
use crate::crypto::key_ring::{give_to_owner_of_folder, is_key_name};

/// The name of the database in a prepared folder.
pub const DATABASE: &str = "database.sqlite";
/// The name of the folder of keys in a prepared folder.
pub const KEYS: &str = "keys";
const PLAN: &str = "plan.json";

/// A mark that a process has the database open: shared by all who serve and look, held alone by who replaces it. It
/// goes with the process, however that ends. Its file stays: who removed it could leave two that each hold one of that
/// name.
#[derive(Debug)]
pub struct InUse(#[expect(dead_code, reason = "held until dropped")] File);

impl InUse {
    /// Has the database open with others.
    ///
    /// # Errors
    /// When it is being replaced, or is about to be.
    pub(super) fn share(database: &Path) -> anyhow::Result<Self> {
        let (file, path) = Self::open(database)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("`restore` or `move` has {} alone: wait until it is done, then try again", database.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
        if beside(database, "restored").exists() {
            bail!(
                "a restore of {} was decided and not finished: run `connect-idp migrate` or start the service, which finish it",
                database.display()
            );
        }
        let moved = beside(database, "moved");
        if moved.exists() {
            bail!(
                "{} was moved to PostgreSQL: let database.url lead there. What was done since is not in it; to go back all the \
                 same, remove {}",
                database.display(),
                moved.display()
            );
        }
        Ok(Self(file))
    }

    /// Has it alone; `None` while anybody has it open.
    pub(super) fn alone(database: &Path) -> anyhow::Result<Option<Self>> {
        let (file, path) = Self::open(database)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }

    fn open(database: &Path) -> anyhow::Result<(File, PathBuf)> {
        let path = beside(database, "in-use");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.and_then(|file| give_to_owner_of_folder(&path).map(|()| file));
        Ok((file.with_context(|| format!("{} cannot be written", path.display()))?, path))
    }
}

/// What is done once a restore is decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    /// The end of the names under which what was there before is kept.
    replaced: String,
    /// The keys that take their places.
    keys: Vec<String>,
    /// Keys of another installation, which would be taken for newer ones of this.
    aside: Vec<String>,
}

/// Where an installation's database and keys lie.
#[derive(Clone, Debug)]
pub struct Place {
    database: PathBuf,
    keys: PathBuf,
}

/// Nobody else has the database open until this is dropped.
#[derive(Debug)]
pub struct Alone {
    place: Place,
    mark: InUse,
}

/// What is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// There is a database.
    pub database: bool,
    /// There is a key of a name that the backup has too, and it is another key.
    pub other_keys: bool,
}

impl Place {
    /// The place that a configuration names.
    ///
    /// # Errors
    /// When the database is not SQLite's.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let database = file_of(&config.database.url).ok().filter(|_| config.on_sqlite());
        let database = database.context("database.url is not a SQLite address")?;
        Ok(Self { database, keys: config.keys.dir.clone() })
    }

    /// The file of the database.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// The folder in which a restore is prepared.
    #[must_use]
    pub fn prepared(&self) -> PathBuf {
        beside(&self.database, "restoring")
    }

    /// Takes the place for oneself, and finishes what was decided before; `None` while anybody has the database open.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn take(&self) -> anyhow::Result<Option<Alone>> {
        make_private_folder(folder_of(&self.database))?;
        let Some(mark) = InUse::alone(&self.database)? else { return Ok(None) };
        self.put_in_place()?;
        Ok(Some(Alone { place: self.clone(), mark }))
    }

    /// Notes that all of it is in PostgreSQL now, so that nobody opens it by mistake.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note_moved(&self) -> anyhow::Result<()> {
        let note = beside(&self.database, "moved");
        let written = fs::File::create(&note).and_then(|file| file.sync_all());
        written.with_context(|| format!("{} cannot be written", note.display()))?;
        Ok(give_to_owner_of_folder(&note)?)
    }

    /// Finishes a restore that was decided; `false` when there was none.
    ///
    /// # Errors
    /// When somebody is at it at this moment, or files cannot be moved.
    pub fn finish(&self) -> anyhow::Result<bool> {
        if !beside(&self.database, "restored").exists() {
            return Ok(false);
        }
        let alone = InUse::alone(&self.database)?;
        let _alone = alone.context("a restore is being finished by another process: try again")?;
        self.put_in_place()?;
        Ok(true)
    }

    /// Each step may have been done already.
    fn put_in_place(&self) -> anyhow::Result<()> {
        let decided = beside(&self.database, "restored");
        if !decided.exists() {
            return Ok(());
        }
        let moved = || -> anyhow::Result<()> {
            let plan: Plan = serde_json::from_slice(&fs::read(decided.join(PLAN))?)?;
            self.put_keys(&decided, &plan)?;
            let database = decided.join(DATABASE);
            if database.exists() {
                // A log of the old database beside the new one would be played into it: all three go before it comes.
                for part in ["", "-wal", "-shm"] {
                    let old = with_end(&self.database, part);
                    if old.exists() {
                        let kept = beside(&self.database, &format!("replaced-{}{part}", plan.replaced));
                        fs::rename(&old, &kept)?;
                    }
                }
                sync_folder(folder_of(&self.database))?;
                fs::rename(&database, &self.database)?;
                give_to_owner_of_folder(&self.database)?;
                // What was moved away was the one before.
                let moved = beside(&self.database, "moved");
                if moved.exists() {
                    fs::remove_file(moved)?;
                }
                sync_folder(folder_of(&self.database))?;
            }
            // Emptied under a name that decides nothing.
            fs::rename(&decided, self.prepared())?;
            fs::remove_dir_all(self.prepared())?;
            Ok(sync_folder(folder_of(&self.database))?)
        };
        moved().with_context(|| {
            let shown = decided.display();
            format!("the restore that is decided in {shown} could not be finished: mend this and start anything of this program")
        })
    }

    fn put_keys(&self, decided: &Path, plan: &Plan) -> anyhow::Result<()> {
        let aside =
            |name: &str| fs::rename(self.keys.join(name), self.keys.join(format!("replaced-{}-{name}", plan.replaced)));
        for name in &plan.aside {
            if self.keys.join(name).exists() {
                aside(name)?;
            }
        }
        for name in &plan.keys {
            let (text, target) = (fs::read(decided.join(KEYS).join(name))?, self.keys.join(name));
            if target.exists() {
                if fs::read(&target)? == text {
                    continue;
                }
                aside(name)?;
            }
            let temporary = self.keys.join(format!(".restored-{name}"));
            if temporary.exists() {
                fs::remove_file(&temporary)?;
            }
            write_private(&temporary, &text)?;
            give_to_owner_of_folder(&temporary)?;
            fs::rename(&temporary, &target)?;
        }
        if !plan.keys.is_empty() {
            sync_folder(&self.keys)?;
        }
        Ok(())
    }
}

impl Alone {
    /// The file of the database, and the mark that goes on to keep everybody else out.
    pub(super) fn into_mark(self) -> (PathBuf, InUse) {
        (self.place.database, self.mark)
    }

    /// What is in the place; `keys` are the backup's, each a name and whether a text is that key's.
    #[must_use]
    pub fn occupied(&self, keys: &[(String, String)], digest: impl Fn(&[u8]) -> String) -> Occupied {
        let differs = |(name, wanted): &(String, String)| {
            fs::read(self.place.keys.join(name)).is_ok_and(|text| digest(&text) != *wanted)
        };
        Occupied { database: self.place.database.exists(), other_keys: keys.iter().any(differs) }
    }

    /// An empty folder to prepare in, beside the database; what an earlier try left is gone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn prepare(&self) -> anyhow::Result<PathBuf> {
        let folder = self.place.prepared();
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        make_private_folder(&folder)?;
        Ok(folder)
    }

    /// Decides: from here on the prepared database and its keys are the installation's. Whether that is done here or by
    /// who comes next, it is done. The names of the old files end with `replaced`.
    ///
    /// # Errors
    /// When nothing was decided; or the rest is left to who comes next.
    pub fn decide(&self, replaced: &str) -> anyhow::Result<()> {
        let prepared = self.place.prepared();
        let plan = self.plan(&prepared.join(KEYS), replaced)?;
        write_private(&prepared.join(PLAN), &serde_json::to_vec(&plan)?)?;
        File::open(prepared.join(DATABASE))?.sync_all()?;
        sync_folder(&prepared)?;
        fs::rename(&prepared, beside(&self.place.database, "restored"))?;
        sync_folder(folder_of(&self.place.database))?;
        self.place.put_in_place()
    }

    fn plan(&self, from: &Path, replaced: &str) -> anyhow::Result<Plan> {
        let (mut keys, mut others) = (Vec::new(), false);
        for name in names_of_keys(from)? {
            let old = fs::read(self.place.keys.join(&name)).ok();
            if old.as_ref() != Some(&fs::read(from.join(&name))?) {
                others |= old.is_some();
                keys.push(name);
            }
        }
        let mut aside = if others { names_of_keys(&self.place.keys)? } else { Vec::new() };
        aside.retain(|name| !from.join(name).exists());
        if !keys.is_empty() {
            // Found out while nothing is decided.
            make_private_folder(&self.place.keys)?;
            let probe = self.place.keys.join(".restore-probe");
            let written = fs::write(&probe, "").and_then(|()| fs::remove_file(&probe));
            written.with_context(|| format!("the keys folder {} cannot be written", self.place.keys.display()))?;
        }
        Ok(Plan { replaced: replaced.to_owned(), keys, aside })
    }
}

fn names_of_keys(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().to_str().filter(|name| is_key_name(name)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// `connect.db` and `in-use` make `connect.db.in-use`.
fn beside(database: &Path, ending: &str) -> PathBuf {
    with_end(database, &format!(".{ending}"))
}

fn with_end(database: &Path, end: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_private_folder(folder: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.and_then(|()| give_to_owner_of_folder(folder))
        .with_context(|| format!("the folder {} cannot be made", folder.display()))
}

/// Writes a new file that its owner alone can read, down to the disk.
///
/// # Errors
/// When there is one of that name, or it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_private(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a new file that its owner alone can read.
///
/// # Errors
/// When there is one of that name, or it cannot be made.
pub fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes down to the disk what a folder holds.
///
/// # Errors
/// When that fails.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &Path) -> Place {
        Place { database: dir.join("connect.db"), keys: dir.join("keys") }
    }

    /// An installation with a log that was not folded, and a prepared restore of another one.
    fn prepared(dir: &Path) -> Alone {
        let place = place(dir);
        fs::create_dir(&place.keys).unwrap();
        for (name, text) in [
            ("connect.db", "old"),
            ("connect.db-wal", "old log"),
            ("keys/kek-0001", "old key"),
            ("keys/kek-0002", "later"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        let alone = place.take().unwrap().unwrap();
        let folder = alone.prepare().unwrap();
        fs::create_dir(folder.join(KEYS)).unwrap();
        fs::write(folder.join(DATABASE), "new").unwrap();
        fs::write(folder.join(KEYS).join("kek-0001"), "new key").unwrap();
        alone
    }

    fn texts(dir: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for folder in ["", "keys"] {
            for entry in fs::read_dir(dir.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() && !path.ends_with("connect.db.in-use") {
                    let name = path.strip_prefix(dir).unwrap().display().to_string();
                    found.push((name, fs::read_to_string(path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    /// Dies before the decision, and after each step of what follows: the old one whole, or the new one whole.
    #[test]
    fn a_restore_that_is_cut_off_leaves_the_old_or_the_new_whole() {
        let whole = tempfile::tempdir().unwrap();
        prepared(whole.path()).decide("T").unwrap();
        let new = texts(whole.path());
        let names: Vec<_> = new.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(
            names,
            [
                ("connect.db", "new"),
                ("connect.db.replaced-T", "old"),
                ("connect.db.replaced-T-wal", "old log"),
                ("keys/kek-0001", "new key"),
                ("keys/replaced-T-kek-0001", "old key"),
                ("keys/replaced-T-kek-0002", "later"),
            ]
        );

        // The moves that follow a decision, in order; the process dies after some of them.
        let moves = [
            ("keys/kek-0002", "keys/replaced-T-kek-0002"),
            ("keys/kek-0001", "keys/replaced-T-kek-0001"),
            ("connect.db.restored/keys/kek-0001", "keys/kek-0001"),
            ("connect.db", "connect.db.replaced-T"),
            ("connect.db-wal", "connect.db.replaced-T-wal"),
            ("connect.db.restored/database.sqlite", "connect.db"),
        ];
        for done in 0..=moves.len() {
            let dir = tempfile::tempdir().unwrap();
            let alone = prepared(dir.path());
            let plan = alone.plan(&alone.place.prepared().join(KEYS), "T").unwrap();
            assert_eq!(
                (plan.keys.clone(), plan.aside.clone()),
                (vec!["kek-0001".to_owned()], vec!["kek-0002".to_owned()])
            );
            write_private(&alone.place.prepared().join(PLAN), &serde_json::to_vec(&plan).unwrap()).unwrap();
            drop(alone);
            // Prepared and not decided: nothing has changed, and nothing is finished.
            assert!(!place(dir.path()).finish().unwrap());
            assert_eq!(fs::read_to_string(dir.path().join("connect.db")).unwrap(), "old");
            fs::rename(dir.path().join("connect.db.restoring"), dir.path().join("connect.db.restored")).unwrap();
            for (from, to) in &moves[..done] {
                let (from, to) = (dir.path().join(from), dir.path().join(to));
                // Keys are copied, so that a copy that was cut off is made again.
                if from.starts_with(dir.path().join("connect.db.restored/keys")) {
                    fs::copy(from, to).unwrap();
                } else {
                    fs::rename(from, to).unwrap();
                }
            }
            assert!(InUse::share(&dir.path().join("connect.db")).unwrap_err().to_string().contains("was decided"));
            assert!(place(dir.path()).finish().unwrap(), "after {done} moves");
            assert_eq!(texts(dir.path()), new, "after {done} moves");
            assert!(!place(dir.path()).finish().unwrap());
        }
    }

    #[test]
    fn who_has_it_alone_has_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connect.db");
        let (first, second) = (InUse::share(&file).unwrap(), InUse::share(&file).unwrap());
        assert!(place(dir.path()).take().unwrap().is_none());
        drop(first);
        assert!(place(dir.path()).take().unwrap().is_none());
        drop(second);
        let alone = place(dir.path()).take().unwrap().unwrap();
        assert!(InUse::share(&file).unwrap_err().to_string().contains("alone"));
        drop(alone);
        InUse::share(&file).unwrap();
    }
}
