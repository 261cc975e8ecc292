//! What a test needs that may not be here: it is left out then, and says so, or fails where every test must run.

use std::io::Write as _;
use std::path::PathBuf;

/// The program or folder that a variable of `tests/run` names; without it, what needs it is left out.
pub fn named(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        left_out(&format!("a test ({variable} is not set; tests/run sets everything)"));
    }
    path
}

/// Says that something was left out, past the capture of `cargo test`.
///
/// # Panics
/// Where every test must run.
pub fn left_out(what: &str) {
    let line = format!("left out: {what}\n");
    // A closed stderr leaves nobody to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
    let all = std::env::var_os("CONNECT_IDP_TEST_ALL").is_some();
    assert!(!all, "left out, although CONNECT_IDP_TEST_ALL wants every test: {what}");
}
