//! What is counted, on the internal listener: which families there are, from when, in which form, and what moves them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use connect_idp::config::{self, Config, Mail, MailTls};
use connect_idp::jobs;
use connect_idp::model::header_text;
use connect_idp::operations::users;
use connect_idp::web::health;
use tower::ServiceExt as _;

use crate::actors::{Engine, Idp, RedisServer, User};

const PAGE: &str = include_str!("../../docs/operations/metrics.md");
const CLASSIC: &str = "text/plain;version=0.0.4";
const OPEN: &str = "application/openmetrics-text;version=1.0.0";

/// The answer's type and text.
async fn scrape(idp: &Idp, accept: &[&str]) -> (String, String) {
    let mut request = Request::get("/metrics");
    for value in accept {
        request = request.header(header::ACCEPT, *value);
    }
    let routes = health::routes().with_state(idp.app.clone());
    let response = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let form = header_text::ascii(&response.headers()[header::CONTENT_TYPE]).unwrap().to_owned();
    let body = to_bytes(response.into_body(), 1 << 22).await.unwrap();
    (form, String::from_utf8(body.to_vec()).unwrap())
}

/// Each series with its value, `1` for `1.0`.
fn series(text: &str) -> BTreeMap<&str, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap());
    lines.map(|(name, value)| (name, value.parse::<f64>().unwrap().to_string())).collect()
}

pub async fn value(idp: &Idp, name: &str) -> String {
    let (_, text) = scrape(idp, &[CLASSIC]).await;
    series(&text).remove(name).unwrap_or_else(|| panic!("there is no {name}"))
}

/// A family as the classic form has it, or as the page tells: its type, and the values of each label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// Reads the classic form as strictly as a scraper: HELP, TYPE, then samples of that family alone, none twice.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut current, mut helped, mut seen) = (String::new(), String::new(), BTreeSet::new());
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => {
                assert!(!help.is_empty() && !help.contains(['\\', '"']), "{line}");
                helped = (*name).to_owned();
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(helped, *name, "HELP comes before TYPE");
                current = (*name).to_owned();
                let family = Family { kind: (*kind).to_owned(), labels: BTreeMap::new() };
                assert_eq!(families.insert(current.clone(), family), None, "{current} is there twice");
            }
            _ => {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(seen.insert(name.to_owned()), "{name} is there twice");
                value.parse::<f64>().unwrap();
                let (base, labels) = name.trim_end_matches('}').split_once('{').unwrap_or((name, ""));
                let family = families.get_mut(&current).unwrap_or_else(|| panic!("{line}: no TYPE before it"));
                let of_histogram =
                    ["_bucket", "_sum", "_count"].iter().any(|end| base.strip_suffix(end) == Some(&current));
                assert!(base == current || family.kind == "histogram" && of_histogram, "{line} stands under {current}");
                assert_eq!(family.kind == "counter", base.ends_with("_total"), "{line}");
                for label in labels.split("\",").filter(|label| !label.is_empty()) {
                    let (label, value) = label.split_once("=\"").unwrap();
                    let values = family.labels.entry(label.to_owned()).or_default();
                    values.insert(value.trim_end_matches('"').to_owned());
                }
            }
        }
    }
    for family in families.values_mut() {
        family.labels.remove("le");
    }
    families
}

/// The families of the page, and those of them that a setting brings.
fn of_page() -> (BTreeMap<String, Family>, BTreeSet<String>) {
    let (mut families, mut optional) = (BTreeMap::new(), BTreeSet::new());
    for line in PAGE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, of, labels, what, _] = cells.as_slice() else { panic!("{line}") };
        assert!(["process", "site"].contains(of), "{line}");
        let name = name.trim_matches('`').to_owned();
        if what.starts_with("only with `[") {
            optional.insert(name.clone());
        }
        let mut family = Family { kind: (*kind).to_owned(), labels: BTreeMap::new() };
        for label in labels.split("; ").filter(|label| !label.is_empty()) {
            let (label, values) = label.split_once(": ").unwrap_or((label, ""));
            let values = values.split(", ").filter_map(|value| value.strip_prefix('`')?.strip_suffix('`'));
            let values = values.map(str::to_owned).collect();
            for label in label.split(", ") {
                family.labels.insert(label.trim_matches('`').to_owned(), BTreeSet::clone(&values));
            }
        }
        assert_eq!(families.insert(name, family), None, "{line}");
    }
    (families, optional)
}

