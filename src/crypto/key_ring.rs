//! The key-encryption keys in `keys/`, from which the server's other secrets are derived (G13).
//!
//! Each key is one file `kek-NNNN`: 32 bytes as base64url and a line feed, mode 0600. The highest number is the
//! current one; the others still open what they sealed.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::secret::Secret;
use crate::time::Random;

/// The keys of one installation, oldest first, never empty.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<(String, Secret)>,
}

impl KeyRing {
    /// Reads every key of the folder. An empty or absent folder is `None`.
    ///
    /// # Errors
    /// A file that others may read, or that is no key, named with its cure.
    pub fn load(dir: &Path) -> anyhow::Result<Option<Self>> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("the keys folder {} cannot be read", dir.display()));
            }
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("kek-") {
                names.push(name);
            }
        }
        names.sort();
        let keys = names.into_iter().map(|name| Ok((name.clone(), read_key(&dir.join(name))?)));
        let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
        Ok((!keys.is_empty()).then_some(Self { keys }))
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
        create(dir, "kek-0001", random).with_context(|| format!("no key could be made in {}", dir.display()))?;
        Self::load(dir)?.context("the key that was just made is gone")
    }

    /// The current key.
    #[must_use]
    pub fn current(&self) -> &Secret {
        &self.keys[self.keys.len() - 1].1
    }

    /// The current key and its name.
    #[must_use]
    pub fn newest(&self) -> (&str, &Secret) {
        let (name, key) = &self.keys[self.keys.len() - 1];
        (name, key)
    }

    /// The key of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Secret> {
        self.keys.iter().find(|(known, _)| known == name).map(|(_, key)| key)
    }

    /// The oldest key: what must stay the same while keys come and go is derived from it.
    #[must_use]
    pub fn oldest(&self) -> &Secret {
        &self.keys[0].1
    }

    /// A public fingerprint of each key, oldest first: tells two keys apart and says nothing of them.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|(_, key)| key.derive("fingerprint").digest()).collect()
    }
}

impl KeyRing {
    /// Adds a key, which is the current one from the next [`KeyRing::load`] on; its name.
    ///
    /// # Errors
    /// When there is no key yet, or the file cannot be made.
    pub fn add(dir: &Path, random: &Random) -> anyhow::Result<String> {
        let ring = Self::load(dir)?.with_context(|| {
            format!("there is no key-encryption key in {}: run `connect-idp key init`", dir.display())
        })?;
        let number = ring.newest().0.strip_prefix("kek-").and_then(|digits| digits.parse::<u32>().ok());
        let number = number.context("the newest key-encryption key is not called kek-NNNN: rename it")? + 1;
        let name = format!("kek-{number:04}");
        create(dir, &name, random).with_context(|| format!("no key could be made in {}", dir.display()))?;
        Ok(name)
    }
}

fn read_key(path: &Path) -> anyhow::Result<Secret> {
    let shown = path.display();
    let mode = fs::metadata(path).with_context(|| format!("{shown} cannot be read"))?.mode();
    if mode & 0o077 != 0 {
        bail!("{shown} can be read by others (mode {:o}): run chmod 600 on it", mode & 0o777);
    }
    let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    Secret::parse(text.trim_end_matches('\n'))
        .with_context(|| format!("{shown} is not a key-encryption key: restore it from its backup"))
}

fn create(dir: &Path, name: &str, random: &Random) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary: PathBuf = dir.join(format!(".new-{}", Secret::random(random).digest()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{}", Secret::random(random).reveal())?;
    file.sync_all()?;
    // A link fails where the name is taken: whoever comes second uses the first one's key.
    let linked = fs::hard_link(&temporary, dir.join(name));
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::File::open(dir)?.sync_all(),
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
    fn a_second_key_is_the_current_one_and_the_first_still_opens() {
        let dir = tempfile::tempdir().unwrap();
        assert!(KeyRing::add(dir.path(), &Random::System).is_err());
        let first = KeyRing::load_or_create(dir.path(), &Random::System).unwrap();
        let sealed = crate::crypto::seal::seal(&first, "test", b"secret").unwrap();
        assert_eq!(KeyRing::add(dir.path(), &Random::System).unwrap(), "kek-0002");
        let both = KeyRing::load(dir.path()).unwrap().unwrap();
        assert_eq!((both.newest().0, both.oldest()), ("kek-0002", first.oldest()));
        let opened = |ring: &KeyRing, purpose: &str, text: &str| {
            crate::crypto::seal::open(ring, purpose, text).map(|bytes| bytes.to_vec())
        };
        assert_eq!(opened(&both, "test", &sealed), Some(b"secret".to_vec()));
        assert_eq!(opened(&both, "other", &sealed), None);
        let anew = crate::crypto::seal::seal(&both, "test", b"secret").unwrap();
        assert_eq!(opened(&first, "test", &anew), None, "the first ring has no second key");
        assert_eq!(opened(&both, "test", &format!("{}x", &anew[..anew.len() - 1])), None);
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
}
