//! The key-encryption keys in `keys/`, from which the server's other secrets are derived (G13).
//!
//! Each key is one file `kek-NNNN`: 32 bytes as base64url and a line feed, mode 0600. The highest number is the
//! current one and seals; the others still open what they sealed. Other secrets are derived from the lowest number, so
//! that one stays as long as the installation.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use super::secret::Secret;
use crate::time::Random;

/// The name of an installation's first key.
const FIRST: &str = "kek-0001";

/// The keys of one installation, oldest first, never empty. A key that is added while we run is found when something
/// turns up that it sealed.
#[derive(Debug)]
pub struct KeyRing {
    dir: PathBuf,
    keys: RwLock<Arc<Vec<(String, Secret)>>>,
}

impl KeyRing {
    /// Reads every key of the folder. An empty or absent folder is `None`.
    ///
    /// # Errors
    /// A file that others may read, or that is no key, named with its cure.
    pub fn load(dir: &Path) -> anyhow::Result<Option<Self>> {
        refuse_strays(dir)?;
        let keys = read_folder(dir)?;
        Ok((!keys.is_empty()).then(|| Self { dir: dir.to_owned(), keys: RwLock::new(Arc::new(keys)) }))
    }

    /// Reads the folder, and makes it with a first key where there is none. Two processes that start at once agree
    /// on one key.
    ///
    /// # Errors
    /// When the folder or the file cannot be made, or [`KeyRing::load`] fails.
    pub fn load_or_create(dir: &Path, random: &Random) -> anyhow::Result<Self> {
        if let Some(ring) = Self::load(dir)? {
            return Ok(ring);
        }
        // Where another process was quicker, its key is the one.
        create(dir, FIRST, random).with_context(|| format!("no key could be made in {}", dir.display()))?;
        Self::load(dir)?.context("the key that was just made is gone")
    }

    /// Adds a key of a name that comes after all others: it is the current one from now on.
    ///
    /// # Errors
    /// When the file cannot be made, or another process adds one at this moment.
    pub fn add(&self, name: &str, random: &Random) -> anyhow::Result<()> {
        let made = create(&self.dir, name, random);
        if !made.with_context(|| format!("{name} cannot be made in {}", self.dir.display()))? {
            bail!("another process made {name} at the same moment: look into {} and try again", self.dir.display());
        }
        self.reload()
    }

    /// Reads the folder again. What was there before is kept when that fails.
    ///
    /// # Errors
    /// As [`KeyRing::load`].
    pub fn reload(&self) -> anyhow::Result<()> {
        let keys = read_folder(&self.dir)?;
        if keys.is_empty() {
            bail!("the keys folder {} is empty", self.dir.display());
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn keys(&self) -> Arc<Vec<(String, Secret)>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The current key and its name.
    #[must_use]
    pub fn newest(&self) -> (String, Secret) {
        let keys = self.keys();
        keys[keys.len() - 1].clone()
    }

    /// The key of a name such as `kek-0002`. One that is not known yet is looked for in the folder, where an operator
    /// may have put it since the start; `None` when it is not there either, or the folder cannot be read.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Secret> {
        let find = || self.keys().iter().find(|(known, _)| known == name).map(|(_, key)| key.clone());
        find().or_else(|| {
            let there = is_key_name(name) && self.dir.join(name).exists();
            (there && self.reload().is_ok()).then(find).flatten()
        })
    }

    /// The oldest key: what must stay the same while keys come and go is derived from it.
    #[must_use]
    pub fn oldest(&self) -> Secret {
        self.keys()[0].1.clone()
    }

    /// Each key's name and public fingerprint, oldest first: tells two keys apart and says nothing of them.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<(String, String)> {
        self.keys().iter().map(|(name, key)| (name.clone(), key.derive("fingerprint").digest())).collect()
    }
}

/// Every key of a folder as its file's name and text, oldest first.
///
/// # Errors
/// As [`KeyRing::load`].
pub fn texts(dir: &Path) -> anyhow::Result<Vec<(String, Zeroizing<String>)>> {
    let keys = read_folder(dir)?;
    let text = |key: &Secret| {
        let mut text = Zeroizing::new(key.reveal());
        text.push('\n');
        text
    };
    Ok(keys.iter().map(|(name, key)| (name.clone(), text(key))).collect())
}

/// The name after another, `kek-0002` after `kek-0001`; `None` after `kek-9999`, or when the text is no such name.
#[must_use]
pub fn name_after(name: &str) -> Option<String> {
    let number = name.strip_prefix("kek-")?.parse::<u16>().ok()?.checked_add(1)?;
    (number < 10_000).then(|| format!("kek-{number:04}"))
}

/// Whether a file of this name is a key: `kek-` and four digits.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    name.strip_prefix("kek-").is_some_and(|number| number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// A copy of a key that lies beside it would seal what only the copy opens. Only a start refuses it: while we run, it
/// must not keep a new key from being found.
fn refuse_strays(dir: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("kek-") && !is_key_name(&name) {
            bail!(
                "{} is not the name of a key (kek- and four digits): move it out of the keys folder",
                dir.join(name).display()
            );
        }
    }
    Ok(())
}

fn read_folder(dir: &Path) -> anyhow::Result<Vec<(String, Secret)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("the keys folder {} cannot be read", dir.display())),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_key_name(&name) {
            names.push(name);
        }
    }
    names.sort();
    names.into_iter().map(|name| Ok((name.clone(), read_key(&dir.join(name))?))).collect()
}

