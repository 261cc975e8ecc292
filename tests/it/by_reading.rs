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
    let calls = |text: &str| text.matches("hashes.verify").count();
    let found = sources(&src()).into_iter().map(|(path, text)| (path, calls(&text))).filter(|(_, calls)| *calls > 0);
    let mut found: Vec<_> = found.map(|(path, calls)| (path.strip_prefix(src()).unwrap().to_owned(), calls)).collect();
    found.sort();
    let expected = ["login/update_password.rs", "operations/sign_in/check_password.rs"];
    assert_eq!(found, expected.map(|path| (PathBuf::from(path), 1)));
}

/// What proves something, and the one file that makes it.
const PROOFS: [(&str, &str); 10] = [
    ("SignedIn", "web/session.rs"),
    ("MustUpdate", "web/session.rs"),
    ("ProviderAdmin", "console/admins.rs"),
    ("TherapAdmin", "console/admins.rs"),
    ("AgencyVisitor", "console/admins.rs"),
    ("Everywhere", "api/caller.rs"),
    ("InProvider", "api/caller.rs"),
    ("OverProvider", "api/caller.rs"),
    ("Assertion", "handoff/assertion.rs"),
    ("Proven", "operations/sign_in/check_password.rs"),
];

/// Whether a line makes a value of this type by its name, and does not define it, take it apart or return it.
fn makes(line: &str, name: &str) -> bool {
    line.split_once(&format!("{name} {{")).is_some_and(|(before, _)| {
        let is_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let is_other =
            ["//", "struct ", "enum ", "impl", " for ", "let ", "-> "].iter().any(|word| before.contains(word));
        is_word && !is_other
    })
}

/// G10: a handler that takes a proof is reached by nobody else, as long as nobody else makes one.
#[test]
fn each_proof_is_made_in_one_file() {
    let (sources, mut wrong) = (sources(&src()), Vec::new());
    for (name, home) in PROOFS {
        let defined =
            |text: &str| text.contains(&format!("struct {name} ")) || text.contains(&format!("struct {name}<"));
        let is_there = sources.iter().any(|(path, text)| path.ends_with(home) && defined(text));
        assert!(is_there, "{home} defines no {name}");
        for (path, text) in sources.iter().filter(|(path, _)| !path.ends_with(home)) {
            let made = text.lines().filter(|line| makes(line, name));
            wrong.extend(made.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
    assert!(wrong.is_empty(), "made elsewhere: {wrong:#?}");
    assert!(makes("    Ok(SignedIn { session })", "SignedIn") && !makes("let SignedIn { session } = x;", "SignedIn"));
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

/// G26: outside of a transaction SQLite could show a row whose commit then fails. What is executed takes a transaction
/// by its type; what is written and read back (`RETURNING`) is found here.
#[test]
fn every_write_asks_for_a_transaction() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (path, text) in sources(&src().join("store")) {
        // What runs on a driver's own connection has begun its transaction by hand.
        let text = text.replace("sqlx::query(", "");
        for function in text.split("async fn ").skip(1).filter(|function| function.contains("query(")) {
            let name = function.split(['(', '<']).next().unwrap_or_default();
            if writes(function) {
                count += 1;
                if !asks_for_a_transaction(function) || function.contains("(conn)") || function.contains("(&mut conn)")
                {
                    wrong.push(format!("{}: {name}", path.display()));
                }
            }
        }
    }
    assert!(count > 80, "only {count} writes were found");
    assert!(wrong.is_empty(), "outside of a transaction: {wrong:#?}");
}

/// The lines of a source that begin with one that passes the test, each with those that are further in, up to its own
/// end. The sources are formatted, so that the indentation tells.
fn extents(text: &str, begins: impl Fn(&str) -> bool) -> Vec<Vec<&str>> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().collect();
    let extent = |from: usize| {
        let margin = indent(lines[from]);
        let mut end = from + 1;
        while let Some(line) = lines.get(end) {
            // A signature of several lines comes back to the margin before its body begins.
            let goes_on = line.trim_start().starts_with([')', '{']) || line.trim() == "where";
            if !line.is_empty() && indent(line) <= margin && !(indent(line) == margin && goes_on) {
                break;
            }
            end += 1;
        }
        lines[from..end].to_vec()
    };
    (0..lines.len()).filter(|at| begins(lines[*at])).map(extent).collect()
}

/// Whether a line writes into the log or counts.
fn says(line: &str) -> bool {
    let levels = ["trace!", "debug!", "info!", "warn!", "error!"];
    levels.iter().any(|level| line.contains(&format!("tracing::{level}"))) || line.contains(".metrics.")
}

/// What a transaction says or counts before it is committed.
fn said_too_early(text: &str) -> Vec<String> {
    let bodies = extents(text, |line| line.contains("in_transaction!(") || line.contains("in_act!("));
    let functions = extents(text, |line| line.contains("fn "));
    let functions = functions.into_iter().filter(|lines| {
        let signature: String =
            lines.iter().take_while(|line| !line.ends_with('{')).chain(lines.first()).copied().collect();
        signature.contains("&mut Tx")
    });
    let mut found = Vec::new();
    for lines in bodies.into_iter().chain(functions) {
        let later = extents(&lines.join("\n"), |line| line.contains(".after_commit(")).concat().join("\n");
        found.extend(
            lines.iter().filter(|line| says(line) && !later.contains(*line)).map(|line| line.trim().to_owned()),
        );
    }
    found
}

/// The body of a transaction may run more than once, and what it did may be taken back (G26): what it says or counts,
/// it says by `after_commit`, and so does every function that is handed a transaction.
#[test]
fn a_transaction_says_nothing_before_its_commit() {
    let (mut wrong, mut later) = (Vec::new(), 0);
    for (path, text) in sources(&src()) {
        later += text.matches("tx.after_commit(").count();
        wrong.extend(said_too_early(&text).into_iter().map(|line| format!("{}: {line}", path.display())));
    }
    assert!(wrong.is_empty(), "said before the commit: {wrong:#?}");
    assert!(later > 0, "nothing is said after a commit any more: this test sees nothing");

    let body = "    let x = in_transaction!(db, d, [], |tx| {\n        tracing::info!(\"a\");\n        Ok(())\n    })?;\n    tracing::info!(\"b\");\n";
    assert_eq!(said_too_early(body), ["tracing::info!(\"a\");"]);
    let function = "async fn a(\n    tx: &mut Tx,\n) -> Result<(), Error> {\n    app.metrics.locked();\n}\n";
    assert_eq!(said_too_early(function), ["app.metrics.locked();"]);
    let good = "async fn a(tx: &mut Tx) {\n    tx.after_commit(|| {\n        tracing::info!(\"a\");\n    });\n}\n";
    assert_eq!(said_too_early(good), [""; 0]);
}

/// Whether a source asks a request for its path, or for the route that it has.
fn asks_for_a_path(text: &str) -> bool {
    [".uri().path", ".uri.path", "MatchedPath", "OriginalUri", "NestedPath"].into_iter().any(|way| text.contains(way))
}

/// The literals of a source that look like a path of ours.
fn paths_named(text: &str) -> Vec<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|literal| literal.starts_with('/')).collect()
}

