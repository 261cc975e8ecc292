//! The file that `backup` writes and `restore` reads: a tar of a manifest, the database and the keys, and at its end
//! the SHA-256 of all that comes before. Every byte is covered, and proven before anything else in it is believed;
//! names in it are compared and never used as paths.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{Archive, EntryType, Header};

use crate::crypto::key_ring::is_key_name;
use crate::model::trace_context::hex;
use crate::store::sqlite_files::{DATABASE, KEYS, create_private, sync_folder};

const MANIFEST: &str = "manifest.json";
const SEAL: &str = "sha256";
/// What the name of this layout is; another one gets another number.
const FORMAT: u32 = 1;
const BLOCK: usize = 512;
/// A header, the seal, and the two empty blocks that end a tar.
const TAIL: u64 = 4 * 512;
const MAX_MANIFEST: u64 = 1024 * 1024;
/// A key is 43 characters and a line feed.
const MAX_KEY: u64 = 1024;
const MAX_KEYS: usize = 10_000;
const NOT_OURS: &str = "it is not a whole backup of this program: it was cut off, changed, or made by another one";

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which format it is: 1.
    pub format: u32,
    /// The version of the program that made it.
    pub version: String,
    /// The steps of the database's schema.
    pub schema: Vec<i64>,
    /// The installation's issuer.
    pub issuer: String,
    /// When it was begun (RFC 3339): what was acknowledged before is in it.
    pub taken_at: String,
    /// What follows, in order: the database, then the keys.
    pub files: Vec<Part>,
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name there.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// A manifest of this program's, with no files yet.
    #[must_use]
    pub fn new(schema: Vec<i64>, issuer: String, taken_at: String) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, version, schema, issuer, taken_at, files: Vec::new() }
    }

    /// The digests of the keys, by name.
    #[must_use]
    pub fn keys(&self) -> Vec<(String, String)> {
        let key = |part: &Part| Some((key_of(&part.name)?.to_owned(), part.sha256.clone()));
        self.files.iter().filter_map(key).collect()
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.format == FORMAT, "a newer version of this program made it ({}): use that one", self.version);
        let (first, keys) = self.files.split_first().context(NOT_OURS)?;
        ensure!(first.name == DATABASE && !keys.is_empty() && keys.len() <= MAX_KEYS, NOT_OURS);
        ensure!(keys.iter().all(|part| key_of(&part.name).is_some() && part.size <= MAX_KEY), NOT_OURS);
        // Each once, oldest first.
        ensure!(keys.windows(2).all(|two| two[0].name < two[1].name), NOT_OURS);
        Ok(())
    }
}

fn key_of(name: &str) -> Option<&str> {
    name.strip_prefix(KEYS)?.strip_prefix('/').filter(|name| is_key_name(name))
}

/// The name of a key in an archive.
#[must_use]
pub fn name_of_key(key: &str) -> String {
    format!("{KEYS}/{key}")
}

/// The SHA-256 of bytes, as the manifest has it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

/// Everything that goes through, digested on the way.
struct Digesting<W> {
    inner: W,
    digest: Sha256,
}

impl<W> Digesting<W> {
    fn new(inner: W) -> Self {
        Self { inner, digest: Sha256::new() }
    }

    fn hex(&self) -> String {
        hex(self.digest.clone().finalize().as_slice())
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Copies and digests at once; `told` hears how many bytes went through so far.
fn pour(mut from: impl Read, mut into: impl Write, told: &mut dyn FnMut(u64)) -> io::Result<(u64, String)> {
    let (mut digest, mut buffer, mut done) = (Sha256::new(), vec![0; 1 << 18], 0);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok((done, hex(digest.finalize().as_slice())));
        }
        into.write_all(&buffer[..read])?;
        digest.update(&buffer[..read]);
        done += u64::try_from(read).unwrap_or(0);
        told(done);
    }
}

/// What the manifest says of a file.
pub fn describe(name: String, from: impl Read, told: &mut dyn FnMut(u64)) -> io::Result<Part> {
    let (size, sha256) = pour(from, io::sink(), told)?;
    Ok(Part { name, size, sha256 })
}

/// Writes an archive, its files in the order of the manifest.
///
/// # Errors
/// When it cannot be written, or a file is another than the manifest says.
pub fn write(
    into: impl Write,
    manifest: &Manifest,
    files: Vec<Box<dyn Read>>,
    told: &mut dyn FnMut(u64),
) -> anyhow::Result<()> {
    let mut out = Digesting::new(into);
    let text = serde_json::to_vec_pretty(manifest)?;
    put(&mut out, MANIFEST, u64::try_from(text.len())?, text.as_slice(), &mut |_| {})?;
    for (part, file) in manifest.files.iter().zip(files) {
        let put = put(&mut out, &part.name, part.size, file, told)?;
        ensure!(put == part.sha256, "{} changed while it was being written", part.name);
    }
    let seal = out.hex();
    out.write_all(&tail(&seal)?)?;
    Ok(out.flush()?)
}

