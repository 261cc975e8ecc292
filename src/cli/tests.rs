//! The command line as people and programs use it, on a database of its own.

#[expect(clippy::needless_pass_by_value, reason = "json!(…) reads better without &")]
mod handoff;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use clap::CommandFactory as _;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::config::{Config, Loaded};
use crate::model::password_rules;

/// An installation in a temporary folder.
struct Place(TempDir);

/// What one command did.
struct Said {
    code: u8,
    out: String,
    err: String,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Place {
    /// On SQLite, with the cheapest hashes there are.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "[database]\nurl = \"sqlite://{0}/connect.db\"\n[keys]\ndir = \"{0}/keys\"\n\
             [password]\nmemory_kib = 8\niterations = 1\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("connect.toml"), config).unwrap();
        Self(dir)
    }

    fn with_seed(seed: &str) -> Self {
        let place = Self::new();
        place.apply(seed).done();
        place
    }

    fn run_with(&self, args: &[&str], input: &'static str) -> Said {
        let (out, err) = (Buffer::default(), Buffer::default());
        let mut console = Console::new(input.as_bytes(), out.clone(), err.clone());
        let config = self.0.path().join("connect.toml");
        let whole = ["connect-idp", "--config", config.to_str().unwrap()].into_iter().chain(args.iter().copied());
        let code = Cli::run_on(whole, &mut console);
        Said { code, out: out.text(), err: err.text() }
    }

    fn run(&self, line: &str) -> Said {
        self.run_with(&line.split(' ').collect::<Vec<_>>(), "")
    }

    fn seed(&self, seed: &str) -> String {
        let file = self.0.path().join("seed.toml");
        std::fs::write(&file, seed).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn apply(&self, seed: &str) -> Said {
        self.run_with(&["apply", &self.seed(seed)], "")
    }

    /// The kinds of all records, oldest first.
    fn kinds(&self) -> Vec<String> {
        let said = self.run("activity export").done();
        let kind = |line: &str| serde_json::from_str::<Value>(line).unwrap()["kind"].as_str().unwrap().to_owned();
        said.out.lines().map(kind).collect()
    }

    /// The records that came after the first ones.
    fn added(&self, before: usize) -> Vec<String> {
        self.kinds().split_off(before)
    }
}

impl Said {
    fn done(self) -> Self {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self
    }

