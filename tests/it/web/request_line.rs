//! The one line that each request has in the log, and the trace that it belongs to (docs/operations/logs.md).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use axum::routing::get;
use connect_idp::config::Site;
use connect_idp::model::header_text::ascii;
use connect_idp::model::trace_context::hex;
use connect_idp::time::Random;
use connect_idp::web::client_ip::Peer;
use connect_idp::web::group::Logged;
use connect_idp::web::{health, request_line};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use crate::actors::{Answer, Idp, PASSWORD, User, VERIFIER, encode, keep_log, request_lines};
use crate::operations::clients::keys::jwks;
use crate::operations::clients::lifecycle::create;

/// A trace of a test's own, by which it finds its lines.
struct Trace(String);

impl Trace {
    fn begin() -> Self {
        keep_log();
        Self(hex(&Random::System.bytes::<16>()))
    }

    fn headers(&self) -> HeaderMap {
        let parent = format!("00-{}-b7ad6b7169203331-00", self.0);
        HeaderMap::from_iter([(HeaderName::from_static("traceparent"), parent.parse().unwrap())])
    }

    /// Sends one request that belongs to it.
    async fn send(&self, router: &Router, method: &str, path: &str, body: Option<&[(&str, &str)]>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let mut request = request.body(Body::from(body.map(encode).unwrap_or_default())).unwrap();
        request.headers_mut().extend(self.headers());
        let response = tokio::spawn(router.clone().oneshot(request)).await.unwrap().unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body, path: path.to_owned() }
    }

    async fn log_in(&self, idp: &Idp, user: &User, password: &str) -> Answer {
        let fields =
            [("login_name", &*user.login_name), ("password", password), ("provider_code", &user.provider_code)];
        self.send(&idp.router, "POST", "/login", Some(&fields)).await
    }

    /// The lines so far.
    fn lines(&self) -> Vec<Map<String, Value>> {
        request_lines(&self.0)
    }

    /// The last one.
    fn last(&self) -> Map<String, Value> {
        self.lines().pop().unwrap()
    }
}

fn members(line: &Map<String, Value>, names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| line.get(*name).cloned().unwrap_or_default()).collect()
}