/// What is around every request reads what the group of its route says (G15, G22, G27): a route that is added or moved
/// takes its limits and its audience along, because no layer knows a path.
#[test]
fn no_layer_knows_a_path() {
    // What the one layer of `web::layers` is made of.
    const PARTS: [&str; 4] = ["web/csrf.rs", "web/flash.rs", "web/headers.rs", "web/measured.rs"];
    let (mut layers, mut wrong, mut ask) = (0, Vec::new(), Vec::new());
    for (path, text) in sources(&src()) {
        let file = path.strip_prefix(src()).unwrap().to_str().unwrap().to_owned();
        if asks_for_a_path(&text) {
            ask.push(file.clone());
        }
        if text.contains("next.run(") || PARTS.contains(&file.as_str()) {
            layers += 1;
            wrong.extend(paths_named(&text).into_iter().map(|literal| format!("{file}: {literal}")));
        }
    }
    assert!(layers >= 5, "only {layers} files with layers were found");
    assert!(wrong.is_empty(), "named by a layer: {wrong:#?}");
    // The page to come back to; the length alone; the page that a notice is for, and where a form was sent; the log; and
    // which group answers where no route does.
    ask.sort();
    assert_eq!(
        ask,
        [
            "console/confirm.rs",
            "serve/refusals.rs",
            "web/flash.rs",
            "web/kept_form.rs",
            "web/request_line.rs",
            "web/session.rs",
            "web/site.rs"
        ]
    );
    assert!(
        asks_for_a_path("request.uri().path()") && asks_for_a_path("parts.uri.path()") && !asks_for_a_path("x.path()")
    );
    assert_eq!(paths_named("// \"/a\"\nx == \"/b\" || y.starts_with(\"/c/\") || \"d/\""), ["/b", "/c/"]);
}

/// A route is added to a group of `web::site`. What brings routes of its own to a group is the API, which describes
/// them too, and what is published; health and metrics have a listener of their own.
#[test]
fn routes_are_made_in_few_places() {
    let made = sources(&src()).into_iter().filter(|(_, text)| text.contains("Router::new()"));
    let mut made: Vec<_> = made.map(|(path, _)| path.strip_prefix(src()).unwrap().to_owned()).collect();
    made.sort();
    assert_eq!(
        made,
        ["api/mod.rs", "oidc/published.rs", "scim/mod.rs", "web/health.rs", "web/site.rs"].map(PathBuf::from)
    );
}

/// What has no guard has no form and no session either: the documents that anybody may read (G15).
#[test]
fn published_documents_alone_are_unguarded() {
    let router = std::fs::read_to_string(src().join("router.rs")).unwrap();
    let unguarded: Vec<_> = router.lines().filter(|line| line.contains("with_unguarded(")).map(str::trim).collect();
    assert_eq!(unguarded, [".with_unguarded(Routes::of(DISCOVERY).merge(oidc::published::routes(app)))"]);
    let published = std::fs::read_to_string(src().join("oidc/published.rs")).unwrap();
    assert!(published.contains("get(") && !published.contains("post("), "more than documents");
}
