//! Keys of senders, their sets, and assertions that are explained.

use super::*;
use crate::crypto::jws::Algorithm;
use crate::crypto::signing::SigningKey;
use crate::time::Timestamp;
use serde_json::json;

const NOW: i64 = 1_800_000_000;

fn issuer(jwks: &Value) -> String {
    format!("[[trusted_issuer]]\nissuer = \"https://a.example\"\norigins = [\"https://a.example\"]\njwks = '{jwks}'\n")
}

/// What `explain` is given: an assertion of now, signed with a key that `new-key` made.
fn signed(key: &Value, change: Value) -> String {
    let alg: Algorithm = key["private"]["alg"].as_str().unwrap().parse().unwrap();
    let kid = key["private"]["kid"].as_str().unwrap();
    let signer = SigningKey::parse(kid, alg, key["private"].to_string().as_bytes()).unwrap();
    let mut claims = json!({"iss": "https://a.example", "aud": Config::default().issuer, "sub": "1", "iat": NOW, "exp": NOW + 30,
        "provider_code": "SUNRISE-IL", "login_name": "amina", "jti": "dGVzdC1vbmx5LXZlY3Rvcg"});
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    signer.sign("therap-handoff+jwt", &claims).unwrap()
}

impl Place {
    fn explain(&self, assertion: &str, more: &[&str]) -> Said {
        let input: &'static str = Box::leak(assertion.to_owned().into_boxed_str());
        self.run_with(&[&["handoff", "explain"][..], more].concat(), input)
    }
}

/// RFC 7517: one key, its public half the set to register; every algorithm; a name of one's own.
#[test]
fn a_new_key_is_registered_and_signs() {
    let place = Place::with_seed(
        "[[provider]]\ncode = \"SUNRISE-IL\"\nname = \"S\"\nunified_login = \"on\"\n[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"amina\"\nname = \"A\"\n",
    );
    for (alg, kid) in [("ES256", None), ("PS256", None), ("EdDSA", Some("2027-01"))] {
        let more = kid.map_or_else(String::new, |kid| format!(" --kid {kid}"));
        let key = place.run(&format!("handoff new-key --alg {alg}{more}")).done().json();
        let public = &key["public"]["keys"][0];
        assert_eq!((&key["private"]["kid"], &key["private"]["alg"]), (&public["kid"], &alg.into()));
        assert!(kid.is_none_or(|kid| public["kid"] == kid) && !public["kid"].as_str().unwrap().is_empty());
        let secret = ["d", "p", "q", "dp", "dq", "qi"].iter().find(|name| public.get(*name).is_some());
        assert_eq!(
            (secret, key["private"]["d"].is_string(), key["public"]["keys"].as_array().unwrap().len()),
            (None, true, 1)
        );
        place.apply(&issuer(&key["public"])).done();
        let said =
            place.explain(&signed(&key, json!({})), &["--at", &Timestamp::from_seconds(NOW + 3).rfc3339()]).done().out;
        assert!(
            said.lines().all(|line| line.starts_with("OK       ") || line.starts_with("It would be accepted")),
            "{said}"
        );
        place.apply(&issuer(&key["private"])).refused("jwks");
    }
    assert_ne!(place.run("handoff new-key").done().out, place.run("handoff new-key").done().out);
    assert_eq!((place.run("handoff new-key --alg HS256").code, place.run("handoff explain --at noon").code), (2, 2));
    let nowhere = Place::new();
    nowhere.run("handoff new-key").done();
    assert!(!nowhere.0.path().join("connect.db").exists(), "a sender needs no database");
}

/// Each check is one line; what is wrong says what to change; exit 1. As JSON, an object a check.
#[test]
fn an_assertion_is_explained_line_by_line() {
    let place = Place::with_seed("[[provider]]\ncode = \"SUNRISE-IL\"\nname = \"S\"\nunified_login = \"on\"\n");
    let key = place.run("handoff new-key").done().json();
    place.apply(&issuer(&key["public"])).done();
    let assertion = signed(&key, json!({"amr": "pwd\u{1b}[2J", "aud": "https://x/"}));
    let at = (NOW + 3).to_string();
    let said = place.explain(&assertion, &["--at", &at]);
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    let wrong: Vec<_> = said.out.lines().filter(|line| line.starts_with("WRONG    ")).collect();
    assert_eq!(wrong.len(), 3, "{}", said.out);
    assert!(
        wrong[0].starts_with("WRONG    aud: \"https://x/\", must be ")
            && wrong[0].contains(". wrong_aud: The sender must set aud")
    );
    assert!(wrong[1].starts_with("WRONG    amr: ") && wrong[1].contains("must be an array of texts"));
    assert!(wrong[2].starts_with("WRONG    user exists: amina. unknown_user: Create the user"));
    assert!(said.out.contains("SKIPPED  user not locked: there is no such user\n"));
    assert!(
        said.out.trim_end().lines().last().unwrap().starts_with("It would be refused: Sent to the wrong site (aud). ")
    );
    assert!(!said.out.contains('\u{1b}'));
    let rows = place.explain(&assertion, &["--at", &at, "--output", "json"]).json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), said.out.lines().count() - 1);
    let amr = rows.iter().find(|row| row["check"] == "amr").unwrap();
    assert_eq!(
        (&amr["passed"], &amr["result"], &amr["reason"]),
        (&false.into(), &"wrong".into(), &"claim_malformed".into())
    );
    assert!(rows.iter().any(|row| row["result"] == "skipped" && row["passed"].is_null()));
    let long_ago = json!({"login_name": "x", "iat": 1_700_000_000, "exp": 1_700_000_030});
    let late = place.explain(&signed(&key, long_ago), &[]);
    assert!(
        late.code == 1 && late.out.contains("WRONG    in time: late by ") && late.out.contains("WRONG    user exists")
    );
}

