//! What was set can be exported as a seed file, kept, and applied again without a difference; `--prune` switches off
//! what the file does not name, and no more.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connect_idp::cli::{Cli, Console};
use connect_idp::model::claims::Claims;
use connect_idp::model::client::{AuthMethod, GrantType, Metadata};
use connect_idp::model::login_name::LoginName;
use connect_idp::model::provider::{ProviderCode, UnifiedLogin};
use connect_idp::model::user::UserType;
use connect_idp::operations::{clients, issuers, providers, users};
use connect_idp::store;
use connect_idp::store::users::NewUser;
use connect_idp::time::Random;
use serde_json::json;

use crate::actors::{ISSUER, Idp, PASSWORD, public_jwks};

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

/// A command on the service's database: its exit status, and what it said on standard output and error.
pub async fn command(idp: &Idp, args: &[&str]) -> (u8, String, String) {
    let config = &idp.app.config;
    let text = format!(
        "[database]\nurl = {:?}\nconnections = 3\n[keys]\ndir = {:?}\n[password]\nmemory_kib = 8\niterations = 1\n",
        config.database.url, config.keys.dir
    );
    let file = idp.dir().join("command.toml");
    std::fs::write(&file, text).unwrap();
    let mut whole = vec!["connect-idp".to_owned(), "--config".into(), file.to_str().unwrap().into()];
    whole.extend(args.iter().map(|arg| (*arg).to_owned()));
    let (out, err) = (Buffer::default(), Buffer::default());
    let (said, warned) = (out.clone(), err.clone());
    let run = move || Cli::run_on(whole, &mut Console::new(io::empty(), said, warned));
    (tokio::task::spawn_blocking(run).await.unwrap(), out.text(), err.text())
}

pub async fn export(idp: &Idp, args: &[&str]) -> String {
    let (code, out, err) = command(idp, &[&["export"], args].concat()).await;
    assert_eq!((code, err.as_str()), (0, ""));
    out
}

async fn apply(idp: &Idp, text: &str, args: &[&str]) -> (u8, String, String) {
    let file = idp.dir().join("seed.toml");
    std::fs::write(&file, text).unwrap();
    command(idp, &[&["apply", file.to_str().unwrap()], args].concat()).await
}

/// What `apply` printed.
pub async fn applied(idp: &Idp, text: &str, args: &[&str]) -> String {
    let (code, out, err) = apply(idp, text, args).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out
}

const NOTHING: &str = "= nothing changed\n";

/// Characters that files, databases and readers of TOML may stumble over.
const AWKWARD: &[&str] = &[
    "\"",
    "'",
    "'''",
    "\"\"\"",
    "\\",
    "\\u0041",
    "#",
    "[x]",
    "=",
    "{",
    "}",
    ",",
    "$",
    "é",
    "e\u{301}",
    "ß",
    "日本",
    "Ж",
    "🏡",
    "👩‍👩‍👧",
    "\u{2028}",
    "\u{202e}",
    "<b>",
    "%00",
    "-",
    "0",
];

fn awkward(random: &Random) -> String {
    let bytes: [u8; 5] = random.bytes();
    let picked: String = bytes.iter().map(|byte| AWKWARD[usize::from(*byte) % AWKWARD.len()]).collect();
    format!("x{picked}x")
}

