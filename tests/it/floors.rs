//! The rules of src/: a module uses only modules of the floors above its own in the list of lib.rs, and no two files
//! need each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Each module's floor, as lib.rs lists it: `//! 3. [`model`]: …`.
fn floors() -> BTreeMap<String, usize> {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("//! ")) {
        let Some((number, rest)) = line.split_once(". [`") else { continue };
        let Ok(number) = number.parse() else { continue };
        let names = format!("[`{}", rest.split_once(": ").map_or(rest, |(names, _)| names));
        for name in names.split('`').skip(1).step_by(2) {
            assert_eq!(floors.insert(name.to_owned(), number), None, "{name} stands on two floors");
        }
    }
    assert!(floors.len() > 10, "the list of floors in lib.rs could not be read");
    floors
}

/// Every source file but lib.rs and main.rs, with the module it belongs to.
fn files() -> Vec<(String, PathBuf)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&src(), &mut found);
    found.sort();
    let module = |path: &Path| {
        let first = path.strip_prefix(src()).unwrap().components().next().unwrap();
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    };
    found.into_iter().map(|path| (module(&path), path)).filter(|(name, _)| name != "lib" && name != "main").collect()
}

/// The text without comments and string literals.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let mut code = String::new();
    for line in text.lines() {
        let mut quoted = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if quoted => drop(chars.next()),
                '"' => quoted = !quoted,
                '/' if !quoted && chars.peek() == Some(&'/') => break,
                c if !quoted => code.push(c),
                _ => {}
            }
        }
        code.push('\n');
    }
    code
}

