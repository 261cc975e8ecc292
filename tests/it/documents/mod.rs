//! What the papers say of the code is true of it: rules and their tests, limits and their numbers, settings and their
//! defaults, the names of files.

mod demo;
mod limits;
mod migrations;
mod paths;
mod relying_party;
mod rules;
mod settings;
mod snippets;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What is made and not written.
const MADE: [&str; 4] = ["target", ".git", "node_modules", "__pycache__"];

/// Every file below a folder of the repository, by its path from the root.
fn files_below(folder: &str) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() {
                found.push(path);
            } else if !MADE.iter().any(|made| path.ends_with(made)) {
                walk(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let mut found: Vec<_> =
        found.iter().map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()).collect();
    found.sort();
    found
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn has_ending(path: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| path.rsplit_once('.').is_some_and(|(_, of)| of == *ending))
}

/// The cells of each row of a document's tables, the rows of headings and lines left out.
fn rows(document: &str) -> Vec<Vec<String>> {
    let lines: Vec<_> = document.lines().collect();
    let is_line = |line: &str| line.starts_with("|--");
    let row = |at: usize| {
        let inner = lines[at].strip_prefix("| ")?.strip_suffix('|')?;
        let is_heading = lines.get(at + 1).is_some_and(|next| is_line(next));
        (!is_heading).then(|| inner.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    (0..lines.len()).filter_map(row).collect()
}

/// What stands between backticks, on one line each.
fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}