/// A service in which everything was set that can be, in words that nobody expects.
async fn furnish(idp: &Idp) {
    let (act, random) = (idp.act(), Random::seeded(7));
    for (code, zone) in [("CEDAR-OR", "America/Los_Angeles"), ("a-1", "Asia/Kathmandu"), ("EMPTY", "UTC")] {
        let draft = providers::Draft {
            reset_by_mail: Some(false),
            name: Some(awkward(&random)),
            time_zone: Some(zone.into()),
            contact: Some(format!("{}; call \"us\" \u{2014} 555 \u{1f4de}", awkward(&random))),
            idle_minutes: Some(15),
            absolute_hours: Some(2),
        };
        let code = ProviderCode::parse(code).unwrap();
        let providers::Created::Yes(made) = providers::create(&act, &code, &draft).await.unwrap() else {
            panic!("{code:?}");
        };
        let state = if code.as_str() == "a-1" { UnifiedLogin::Requested } else { UnifiedLogin::On };
        providers::set_unified_login(&act, &made.id, state).await.unwrap();
        furnish_with_users(idp, &made.id, code.as_str(), &random).await;
    }
    furnish_with_apps(idp).await;
    let cedar = provider(idp, "CEDAR-OR").await;
    let taken = providers::Draft { contact: Some(String::new()), ..providers::Draft::default() };
    providers::set(&act, &cedar, &taken).await.unwrap();
    providers::set_active(&act, &cedar, false).await.unwrap();
    idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
    idp.user("roger").of("THERAP").user_type(UserType::TherapAdmin).temporary().create().await;
    let realm = providers::Draft { time_zone: Some("Europe/Berlin".into()), ..providers::Draft::default() };
    providers::set(&act, &provider(idp, "THERAP").await, &realm).await.unwrap();
}

async fn provider(idp: &Idp, code: &str) -> String {
    store::providers::by_code(&mut idp.app.db.read().await.unwrap(), code).await.unwrap().unwrap().id
}

/// Every state of a user, and names of every script.
async fn furnish_with_users(idp: &Idp, provider_id: &str, code: &str, random: &Random) {
    let names =
        ["amélie", "ÄRMEL", "日本語", "o'neil", "quo\"te", "back\\slash", "#hash", "{x}", "a.b@example.org", "Ｗide"];
    let claims = json!({
        "name": "Two\nlines\r\nand\ttabs \u{7f}\u{85}", "nickname": "'''\"\"\"\\", "email": "a\"b@example.org",
        "email_verified": true, "updated_at": 1_800_000_000, "birthdate": "0000-12-31",
        "address": {"formatted": "12 Main St\r\nSpringfield\n", "country": "US"},
    });
    for number in 0..24_u8 {
        if code == "EMPTY" {
            break;
        }
        let name = names.get(usize::from(number)).map_or_else(|| format!("user-{number}"), |name| (*name).to_owned());
        let user = NewUser {
            id: random.id(idp.now()),
            login_name: LoginName::parse(&name).unwrap_or_else(|| panic!("{name}")),
            name: awkward(random),
            user_type: if number % 5 == 0 { UserType::ProviderAdmin } else { UserType::Regular },
            active: number % 3 != 0,
            admin_locked: number & 4 != 0,
            failures: if number & 8 != 0 { 3 } else { i64::from(number % 3) },
            password_hash: connect_idp::operations::users::hash(&idp.app, &PASSWORD.to_owned().into()).await.unwrap(),
            temporary_until: (number & 2 != 0)
                .then(|| idp.now().after(Duration::from_millis(1001 + u64::from(number)))),
            claims: if number % 2 == 0 { "{}".into() } else { claims.to_string() },
            external_id: (number % 4 == 0).then(|| format!("HR-{number} {code}")),
        };
        // As stored by every way in: members in alphabetical order.
        let user = NewUser { claims: Claims::from_json(&user.claims).unwrap().to_json(), ..user };
        let made = users::create(&idp.act(), provider_id, &user).await.unwrap();
        assert!(matches!(made, users::Created::Yes(_)), "{name}");
    }
}