    /// Refused in one sentence with these words.
    fn refused(self, words: &str) -> Self {
        assert_eq!(self.code, 1, "{}", self.out);
        assert!(self.err.contains(words) && self.err.trim_end().lines().count() == 1, "{}", self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

const SEED: &str = r#"
[[provider]]
code = "SUNRISE-IL"
name = "Sunrise Homes"
unified_login = "on"
time_zone = "America/Chicago"
[[trusted_issuer]]
issuer = "https://secure.example.net"
origins = ["https://secure.example.net"]
jwks_uri = "https://secure.example.net/keys.json"
[[user]]
provider = "SUNRISE-IL"
login_name = "amina"
name = "Amina Diallo"
password = "Correct-Horse-9"
temporary = false
handoff_sub = "person-4711"
claims = { email = "amina@example.org", email_verified = true }
[[user]]
provider = "SUNRISE-IL"
login_name = "bob"
name = "Bob"
password = "Correct-Horse-9"
locked = "password"
[[user]]
provider = "THERAP"
login_name = "root"
name = "Operator"
user_type = "Therap Admin"
password = "Correct-Horse-9"
"#;

const AMINA: &str = "--provider SUNRISE-IL --login-name amina";
const BOB: &str = "--provider SUNRISE-IL --login-name bob";

#[test]
fn applying_twice_is_the_same_as_once() {
    let place = Place::new();
    let first = place.apply(SEED).done().out;
    assert_eq!(
        first,
        "+ provider SUNRISE-IL\n+ trusted_issuer https://secure.example.net\n+ user SUNRISE-IL/amina\n\
         + user SUNRISE-IL/bob\n+ user THERAP/root\n"
    );
    let before = place.kinds();
    assert_eq!(before.len(), 6);
    assert_eq!(place.apply(SEED).done().out, "= nothing changed\n");
    assert_eq!(place.kinds(), before);
}

#[test]
fn absent_keys_change_nothing_and_birth_keys_count_once() {
    let place = Place::with_seed(SEED);
    place.run(&format!("user unlock {BOB}")).done();
    let again = "[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"BOB\"\npassword = \"Other-Horse-10\"\nlocked = \"admin\"\n\
                 temporary = false\n[[provider]]\ncode = \"SUNRISE-IL\"\n";
    assert_eq!(place.apply(again).done().out, "= nothing changed\n");
    let bob = place.run(&format!("user show {BOB} --output json")).done().json();
    assert_eq!((&bob["admin_locked"], &bob["must_update"]), (&Value::Bool(false), &Value::Bool(true)));
    let changed = "[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"bob\"\nname = \"Robert\"\nactive = false\n\
                   [[provider]]\ncode = \"SUNRISE-IL\"\nunified_login = \"off\"\ncontact = \"Front desk\"\n";
    let before = place.kinds().len();
    assert_eq!(
        place.apply(changed).done().out,
        "~ provider SUNRISE-IL: contact, unified_login\n~ user SUNRISE-IL/bob: name, active\n"
    );
    let mut added = place.added(before);
    added.sort();
    assert_eq!(added, ["provider_changed", "unified_login_changed", "user_changed", "user_deactivated"]);
}

#[test]
fn a_rehearsal_says_the_same_and_writes_nothing() {
    let place = Place::with_seed("");
    let file = place.seed(SEED);
    let rehearsed = place.run_with(&["apply", &file, "--dry-run"], "");
    assert_eq!((rehearsed.code, rehearsed.err.as_str()), (0, "Dry run: nothing was written.\n"));
    assert!(place.kinds().is_empty());
    assert_eq!(place.apply(SEED).done().out, rehearsed.out);
}

#[test]
fn a_file_that_cannot_be_applied_whole_is_not_applied_at_all() {
    let place = Place::with_seed("");
    let user = |rest: &str| format!("[[provider]]\ncode = \"A\"\nname = \"A\"\n[[user]]\nlogin_name = \"x\"\n{rest}");
    for (seed, words) in [
        (user("provider = \"B\"\nname = \"X\""), "user number 1 (B/x): provider: there is no such provider"),
        (user("provider = \"A\""), "user number 1 (A/x): name: is missing"),
        (user("provider = \"A\"\nname = \"X\"\nuser_type = \"Therap Admin\""), "user_type: Therap Admins"),
        (user("provider = \"A\"\nname = \"X\"\nhandoff_sub = \"1\""), "handoff_sub needs a trusted issuer"),
        ("[[provider]]\ncode = \"A\"".to_owned(), "provider number 1 (A): name: is missing"),
        ("[[provider]]\ncode = \"therap\"\nname = \"A\"".to_owned(), "code: there is a provider THERAP"),
        ("[[provider]]\ncode = \"THERAP\"\nname = \"A\"".to_owned(), "name: the operator realm keeps"),
        ("[[provider]]\ncode = \"THERAP\"\nunified_login = \"on\"".to_owned(), "unified_login: the operator realm"),
        (
            "[[trusted_issuer]]\nissuer = \"http://a.example\"".to_owned(),
            "issuer: \"http://a.example\" must be an https",
        ),
    ] {
        let said = place.apply(&seed).refused(words);
        assert!(said.err.contains("seed.toml"), "{}", said.err);
        assert!(place.kinds().is_empty(), "{words}");
    }
}

#[test]
fn external_ids_are_unique_and_a_rename_keeps_them() {
    let place = Place::with_seed(&SEED.replacen(
        "name = \"Amina Diallo\"",
        "name = \"Amina Diallo\"\nexternal_id = \"HR-1\"",
        1,
    ));
    let user = |name: &str, rest: &str| {
        format!("[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"{name}\"\nname = \"X\"\n{rest}\n")
    };
    place.apply(&user("bob", "external_id = \"HR-1\"")).refused("external_id: another user of the provider has it");
    place.apply(&user("new", "external_id = \"HR-1\"")).refused("external_id: another user of the provider has it");
    place.apply(&user("bob", "external_id = \" \"")).refused("external_id: must be 1 to 255 characters");
    place.run(&format!("user set {BOB} --external-id HR-1")).refused("has that external id");
    place
        .run("user create --provider SUNRISE-IL --login-name new --name New --external-id HR-1")
        .refused("external id");
    place.run(&format!("user rename {AMINA} --to BOB")).refused("choose another Login Name");
    let before = place.kinds().len();
    let said = place.run(&format!("user rename {AMINA} --to amina.d")).done().out;
    assert_eq!(said, "User SUNRISE-IL/amina has a new login_name.\n");
    assert_eq!(place.added(before), ["user_renamed"]);
    place.run(&format!("user show {AMINA}")).refused("amina");
    let found = place.run("user list --provider SUNRISE-IL --external-id HR-1 --output json").done().json();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["login_name"]), (1, &Value::from("amina.d")));
    let shown = place.run("user show --provider SUNRISE-IL --login-name amina.d --output json").done().json();
    assert_eq!(
        (&shown["external_id"], &shown["ties"][0]),
        (&Value::from("HR-1"), &Value::from("https://secure.example.net person-4711"))
    );
    // The file finds her no more by the old name, and does not make her twice.
    place.apply(&user("amina", "external_id = \"HR-1\"")).refused("`user rename`");
    assert_eq!(
        place.apply(&user("amina.d", "external_id = \"\"")).done().out,
        "~ user SUNRISE-IL/amina.d: name, external_id\n"
    );
}

#[test]
fn ties_are_unique_both_ways() {
    let place = Place::with_seed(SEED);
    let tie = |name: &str, sub: &str| {
        format!("[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"{name}\"\nhandoff_sub = \"{sub}\"\n")
    };
    place.apply(&tie("bob", "person-4711")).refused("handoff_sub: is tied to another user");
    place.apply(&tie("amina", "person-1")).refused("handoff_sub: is not the one");
    assert_eq!(place.apply(&tie("bob", "person-1")).done().out, "~ user SUNRISE-IL/bob: handoff_sub\n");
    let second = "[[trusted_issuer]]\nissuer = \"https://b.example\"\norigins = [\"https://b.example\"]\njwks_uri = \"https://b.example/k\"\n";
    place.apply(&format!("{second}{}", tie("amina", "1"))).refused("several issuers are trusted");
    place.run(&format!("user untie {AMINA} --issuer https://b.example")).refused("no trusted issuer");
    assert!(place.run("issuer untie --issuer https://secure.example.net").done().out.starts_with("2 users"));
}

const CLIENT: &str = r#"
[[client]]
client_id = "portal"
client_secret = "portal-secret"
client_name = "Care Portal"
redirect_uris = ["https://portal.example.org/callback"]
grant_types = ["authorization_code", "refresh_token"]
token_endpoint_auth_method = "client_secret_basic"
scope = "openid profile email provider offline_access"
first_party = true
[[client]]
client_id = "therap-services"
token_endpoint_auth_method = "private_key_jwt"
jwks = '{"keys":[{"kty":"EC","crv":"P-256","x":"QlZDrGpOH98XOLEUquJsBwwJTenqECunjDu3eiRqSVU","y":"I9eXDYJ2LsxDePSy9IewZ9UbptxSRTHbtA2lcGIfKL0"}]}'
grant_types = ["client_credentials"]
scope = "unified-login.read"
enabled = false
"#;

#[test]
fn clients_of_a_seed_are_made_once_and_changed_where_it_says() {
    let place = Place::new();
    assert_eq!(place.apply(CLIENT).done().out, "+ client portal\n+ client therap-services\n");
    assert_eq!(place.kinds(), ["client_created", "client_created"]);
    assert_eq!(place.apply(CLIENT).done().out, "= nothing changed\n");
    assert_eq!(place.apply("[[client]]\nclient_id = \"portal\"\n").done().out, "= nothing changed\n");
    let changed = "[[client]]\nclient_id = \"portal\"\nclient_name = \"Portal\"\nclient_secret = \"another-secret\"\n\
                   [[client]]\nclient_id = \"therap-services\"\nenabled = true\n";
    assert_eq!(
        place.apply(changed).done().out,
        "~ client portal: client_name, client_secret\n~ client therap-services: enabled\n"
    );
    assert_eq!(place.added(2), ["client_changed", "client_secret_rotated", "client_enabled"]);
    assert_eq!(place.apply(changed).done().out, "= nothing changed\n");
    // What was replaced does not come back by an old file.
    let old = place.apply("[[client]]\nclient_id = \"portal\"\nclient_secret = \"portal-secret\"\n").done().out;
    assert!(old.starts_with("! client portal: client_secret is one that was replaced"), "{old}");
    assert_eq!(place.added(5).len(), 0);
    let bare = "[[client]]\nclient_id = \"x\"\nredirect_uris = [\"https://x.example/\"]\n";
    assert!(place.apply(bare).done().out.contains("+ client x (no secret: `client rotate-secret` gives one)"));
}

#[test]
fn clients_that_cannot_be_are_refused_with_the_key() {
    let place = Place::with_seed(CLIENT);
    for (rest, words) in [
        ("client_id = \"new\"", "client number 1 (new): redirect_uris: is empty"),
        ("client_id = \"portal\"\nredirect_uris = []", "client number 1 (portal): redirect_uris: is empty"),
        ("client_id = \"portal\"\njwks_uri = \"http://a.example/\"", "jwks_uri: holds \"http://a.example/\""),
        (
            "client_id = \"portal\"\ntoken_endpoint_auth_method = \"none\"\nclient_secret = \"long-enough\"",
            "client_secret: stands there",
        ),
        ("client_id = \"therap-services\"\nclient_secret = \"long-enough\"", "client_secret: stands there"),
        ("client_id = \"therap-services\"\nscope = \"nap\"", "scope: holds \"nap\", which is no scope here"),
    ] {
        place.apply(&format!("[[client]]\n{rest}\n")).refused(words);
    }
    assert_eq!(place.kinds().len(), 2);
}

const CREATE: &[&str] =
    &["client", "create", "--client-id", "portal", "--redirect-uri", "https://portal.example.org/callback"];

#[test]
fn a_client_is_made_with_a_secret_that_is_shown_once() {
    let place = Place::with_seed("");
    let made = place.run_with(&[CREATE, &["--output", "json"]].concat(), "").done().json();
    assert_eq!(made["client_id"], "portal");
    assert_eq!(made["client_secret"].as_str().unwrap().len(), 43);
    place.run_with(CREATE, "").refused("there is a client portal already");
    let shown = place.run("client show --client-id portal --output json").done();
    assert!(!shown.out.contains(made["client_secret"].as_str().unwrap()));
    let shown = shown.json();
    assert_eq!((&shown["token_endpoint_auth_method"], &shown["enabled"]), (&Value::Null, &true.into()));
    assert_eq!(shown["secrets"].as_array().unwrap().len(), 1);
    let rotated = place.run("client rotate-secret --client-id portal --output json").done().json();
    assert!(rotated["old_secrets_until"].is_string() && rotated["client_secret"] != made["client_secret"]);
    let shown = place.run("client show --client-id portal --output json").done().json();
    assert!(
        shown["secrets"][0].as_str().unwrap().contains(" until ") && shown["secrets"].as_array().unwrap().len() == 2
    );
    place.run("client rotate-secret --client-id portal --keep-old 0").done();
    let shown = place.run("client show --client-id portal --output json").done().json();
    assert_eq!(shown["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(place.run("client rotate-secret --client-id portal --keep-old 2161").code, 2);
    assert!(place.run("client delete --client-id portal").done().out.contains("is deleted"));
    place.run("client show --client-id portal").refused("there is no client \"portal\"");
    assert_eq!(place.run("client list --output json").done().json().as_array().unwrap().len(), 0);
}

#[test]
fn a_secret_can_be_given_and_is_not_printed() {
    let place = Place::with_seed("");
    place.run_with(&[CREATE, &["--secret-stdin"]].concat(), "short\n").refused("client_secret: must be 8 to 255");
    let said = place.run_with(&[CREATE, &["--secret-stdin"]].concat(), "a-good-secret\n").done();
    assert!(!said.out.contains("a-good-secret"));
    // The same in a seed file is the same secret.
    let seed = "[[client]]\nclient_id = \"portal\"\nclient_secret = \"a-good-secret\"\n";
    assert_eq!(place.apply(seed).done().out, "= nothing changed\n");
    let rotate = ["client", "rotate-secret", "--client-id", "portal", "--secret-stdin"];
    assert!(!place.run_with(&rotate, "another-secret").done().out.contains("another-secret"));
    place.run("client set --client-id portal --auth-method none").done();
    place.run_with(&rotate, "another-secret").refused("without a secret");
    let back = place.run("client set --client-id portal --auth-method client_secret_post").done().out;
    assert!(back.contains("has no secret yet"), "{back}");
    let shown = || place.run("client show --client-id portal --output json").done().json();
    assert_eq!(shown()["token_endpoint_auth_method"], "client_secret_post");
    place.run_with(&["client", "set", "--client-id", "portal", "--auth-method", ""], "").done();
    assert_eq!(shown()["token_endpoint_auth_method"], Value::Null);
}

#[test]
fn metadata_come_from_flags_and_from_a_file() {
    let place = Place::with_seed("");
    let file = |name: &str, text: &str| {
        let path = place.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let metadata = file(
        "metadata.json",
        r#"{"client_name": "From the file", "default_max_age": 60,
        "redirect_uris": ["https://portal.example.org/callback"], "tos_uri": "https://portal.example.org/terms"}"#,
    );
    let create = ["client", "create", "--client-id", "portal", "--metadata-file", &metadata, "--name", "From the flag"];
    place.run_with(&create, "").done();
    let show = || place.run("client show --client-id portal --output json").done().json();
    let shown = show();
    assert_eq!((&shown["client_name"], &shown["default_max_age"]), (&"From the flag".into(), &60.into()));
    let jwks = file(
        "jwks.json",
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"QlZDrGpOH98XOLEUquJsBwwJTenqECunjDu3eiRqSVU",
        "y":"I9eXDYJ2LsxDePSy9IewZ9UbptxSRTHbtA2lcGIfKL0"}]}"#,
    );
    let set = [
        "client",
        "set",
        "--client-id",
        "portal",
        "--jwks-file",
        &jwks,
        "--auth-method",
        "private_key_jwt",
        "--tos-uri",
        "",
    ];
    let said = place.run_with(&set, "").done().out;
    assert_eq!(said, "Client portal has a new token_endpoint_auth_method, jwks, tos_uri.\n");
    let said = place.run("client set --client-id portal --jwks-uri https://portal.example.org/jwks").done().out;
    assert_eq!(said, "Client portal has a new jwks, jwks_uri.\n");
    assert!(show()["jwks"].is_null() && show()["tos_uri"].is_null() && show()["secrets"] == Value::Array(Vec::new()));
    assert_eq!(
        place.run("client set --client-id portal --first-party --scope openid").done().out,
        "Client portal has a new scope, first_party.\n"
    );
    let two = "client set --client-id portal --redirect-uri https://a.example/ --redirect-uri https://b.example/";
    assert_eq!(place.run(two).done().out, "Client portal has a new redirect_uris.\n");
    assert_eq!(place.run(two).done().out, "Nothing changed.\n");
    for (line, words) in [
        (
            "client set --client-id portal --redirect-uri http://a.example/",
            "redirect_uris: holds \"http://a.example/\"",
        ),
        ("client set --client-id portal --grant-type password", "grant_types: \"password\" is none of"),
        ("client set --client-id portal --scope nap", "scope: holds \"nap\""),
        ("client set --client-id nobody --scope openid", "there is no client \"nobody\""),
        ("client disable --client-id nobody", "there is no client \"nobody\""),
        ("client delete --client-id nobody", "there is no client \"nobody\""),
        ("client rotate-secret --client-id nobody", "there is no client \"nobody\""),
        ("client create --client-id /a", "client_id: must be 1 to 255"),
        ("client create --client-id x", "redirect_uris: is empty"),
    ] {
        place.run(line).refused(words);
    }
    let bad = file("bad.json", r#"{"client_nmae": "x"}"#);
    place
        .run_with(&["client", "set", "--client-id", "portal", "--metadata-file", &bad], "")
        .refused("client_nmae: there is no such key");
    let list = place.run("client list").done().out;
    assert!(list.starts_with("CLIENT ID") && list.contains("private_key_jwt"), "{list}");
}

/// The file to start from, with every comment that is a table taken in.
#[test]
fn the_example_of_a_seed_can_be_applied() {
    let example = include_str!("../../examples/seed.toml");
    let place = Place::new();
    place.apply(example).done();
    let secret = "client_secret = \"…\"";
    assert!(example.contains(secret));
    let (_, tables) = example.split_once("# [[client]]").unwrap();
    let tables: Vec<&str> = tables.lines().map(|line| line.trim_start_matches("# ")).collect();
    let client = format!("[[client]]{}", tables.join("\n")).replace(secret, "client_secret = \"a-good-secret\"");
    assert_eq!(place.apply(&client).done().out, "+ client portal\n");
}

#[test]
fn each_act_is_one_record_and_nothing_new_is_none() {
    let place = Place::with_seed(&format!("{SEED}{CLIENT}"));
    for (line, first, then) in [
        ("user lock AMINA", "account_locked", 0),
        ("user unlock AMINA --only admin", "account_unlocked", 0),
        ("user deactivate AMINA", "user_deactivated", 0),
        ("user reactivate AMINA", "user_reactivated", 0),
        ("user untie AMINA", "handoff_untied", 0),
        ("user set AMINA --name Amina", "user_changed", 0),
        ("user set AMINA --claims {\"email\":\"a@example.org\"}", "user_changed", 0),
        ("user verify-email a@example.org AMINA", "email_verified", 0),
        ("user set AMINA --external-id HR-4711", "user_changed", 0),
        ("user reset-password AMINA", "password_reset", 1),
        ("user end-sessions AMINA", "session_ended", 1),
        ("provider set --provider SUNRISE-IL --idle-minutes 15", "provider_changed", 0),
        ("provider deactivate --provider SUNRISE-IL", "provider_deactivated", 0),
        ("provider activate --provider SUNRISE-IL", "provider_reactivated", 0),
        ("provider unified-login off --provider SUNRISE-IL", "unified_login_changed", 0),
        ("provider end-sessions --provider SUNRISE-IL", "session_ended", 1),
        ("issuer set --issuer https://secure.example.net --display-name Therap", "issuer_changed", 0),
        ("issuer disable --issuer https://secure.example.net", "issuer_disabled", 0),
        ("issuer disable --issuer https://secure.example.net --end-sessions", "session_ended", 1),
        ("issuer enable --issuer https://secure.example.net", "issuer_enabled", 0),
        ("issuer end-sessions --issuer https://secure.example.net", "session_ended", 1),
        ("client set --client-id portal --first-party=false", "client_changed", 0),
        ("client rotate-secret --client-id portal", "client_secret_rotated", 1),
        ("client disable --client-id portal", "client_disabled", 0),
        ("client enable --client-id portal", "client_enabled", 0),
        ("key rotate --alg ES256", "signing_key_rotated", 0),
        ("key rotate --alg ES256 --at-once", "signing_key_rotated", 1),
    ] {
        let line = line.replace("AMINA", AMINA);
        let before = place.kinds().len();
        place.run(&line).done();
        assert_eq!(place.added(before), [first], "{line}");
        place.run(&line).done();
        assert_eq!(place.added(before + 1).len(), then, "{line} again");
    }
}

#[test]
fn a_reset_lifts_a_password_lock_and_never_an_admins() {
    let place = Place::with_seed(SEED);
    place.run(&format!("user lock {BOB}")).done();
    let said = place.run(&format!("user reset-password {BOB} --output json")).done().json();
    assert!(password_rules::check(said["temporary_password"].as_str().unwrap()).is_ok());
    let shown = place.run(&format!("user show {BOB} --output json")).done().json();
    assert_eq!((&shown["password_locked"], &shown["admin_locked"]), (&Value::Bool(false), &Value::Bool(true)));
    let given = ["user", "reset-password", "--provider", "SUNRISE-IL", "--login-name", "bob", "--password-stdin"];
    place.run_with(&given, "weak\n").refused("password: The password must be 8 to 64 characters long.");
    let said = place.run_with(&given, "Correct-Horse-9\n").done();
    assert!(!said.out.contains("Correct-Horse-9"));
}

#[test]
fn users_are_made_where_they_belong_and_once() {
    let place = Place::with_seed(SEED);
    let create = |provider: &str, name: &str, user_type: &str| {
        place.run_with(
            &["user", "create", "--provider", provider, "--login-name", name, "--name", "X", "--user-type", user_type],
            "",
        )
    };
    create("SUNRISE-IL", "carla", "Provider Admin").done();
    create("SUNRISE-IL", "CARLA", "Regular User").refused("already");
    create("SUNRISE-IL", "dora", "Therap Admin").refused("operator realm");
    create("THERAP", "dora", "Regular User").refused("operator realm");
    create("SUNRISE-IL", "d ora", "Regular User").refused("login_name");
    create("sunrise-il", "dora", "Regular User").refused("there is no provider");
    assert_eq!(create("SUNRISE-IL", "dora", "King").code, 2);
    let names = place.run("user list --provider SUNRISE-IL --output json").done().json();
    assert_eq!(names.as_array().unwrap().len(), 3);
}

#[test]
fn an_export_goes_page_by_page_and_by_filter() {
    let hash = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let user = |n: u32| {
        format!(
            "[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"u{n}\"\nname = \"U\"\npassword_hash = \"{hash}\"\n"
        )
    };
    let place = Place::with_seed(&format!("{SEED}{}", (0..1100).map(user).collect::<String>()));
    assert_eq!(place.kinds().len(), 1106);
    assert_eq!(place.run("activity export --kind user_created --provider SUNRISE-IL").done().out.lines().count(), 1102);
    assert_eq!(place.run(&format!("activity export {AMINA}")).done().out.lines().count(), 2);
    assert_eq!(place.run("activity export --until 2020-01-01").done().out, "");
    let csv = place.run("activity export --output csv --kind provider_created").done().out;
    assert!(csv.starts_with("\u{feff}\"id\",\"time\",\"provider_code\",") && csv.lines().count() == 2, "{csv}");
    assert_eq!(place.run("activity list --limit 3 --output json").done().json().as_array().unwrap().len(), 3);
    place.run("activity export --since soon").refused("neither a date");
    assert_eq!(place.run("activity export --kind nap").code, 2);
    assert_eq!(place.run("user list --provider SUNRISE-IL").done().out.lines().count(), 1103);
}

#[test]
fn an_export_goes_on_where_the_one_before_ended() {
    let place = Place::with_seed(SEED);
    let first = place.run("activity export").done().out;
    let last: Value = serde_json::from_str(first.lines().last().unwrap()).unwrap();
    assert_eq!((first.lines().count(), last["seq"].as_i64()), (6, Some(6)));
    assert_eq!(place.run("activity export --after 6").done().out, "");
    place.run(&format!("user unlock {BOB}")).done();
    let on = place.run("activity export --after 6 --output csv").done().out;
    assert!(on.lines().next().unwrap().ends_with(",\"handoff_id\",\"seq\""), "{on}");
    assert!(on.contains(",\"account_unlocked\",") && on.trim_end().ends_with(",\"7\""), "{on}");
    assert_eq!(on.lines().count(), 2);
    assert_eq!(place.run("activity export --after -1").code, 2);
}

#[test]
fn the_record_is_verified_and_removed_by_retention() {
    let place = Place::with_seed(SEED);
    let verify = |more: &str| place.run(&format!("activity verify --output json{more}"));
    let fresh = verify("").done().json();
    assert_eq!((&fresh["ok"], &fresh["records"], &fresh["unsealed"]), (&true.into(), &0.into(), &6.into()));
    let anchor = place.run("activity anchor").done();
    assert_eq!(anchor.json()["seq"], 6);
    let file = place.0.path().join("anchors");
    std::fs::write(&file, anchor.out.repeat(2)).unwrap();
    let anchored = format!(" --anchor {}", file.display());
    let said = verify(&anchored).done().json();
    assert_eq!((&said["records"], &said["anchors"], &said["unsealed"]), (&6.into(), &2.into(), &0.into()));
    assert!(
        place
            .run("activity verify")
            .done()
            .out
            .starts_with("ok     6 record(s) are as they were written, up to number 6.")
    );

    place.run("activity prune --before 2020-01-01").done();
    place.run("activity prune --before 2999-01-01").refused("say --yes");
    place.run("activity prune --before soon --yes").refused("neither a date");
    let pruned = place.run("activity prune --before 2999-01-01 --yes").done().out;
    assert_eq!(pruned, "6 record(s) before 2999-01-01T00:00:00.000Z are removed.\n");
    assert_eq!(place.kinds(), ["activity_pruned"]);
    let said = verify(&anchored).done().json();
    assert_eq!((&said["records"], &said["pruned_seq"], &said["to_remove"]), (&1.into(), &6.into(), &0.into()));
    place.run("doctor --output json");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let change = async |sql: &'static str| {
        let url = format!("sqlite://{}/connect.db", place.0.path().display());
        let settings = crate::config::Database { url, ..crate::config::Database::default() };
        crate::store::Database::open(&settings, crate::time::Clock::System).await.unwrap().meddle(sql).await;
    };
    runtime.block_on(change("UPDATE activity SET actor = 'nobody'"));
    let said = verify("");
    assert_eq!((said.code, &said.json()["fault"], &said.json()["seq"]), (1, &"changed".into(), &7.into()));
    let said = place.run("activity verify");
    assert!(
        said.code == 1 && said.out.starts_with("WRONG  Record 0") && said.out.contains("(number 7) was changed"),
        "{}",
        said.out
    );
    place.run("activity prune --before 2999-01-01 --yes").refused("nothing was removed");
    std::fs::write(&file, "{}").unwrap();
    place.run(&format!("activity verify{anchored}")).refused("not what `connect-idp activity anchor` printed");
}

