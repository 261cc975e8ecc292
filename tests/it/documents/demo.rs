//! examples/demo/README.md: who is there says the same as the demo itself.

use std::collections::BTreeMap;

use super::{rows, text};

/// What the demo prints of each user: with the password, with the button.
fn told_by_the_demo() -> BTreeMap<String, [String; 2]> {
    let source = text("examples/demo/cast.rs");
    let table =
        source.split_once("const PURPOSES").unwrap().1.split_once("= [").unwrap().1.split_once("\n];").unwrap().0;
    let lines = table.lines().map(str::trim).filter(|line| line.starts_with("(\""));
    let row = |line: &str| {
        let inner = line.trim_start_matches("(\"").trim_end_matches("\"),").replace("\\\"", "\u{1}");
        let parts: Vec<_> = inner.split("\", \"").map(|part| part.replace('\u{1}', "\"")).collect();
        (parts[0].clone(), [parts[1].clone(), parts[2].clone()])
    };
    lines.map(row).collect()
}

#[test]
fn the_demo_and_its_page_say_the_same() {
    let demo = told_by_the_demo();
    let rows = rows(&text("examples/demo/README.md"));
    let mut page: BTreeMap<_, _> =
        rows.into_iter().map(|row| (row[0].replace('`', ""), [row[3].clone(), row[4].clone()])).collect();
    // Known to the stand-in alone.
    assert!(page.remove("zoe").is_some());
    assert_eq!(demo, page);
}