/// Everything that a setting can bring.
fn with_everything(config: &mut Config) {
    config.redis = Some(config::Redis { url: "redis://127.0.0.1:1".into() });
    config.tls = Some(config::Tls { certificate: "c.pem".into(), key: "k.pem".into() });
    config.mail = Some(Mail {
        host: "localhost".into(),
        port: Some(1),
        tls: MailTls::None,
        username: None,
        password: None,
        from: "Therap Connect <no-reply@example.org>".into(),
        unified_login: true,
    });
}

/// docs/operations/metrics.md tells every family with its type, its labels and their values, and no other.
#[tokio::test]
async fn every_family_is_on_its_page_and_each_of_the_page_is_there() {
    let idp = Idp::start_with(Engine::Sqlite, with_everything).await;
    let found = families(&scrape(&idp, &[CLASSIC]).await.1);
    let (told, optional) = of_page();
    assert!(found.len() > 40, "{found:?}");
    for (name, family) in &found {
        let told = told.get(name).unwrap_or_else(|| panic!("{name} is not on the page"));
        assert_eq!(told.kind, family.kind, "{name}");
        assert!(told.labels.keys().eq(family.labels.keys()), "{name}: {:?}", family.labels.keys());
        for (label, values) in &family.labels {
            let told = &told.labels[label];
            // Where the page names none, it says where they are named.
            assert!(told.is_empty() || told == values, "{name}, {label}: {values:?}");
        }
    }
    for name in told.keys() {
        assert!(found.contains_key(name), "the page tells of {name}, which is not there");
    }
    // What is told elsewhere is told there.
    let handoff = include_str!("../../docs/handoff.md");
    for reason in &found["connect_idp_handoff_refusals_total"].labels["reason"] {
        assert!(handoff.contains(&format!("`{reason}`")), "{reason}");
    }
    let jobs = |family: &str| found[family].labels["name"].clone();
    assert_eq!(jobs("connect_idp_job_failures_total"), jobs("connect_idp_job_last_success_timestamp_seconds"));

    // Without those settings the rest is there, and nothing else.
    let plain = families(&scrape(&Idp::start(Engine::Sqlite).await, &[CLASSIC]).await.1);
    let missing: BTreeSet<String> = found.keys().filter(|name| !plain.contains_key(*name)).cloned().collect();
    assert_eq!(missing, optional);
    assert!(!plain["connect_idp_job_failures_total"].labels["name"].contains("mail"));
}

#[tokio::test]
async fn each_form_is_whole_and_each_scraper_gets_the_one_it_asks_for() {
    let idp = Idp::start(Engine::Sqlite).await;
    let (form, classic) = scrape(&idp, &[]).await;
    assert_eq!(form, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!classic.contains("# EOF") && classic.ends_with('\n') && !classic.contains("# UNIT"));
    assert!(classic.contains("\n# TYPE connect_idp_busy_total counter\n"));
    families(&classic);

    // Two lines of the header are one list.
    let (form, open) = scrape(&idp, &[&format!("{CLASSIC};q=0.3"), &format!("{OPEN};q=0.5,*/*;q=0.1")]).await;
    assert_eq!(form, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("\n# EOF\n") && open.contains("\n# TYPE connect_idp_busy counter\n"));
    let names = |text: &str| series(text).into_keys().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(&open), names(&classic), "the same series in both");
    // Nothing of it is on the public site.
    assert_eq!(idp.browser().get("/metrics").await.status, 404);
}