#[test]
fn a_reference_number_leads_to_its_record_in_words() {
    let place = Place::with_seed(SEED);
    place.run(&format!("user unlock {BOB}")).done();
    let export = place.run("activity export --after 6").done();
    let reference = export.json()["reference"].as_str().unwrap().to_owned();
    let typed = reference.to_lowercase().replace('-', "");
    let found = place.run(&format!("activity list --reference {typed} --output json")).done().json();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["kind"]), (1, &"account_unlocked".into()));
    assert!(found[0].get("what_to_do").is_some() && found[0]["reference"] == reference.as_str());
    place.run(&format!("activity list --reference {typed} --provider THERAP")).refused("look for it in the log");
    place.run("activity list --reference 7K3M-9Q0T").refused("look for it in the log");
    assert_eq!(place.run("activity list --reference 7K3M").code, 2);
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let place = Place::with_seed(SEED);
    let err = Buffer::default();
    let config = place.0.path().join("connect.toml");
    let args = ["connect-idp", "--config", config.to_str().unwrap(), "activity", "export"];
    assert_eq!(Cli::run_on(args, &mut Console::new(io::empty(), Gone, err.clone())), 0);
    assert_eq!(err.text(), "");
}

#[test]
fn doctor_finds_a_healthy_house_healthy_and_names_what_is_missing() {
    let place = Place::new();
    let said = place.run("doctor");
    assert_eq!(said.code, 1);
    assert!(said.out.contains("connect-idp migrate") && said.out.contains("connect-idp key init"), "{}", said.out);
    place.run("user list --provider X").refused("connect-idp migrate");
    place.run("migrate").done();
    assert!(place.run("key init").done().out.contains("already"));
    let healthy = place.run("doctor --output json").done().json();
    assert!(healthy.as_array().unwrap().iter().all(|finding| finding["ok"] == Value::Bool(true)));
}