both_engines! {
    /// Whatever is asked and however it is answered, it has exactly one line, with the pattern of its path and no path.
    async fn every_request_has_one_line(engine: Engine) {
        let (idp, trace) = (Idp::start(engine).await, Trace::begin());
        let asset = connect_idp::web::assets::url("app.css");
        let mut sent = 0;
        for (method, path, http_method, route, status) in [
            ("GET", "/login?password=SeCrEt", "GET", "/login", 200),
            ("HEAD", "/login", "HEAD", "/login", 200),
            ("GET", "/", "GET", "/", 303),
            ("GET", "/no/such/page", "GET", "none", 404),
            ("DELETE", "/login", "DELETE", "/login", 405),
            ("SECRET", "/login", "_OTHER", "/login", 405),
            ("GET", "/password/reset/SeCrEt", "GET", "/password/reset/{token}", 404),
            ("GET", "/.well-known/openid-configuration", "GET", "/.well-known/openid-configuration", 200),
            ("POST", "/oauth2/jwks", "POST", "/oauth2/jwks", 405),
            ("OPTIONS", "/oauth2/token", "OPTIONS", "/oauth2/token", 200),
            ("GET", "/api/v1/providers/SeCrEt", "GET", "/api/v1/providers/{provider_code}", 401),
            ("POST", "/unified-login", "POST", "/unified-login", 403),
            ("GET", &asset, "GET", "/assets/{file}", 200),
        ] {
            let answer = trace.send(&idp.router, method, path, None).await;
            sent += 1;
            assert_eq!(answer.status, status, "{method} {path}");
            let lines = trace.lines();
            assert_eq!(lines.len(), sent, "{method} {path}");
            let line = lines.last().unwrap();
            let wanted = [json!(http_method), json!(route), json!(status), json!("INFO")];
            assert_eq!(members(line, &["http_method", "route", "status", "level"]), wanted, "{method} {path}");
            assert!(line["duration_ms"].as_f64().is_some_and(|took| (0.0..60_000.0).contains(&took)));
            assert!(!Value::Object(line.clone()).to_string().to_lowercase().contains("secret"), "{line:?}");
            if answer.has("#reference") {
                assert_eq!(line["reference"], answer.text("#reference").trim_start_matches("Reference number: "));
            }
        }
    }

    /// What nobody need see can be left out: health, metrics and assets; the requests are answered all the same.
    async fn health_and_assets_are_left_out_where_the_configuration_says_so(engine: Engine) {
        let trace = Trace::begin();
        let asset = connect_idp::web::assets::url("app.css");
        for is_logged in [false, true] {
            let idp = Idp::start_live(engine, |config| (config.log.assets, config.log.health) = (is_logged, is_logged)).await;
            let internal = request_line::around(health::routes(), &idp.app, Logged::AsHealth).with_state(idp.app.clone());
            for path in ["/health/live", "/health/ready", "/metrics"] {
                assert_eq!(trace.send(&internal, "GET", path, None).await.status, 200);
            }
            assert_eq!(trace.send(&idp.router, "GET", &asset, None).await.status, 200);
            assert_eq!(trace.lines().len(), if is_logged { 4 } else { 0 });
        }
    }

    /// A sign-in says to which agency, how and with what outcome; of what was typed nothing, where no account is meant.
    async fn a_sign_in_says_how_it_ended(engine: Engine) {
        let (idp, trace) = (Idp::start(engine).await, Trace::begin());
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").temporary().create().await);
        let nobody = User::nobody("amina", "Secret-Horse");
        let wanted = |provider: Value, method: &str, outcome: &str| vec![provider, json!(method), json!(outcome)];
        let of_sign_in = |line: &Map<String, Value>| members(line, &["provider", "method", "outcome"]);
        let agency = || json!("SUNRISE-IL");
        for (user, password, outcome) in [
            (&amina, PASSWORD, wanted(agency(), "password", "success")),
            (&bob, PASSWORD, wanted(agency(), "password", "unfinished")),
            (&amina, "Wrong-Horse-9", wanted(agency(), "password", "refused")),
            (&amina, "Wrong-Horse-9", wanted(agency(), "password", "refused")),
            (&amina, "Wrong-Horse-9", wanted(agency(), "password", "locked")),
            (&nobody, PASSWORD, wanted(Value::Null, "password", "refused")),
        ] {
            trace.log_in(&idp, user, password).await;
            assert_eq!(of_sign_in(&trace.last()), outcome, "{} {password}", user.login_name);
        }
        trace.send(&idp.router, "GET", "/login", None).await;
        assert_eq!(of_sign_in(&trace.last()), [Value::Null, Value::Null, Value::Null]);
        assert!(trace.lines().iter().all(|line| !format!("{line:?}").contains("Secret-Horse")));
    }

    /// So does a handoff, in both its steps.
    async fn a_handoff_says_how_it_ended(engine: Engine) {
        let (idp, trace) = (Idp::start(engine).await, Trace::begin());
        let carol = idp.user("carol").create().await;
        let assertion = idp.therap_services().sign(&carol);
        let mut browser = idp.browser();
        browser.headers.extend(trace.headers());
        browser.hand_off(&assertion).await;
        browser.assert_signed_in_as(&carol).await;
        browser.hand_off(&assertion).await;
        let lines: Vec<_> = trace.lines().iter().filter(|line| line.contains_key("method")).cloned().collect();
        let told: Vec<_> = lines.iter().map(|line| members(line, &["route", "provider", "method", "outcome"])).collect();
        assert_eq!(told, [
            [json!("/unified-login"), json!("SUNRISE-IL"), json!("handoff"), json!("pending")],
            [json!("/unified-login/complete"), json!("SUNRISE-IL"), json!("handoff"), json!("success")],
            [json!("/unified-login"), json!("SUNRISE-IL"), json!("handoff"), json!("refused")],
        ]);
    }

    /// The temporary password is the first half of a sign-in; the new one is the other.
    async fn an_update_ends_a_sign_in(engine: Engine) {
        let (idp, trace) = (Idp::start(engine).await, Trace::begin());
        let bob = idp.user("bob").temporary().create().await;
        let mut browser = idp.browser();
        browser.headers.extend(trace.headers());
        let answer = browser.log_in(&bob, PASSWORD).await;
        let page = browser.follow(answer).await;
        let new = "Another-Horse-10";
        browser.submit(&page, "#update-form", &[("new_password", new), ("confirm_new_password", new)]).await;
        let wanted = [json!("/password/update"), json!("SUNRISE-IL"), json!("password"), json!("success")];
        assert_eq!(members(&trace.last(), &["route", "provider", "method", "outcome"]), wanted);
    }

    /// An app is named wherever it is known, in the browser and behind it; what is no app's name is not.
    async fn an_app_is_named_where_it_is_known(engine: Engine) {
        let (idp, trace) = (Idp::start(engine).await, Trace::begin());
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        browser.headers.extend(trace.headers());
        app.sign_in(&mut browser, &amina, &[]).await;
        for route in ["/oauth2/authorize", "/login", "/oauth2/authorize/resume"] {
            let lines = trace.lines();
            let mut of_route = lines.iter().filter(|line| line["route"] == route).peekable();
            assert!(of_route.peek().is_some(), "{route}");
            assert!(of_route.all(|line| line.get("client_id") == Some(&json!("portal"))), "{route}");
        }
        for (client_id, named) in [("portal", json!("portal")), ("My-Secret-9", Value::Null)] {
            let fields = [("grant_type", "authorization_code"), ("client_id", client_id), ("client_secret", "x"), ("code_verifier", VERIFIER)];
            trace.send(&idp.router, "POST", "/oauth2/token", Some(&fields)).await;
            assert_eq!(trace.last().get("client_id").cloned().unwrap_or_default(), named);
            let path = format!("/oauth2/authorize?client_id={client_id}&redirect_uri=https://evil.example/?My-Secret-9");
            trace.send(&idp.router, "GET", &path, None).await;
            assert_eq!(trace.last().get("client_id").cloned().unwrap_or_default(), named);
        }
        assert_eq!(crate::actors::logged(&["My-Secret-9"]), 0);
    }

    /// Who goes away before the answer is there, and what a fault of ours ends, has a line too.
    async fn a_request_that_is_never_answered_has_its_line(engine: Engine) {
        let (idp, trace) = (Idp::start(engine).await, Trace::begin());
        let routes = Router::new()
            .route("/panics", get(async || -> &'static str { panic!("on purpose") }))
            .route("/waits", get(async || std::future::pending::<&'static str>().await));
        let layered = request_line::around(routes, &idp.app, Logged::Always).with_state(idp.app.clone());
        let ask = |path: &str| {
            let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
            request.headers_mut().extend(trace.headers());
            tokio::spawn(layered.clone().oneshot(request))
        };
        assert!(ask("/panics").await.unwrap_err().is_panic());
        assert_eq!(members(&trace.last(), &["route", "status"]), [json!("/panics"), json!(500)]);
        let waiting = ask("/waits");
        tokio::time::sleep(Duration::from_millis(50)).await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(members(&trace.last(), &["route", "status"]), [json!("/waits"), json!(499)]);
        assert_eq!(trace.lines().len(), 2);
    }

    /// What a listed proxy calls a request is taken where it is a plain word; what anybody else says is not.
    async fn only_a_listed_proxy_names_a_request(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.trusted_proxies = vec!["192.0.2.0/24".parse().unwrap()]).await;
        let trace = Trace::begin();
        let long = "x".repeat(129);
        for (peer, names, taken) in [
            ("192.0.2.1", vec!["edge-1/2:3.4_5+6=7@8"], Some("edge-1/2:3.4_5+6=7@8")),
            ("::ffff:192.0.2.1", vec![&long[1..]], Some(&long[1..])),
            ("192.0.2.1", vec![&long], None),
            ("192.0.2.1", vec![""], None),
            ("192.0.2.1", vec!["two words"], None),
            ("192.0.2.1", vec!["quo\"te"], None),
            ("192.0.2.1", vec!["b\u{fc}ro"], None),
            ("192.0.2.1", vec!["one", "two"], None),
            ("192.0.2.1", vec![], None),
            ("203.0.113.9", vec!["edge-1"], None),
        ] {
            let mut request = Request::builder().uri("/login").body(Body::empty()).unwrap();
            request.headers_mut().extend(trace.headers());
            for name in &names {
                request.headers_mut().append("x-request-id", HeaderValue::from_bytes(name.as_bytes()).unwrap());
            }
            request.extensions_mut().insert(Peer::Address(SocketAddr::new(peer.parse().unwrap(), 1)));
            idp.router.clone().oneshot(request).await.unwrap();
            assert_eq!(trace.last().get("request_id").and_then(Value::as_str), taken, "{peer} {names:?}");
        }
    }

    /// A trace is taken over from whoever sends one that is right, and goes on in what we ask others for its sake.
    async fn a_trace_goes_on_in_our_own_requests(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let trace = Trace::begin();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        let routes = Router::new().route("/jwks", get(async move |headers: HeaderMap| {
            hearing.lock().unwrap().push(headers);
            jwks("first")
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/jwks", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let members = json!({"redirect_uris": ["https://portal.example.org/callback"], "jwks_uri": address,
            "token_endpoint_auth_method": "private_key_jwt"});
        create(&idp, "portal", &members, None).await;
        let assertion = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImZpcnN0In0.eyJpc3MiOiJwb3J0YWwiLCJzdWIiOiJwb3J0YWwifQ.AAAA";
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", "portal"),
            ("client_assertion_type", connect_idp::operations::clients::authenticate::ASSERTION_TYPE),
            ("client_assertion", assertion),
        ];
        let answer = trace.send(&idp.router, "POST", "/oauth2/token", Some(&fields)).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
        let heard = heard.lock().unwrap().clone();
        assert_eq!(heard.len(), 1, "{}", answer.body);
        let sent = ascii(&heard[0]["traceparent"]).unwrap().to_owned();
        assert!(sent.starts_with(&format!("00-{}-", trace.0)) && sent.ends_with("-00"), "{sent}");
        assert!(!sent.contains("b7ad6b7169203331") && !sent.contains("-0000000000000000-"), "a span of its own: {sent}");
        // One that is not right begins a trace of our own.
        let mut browser = idp.browser();
        for wrong in [trace.0.to_uppercase(), "0".repeat(32), trace.0[1..].to_owned()] {
            let parent = format!("00-{wrong}-b7ad6b7169203331-00");
            browser.send(Method::GET, "/login", HeaderMap::from_iter([(HeaderName::from_static("traceparent"), parent.parse().unwrap())]), "").await;
            assert!(request_lines(&wrong).is_empty());
        }
        assert_eq!(trace.lines().len(), 1);
    }
}

/// A task that a request begins is begun by `log::spawn`, so that its lines and its own requests are the request's.
#[test]
fn every_task_of_a_request_works_for_it() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<_> = ["api", "console", "dashboard", "handoff", "login", "oidc", "operations", "store", "web"]
        .map(|name| src.join(name))
        .into();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("tests.rs") {
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let product = text.split("\nmod tests {").next().unwrap();
            assert!(!product.contains("tokio::spawn("), "{}: use log::spawn", path.display());
        }
    }
    assert!(files > 100, "{files}");
}