fn read_key(path: &Path) -> anyhow::Result<Secret> {
    let shown = path.display();
    let file = fs::metadata(path).with_context(|| format!("{shown} cannot be read"))?;
    if is_open_to_others(file.mode(), file.uid(), rustix::process::geteuid().as_raw()) {
        bail!("{shown} can be read by others (mode {:o}): run chmod 600 on it", file.mode() & 0o777);
    }
    let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    Secret::parse(text.trim_end_matches('\n'))
        .with_context(|| format!("{shown} is not a key-encryption key: restore it from its backup"))
}

/// Whether a file of this mode and owner is read by more than us. Where it belongs to root and we are somebody else,
/// its group is the way by which it was given to us: so a cluster mounts a secret.
const fn is_open_to_others(mode: u32, owner: u32, us: u32) -> bool {
    let given_to_our_group = owner == 0 && us != 0;
    mode & (if given_to_our_group { 0o037 } else { 0o077 }) != 0
}

/// Gives what root made in a folder of somebody else to that one, as SQLite does with its log: a command that root runs
/// beside a service of another user must leave nothing that the service cannot open.
///
/// # Errors
/// When the owner cannot be asked for or changed.
pub fn give_to_owner_of_folder(path: &Path) -> io::Result<()> {
    const ROOT: u32 = 0;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if rustix::process::geteuid().as_raw() != ROOT {
        return Ok(());
    }
    let (theirs, ours) = (fs::metadata(folder)?, fs::symlink_metadata(path)?);
    if ours.uid() == ROOT && theirs.uid() != ROOT {
        lchown(path, Some(theirs.uid()), Some(theirs.gid()))?;
    }
    Ok(())
}

/// Makes a key's file, whole or not at all; `false` when there is one of that name.
fn create(dir: &Path, name: &str, random: &Random) -> io::Result<bool> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    give_to_owner_of_folder(dir)?;
    let temporary: PathBuf = dir.join(format!(".new-{}", Secret::random(random).digest()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{}", Secret::random(random).reveal())?;
    file.sync_all()?;
    give_to_owner_of_folder(&temporary)?;
    // A link fails where the name is taken.
    let linked = fs::hard_link(&temporary, dir.join(name));
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
        Ok(()) => fs::File::open(dir)?.sync_all().map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_first_key_is_made_once_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        assert!(KeyRing::load(&keys).unwrap().is_none());
        let first = KeyRing::load_or_create(&keys, &Random::System).unwrap();
        let again = KeyRing::load_or_create(&keys, &Random::System).unwrap();
        assert_eq!(first.fingerprints(), again.fingerprints());
        assert_eq!(fs::metadata(keys.join("kek-0001")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 1);
    }

    #[test]
    fn a_copy_of_a_key_is_no_key_and_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::load_or_create(dir.path(), &Random::System).unwrap();
        for stray in ["kek-0001.bak", "kek-0001~", "kek-1", "kek-00010", "kek-"] {
            let copy = dir.path().join(stray);
            fs::copy(dir.path().join("kek-0001"), &copy).unwrap();
            let refused = KeyRing::load(dir.path()).unwrap_err().to_string();
            assert!(refused.contains(stray) && refused.contains("move it out"), "{refused}");
            ring.reload().unwrap();
            assert_eq!(ring.fingerprints().len(), 1, "what runs takes no notice of {stray}");
            fs::remove_file(copy).unwrap();
        }
        assert!(KeyRing::load(dir.path()).unwrap().is_some());
    }

    /// Nobody but root can change an owner: elsewhere there is nothing to show.
    #[test]
    fn what_root_makes_belongs_to_who_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (keys, owner) = (dir.path().join("keys"), rustix::process::geteuid().as_raw());
        let folders_owner = if owner == 0 { 61_234 } else { owner };
        lchown(dir.path(), Some(folders_owner), None).unwrap();
        assert!(create(&keys, FIRST, &Random::seeded(1)).unwrap());
        for path in [keys.clone(), keys.join(FIRST)] {
            assert_eq!(fs::metadata(path).unwrap().uid(), folders_owner);
        }
    }

    #[test]
    fn a_group_may_read_what_root_gave_it_and_nothing_else() {
        let (root, us, other) = (0, 10_001, 10_002);
        assert!(!is_open_to_others(0o100_600, us, us) && !is_open_to_others(0o100_440, root, us));
        assert!(is_open_to_others(0o100_640, us, us), "our own file, that a group may read");
        assert!(is_open_to_others(0o100_440, other, us) && is_open_to_others(0o100_440, root, root));
        assert!(is_open_to_others(0o100_460, root, us) && is_open_to_others(0o100_444, root, us));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        KeyRing::load_or_create(dir.path(), &Random::System).unwrap();
        let file = dir.path().join("kek-0001");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(KeyRing::load(dir.path()).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "nonsense").unwrap();
        assert!(KeyRing::load(dir.path()).unwrap_err().to_string().contains("not a key-encryption key"));
    }

    #[test]
    fn a_key_that_was_added_seals_from_now_on_and_a_ring_that_runs_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let running = KeyRing::load_or_create(dir.path(), &Random::System).unwrap();
        let command = KeyRing::load(dir.path()).unwrap().unwrap();
        let name = name_after(&command.newest().0).unwrap();
        command.add(&name, &Random::System).unwrap();
        assert!(command.add(&name, &Random::System).is_err());
        assert_eq!((name.as_str(), name_after("kek-9999")), ("kek-0002", None));
        assert_eq!(command.newest().0, "kek-0002");
        assert_eq!(command.oldest(), running.oldest());
        assert_eq!(running.newest().0, "kek-0001");
        assert_eq!(running.named("kek-0002"), command.named("kek-0002"));
        assert_eq!(running.newest().0, "kek-0002");
        assert_eq!(running.named("kek-0003"), None);
        assert_eq!(running.named("kek-../kek-0001"), None);
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(running.reload().is_err() && running.named("kek-0001").is_some());
    }
}