fn put(
    out: &mut impl Write,
    name: &str,
    size: u64,
    from: impl Read,
    told: &mut dyn FnMut(u64),
) -> anyhow::Result<String> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o600);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    let (written, digest) = pour(from, &mut *out, told)?;
    ensure!(written == size, "{name} changed while it was being written");
    let beyond = usize::try_from(size % 512)?;
    if beyond > 0 {
        out.write_all(&vec![0; BLOCK - beyond])?;
    }
    Ok(digest)
}

fn tail(seal: &str) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, text) = (Vec::new(), format!("{seal}\n"));
    put(&mut bytes, SEAL, u64::try_from(text.len())?, text.as_bytes(), &mut |_| {})?;
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    Ok(bytes)
}

/// Proves every byte of an archive, and reads its manifest; `told` hears how many bytes were read.
///
/// # Errors
/// When it is not a whole one, in a sentence that says so.
pub fn prove(file: &mut File, told: &mut dyn FnMut(u64)) -> anyhow::Result<Manifest> {
    let metadata = file.metadata()?;
    ensure!(metadata.is_file(), "it is not a file");
    let sealed = metadata.len().checked_sub(TAIL).context(NOT_OURS)?;
    file.seek(SeekFrom::Start(0))?;
    let (_, digest) = pour(<File as Read>::by_ref(file).take(sealed), io::sink(), told)?;
    let mut end = Vec::new();
    <File as Read>::by_ref(file).take(TAIL + 1).read_to_end(&mut end)?;
    ensure!(end == tail(&digest)?, NOT_OURS);
    file.seek(SeekFrom::Start(0))?;
    let mut archive = Archive::new(&mut *file);
    let first = archive.entries()?.raw(true).next().context(NOT_OURS)??;
    ensure!(is_file_of(&first, MANIFEST) && first.size() <= MAX_MANIFEST, NOT_OURS);
    let manifest: Manifest = serde_json::from_reader(first).context(NOT_OURS)?;
    manifest.check()?;
    Ok(manifest)
}

/// Raw entries say what stands in the file: a link, a long name or a hole is none of ours.
fn is_file_of<R: Read>(entry: &tar::Entry<'_, R>, name: &str) -> bool {
    entry.header().entry_type() == EntryType::Regular && *entry.path_bytes() == *name.as_bytes()
}