/// docs/operations/troubleshooting.md has a row for whatever `doctor` may say.
#[test]
fn every_finding_of_doctor_is_on_the_page() {
    const PAGE: &str = include_str!("../../docs/operations/troubleshooting.md");
    let place = Place::with_seed(SEED);
    place.run("key rotate --alg ES256 --at-once").done();
    let said = place.run("doctor --output json").json();
    let checks = said.as_array().unwrap().iter().map(|one| one["check"].as_str().unwrap().to_owned());
    let others = ["redis", "TLS certificate and key", "clock of …", "opening the service's parts"].map(str::to_owned);
    for check in checks.chain(others) {
        let check = check.replace("ES256", "…").replace("https://secure.example.net", "…");
        assert!(PAGE.contains(&format!("| {check} |")), "the page says nothing of {check:?}");
    }
    for invariant in crate::store::invariants::ALL {
        assert!(PAGE.contains(&format!("| {} | {} |", invariant.claim, invariant.cure)), "{}", invariant.claim);
    }
}

/// What is broken is named with what breaks it and what to do; programs read three levels.
#[test]
fn doctor_names_what_breaks_a_claim_and_what_to_do() {
    let place = Place::with_seed(SEED);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let change = |sql: &'static str| {
        runtime.block_on(async {
            let url = format!("sqlite://{}/connect.db", place.0.path().display());
            let settings = crate::config::Database { url, ..crate::config::Database::default() };
            crate::store::Database::open(&settings, crate::time::Clock::System).await.unwrap().meddle(sql).await;
        });
    };
    let finding = |said: &Said, check: &str| -> (String, String) {
        let found =
            said.json().as_array().unwrap().iter().find(|one| one["check"].as_str().unwrap().contains(check)).cloned();
        let found = found.unwrap_or_else(|| panic!("{check} is not among {}", said.out));
        (found["level"].as_str().unwrap().to_owned(), found["detail"].as_str().unwrap().to_owned())
    };
    place.run("key rotate --alg ES256 --at-once").done();
    // Nobody answers where its keys would be.
    change("UPDATE issuers SET enabled = FALSE");
    change(
        "DELETE FROM strikes WHERE user_id = (SELECT MIN(id) FROM users); \
            INSERT INTO replicas VALUES ('1', 'web-1', '0.9', 1, 1, 9000000000000, '{\"issuer\":\"a\"}'), \
            ('2', 'web-2', '1.0', 1, 1, 9000000000000, '{\"issuer\":\"b\"}')",
    );
    let said = place.run("doctor --output json");
    assert_eq!(said.code, 1);
    let (level, detail) = finding(&said, "a strike row of its own");
    assert!(
        level == "wrong" && detail.starts_with("1 row(s) break it (0") && detail.contains("deactivate the user"),
        "{detail}"
    );
    let (level, detail) = finding(&said, "replicas");
    assert!(level == "wrong" && detail.contains("issuer (web-1 | web-2): give them the same"), "{detail}");
    let (_, detail) = finding(&said, "OpenSSL");
    assert!(detail.starts_with("OpenSSL 3."), "{detail}");
    assert!(place.run("--version").out.contains("\nOpenSSL 3."));
    assert!(place.run("-V").out.starts_with("connect-idp ") && !place.run("-V").out.contains("OpenSSL"));

    change(
        "INSERT INTO strikes SELECT id, id, provider_id, 0, NULL FROM users WHERE id NOT IN (SELECT account FROM strikes); \
            UPDATE replicas SET settings = '{}'",
    );
    let said = place.run("doctor --output json").done();
    let (level, detail) = finding(&said, "replicas");
    assert!(level == "note" && detail.contains("0.9 and 1.0 side by side"), "{detail}");
    // Their clock is ahead of this one.
    change("UPDATE replicas SET version = '1.0', seen_at = 9000000000000");
    let named = "ok     replicas: 2 of version 1.0, of one mind: web-1 (seen 0 s ago), web-2 (seen 0 s ago)";
    assert!(place.run("doctor").done().out.contains(named));
    assert!(place.run("doctor --quick").done().out.contains("run without --quick"));

    // A public half that another key's private half does not fit.
    change("UPDATE signing_keys SET public_jwk = (SELECT public_jwk FROM signing_keys ORDER BY generation LIMIT 1)");
    let (level, detail) = finding(&place.run("doctor --output json"), "ES256 signing key");
    assert!(
        level == "wrong" && detail.contains("does not fit its public half: run `connect-idp key rotate"),
        "{detail}"
    );
}