/// RFC 7517 §5: what in a set is not used is named on standard error, once for each command; the rest is taken.
#[test]
fn what_is_not_used_of_a_set_is_named() {
    let place = Place::new();
    let mut set = place.run("handoff new-key --kid sig-1").done().json()["public"].clone();
    set["keys"].as_array_mut().unwrap().push(json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "pq-1"}));
    let warning = "warning: trusted_issuer https://a.example: not used: key number 2 (\"pq-1\") is of a kind not accepted (AKP): use EC P-256, \
                   RSA or OKP Ed25519\n";
    let said = place.apply(&issuer(&set));
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "+ trusted_issuer https://a.example\n", warning));
    let shown = place.run("issuer show --issuer https://a.example --output json").done().json();
    assert_eq!((&shown["keys"], shown["not_used"].as_array().unwrap().len()), (&json!(["sig-1 ES256"]), 1));
    let file = place.0.path().join("keys.json");
    std::fs::write(&file, format!("\u{feff}{set}")).unwrap();
    let set_keys = ["issuer", "set", "--issuer", "https://a.example", "--jwks-file", file.to_str().unwrap()];
    let said = place.run_with(&set_keys, "");
    assert!(
        said.code == 0 && said.err.starts_with("warning: issuer https://a.example: not used: key number 2"),
        "{}",
        said.err
    );
    let client = format!(
        "[[client]]\nclient_id = \"s\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\ngrant_types = [\"client_credentials\"]\nscope = \"\"\njwks = '{set}'\n"
    );
    let said = place.apply(&client);
    assert!(
        said.code == 0 && said.err.starts_with("warning: client s: not used: key number 2 (\"pq-1\")"),
        "{}",
        said.err
    );
    set["keys"].as_array_mut().unwrap().remove(0);
    place
        .apply(&client.replace(&client[client.find("jwks").unwrap()..], &format!("jwks = '{set}'\n")))
        .refused_with_warning("holds no key");
    let said = place.apply(&issuer(&set));
    assert!(
        said.code == 1 && said.err.contains("holds no key that can be used: key number 1 (\"pq-1\")"),
        "{}",
        said.err
    );
}

impl Said {
    fn refused_with_warning(self, words: &str) {
        assert!(self.code == 1 && self.err.contains(words), "{} {}", self.code, self.err);
    }
}

/// docs/handoff.md shows what is printed, word for word.
#[test]
fn the_document_shows_a_real_explanation() {
    let read = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let vectors: Value = serde_json::from_str(&read("tests/senders/vectors.json")).unwrap();
    let vector =
        vectors["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == "signature_der").unwrap();
    let place = Place::new();
    let file = place.0.path().join("connect.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("issuer = \"https://connect.example.org\"\nsite = \"beta\"\n{config}")).unwrap();
    let seed = "[[provider]]\ncode = \"SUNRISE-IL\"\nname = \"Sunrise Homes\"\nunified_login = \"on\"\n[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"amina\"\nname = \"Amina\"\n";
    let trusted = issuer(&vectors["jwks"]).replace("https://a.example", "https://secure.example.net");
    place.apply(&format!("{seed}{trusted}display_name = \"Therap Services\"\n")).done();
    let said = place.explain(vector["assertion"].as_str().unwrap(), &["--at", "2027-01-15T08:00:03Z"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let docs = read("docs/handoff.md");
    let shown = docs.split_once("$ connect-idp handoff explain --at 2027-01-15T08:00:03Z < assertion.txt\n").unwrap().1;
    assert_eq!(shown.split_once("```").unwrap().0, said.out);
}
