//! Files, headings and documents that are named somewhere are there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{files_below, has_ending, in_backticks, root, text};

/// What somebody makes beside what is written, and no commit holds.
const AT_RUN_TIME: [&str; 2] = ["keys/kek-", "deploy/compose/secrets"];

/// Every document, but the changelog, which tells of what was.
fn documents() -> Vec<String> {
    files_below("").into_iter().filter(|path| has_ending(path, &["md", "in"]) && path != "CHANGELOG.md").collect()
}

/// A document's text outside of its blocks, and within them, line by line.
fn lines(document: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut within = false;
    document.lines().map(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        within ^= is_fence;
        (within || is_fence, line)
    })
}

/// `a/b/../c` without its dots.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        if part == Component::ParentDir {
            plain.pop();
        } else if part != Component::CurDir {
            plain.push(part);
        }
        plain
    })
}

/// The file that a word names, if it is a path of the repository: below one of its folders, or the name of a source or
/// a document.
fn named<'a>(word: &'a str, folders: &BTreeSet<String>) -> Option<&'a str> {
    let word =
        word.trim_matches(|c: char| !c.is_alphanumeric() && !"./_-*<{$…".contains(c)).trim_end_matches(['.', '/']);
    let word = word.split("::").next()?;
    let (path, _) = word.split_once('#').unwrap_or((word, ""));
    let is_below = path.split_once('/').is_some_and(|(folder, rest)| folders.contains(folder) && !rest.is_empty());
    let is_source = has_ending(path, &["rs", "md"]) && !path.starts_with(['/', '.']);
    // What stands for any of several.
    let is_pattern = path.contains(['*', '<', '{', '$', '…', '(', ',', '"', '=']) || path.contains("://");
    let is_made = AT_RUN_TIME.iter().any(|made| path.starts_with(made));
    ((is_below || is_source) && !is_pattern && !is_made).then_some(path)
}

/// From the root, from beside the document, or as the end of one path: `floors.rs`, `web/page.rs`.
fn is_there(path: &str, beside: &str, files: &[String]) -> bool {
    let from = Path::new(beside).parent().unwrap_or(Path::new(""));
    root().join(path).exists()
        || root().join(from).join(path).exists()
        || files.iter().any(|file| file.ends_with(&format!("/{path}")))
}

fn folders() -> BTreeSet<String> {
    let entries = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap());
    folders.filter(|name| !super::MADE.contains(&name.as_str())).collect()
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let (folders, files, mut gone, mut count) = (folders(), files_below(""), Vec::new(), 0);
    for document in documents() {
        let text = text(&document);
        for (in_block, line) in lines(&text) {
            let words: Vec<_> = if in_block {
                // What a command reads; what it writes comes to be there.
                line.split_whitespace().filter(|word| word.contains('/')).collect()
            } else {
                in_backticks(line).flat_map(str::split_whitespace).collect()
            };
            for path in words.into_iter().filter_map(|word| named(word, &folders)) {
                count += 1;
                if !is_there(path, &document, &files) {
                    gone.push(format!("{document}: {path}"));
                }
            }
        }
    }
    assert!(count > 100, "only {count} names were found");
    assert!(gone.is_empty(), "{gone:#?}");
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut gone = Vec::new();
    for document in documents() {
        let text = text(&document);
        for (_, line) in lines(&text).filter(|(in_block, _)| !in_block) {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
                let (path, heading) = link.split_once('#').unwrap_or((link, ""));
                if path.contains(':') {
                    continue;
                }
                let beside = Path::new(&document).parent().unwrap();
                let target = if path.is_empty() { PathBuf::from(&document) } else { plain(&beside.join(path)) };
                let is_right = root().join(&target).exists()
                    && (heading.is_empty() || headings(&super::text(target.to_str().unwrap())).contains(heading));
                if !is_right {
                    gone.push(format!("{document}: {link}"));
                }
            }
        }
    }
    assert!(gone.is_empty(), "{gone:#?}");
}

/// The headings of a document, as links name them.
fn headings(document: &str) -> BTreeSet<String> {
    let headings = lines(document).filter(|(in_block, line)| !in_block && line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(|c: char| !c.is_alphanumeric() && !"_ -".contains(c), "");
        kept.trim().replace(' ', "-")
    };
    headings.map(|(_, line)| anchor(line.trim_start_matches('#'))).collect()
}

/// The recipes name the tests and functions that one meets on the way.
#[test]
fn every_function_that_a_recipe_names_is_there() {
    let sources = ["src", "tests"].into_iter().flat_map(files_below).filter(|path| has_ending(path, &["rs", "py"]));
    let sources: String = sources.map(|path| text(&path)).collect();
    let (mut gone, mut count) = (Vec::new(), 0);
    for document in ["CONTRIBUTING.md", "SECURITY.md", "migrations/README.md", "README.md"] {
        let text = text(document);
        let words = text.lines().flat_map(in_backticks);
        let is_name = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        for name in words.filter(|word| word.matches('_').count() > 2 && is_name(word)) {
            count += 1;
            if !sources.contains(&format!("fn {name}(")) {
                gone.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(count > 5, "only {count} names were found");
    assert!(gone.is_empty(), "{gone:#?}");
}

/// Comments, too, send nobody to a document that is not there.
#[test]
fn every_document_that_a_comment_names_is_there() {
    let (files, mut gone) = (files_below(""), Vec::new());
    let sources = ["src", "tests", "benches", "examples", "templates", "migrations", "deploy", "charts", ".ci"];
    for path in sources.into_iter().flat_map(files_below) {
        let is_text = has_ending(&path, &["rs", "py", "sql", "html", "toml", "yaml", "js", "mjs", "conf", "cfg"]);
        // Its own test shows names that are none.
        if !is_text || path.ends_with("documents/paths.rs") {
            continue;
        }
        let text = text(&path);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"._-/".contains(c));
        let words = words.map(|word| word.trim_end_matches('.').trim_start_matches(['.', '/']));
        for word in words.filter(|word| has_ending(word, &["md"])) {
            if !is_there(word, &path, &files) {
                gone.push(format!("{path}: {word}"));
            }
        }
    }
    assert!(gone.is_empty(), "{gone:#?}");
}

#[test]
fn the_readers_of_this_test_read_what_is_written() {
    let folders = ["src", "keys"].map(str::to_owned).into();
    let read = |word| named(word, &folders);
    assert_eq!(read("src/a/b.rs::c"), Some("src/a/b.rs"));
    assert_eq!(["src/*.rs", "keys/kek-0001", "/src/a", "a/b", "https://a/b.md", "src"].map(read), [None; 6]);
    assert_eq!(["b.md#c", "(src/x),"].map(read), [Some("b.md"), Some("src/x")]);
    assert!(headings("# A b, c: `d_e`\n```\n# no\n```\n").contains("a-b-c-d_e"));
}