/// What the running service met is known to another process.
#[test]
fn doctor_tells_what_a_proxy_said_that_could_not_be_read() {
    let place = Place::new();
    place.run("migrate").done();
    let config = place.0.path().join("connect.toml");
    let config = Loaded::read(Some(&config), std::iter::empty()).unwrap().config;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = App::open(config, Opening::Existing).await.unwrap();
        app.proxies.note_unread([10, 0, 0, 1].into(), b"unknown\xe9", app.clock.now());
        crate::jobs::note_unread_hop(&app).await.unwrap();
        app.db.close().await;
    });
    let said = place.run("doctor");
    assert_eq!(said.code, 1);
    let line = said.out.lines().find(|line| line.contains("trusted proxies")).unwrap();
    assert!(line.starts_with("WRONG") && line.contains("10.0.0.1") && line.contains("unknown\\xe9"), "{line}");
}

/// An address that cannot be right is refused; one where nothing answers is said by `doctor`, and its password by
/// nobody.
#[test]
fn a_redis_is_checked_and_its_password_never_shown() {
    let place = Place::new();
    let file = place.0.path().join("connect.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let set = |url: &str| std::fs::write(&file, format!("{settings}[redis]\nurl = \"{url}\"\n")).unwrap();
    for wrong in ["http://:pa55@cache:6379", "memcached://:pa55@cache", ":pa55@cache:6379", ""] {
        set(wrong);
        place.run("config check").refused("redis.url");
        assert!(!place.run("serve").err.contains("pa55"));
    }
    set("redis://:pa55@127.0.0.1:1/2");
    place.run("config check").done();
    let shown = place.run("config show").done().out;
    assert!(shown.contains("redis://127.0.0.1:1/2") && !shown.contains("pa55"), "{shown}");
    place.run("migrate").done();
    let said = place.run("doctor");
    assert_eq!(said.code, 1);
    let line = said.out.lines().find(|line| line.contains("  redis: ")).unwrap();
    assert!(line.starts_with("WRONG") && line.contains("127.0.0.1:1") && !said.out.contains("pa55"), "{line}");
    set("redis://:pa55@cache.example.org");
    let warned = place.run("config check").done().out;
    assert!(warned.contains("rediss://") && !warned.contains("pa55"), "{warned}");
}