/// Clients and issuers of every kind, some switched off, and users who are tied to none, one or both issuers.
async fn furnish_with_apps(idp: &Idp) {
    let act = idp.act();
    let second = "https://second.example.net";
    let draft = issuers::Draft {
        display_name: Some("Zweite \"Quelle\" 🏥".into()),
        origins: Some(vec![second.into(), "https://b.example".into()]),
        jwks: Some(public_jwks(&["es256"]).replace(',', ",\r\n  ")),
        client_id: Some("portal".into()),
        acr: Some([("urn:\"x\" = y.z".to_owned(), "urn:é".to_owned())].into()),
        ..issuers::Draft::default()
    };
    assert!(issuers::create(&act, second, &draft).await.unwrap());
    let published = issuers::Draft { jwks_uri: Some(format!("{ISSUER}/keys")), ..issuers::Draft::default() };
    issuers::set(&act, ISSUER, &published).await.unwrap();
    issuers::disable(&act, ISSUER, false).await.unwrap();
    let cedar = provider(idp, "CEDAR-OR").await;
    let trusted = store::issuers::list(&mut idp.app.db.read().await.unwrap()).await.unwrap();
    for (number, (_, user)) in store::users::list(&mut idp.app.db.read().await.unwrap(), &cedar, "", 100)
        .await
        .unwrap()
        .into_iter()
        .enumerate()
    {
        for issuer in trusted.iter().skip(number % 3) {
            let sub = format!("{} \"#\" 名 {number}", awkward(&Random::seeded(number as u64)));
            let act = act.clone();
            in_tx!(idp, [act, issuer, user, sub], |tx| issuers::tie(tx, &act, &issuer, &user, &sub).await);
        }
    }
    let portal = Metadata {
        client_name: Some("Pörtal \"🏡\" '''".into()),
        redirect_uris: vec!["https://portal.example.org/cb?a=b&c=%22".into(), "https://portal.example.org/2".into()],
        post_logout_redirect_uris: vec!["https://portal.example.org/bye".into()],
        grant_types: vec![GrantType::RefreshToken, GrantType::AuthorizationCode],
        scope: "openid offline_access".into(),
        contacts: vec!["admin@example.org".into()],
        logo_uri: Some("https://portal.example.org/logo.png".into()),
        default_max_age: Some(0),
        require_auth_time: true,
        default_acr_values: vec!["urn:x".into()],
        backchannel_logout_uri: Some("https://portal.example.org/logout".into()),
        first_party: true,
        id_token_claims: true,
        introspect_all: true,
        resources: vec!["https://api.example.org/".into()],
        ..Metadata::default()
    };
    let program = Metadata {
        grant_types: vec![GrantType::ClientCredentials],
        response_types: Vec::new(),
        token_endpoint_auth_method: Some(AuthMethod::PrivateKeyJwt),
        jwks: Some(serde_json::from_str(&public_jwks(&["es256", "rs256"])).unwrap()),
        scope: String::new(),
        ..Metadata::default()
    };
    for (client_id, metadata, enabled) in
        [("portal", portal.clone(), true), ("Zeta", portal, false), ("https://a.program/~1?x", program, true)]
    {
        assert!(clients::create(&act, &clients::build(&act, client_id, metadata, enabled), None).await.unwrap());
    }
}

/// A service in which nothing was set.
async fn empty(idp: &Idp) -> Idp {
    let fresh = Idp::start(idp.engine).await;
    let mut outsider = fresh.outsider().await;
    outsider.run("DELETE FROM issuers").await;
    outsider.run("DELETE FROM providers WHERE kind = 'agency'").await;
    fresh
}

const EXTENTS: [&[&str]; 3] = [&["--without-users"], &[], &["--with-password-hashes"]];

