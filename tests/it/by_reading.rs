//! Rules that are seen by reading the source: what stands in one place, and what asks for what.

use std::fs;
use std::path::{Path, PathBuf};

/// The sources below a folder, without their tests.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()));
        }
    }
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// G4: the pool is asked to compare what somebody typed in one place, whatever page it was typed on. The forced update
/// asks once more, whether a new password is the temporary one that was proven before: that is no guess.
#[test]
fn one_function_compares_passwords() {
    let calls = |text: &str| text.matches("hashes.verify(").count();
    let found = sources(&src()).into_iter().map(|(path, text)| (path, calls(&text))).filter(|(_, calls)| *calls > 0);
    let mut found: Vec<_> = found.map(|(path, calls)| (path.strip_prefix(src()).unwrap().to_owned(), calls)).collect();
    found.sort();
    let expected = ["login/update_password.rs", "operations/check_password.rs"];
    assert_eq!(found, expected.map(|path| (PathBuf::from(path), 1)));
}

/// Whether a function's text changes rows, or reads what a change returns.
fn writes(function: &str) -> bool {
    let begins = |word: &str| function.contains(&format!("\"{word} ")) || function.contains(&format!("\"\n{word} "));
    ["INSERT", "UPDATE", "DELETE"].into_iter().any(begins) || function.contains("RETURNING")
}

/// Whether it was handed a transaction, or begins one.
fn asks_for_a_transaction(function: &str) -> bool {
    function.contains("&mut Tx") || function.contains("in_transaction!(")
}

/// G26: outside of a transaction SQLite could show a row whose commit then fails.
#[test]
fn every_write_asks_for_a_transaction() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (path, text) in sources(&src().join("store")) {
        for function in text.split("async fn ").skip(1).filter(|function| function.contains("on!(")) {
            let name = function.split(['(', '<']).next().unwrap_or_default();
            if writes(function) {
                count += 1;
                if !asks_for_a_transaction(function) || function.contains("on!(db,") || function.contains("on!(conn,") {
                    wrong.push(format!("{}: {name}", path.display()));
                }
            }
        }
    }
    assert!(count > 80, "only {count} writes were found");
    assert!(wrong.is_empty(), "outside of a transaction: {wrong:#?}");
}