#[test]
fn signing_keys_are_listed_rotated_and_taken_back() {
    let place = Place::with_seed("");
    assert_eq!(place.run("key list").done().out, "none\n");
    let column = |name: &str| -> Vec<String> {
        let rows = place.run("key list --output json").done().json();
        rows.as_array().unwrap().iter().map(|row| row[name].as_str().unwrap_or("-").to_owned()).collect()
    };
    let rotated = place.run("key rotate --alg ES256 --output json").done().json();
    assert_eq!((column("alg"), column("state")), (vec!["ES256".into(); 2], vec!["signing".into(), "announced".into()]));
    assert_eq!((&rotated[0]["changed"], rotated[0]["kid"].as_str()), (&Value::Bool(true), Some(&*column("kid")[1])));
    let again = place.run("key rotate --alg ES256 --output json").done().json();
    assert_eq!((&again[0]["changed"], &again[0]["kid"]), (&Value::Bool(false), &rotated[0]["kid"]));
    let first = column("kid").remove(0);
    let said = place.run(&format!("key retire {first}")).done().out;
    assert!(said.contains("takes its place") && said.contains(rotated[0]["kid"].as_str().unwrap()), "{said}");
    assert_eq!(column("state"), ["retired", "signing"]);
    assert!(place.run(&format!("key retire {first}")).done().out.contains("nothing changed"));
    place.run("key retire -nobody").refused("there is no signing key \"-nobody\"");
    assert_eq!(place.run("key rotate --alg HS256").code, 2);
    place.run("key rotate --at-once").done();
    let mut algorithms = column("alg");
    algorithms.dedup();
    assert_eq!(algorithms, ["ES256", "PS256", "RS256"]);
}