/// The modules that a text names by `crate::…`, also inside `crate::{…}`.
fn named(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let after = &code[at + "crate::".len()..];
        let identifier =
            |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
        if let Some(group) = after.strip_prefix('{') {
            let (mut depth, mut item) = (0, String::new());
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.push(identifier(std::mem::take(&mut item).trim())),
                    c if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            names.push(identifier(item.trim()));
        } else {
            names.push(identifier(after));
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn the_list_names_every_module_and_no_other() {
    let mut modules: Vec<_> = files().into_iter().map(|(module, _)| module).collect();
    modules.dedup();
    let listed: Vec<_> = floors().into_keys().collect();
    modules.sort();
    assert_eq!(modules, listed);
}

#[test]
fn no_arrow_goes_up_or_sideways() {
    let floors = floors();
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (module, path) in files() {
        let own = floors[&module];
        for name in named(&code(&path)) {
            let Some(floor) = floors.get(&name) else {
                wrong.push(format!("{}: crate::{name} is no module", path.display()));
                continue;
            };
            arrows += 1;
            if name != module && *floor >= own {
                wrong.push(format!("{} (floor {own}) uses {name} (floor {floor})", path.display()));
            }
        }
    }
    assert!(arrows > 100, "only {arrows} arrows were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `super` stays inside its module: at a module's root it would be the crate's.
#[test]
fn no_arrow_goes_round_by_super() {
    for (_, path) in files() {
        let depth = path.strip_prefix(src()).unwrap().components().count();
        let is_root = depth == 1 || (depth == 2 && path.ends_with("mod.rs"));
        for line in code(&path).lines().filter(|line| line.contains("super::")) {
            let climbs = line.matches("super::super").count() > 0;
            let unindented = !line.starts_with(' ');
            assert!(!(climbs || is_root && unindented), "{}: {line}", path.display());
        }
    }
}

/// Every file by its module's path, `web::page`; a folder's `mod.rs` by the folder's.
fn modules() -> BTreeMap<String, PathBuf> {
    let path = |file: &Path| {
        let path = file.strip_prefix(src()).unwrap().with_extension("");
        path.to_string_lossy().trim_end_matches("/mod").replace('/', "::")
    };
    files().into_iter().map(|(_, file)| (path(&file), file)).collect()
}

/// What a file says outside its own tests.
fn told(code: &str) -> &str {
    let tests = code.match_indices("#[cfg(test)]\n").map(|(at, _)| at).find(|at| {
        code[*at..]
            .lines()
            .find(|line| !line.starts_with("#["))
            .is_some_and(|line| line.starts_with("mod ") || line.starts_with("pub") && line.contains(" mod "))
    });
    &code[..tests.unwrap_or(code.len())]
}

/// Reads a path or a tree of `use` from its first name on, `a::{b, c::d}`, into whole paths below `above`.
fn spell(text: &str, above: &[String], found: &mut Vec<Vec<String>>) {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let path = [above, std::slice::from_ref(&name)].concat();
    match text[name.len()..].strip_prefix("::") {
        None => found.push(path),
        Some(rest) if rest.starts_with('{') => {
            let (mut depth, mut from) = (0, 1);
            for (at, c) in rest.char_indices() {
                match c {
                    '{' => depth += 1,
                    ',' | '}' if depth == 1 => {
                        spell(rest[from..at].trim(), &path, found);
                        from = at + 1;
                    }
                    _ => {}
                }
                depth -= i32::from(c == '}');
                if depth == 0 {
                    break;
                }
            }
        }
        Some(rest) => spell(rest, &path, found),
    }
}

/// The modules that a module names: by a whole path (`crate::`, `super::`, `self::`), or a child by its bare name.
fn aims(module: &str, code: &str, modules: &BTreeMap<String, PathBuf>) -> BTreeSet<String> {
    let own: Vec<String> = module.split("::").map(str::to_owned).collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let first: String = code[..at].chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let first: String = first.chars().rev().collect();
        let before = &code[..at - first.len()];
        if first.is_empty() || before.ends_with([':', '$']) || before.ends_with("(in ") {
            continue;
        }
        let mut paths = Vec::new();
        spell(&code[at - first.len()..], &[], &mut paths);
        for path in paths {
            let climbs = path.iter().take_while(|name| *name == "super").count();
            let rest = path[climbs.max(1)..].iter().cloned();
            found.push(match path[0].as_str() {
                "crate" => rest.collect::<Vec<_>>(),
                "super" => own[..own.len().saturating_sub(climbs)].iter().cloned().chain(rest).collect(),
                "self" => own.iter().cloned().chain(rest).collect(),
                child if modules.contains_key(&format!("{module}::{child}")) => {
                    own.iter().chain(&path).cloned().collect()
                }
                _ => continue,
            });
        }
    }
    let mut aims = BTreeSet::new();
    for path in found {
        let module = (1..=path.len()).rev().map(|length| path[..length].join("::")).find(|m| modules.contains_key(m));
        aims.extend(module);
    }
    aims.remove(module);
    aims
}

/// The modules that stand in a circle or between two: what is left when those that nobody needs, and those that need
/// nobody, have gone one after the other.
fn circles(mut arrows: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let aimed: BTreeSet<String> = arrows.values().flatten().cloned().collect();
        let before = arrows.len();
        arrows.retain(|module, aims| aimed.contains(module) && !aims.is_empty());
        let left: BTreeSet<String> = arrows.keys().cloned().collect();
        for aims in arrows.values_mut() {
            aims.retain(|aim| left.contains(aim));
        }
        if arrows.len() == before {
            return arrows;
        }
    }
}

#[test]
fn no_two_files_need_each_other() {
    let modules = modules();
    let arrows: BTreeMap<_, _> =
        modules.iter().map(|(module, file)| (module.clone(), aims(module, told(&code(file)), &modules))).collect();
    assert!(arrows.values().map(BTreeSet::len).sum::<usize>() > 1000, "hardly an arrow was found");
    let circles = circles(arrows);
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_circle_is_found() {
    let modules = ["a", "a::b", "a::c", "d"].map(|module| (module.to_owned(), PathBuf::new())).into();
    let of = |module: &str, code: &str| (module.to_owned(), aims(module, told(code), &modules));
    let tests = "#[cfg(test)]\n#[expect(x)]\nmod tests {\n    use crate::d::X;\n}\n";
    let sound = [
        of("a", "use self::b::{X, Y};\nself::c::f();"),
        of("a::b", tests),
        of("a::c", "use super::b::X;"),
        of("d", ""),
    ];
    let aim = |of: &str| sound.iter().find(|(module, _)| module == of).unwrap().1.iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        [aim("a"), aim("a::b"), aim("a::c")],
        [vec!["a::b".to_owned(), "a::c".into()], vec![], vec!["a::b".into()]]
    );
    assert!(circles(sound.clone().into()).is_empty());
    let bent = BTreeMap::from([of("a::b", "pub(in crate::d) fn f() {\n    crate::{a::c, d::X}\n}")]);
    let circle = circles(sound.clone().into_iter().chain(bent).collect());
    assert_eq!(circle.into_keys().collect::<Vec<_>>(), ["a::b", "a::c"]);
    // A folder's own file that calls a child by its bare name needs it as well.
    let bent = BTreeMap::from([of("a", "b::f(x::c::g());"), of("a::b", "use super::X;")]);
    let circle = circles(sound.into_iter().chain(bent).collect());
    assert_eq!(circle.into_keys().collect::<Vec<_>>(), ["a", "a::b"]);
}

#[test]
fn each_foreign_library_has_one_home() {
    let mut wrong = Vec::new();
    for (module, path) in files() {
        let text = code(&path);
        for (library, home) in [
            ("josekit", "crypto"),
            ("argon2", "crypto"),
            ("openssl", "crypto"),
            ("tokio_openssl", "crypto"),
            ("rusqlite", "store"),
            ("sqlx", "store"),
            ("reqwest", "outbound"),
            ("redis", "cache"),
            ("plotters", "console"),
        ] {
            let named = text.match_indices(&format!("{library}::")).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            });
            if named && module != home {
                wrong.push(format!("{} names {library}, which belongs to {home}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_readers_of_this_test_read_what_is_written() {
    assert_eq!(
        named("use crate::{a, b::{c, d}, e as f};\ncrate::g::h(); $crate::i!(); xcrate::j"),
        ["a", "b", "e", "g", "i"]
    );
}