/// Writes what is in a proven archive into an empty folder, each file private and down to the disk.
///
/// # Errors
/// When something else is in it than its manifest says, or it cannot be written.
pub fn extract(file: &mut File, manifest: &Manifest, into: &Path, told: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut archive = Archive::new(file);
    let mut entries = archive.entries()?.raw(true).skip(1);
    std::fs::create_dir(into.join(KEYS))?;
    for part in &manifest.files {
        let entry = entries.next().context(NOT_OURS)??;
        ensure!(is_file_of(&entry, &part.name) && entry.size() == part.size, NOT_OURS);
        // One of two names that this program made (`Manifest::check`).
        let target = into.join(&part.name);
        let mut out = create_private(&target).with_context(|| format!("{} cannot be made", target.display()))?;
        let (size, digest) =
            pour(entry, &mut out, told).with_context(|| format!("{} cannot be written", target.display()))?;
        ensure!(size == part.size && digest == part.sha256, "{}: {NOT_OURS}", part.name);
        out.sync_all()?;
    }
    let seal = entries.next().context(NOT_OURS)??;
    if !is_file_of(&seal, SEAL) || entries.next().is_some() {
        bail!(NOT_OURS);
    }
    Ok(sync_folder(&into.join(KEYS))?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

    /// A folder, and in it an archive that this program would have made.
    fn made() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let database = vec![7; 1500];
        let mut manifest =
            Manifest::new(vec![1], "https://connect.example.org".into(), "2026-01-31T09:30:00.000Z".into());
        for (name, bytes) in [(DATABASE.to_owned(), database.as_slice()), (name_of_key("kek-0001"), KEY.as_bytes())] {
            manifest.files.push(describe(name, bytes, &mut |_| {}).unwrap());
        }
        let files: Vec<Box<dyn Read>> = vec![Box::new(io::Cursor::new(database)), Box::new(KEY.as_bytes())];
        let mut bytes = Vec::new();
        write(&mut bytes, &manifest, files, &mut |_| {}).unwrap();
        let file = dir.path().join("backup.tar");
        fs::write(&file, bytes).unwrap();
        (dir, file)
    }

    /// Proves and unpacks into a new folder of this name; the folder must be as it was when that is refused before.
    fn take(dir: &Path, file: &Path, name: &str) -> anyhow::Result<Manifest> {
        let into = dir.join(name);
        let mut file = File::open(file)?;
        let manifest = prove(&mut file, &mut |_| {})?;
        fs::create_dir(&into)?;
        extract(&mut file, &manifest, &into, &mut |_| {})?;
        Ok(manifest)
    }

    #[test]
    fn what_was_written_comes_out_again_and_tar_reads_it_too() {
        let (dir, file) = made();
        let manifest = take(dir.path(), &file, "out").unwrap();
        assert_eq!(manifest.keys(), [("kek-0001".to_owned(), sha256(KEY.as_bytes()))]);
        assert_eq!(fs::read(dir.path().join("out").join(DATABASE)).unwrap(), vec![7; 1500]);
        assert_eq!(fs::read_to_string(dir.path().join("out/keys/kek-0001")).unwrap(), KEY);
        let mut archive = Archive::new(File::open(&file).unwrap());
        let names: Vec<_> =
            archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names, ["manifest.json", "database.sqlite", "keys/kek-0001", "sha256"]);
    }

    #[test]
    fn a_byte_changed_anywhere_or_a_cut_anywhere_is_refused() {
        let (dir, file) = made();
        let whole = fs::read(&file).unwrap();
        let refuse = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let refused = prove(&mut File::open(&file).unwrap(), &mut |_| {}).unwrap_err().to_string();
            assert!(refused.contains("not a whole backup"), "{refused}");
        };
        for at in (0..whole.len()).step_by(5) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            refuse(&changed);
        }
        for end in (0..whole.len()).step_by(100) {
            refuse(&whole[..end]);
        }
        refuse(&[whole.as_slice(), &[0]].concat());
        drop(dir);
    }

    /// Another's archive, down to a right seal: whatever this program did not write is refused, and nothing leaves the
    /// folder.
    #[test]
    fn an_archive_of_other_entries_is_refused() {
        let (dir, file) = made();
        let of_a_key = |name: &str| {
            let mut manifest = prove(&mut File::open(&file).unwrap(), &mut |_| {}).unwrap();
            manifest.files[1].name = name.to_owned();
            manifest
        };
        let odd =
            ["keys/../../kek-0001", "../kek-0001", "/tmp/kek-0001", "keys/kek-0001.bak", "keys/.profile", DATABASE];
        for (number, name) in odd.into_iter().enumerate() {
            let mut bytes = Vec::new();
            let files: Vec<Box<dyn Read>> = vec![Box::new(io::repeat(7).take(1500)), Box::new(KEY.as_bytes())];
            // Some of these cannot even be written.
            if write(&mut bytes, &of_a_key(name), files, &mut |_| {}).is_err() {
                continue;
            }
            let other = dir.path().join(format!("{number}.tar"));
            fs::write(&other, bytes).unwrap();
            assert!(take(dir.path(), &other, &format!("out{number}")).is_err(), "{name}");
            assert!(!dir.path().join(format!("out{number}")).exists(), "{name}");
        }
        assert!(!Path::new("/tmp/kek-0001").exists());
    }

    /// The manifest names right files, and the entries are links, directories, or longer than they say.
    #[test]
    fn entries_that_are_no_plain_files_are_refused() {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Directory,
            EntryType::GNULongName,
            EntryType::XHeader,
            EntryType::GNUSparse,
        ] {
            let (dir, file) = made();
            let mut bytes = fs::read(&file).unwrap();
            // The second entry is the database's, after the manifest's header and its blocks.
            let mut file_of = File::open(&file).unwrap();
            let manifest = prove(&mut file_of, &mut |_| {}).unwrap();
            let length = serde_json::to_vec_pretty(&manifest).unwrap().len();
            let at = BLOCK + length.div_ceil(BLOCK) * BLOCK;
            let mut header = Header::new_gnu();
            header.set_path(DATABASE).unwrap();
            header.set_size(1500);
            header.set_mode(0o600);
            header.set_entry_type(kind);
            header.set_cksum();
            bytes[at..at + BLOCK].copy_from_slice(header.as_bytes());
            let sealed = bytes.len() - usize::try_from(TAIL).unwrap();
            let seal = sha256(&bytes[..sealed]);
            bytes.truncate(sealed);
            bytes.extend(tail(&seal).unwrap());
            fs::write(&file, bytes).unwrap();
            let refused = take(dir.path(), &file, "out").unwrap_err().to_string();
            assert!(refused.contains("not a whole backup"), "{kind:?}: {refused}");
            assert!(!dir.path().join("out").join(DATABASE).exists());
        }
    }

    /// A manifest that promises more than there is makes nobody wait, and fills no memory.
    #[test]
    fn a_size_that_is_not_there_is_refused() {
        let (dir, file) = made();
        let mut manifest = prove(&mut File::open(&file).unwrap(), &mut |_| {}).unwrap();
        manifest.files[0].size = 1 << 50;
        let mut out = Digesting::new(Vec::new());
        let text = serde_json::to_vec_pretty(&manifest).unwrap();
        put(&mut out, MANIFEST, u64::try_from(text.len()).unwrap(), text.as_slice(), &mut |_| {}).unwrap();
        let mut header = Header::new_gnu();
        header.set_path(DATABASE).unwrap();
        header.set_size(1 << 50);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        out.write_all(header.as_bytes()).unwrap();
        out.write_all(&[7; 1024]).unwrap();
        let seal = out.hex();
        let mut bytes = out.inner;
        bytes.extend(tail(&seal).unwrap());
        fs::write(&file, bytes).unwrap();
        assert!(take(dir.path(), &file, "out").is_err());
    }
}