both_engines! {
    /// What happens moves what was there: no series comes with its first event.
    async fn every_series_is_there_from_the_start(engine: Engine) {
        let idp = Idp::start(engine).await;
        let names = |text: &str| series(text).into_keys().map(str::to_owned).collect::<BTreeSet<_>>();
        let before = names(&scrape(&idp, &[CLASSIC]).await.1);
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |_| {}).await;
        app.tokens(&mut idp.browser(), &amina, &[]).await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        idp.browser().hand_off("nonsense").await;
        idp.browser().log_in(&User::nobody("x", "y"), "z").await;
        idp.browser().get("/nowhere").await;
        jobs::purge(&idp.app).await.unwrap();
        assert_eq!(names(&scrape(&idp, &[CLASSIC]).await.1), before);
    }

    /// What is counted says nothing of anybody.
    async fn sign_ins_are_counted_by_method_and_outcome(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        idp.browser().sign_in(&amina).await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        idp.browser().hand_off(&idp.therap_services().assertion(&amina).minted(-7).sign()).await;
        idp.browser().hand_off(&idp.therap_services().assertion(&amina).minted(-40).sign()).await;
        idp.browser().log_in(&User::nobody("x", "y"), "z").await;
        idp.browser().hand_off("nonsense").await;
        for _ in 0..3 {
            idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        }
        let (_, text) = scrape(&idp, &[CLASSIC]).await;
        let counted = series(&text);
        for (name, count) in [
            ("connect_idp_sign_ins_total{method=\"password\",outcome=\"success\"}", "1"),
            ("connect_idp_sign_ins_total{method=\"password\",outcome=\"refused\"}", "3"),
            ("connect_idp_sign_ins_total{method=\"password\",outcome=\"locked\"}", "1"),
            ("connect_idp_sign_ins_total{method=\"handoff\",outcome=\"success\"}", "2"),
            ("connect_idp_sign_ins_total{method=\"handoff\",outcome=\"refused\"}", "1"),
            ("connect_idp_sign_ins_total{method=\"handoff\",outcome=\"timed_out\"}", "1"),
            ("connect_idp_handoff_refusals_total{reason=\"not_compact_jws\"}", "1"),
            ("connect_idp_handoff_refusals_total{reason=\"timed_out\"}", "1"),
            ("connect_idp_handoff_age_seconds_count", "3"),
            ("connect_idp_handoff_age_seconds_sum", "47"),
            ("connect_idp_handoff_age_seconds_bucket{le=\"30.0\"}", "2"),
            ("connect_idp_handoff_duration_seconds_count", "2"),
            ("connect_idp_handoff_duration_seconds_sum", "7"),
            ("connect_idp_lockouts_total{lock=\"password\"}", "1"),
            ("connect_idp_lockouts_total{lock=\"admin\"}", "0"),
            // One of them made the account.
            ("connect_idp_hash_wait_seconds_count", "6"),
            ("connect_idp_http_requests_in_flight", "0"),
        ] {
            assert_eq!(counted.get(name).map(String::as_str), Some(count), "{name}");
        }
        assert_ne!(counted["connect_idp_database_wait_seconds_count{purpose=\"write\"}"], "0");
        for secret in ["amina", &amina.provider_code] {
            assert!(!text.contains(secret));
        }
        users::lock(&idp.act(), &amina.provider_id, &amina.id).await.unwrap();
        users::lock(&idp.act(), &amina.provider_id, &amina.id).await.unwrap();
        assert_eq!(value(&idp, "connect_idp_lockouts_total{lock=\"admin\"}").await, "1", "once, not twice");
    }

    /// A request is counted under its group of routes and the class of its status, whatever its path says.
    async fn requests_are_counted_by_group_and_status(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        browser.get("/login").await;
        browser.get("/").await;
        browser.get("/wp-login.php?login").await;
        browser.get("/oauth2/jwks").await;
        let (_, text) = scrape(&idp, &[CLASSIC]).await;
        let counted = series(&text);
        for (route, status) in [("login", "2xx"), ("dashboard", "3xx"), ("other", "4xx"), ("discovery", "2xx")] {
            let name = format!("connect_idp_http_request_duration_seconds_count{{route=\"{route}\",status=\"{status}\"}}");
            assert_eq!(counted.get(name.as_str()).map(String::as_str), Some("1"), "{name}");
        }
    }

    /// Who goes away before the answer is counted as that, and is not in flight for ever.
    async fn who_goes_away_is_counted_and_not_in_flight(engine: Engine) {
        let idp = Idp::start(engine).await;
        let request = Request::get("/oauth2/jwks").body(Body::empty()).unwrap();
        let gone = tokio::time::timeout(Duration::ZERO, idp.router.clone().oneshot(request)).await;
        assert!(gone.is_err(), "the keys are not read at once");
        let name = "connect_idp_http_request_duration_seconds_count{route=\"discovery\",status=\"abandoned\"}";
        assert_eq!(value(&idp, name).await, "1");
        assert_eq!(value(&idp, "connect_idp_http_requests_in_flight").await, "0");
    }

    async fn tokens_are_counted_by_grant_and_format(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |_| {}).await;
        app.tokens(&mut idp.browser(), &amina, &[]).await;
        app.exchange("none").await.assert_oauth_error(400, "invalid_grant");
        let name = "connect_idp_tokens_issued_total{grant=\"authorization_code\",format=\"opaque\"}";
        assert_eq!(value(&idp, name).await, "1");
    }

    /// Neither hangs nor fails: what was known stays, and it says that it does.
    async fn a_scrape_outlives_the_database(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let schema = value(&idp, "connect_idp_database_schema_version").await;
        assert_eq!(schema, value(&idp, "connect_idp_schema_version").await);
        assert_eq!(value(&idp, "connect_idp_database_up").await, "1");
        idp.app.db.close().await;
        // What was asked a moment ago stands for a few seconds.
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(value(&idp, "connect_idp_database_up").await, "0");
        assert_eq!(value(&idp, "connect_idp_database_schema_version").await, schema);
        assert_ne!(value(&idp, "connect_idp_database_errors_total{fault=\"unreachable\"}").await, "0");
        let amina = User::nobody("amina", "SUNRISE-IL");
        assert_eq!(idp.browser().log_in(&amina, "Correct-Horse-9").await.status, 503);
        assert_eq!(value(&idp, "connect_idp_sign_ins_total{method=\"password\",outcome=\"failed\"}").await, "1");
        assert_eq!(value(&idp, "connect_idp_busy_total").await, "1");
    }

    /// The site's numbers come from the database: how long the oldest waits, and when the keys end.
    async fn what_waits_and_what_ends_is_the_sites(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.browser().get("/oauth2/jwks").await;
        let now = idp.now();
        in_tx!(idp, [], |tx| connect_idp::store::mails::insert(
            tx,
            &connect_idp::store::mails::NewMail {
                id: "a mail".into(),
                kind: connect_idp::store::mails::MailKind::LinkRequest,
                user_id: None,
                recipient: None,
                sealed: String::new(),
                good_until: now.after(Duration::from_hours(1)),
            },
            now.before(Duration::from_secs(90)),
            10
        )
        .await);
        let (_, text) = scrape(&idp, &[CLASSIC]).await;
        let counted = series(&text);
        assert_eq!(counted["connect_idp_mail_depth"], "1");
        assert_eq!(counted["connect_idp_mail_oldest_age_seconds"], "90");
        assert_eq!(counted["connect_idp_outbox_depth"], "0");
        assert_eq!(counted["connect_idp_outbox_oldest_age_seconds"], "0");
        // Keys that were made on first need sign from a few seconds ago.
        let expiry: f64 = counted["connect_idp_signing_key_expiry_timestamp_seconds"].parse().unwrap();
        let expected = now.after(idp.app.config.keys.lasts()).seconds();
        assert!((expected - 60..=expected).any(|second| second.to_string() == expiry.floor().to_string()), "{expiry}");
    }
}

/// Whether replicas count together is seen, and why not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_is_seen_to_be_there_or_gone() {
    let gone = Idp::start_with(Engine::Sqlite, with_everything).await;
    assert_eq!(value(&gone, "connect_idp_redis_up").await, "0");
    assert_ne!(value(&gone, "connect_idp_redis_errors_total{fault=\"unreachable\"}").await, "0");
    let Some(server) = RedisServer::start() else { return };
    let url = server.url();
    let there = Idp::start_live(Engine::Sqlite, |config| config.redis = Some(config::Redis { url })).await;
    assert_eq!(value(&there, "connect_idp_redis_up").await, "1");
    assert_eq!(value(&there, "connect_idp_redis_errors_total{fault=\"unreachable\"}").await, "0");
}