#[test]
fn a_key_encryption_key_is_renewed_and_doctor_says_when_one_is_missing() {
    let place = Place::with_seed("");
    place.run("key rotate --alg ES256 --at-once").done();
    let said = place.run("key renew").done().out;
    assert!(said.contains("kek-0002") && said.contains("2 signing key(s) sealed again"), "{said}");
    assert!(place.run("key reseal").done().out.starts_with("0 signing key(s)"));
    let records = ["signing_key_rotated", "sealing_key_renewed", "signing_keys_resealed"];
    assert_eq!(place.added(place.kinds().len() - 3), records);
    let said = place.run("doctor").done().out;
    assert!(said.contains("ES256 signing key: ") && said.contains("its successor is announced on"), "{said}");
    let file = place.0.path().join("keys/kek-0002");
    let key = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = place.run("doctor");
    assert!(said.code == 1 && said.out.contains("kek-0002, which is not in the keys folder"), "{}", said.out);
    place.run("key rotate --alg ES256 --at-once").done();
    let said = place.run("key renew").refused("nothing was sealed again");
    assert!(said.out.contains("kek-0003") && said.err.contains("kek-0002"), "{} {}", said.out, said.err);
    std::fs::write(&file, key).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(place.run("key reseal").done().out.contains("all are under kek-0003"));
    place.run("doctor").done();
}

#[test]
fn wrong_usage_is_two_and_every_verb_has_an_example() {
    fn look(command: &clap::Command, path: &str) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Example: connect-idp"), "{path} has no example");
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            look(verb, &format!("{path} {}", verb.get_name()));
        }
    }
    Cli::command().debug_assert();
    look(&Cli::command(), "connect-idp");
    let place = Place::new();
    assert_eq!(place.run("user lock").code, 2);
    assert_eq!(place.run("--help").code, 0);
}

