//! docs/rules.md: every code that is named anywhere is defined there, and every rule there is held by a test that
//! exists.

use std::collections::{BTreeMap, BTreeSet};

use super::{files_below, has_ending, in_backticks, text};

const DOCUMENT: &str = "docs/rules.md";

/// The letters that a rule's code begins with.
const FAMILIES: &str = "LURAG";

/// The codes in a text: a family's letter and one or two digits, with nothing of a longer word beside them.
fn codes(text: &str) -> BTreeSet<String> {
    let belongs = |c: char| c.is_alphanumeric() || "_%-+/=#&".contains(c);
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices(|c| FAMILIES.contains(c)) {
        let digits: String = text[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        let after = text[at + 1 + digits.len()..].chars().next();
        let before = text[..at].chars().next_back();
        if matches!(digits.len(), 1 | 2) && !before.is_some_and(belongs) && !after.is_some_and(belongs) {
            found.insert(text[at..=at + digits.len()].to_owned());
        }
    }
    found
}

/// What the document says of each rule: its sentence, and the lines below it.
fn rules() -> BTreeMap<String, (String, Vec<String>)> {
    let (document, mut rules, mut last) = (text(DOCUMENT), BTreeMap::new(), None);
    for line in document.lines() {
        if let Some((code, sentence)) = line.strip_prefix("- **").and_then(|line| line.split_once("** ")) {
            let before = rules.insert(code.to_owned(), (sentence.to_owned(), Vec::new()));
            assert!(before.is_none(), "{code} is defined twice");
            last = Some(code.to_owned());
        } else if let (Some(below), Some(rule)) = (line.strip_prefix("  - "), &last) {
            rules.get_mut(rule).unwrap().1.push(below.to_owned());
        } else if line.starts_with('#') {
            last = None;
        }
    }
    rules
}

/// Whether a file has a test of this name: `#[test]` and its like, or what a macro makes a test for each engine of.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().collect();
    let begins = |line: &str| line.contains(&format!("fn {name}(")) || line.starts_with(&format!("def {name}("));
    lines.iter().position(|line| begins(line)).is_some_and(|at| {
        let attributes = lines[..at].iter().rev().take_while(|line| {
            let line = line.trim_start();
            line.starts_with("#[") || line.starts_with("///")
        });
        let has_attribute = attributes.into_iter().any(|line| line.contains("test]") || line.contains("test("));
        has_attribute || lines[at].contains("(engine: Engine)") || name.starts_with("test_")
    })
}

#[test]
fn every_code_that_is_named_is_a_rule() {
    let rules = rules();
    let folders =
        ["src", "tests", "docs", "migrations", "templates", "benches", "examples", "charts", "deploy", "keys"];
    let papers = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned);
    let mut unknown = Vec::new();
    for path in folders.into_iter().flat_map(files_below).chain(papers) {
        if has_ending(&path, &["rs", "md", "py", "sql", "html", "toml", "yaml"]) {
            let named = codes(&text(&path));
            unknown.extend(named.into_iter().filter(|code| !rules.contains_key(code)).map(|code| (path.clone(), code)));
        }
    }
    assert!(unknown.is_empty(), "{DOCUMENT} does not define {unknown:#?}");
}

#[test]
fn every_rule_is_held_by_a_test_that_is_there() {
    let (rules, mut wrong) = (rules(), Vec::new());
    assert!(rules.len() > 70, "only {} rules could be read", rules.len());
    for (code, (sentence, below)) in &rules {
        assert!(sentence.len() > 20 && codes(code).contains(code), "{code} says nothing");
        if below.is_empty() {
            wrong.push(format!("{code} names no test; one that has none says `not tested: why`"));
        }
        for line in below.iter().filter(|line| !line.starts_with("not tested: ")) {
            let found = in_backticks(line)
                .filter_map(|named| named.split_once("::"))
                .find(|(path, name)| !super::root().join(path).is_file() || !is_test(&text(path), name));
            if found.is_some() || !line.contains("::") {
                wrong.push(format!("{code}: there is no test {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is not tested is the exception, and stays one.
#[test]
fn few_rules_are_not_tested() {
    let rules = rules();
    let untested = rules.values().filter(|(_, below)| below.iter().any(|line| line.starts_with("not tested: ")));
    assert!(untested.count() <= 2);
}

#[test]
fn the_readers_of_this_test_read_what_is_written() {
    assert_eq!(
        codes("L3, (U7); G9:A2 %A9 C3 xL4 L5x L123 R-1 X-L6 A1.").into_iter().collect::<Vec<_>>(),
        ["A1", "A2", "G9", "L3", "U7"]
    );
    let source = "#[test]\nfn a() {}\n\n/// Of b.\nasync fn b(engine: Engine) {}\n\n#[test]\nfn c() {}\nfn d() {}\n";
    assert_eq!(["a", "b", "c", "d", "e"].map(|name| is_test(source, name)), [true, true, true, false, false]);
}
