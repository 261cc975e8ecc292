//! Takes a backup of a SQLite installation while it serves: a copy of the database as it is at one moment, the keys,
//! and what a restore must know of them, in one file that is there whole or not at all.

pub mod archive;
pub mod restore;

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::app::App;
use crate::crypto::key_ring;
use crate::operations::backup::archive::Manifest;
use crate::store::settings;
use crate::store::sqlite_files::{DATABASE, create_private, sync_folder};

/// How far it is: what is done, and how many bytes of how many.
pub type Progress<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// Takes one. What was acknowledged before it began is in it.
///
/// # Errors
/// When the file exists, or something cannot be read or written: then there is no file.
pub async fn take(app: &App, file: &Path, told: &mut Progress<'_>) -> anyhow::Result<Manifest> {
    ensure!(!there_is(file), "{} exists already: choose another name", file.display());
    let taken_at = app.clock.now();
    let partial = Partial::beside(file, &app.random.id(taken_at))?;
    // A key is added before it is first used and may be taken away after it was last used: of both moments all are
    // needed.
    let keys_before = key_ring::texts(&app.config.keys.dir)?;
    told("copying the database", 0, 0);
    app.db.copy_into(&partial.database).await?;
    let mut keys = key_ring::texts(&app.config.keys.dir)?;
    keys.extend(keys_before);
    keys.sort_by(|one, other| one.0.cmp(&other.0));
    keys.dedup_by(|next, kept| next.0 == kept.0);
    let issuer = settings::get(&mut app.db.read_much().await?, settings::ISSUER).await?;
    let issuer = issuer.unwrap_or_else(|| app.config.issuer.clone());
    let mut manifest = Manifest::new(app.db.schema_steps().await?, issuer, taken_at.rfc3339());
    let size = fs::metadata(&partial.database)?.len();
    let database = File::open(&partial.database)?;
    let part = archive::describe(DATABASE.into(), &database, &mut |done| told("reading the copy", done, size))?;
    manifest.files.push(part);
    let mut files: Vec<Box<dyn Read>> = vec![Box::new(File::open(&partial.database)?)];
    for (name, text) in keys {
        manifest.files.push(archive::describe(archive::name_of_key(&name), text.as_bytes(), &mut |_| {})?);
        files.push(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
    }
    let out = create_private(&partial.archive)?;
    let mut out = BufWriter::new(out);
    archive::write(&mut out, &manifest, files, &mut |done| told("writing the backup", done, size))
        .and_then(|()| Ok(out.flush()?))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    out.get_ref().sync_all()?;
    put_in_place(&partial.archive, file)?;
    Ok(manifest)
}

fn there_is(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok()
}

fn put_in_place(from: &Path, file: &Path) -> anyhow::Result<()> {
    // A link fails where the name is taken. Not every file system has them.
    match fs::hard_link(from, file) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists || there_is(file) => {
            anyhow::bail!("{} was made by somebody else meanwhile: choose another name", file.display());
        }
        Err(_) => fs::rename(from, file).with_context(|| format!("{} cannot be made", file.display()))?,
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(sync_folder(folder)?)
}

/// What is not the backup yet, and goes when this is dropped.
struct Partial {
    database: PathBuf,
    archive: PathBuf,
}

impl Partial {
    fn beside(file: &Path, id: &str) -> anyhow::Result<Self> {
        let name = file.file_name().and_then(|name| name.to_str()).context("name the file of the backup in UTF-8")?;
        let beside = |ending: &str| file.with_file_name(format!(".{name}.{id}.{ending}"));
        let partial = Self { database: std::path::absolute(beside("database"))?, archive: beside("partial") };
        // The copy goes into this empty file, which nobody else can read.
        create_private(&partial.database)
            .with_context(|| format!("nothing can be written beside {}", file.display()))?;
        Ok(partial)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // What cannot be removed is private, and its name says what it is.
        let _ = fs::remove_file(&self.database);
        let _ = fs::remove_file(&self.archive);
    }
}