#[test]
fn a_file_of_users_is_imported_row_by_row() {
    let place = Place::with_seed(SEED);
    let file = place.0.path().join("staff.csv");
    let path = file.display().to_string();
    let rows =
        "login_name,name,user_type,password\nnina,Nina Roy,,\npia,Pia,Provider Admin,Correct-Horse-9\namina,Again,,\n";
    std::fs::write(&file, rows).unwrap();
    let before = place.kinds().len();
    let line = format!("user import {path} --provider SUNRISE-IL --output json");
    let row_results = |said: &Said| -> Vec<String> {
        let rows = said.json();
        rows.as_array().unwrap().iter().map(|row| row["fate"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        row_results(&place.run(&format!("{line} --dry-run")).done()),
        ["will be created", "will be created", "exists"]
    );
    assert_eq!(place.kinds().len(), before);
    let said = place.run(&line).done();
    assert_eq!(row_results(&said), ["created", "created", "exists"]);
    assert!(password_rules::check(said.json()[0]["temporary_password"].as_str().unwrap()).is_ok());
    assert_eq!(said.json()[1]["temporary_password"], "Correct-Horse-9");
    assert_eq!(place.added(before), ["user_created", "user_created"]);
    std::fs::write(&file, "login_name,name,user_type\nroot,Root,Therap Admin\nzoe,Zoe,\n").unwrap();
    let said = place.run(&line);
    assert_eq!((said.code, row_results(&said)), (1, vec!["refused".to_owned(), "created".to_owned()]));
    assert!(said.err.contains("1 of 2 rows were refused"), "{}", said.err);
    std::fs::write(&file, "login_name\nx\n").unwrap();
    place.run(&line).refused("no column “name”");
    std::fs::write(&file, b"login_name;name\r\nj;J\x81rgen\r\n").unwrap();
    place.run(&line).refused("save it as “CSV UTF-8”");
}

/// The files that the page is tried with (`tests/it/operations/csv.rs`): here how many users each makes.
#[test]
fn a_file_of_a_spreadsheet_is_read_as_the_page_reads_it() {
    let place = Place::with_seed(SEED);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/operations/csv");
    for (name, created) in [
        ("blank-lines-at-end", 3),
        ("excel-ansi-windows1252", 1),
        ("excel-empty-row-between", 3),
        ("excel-empty-rows-at-end", 3),
        ("excel-mac-cr", 3),
        ("excel-mac-cr-comma-in-cell", 1),
        ("excel-sep-line", 3),
        ("excel-trailing-empty-columns", 3),
        ("excel-unicode-text-utf16", 3),
        ("google-sheets-tsv", 3),
        ("header-case", 3),
        ("header-words", 3),
        ("short-rows", 2),
        ("user-type-case", 2),
    ] {
        let file = folder.join(format!("{name}.csv"));
        let said = place.run(&format!("user import {} --provider SUNRISE-IL --dry-run", file.display()));
        assert_eq!((said.code, said.out.matches("will be created").count()), (0, created), "{name}: {}", said.err);
        assert_eq!(said.err.contains("save it as “CSV UTF-8”"), name == "excel-ansi-windows1252", "{}", said.err);
    }
    let file = folder.join("excel-mac-cr.csv");
    let said = place.run(&format!("user import {} --provider SUNRISE-IL", file.display())).done();
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("LINE  LOGIN NAME  FATE     TEMPORARY PASSWORD  WHY"), "{}", said.out);
    assert!(lines[1].starts_with("2     jmueller    created  ") && lines.len() == 4, "{}", said.out);
}

/// Whoever reads the report has each row before the next user is made; when it cannot be written, nobody else is made.
#[test]
fn each_row_of_an_import_is_written_before_the_next() {
    /// Takes one row, and then breaks like a full disk.
    #[derive(Clone, Default)]
    struct Full(Buffer);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.0.text();
            let is_full = written.ends_with('\n') && written.lines().count() == 2;
            if is_full { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { self.0.write(bytes) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let place = Place::with_seed(SEED);
    let file = place.0.path().join("staff.csv");
    std::fs::write(&file, "login_name,name\nu1,U\nu2,U\nu3,U\nu4,U\n").unwrap();
    let (out, err) = (Full::default(), Buffer::default());
    let mut console = Console::new(io::empty(), out.clone(), err.clone());
    let config = place.0.path().join("connect.toml");
    let args = ["connect-idp", "--config", config.to_str().unwrap(), "user", "import", file.to_str().unwrap()];
    let code = Cli::run_on(args.into_iter().chain(["--provider", "SUNRISE-IL"]), &mut console);
    assert_eq!((code, out.0.text().lines().count()), (1, 2));
    assert!(err.text().contains("\"u2\" was created: reset that password"), "{}", err.text());
    let users = place.run("user list --provider SUNRISE-IL").done().out;
    assert!(users.contains(" u2 ") && !users.contains(" u3 "), "{users}");
}

#[test]
fn a_template_needs_no_database() {
    let place = Place::new();
    let said = place.run("user import --template").done();
    assert!(said.out.starts_with("\u{feff}\"login_name\",\"name\",") && said.out.ends_with("\r\n"), "{}", said.out);
    assert_eq!(place.run("user import --template --dry-run").code, 2);
    assert_eq!(place.run("user import").code, 2);
}

/// A spreadsheet knows by the mark that it is UTF-8.
#[test]
fn an_export_for_spreadsheets_begins_with_its_mark() {
    let place = Place::with_seed(SEED);
    let out = place.run("activity export --output csv").done().out;
    assert!(out.starts_with("\u{feff}\""), "{out}");
    assert!(
        out.lines().all(|line| line.trim_start_matches('\u{feff}').starts_with('"') && line.ends_with('"')),
        "{out}"
    );
}

#[test]
fn a_therap_admin_begins_with_a_link() {
    let place = Place::with_seed(SEED);
    let made = place.run_with(
        &[
            "user",
            "create",
            "--provider",
            "THERAP",
            "--login-name",
            "rosa",
            "--name",
            "Rosa",
            "--user-type",
            "Therap Admin",
            "--output",
            "json",
        ],
        "",
    );
    let made = made.done().json();
    assert!(made["set_up_link"].as_str().unwrap().starts_with("http://localhost:8080/password/reset/"), "{made}");
    assert_eq!(made["temporary_password"], Value::Null);
    let before = place.kinds().len();
    let again = place.run("user set-up-link --provider THERAP --login-name rosa --output json").done().json();
    assert_ne!(again["set_up_link"], made["set_up_link"]);
    assert_eq!(place.added(before), ["password_reset"]);
}

/// The drill of docs/operations/backup.md.
#[test]
fn a_backup_is_taken_and_restored() {
    let place = Place::with_seed(SEED);
    let file = place.0.path().join("backup.tar").display().to_string();
    assert!(place.run(&format!("backup {file}")).done().out.contains("key-encryption key"));
    place.run(&format!("backup {file}")).refused("exists already");
    place.run("user lock --provider SUNRISE-IL --login-name amina").done();
    place.run(&format!("restore {file}")).refused("say --replace");
    place.run(&format!("restore {file} --replace")).refused("say --yes");
    assert_eq!(place.kinds().last().unwrap(), "account_locked");
    let said = place.run(&format!("restore {file} --replace --yes")).done();
    for words in ["is kept as", "Ended: 0 session(s)", "Locks, deactivations"] {
        assert!(said.out.contains(words), "{}", said.out);
    }
    let kinds = place.kinds();
    assert!(kinds.contains(&"restored".to_owned()) && !kinds.contains(&"account_locked".to_owned()), "{kinds:?}");
    let kept = said.out.split_once("is kept as ").unwrap().1.split_once(".\n").unwrap().0;
    assert!(std::path::Path::new(kept).exists());
    place.run("activity verify").done();
    // On another machine.
    let other = Place::new();
    assert!(!other.run(&format!("restore {file}")).done().out.contains("is kept as"));
    assert_eq!(other.run("user list --provider SUNRISE-IL --output json").done().json().as_array().unwrap().len(), 2);
    let broken = std::fs::read(&file).unwrap();
    std::fs::write(&file, &broken[..broken.len() - 1]).unwrap();
    other.run(&format!("restore {file} --replace --yes")).refused("not a whole backup");
    other.run("activity verify").done();
}

#[test]
fn what_is_older_is_ended_after_somebody_elses_restore() {
    let place = Place::with_seed(SEED);
    place.run("restore --ended-before 2999-01-01T00:00:00Z --yes").refused("is not past yet");
    place.run("restore --ended-before yesterday --yes").refused("is not a time");
    place.run("restore --ended-before 2026-01-31T09:30:00Z").refused("say --yes");
    let before = place.kinds().len();
    place.run("restore --ended-before 2026-01-31T09:30:00Z --yes").done();
    assert_eq!(place.added(before), ["restored"]);
    assert_eq!(place.run("restore").code, 2);
    assert_eq!(place.run("restore x --ended-before 2026-01-31T09:30:00Z").code, 2);
    let config = place.0.path().join("connect.toml");
    std::fs::write(&config, "[database]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\n").unwrap();
    place.run("backup x.tar").refused("docs/operations/backup.md");
    place.run("restore x.tar").refused("restore --ended-before TIME");
}