both_engines! {
    async fn what_is_exported_is_applied_again_without_a_difference(engine: Engine) {
        let idp = Idp::start(engine).await;
        furnish(&idp).await;
        let before = idp.activity().await.len();
        for extent in EXTENTS {
            let file = export(&idp, extent).await;
            assert_eq!(applied(&idp, &file, &[]).await, NOTHING, "{extent:?}");
            assert_eq!(applied(&idp, &file, &["--prune"]).await, NOTHING, "{extent:?}");
            assert_eq!(export(&idp, extent).await, file, "{extent:?}");
        }
        for code in ["CEDAR-OR", "EMPTY", "THERAP"] {
            let file = export(&idp, &["--provider", code]).await;
            assert_eq!(file.matches("[[provider]]").count(), 1);
            assert_eq!(applied(&idp, &file, &["--prune"]).await, NOTHING, "{code}");
        }
        assert_eq!(idp.activity().await.len(), before);
        idp.assert_invariants().await;
    }

    async fn an_empty_house_that_is_made_from_a_file_exports_the_same_file(engine: Engine) {
        let idp = Idp::start(engine).await;
        furnish(&idp).await;
        for extent in EXTENTS {
            let file = export(&idp, extent).await;
            let fresh = empty(&idp).await;
            let lines = applied(&fresh, &file, &["--prune"]).await;
            assert!(lines.lines().all(|line| line.starts_with("+ ") || line == "~ provider THERAP: time_zone"), "{lines}");
            assert_eq!(export(&fresh, extent).await, file, "{extent:?}");
            assert_eq!(applied(&fresh, &file, &["--prune"]).await, NOTHING);
            fresh.assert_invariants().await;
        }
    }

    /// Who is made from a file has the password that the file has, or none.
    async fn passwords_go_along_only_where_they_are_asked_for(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let file = export(&idp, &[]).await;
        assert!(!file.contains("argon2"), "{file}");
        let nobody_knows = empty(&idp).await;
        applied(&nobody_knows, &file, &[]).await;
        let answer = nobody_knows.browser().log_in(&amina, PASSWORD).await;
        assert_eq!(answer.message().as_deref(), Some("Invalid Credentials"));
        let same = empty(&idp).await;
        applied(&same, &export(&idp, &["--with-password-hashes"]).await, &[]).await;
        same.browser().sign_in(&amina).await;
    }

    /// An older file takes back what was set since.
    async fn an_older_file_takes_back_what_was_set_since(engine: Engine) {
        let idp = Idp::start(engine).await;
        furnish(&idp).await;
        let file = export(&idp, &[]).await;
        let act = idp.act();
        issuers::enable(&act, ISSUER).await.unwrap();
        let cedar = provider(&idp, "CEDAR-OR").await;
        let draft = providers::Draft { contact: Some("Somebody".into()), idle_minutes: Some(0), ..Default::default() };
        providers::set(&act, &cedar, &draft).await.unwrap();
        providers::set_active(&act, &cedar, true).await.unwrap();
        let more = json!({"policy_uri": "https://portal.example.org/policy", "contacts": [], "require_pkce": true});
        let more = connect_idp::model::client::draft::Draft::parse(more.as_object().unwrap().clone()).unwrap();
        clients::set(&act, "portal", &more).await.unwrap();
        clients::set_enabled(&act, "Zeta", true).await.unwrap();
        let said = applied(&idp, &file, &[]).await;
        // The engines' collations differ in which client comes first.
        let said: BTreeSet<_> = said.lines().collect();
        let issuer = format!("~ trusted_issuer {ISSUER}: enabled");
        let wanted = [
            "~ provider CEDAR-OR: contact, idle_minutes, active",
            &issuer,
            "~ client Zeta: enabled",
            "~ client portal: contacts, policy_uri, require_pkce",
        ];
        assert_eq!(said, BTreeSet::from(wanted));
        assert_eq!(export(&idp, &[]).await, file);
    }

    async fn pruning_switches_off_what_the_file_does_not_name_and_no_more(engine: Engine) {
        let idp = Idp::start(engine).await;
        furnish(&idp).await;
        let file = export(&idp, &[]).await;
        for code in ["NEW-1", "NEW-2"] {
            idp.provider(code, |_| {}).await;
        }
        idp.user("nina").of("NEW-2").create().await;
        idp.user("nora").of("a-1").create().await;
        idp.user("ruth").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        idp.user("emil").of("EMPTY").create().await;
        idp.trust("https://new.example.net", |_| {}).await;
        idp.app("new-app", |_| {}).await;
        let before = idp.activity().await.len();
        let lines = "- provider NEW-1: deactivated\n- provider NEW-2: deactivated\n\
                     - trusted_issuer https://new.example.net: disabled\n- client new-app: disabled\n\
                     - user a-1/nora: deactivated\n- user THERAP/ruth: deactivated\n";

        let (code, rehearsed, warned) = apply(&idp, &file, &["--prune", "--dry-run"]).await;
        assert_eq!((code, rehearsed.as_str(), warned.as_str()), (0, lines, "Dry run: nothing was written.\n"));
        assert_eq!(idp.activity().await.len(), before);
        assert_eq!(applied(&idp, &file, &[]).await, NOTHING);

        assert_eq!(applied(&idp, &file, &["--prune"]).await, lines);
        let mut kinds: Vec<_> = idp.activity().await[before..].iter().map(|record| record.kind.to_string()).collect();
        kinds.sort();
        assert_eq!(
            kinds,
            ["client_disabled", "issuer_disabled", "provider_deactivated", "provider_deactivated", "user_deactivated",
             "user_deactivated"]
        );
        assert_eq!(applied(&idp, &file, &["--prune"]).await, NOTHING);
        idp.assert_invariants().await;
    }

    /// A file that is about something else takes nothing away.
    /// What an export that broke off does not name is not known to be unwanted.
    async fn an_export_that_broke_off_prunes_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        furnish(&idp).await;
        let whole = export(&idp, &["--without-users"]).await;
        let at = whole.find("[[client]]").unwrap_or(whole.len() / 2);
        let (code, _, err) = apply(&idp, &whole[..at], &["--prune"]).await;
        assert!(code == 1 && err.contains("broke off before its end"), "{err}");
        assert_eq!(apply(&idp, &whole, &["--prune"]).await.0, 0);
    }

    async fn pruning_leaves_alone_what_the_file_does_not_speak_of(engine: Engine) {
        let idp = Idp::start(engine).await;
        furnish(&idp).await;
        let before = export(&idp, &[]).await;
        assert_eq!(applied(&idp, "", &["--prune"]).await, NOTHING);
        assert_eq!(applied(&idp, "user = []\nclient = []\n", &["--prune"]).await, NOTHING);
        let whole = export(&idp, &["--without-users"]).await;
        assert_eq!(applied(&idp, &whole, &["--prune"]).await, NOTHING);
        let amina = idp.user("amina").create().await;
        let part = export(&idp, &["--provider", "SUNRISE-IL"]).await;
        let noah = idp.user("noah").create().await;
        assert_eq!(applied(&idp, &part, &["--prune"]).await, "- user SUNRISE-IL/noah: deactivated\n");
        assert!(idp.account(&amina).await.active && !idp.account(&noah).await.active);
        // A provider whose users the file names is named.
        let users_alone = "[[provider]]\ncode = \"SUNRISE-IL\"\n[[user]]\nprovider = \"a-1\"\nlogin_name = \"user-23\"\n";
        let lines = applied(&idp, users_alone, &["--prune"]).await;
        assert!(lines.starts_with("- provider EMPTY: deactivated\n- user a-1/"), "{lines}");
        assert!(!lines.contains("THERAP") && !lines.contains("SUNRISE") && !lines.contains("CEDAR"), "{lines}");
        assert!(before.contains("user-23"));
    }

    async fn pruning_never_takes_the_last_active_therap_admin(engine: Engine) {
        let idp = Idp::start(engine).await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        idp.user("gone").of("THERAP").user_type(UserType::TherapAdmin).inactive().create().await;
        let file = "[[user]]\nprovider = \"THERAP\"\nlogin_name = \"gone\"\n[[provider]]\ncode = \"THERAP\"\n";
        let before = idp.activity().await.len();
        for args in [&["--prune"][..], &["--prune", "--dry-run"]] {
            let (code, out, err) = apply(&idp, file, args).await;
            assert_eq!((code, out.as_str()), (1, ""), "{err}");
            assert!(err.contains("would leave no Therap Admin who can sign in") && err.contains("nothing was written"), "{err}");
        }
        assert!(idp.account(&root).await.active);
        assert_eq!(idp.activity().await.len(), before);
    }

    async fn the_page_gives_the_file_that_the_command_writes_without_users(engine: Engine) {
        let idp = Idp::start(engine).await;
        furnish(&idp).await;
        let root = idp.user("rosa").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let mut browser = idp.browser();
        browser.sign_in(&root).await;
        let page = browser.get("/operator").await;
        let file = browser.get(&page.attribute("#export", "href").unwrap()).await;
        assert_eq!(file.status, 200);
        assert_eq!(file.header("content-type"), Some("application/toml"));
        assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"connect-idp-seed.toml\""));
        assert_eq!(file.body, export(&idp, &["--without-users"]).await);
        assert!(!file.body.contains("[[user]]") && file.body.contains("[[client]]"));
    }
}
