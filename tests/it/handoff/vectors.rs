//! The test vectors, through our verifier; and docs/handoff.md, which shows some of them and the senders' code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::cache::issuers::{Snapshot, Trusted};
use connect_idp::crypto::key_set::VerifyingKeys;
use connect_idp::handoff::assertion::{Rules, Trail, verify};
use connect_idp::model::issuer::TrustedIssuer;
use connect_idp::model::refusal::Refusal;
use connect_idp::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Vectors {
    audience: String,
    issuer: String,
    jwks: Value,
    other_issuers: Vec<OtherIssuer>,
    #[serde(rename = "vectors")]
    list: Vec<Vector>,
    signing: Signing,
}

#[derive(Deserialize)]
struct OtherIssuer {
    issuer: String,
    enabled: bool,
    jwks: Value,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    expect: String,
    now: i64,
    assertion: String,
}

#[derive(Deserialize)]
struct Signing {
    keys: Vec<Value>,
}

pub fn text(path: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn vectors() -> Vectors {
    serde_json::from_str(&text("tests/senders/vectors.json")).unwrap()
}

fn trusted(issuer: &str, enabled: bool, jwks: &Value) -> Arc<Trusted> {
    let keys = VerifyingKeys::parse(&jwks.to_string()).unwrap();
    let issuer = TrustedIssuer {
        id: issuer.into(),
        issuer: issuer.into(),
        display_name: issuer.into(),
        origins: vec![issuer.into()],
        jwks: Some(jwks.to_string()),
        jwks_uri: None,
        last_good_jwks: None,
        client_id: None,
        acr: BTreeMap::new(),
        enabled,
        epoch: 1,
        revision: 1,
    };
    Arc::new(Trusted { issuer, keys })
}

/// What the service says of each vector, and whether it would record it.
fn checked(all: &Vectors) -> Vec<(String, bool)> {
    let mut issuers = vec![trusted(&all.issuer, true, &all.jwks)];
    issuers.extend(all.other_issuers.iter().map(|other| trusted(&other.issuer, other.enabled, &other.jwks)));
    let snapshot = Snapshot { at: Timestamp(0), issuers };
    let rules = Rules { audience: &all.audience, future_skew: Duration::from_secs(5) };
    let check = |vector: &Vector| {
        let now = Timestamp::from_seconds(vector.now);
        match verify(&vector.assertion, &snapshot, rules, now, &mut Trail::default()) {
            Ok(assertion) if assertion.deadline(now, Duration::from_secs(30)) <= now => ("timed_out".to_owned(), true),
            Ok(_) => ("accepted".to_owned(), true),
            Err(rejected) => (rejected.refusal.to_string(), rejected.signed.is_some()),
        }
    };
    all.list.iter().map(check).collect()
}

#[test]
fn every_vector_has_the_one_right_answer() {
    let all = vectors();
    let wrong: Vec<_> = all
        .list
        .iter()
        .zip(checked(&all))
        .filter(|(vector, (answer, _))| vector.expect != *answer)
        .map(|(vector, (answer, _))| format!("{}: {answer}, not {}", vector.name, vector.expect))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// U8: what is recorded is exactly what comes after a good signature.
#[test]
fn what_comes_after_a_good_signature_is_recorded() {
    let all = vectors();
    let reasons = documented();
    for (vector, (answer, recorded)) in all.list.iter().zip(checked(&all)) {
        if answer != "accepted" {
            let after = reasons.after_signature.contains(&answer);
            assert_eq!(recorded, after, "{}: {answer}", vector.name);
        }
    }
}

/// The document's reasons, by whether they stand in a table of what is recorded.
struct Documented {
    after_signature: BTreeSet<String>,
    all: Vec<String>,
}

fn documented() -> Documented {
    let docs = text("docs/handoff.md");
    let section = docs.split("\n## Why it was refused\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut found = Documented { after_signature: BTreeSet::new(), all: Vec::new() };
    for (number, part) in section.split("\n### ").skip(1).enumerate() {
        for row in part.lines().filter(|line| line.starts_with("| `")) {
            let cell = row.split('|').nth(1).unwrap();
            for reason in cell.split('`').skip(1).step_by(2) {
                found.all.push(reason.to_owned());
                if number >= 2 {
                    found.after_signature.insert(reason.to_owned());
                }
            }
        }
    }
    found
}

#[test]
fn every_reason_is_documented_once() {
    let mut documented = documented().all;
    documented.sort();
    let mut reasons: Vec<_> = Refusal::ALL.iter().map(ToString::to_string).collect();
    reasons.sort();
    assert_eq!(documented, reasons);
}

/// The first fenced block after a mark.
pub fn fence_after<'a>(docs: &'a str, mark: &str) -> &'a str {
    let after = docs.split_once(mark).unwrap_or_else(|| panic!("the document has no {mark}")).1;
    let (_, block) = after.split_once("```").unwrap();
    let (_, block) = block.split_once('\n').unwrap();
    block.split_once("\n```").unwrap().0
}

/// Each program that a document names is shown in it as it stands between its two marks.
pub fn assert_shows_programs(document: &str, count: usize) {
    let docs = text(document);
    let shown: Vec<_> = docs.lines().filter_map(|line| line.strip_prefix("<!-- code of ")).collect();
    assert_eq!(shown.len(), count);
    for line in shown {
        let path = line.strip_suffix(" -->").unwrap();
        let source = text(path);
        let region = source.split_once(&format!("--- shown in {document} ---\n")).unwrap().1;
        let end = region.find("--- end ---").unwrap();
        let region = region[..end].rsplit_once('\n').unwrap().0;
        assert_eq!(fence_after(&docs, &format!("<!-- code of {path} -->")), region, "{path}");
    }
}

#[test]
fn the_document_shows_the_senders_code() {
    assert_shows_programs("docs/handoff.md", 2);
}

#[test]
fn the_document_shows_the_vectors_as_they_are() {
    let (docs, all) = (text("docs/handoff.md"), vectors());
    let named = |name: &str| all.list.iter().find(|v| v.name == name).unwrap_or_else(|| panic!("no vector {name}"));
    let shown: Vec<_> = docs.lines().filter_map(|line| line.strip_prefix("<!-- vector ")).collect();
    assert!(shown.len() > 5);
    for line in shown {
        let name = line.strip_suffix(" -->").unwrap();
        assert_eq!(fence_after(&docs, &format!("<!-- vector {name} -->")), named(name).assertion, "{name}");
    }
    let table = docs.split_once("### Some that are refused").unwrap().1;
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() > 5);
    for row in rows {
        let cells: Vec<_> = row.split('`').collect();
        assert_eq!(named(cells[1]).expect, cells[3], "{row}");
    }
    assert!(docs.contains(&format!("holds {} assertions", all.list.len())), "{} vectors", all.list.len());
    assert!(named("es256").now == 1_800_000_000 && named("30_seconds_later").now == 1_800_000_030);
    assert_eq!(named("30_seconds_later").assertion, named("es256").assertion);
}

#[test]
fn the_document_shows_the_test_key_and_what_is_in_the_first_vector() {
    let (docs, all) = (text("docs/handoff.md"), vectors());
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(fence_after(&docs, "The ES256 key, **test only**:")), all.signing.keys[0]);
    let block = fence_after(&docs, "Its first part is the header, its second the claims:");
    let (header, claims) = block.split_once("\n}\n").unwrap();
    let parts: Vec<_> = all.list[0].assertion.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    assert_eq!(json(&format!("{header}}}")), serde_json::from_slice::<Value>(&parts[0]).unwrap());
    assert_eq!(json(claims), serde_json::from_slice::<Value>(&parts[1]).unwrap());
    assert_eq!(parts[2].len(), 64);
}
