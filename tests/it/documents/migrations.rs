//! migrations/README.md: which release has which migration; and a released one is as it was (G23).

use std::fmt::Write as _;

use super::{files_below, has_ending, rows, text};

/// The beginning of a file's SHA-256, in hexadecimal.
fn checksum(path: &str) -> String {
    openssl::sha::sha256(text(path).as_bytes())[..8].iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[test]
fn released_migrations_are_as_they_were() {
    let (rows, changelog) = (rows(&text("migrations/README.md")), text("CHANGELOG.md"));
    let told: Vec<_> = rows.iter().map(|row| format!("migrations/{}", row[0].trim_matches('`'))).collect();
    let files: Vec<_> = files_below("migrations").into_iter().filter(|path| has_ending(path, &["sql"])).collect();
    assert_eq!(told, files, "migrations/README.md has a row of each file, in order");
    for (row, path) in rows.iter().zip(&files) {
        let [_, release, sum] = row.as_slice() else { panic!("a row has other columns: {row:?}") };
        if release != "next" {
            assert!(
                changelog.contains(&format!("\n## {release} - ")),
                "{path}: no release {release} is in the changelog"
            );
            assert_eq!(sum.trim_matches('`'), checksum(path), "{path} was released and is never edited");
        }
    }
}
