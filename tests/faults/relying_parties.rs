//! Relying parties, two replicas, and a process that is killed while it gives tokens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;

use crate::setup::Setup;
use crate::support::{CHEAP, Engine, PROVIDER, eventually};
use crate::visitors::Visitors;

/// How soon a replica and a relying party know what was decided elsewhere.
const AT_ONCE: Duration = Duration::from_secs(1);
pub const SECRET: &str = "a-secret-of-the-fault-tests-and-nobody-else";
pub const REDIRECT: &str = "http://127.0.0.1:9/callback";
/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub fn client(backchannel: &str) -> String {
    format!(
        "[[client]]\nclient_id = \"portal\"\nclient_secret = \"{SECRET}\"\nredirect_uris = [\"{REDIRECT}\"]\nfirst_party = true\n\
         grant_types = [\"authorization_code\", \"refresh_token\"]\nscope = \"openid profile offline_access\"\n{backchannel}"
    )
}

/// Where an app sends a browser for a code.
pub fn authorize(client: &str) -> String {
    let query = [
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid offline_access"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("/oauth2/authorize?{query}")
}

/// The app's own requests, at one replica.
pub struct App {
    http: Client,
    address: String,
}

impl App {
    pub fn at(address: &str) -> Self {
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { http, address: address.to_owned() }
    }

    /// A code for whoever holds this session.
    pub async fn code(&self, visitors: &Visitors, session: &str) -> Option<String> {
        let answer = visitors.get(&authorize("portal"), Some(session)).await.ok()?;
        let url = url::Url::parse(&answer.location).ok()?;
        url.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned())
    }

    /// The status and body of a form to the back channel.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Option<(u16, Value)> {
        let asked = self.http.post(format!("{}{path}", self.address)).basic_auth("portal", Some(SECRET)).form(fields);
        let answer = asked.send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    pub async fn exchange(&self, code: &str) -> Option<(u16, Value)> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.post("/oauth2/token", &fields).await
    }

    pub async fn refresh(&self, token: &str) -> (u16, Value) {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post("/oauth2/token", &fields).await.unwrap()
    }

    /// An empty answer.
    pub async fn revoke(&self, token: &str) -> u16 {
        let asked = self.http.post(format!("{}/oauth2/revoke", self.address)).basic_auth("portal", Some(SECRET));
        asked.form(&[("token", token)]).send().await.unwrap().status().as_u16()
    }

    pub async fn userinfo(&self, token: &str) -> u16 {
        let asked = self.http.get(format!("{}/oauth2/userinfo", self.address)).bearer_auth(token);
        asked.send().await.unwrap().status().as_u16()
    }
}

on_engines! { what_ends_a_user_is_known_everywhere_within_a_second: postgres }
async fn what_ends_a_user_is_known_everywhere_within_a_second(engine: Engine) {
    let setup = Setup::new(engine, 3, CHEAP, "").await;
    let told = Arc::new(Mutex::new(0_usize));
    let counter = Arc::clone(&told);
    let routes = Router::new().route(
        "/told",
        post(move || async move {
            *counter.lock().unwrap() += 1;
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    setup.apply(&client(&format!("backchannel_logout_uri = \"http://{address}/told\"\n")));
    let (first, second) = (setup.serve().await, setup.serve_too().await);
    let (here, there) = (App::at(&first.address), App::at(&second.address));
    let ways: [&[&str]; 3] = [&["user", "lock"], &["user", "deactivate"], &["user", "reset-password"]];
    for (number, way) in ways.into_iter().enumerate() {
        let name = format!("user{number}");
        let session = first.visitors().log_in(&name).await.session().unwrap();
        let code = here.code(&first.visitors(), &session).await.unwrap();
        let (_, tokens) = here.exchange(&code).await.unwrap();
        let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
        assert_eq!((here.userinfo(access).await, there.userinfo(access).await), (200, 200));

        setup.cli(&[way, &["--provider", PROVIDER, "--login-name", &name]].concat());

        for app in [&here, &there] {
            eventually("userinfo is refused", AT_ONCE, async || app.userinfo(access).await == 401).await;
            let refused =
                app.post("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
            assert_eq!(refused.map(|(status, body)| (status, body["error"] == "invalid_grant")), Some((400, true)));
            for token in [access, refresh] {
                let (_, said) = app.post("/oauth2/introspect", &[("token", token)]).await.unwrap();
                assert_eq!(said, serde_json::json!({ "active": false }), "{way:?}");
            }
        }
        eventually("the app is told", AT_ONCE, async || *told.lock().unwrap() == number + 1).await;
    }
    setup.cli(&["doctor"]);
}

on_engines! { a_process_killed_while_it_gives_tokens_doubles_and_loses_nothing: sqlite, postgres }
async fn a_process_killed_while_it_gives_tokens_doubles_and_loses_nothing(engine: Engine) {
    const ROUNDS: u64 = 6;
    const CODES: usize = 24;
    let setup = Setup::new(engine, 1, CHEAP, "[tokens]\ncode_seconds = 300\n").await;
    setup.apply(&client(""));
    let mut service = setup.serve().await;
    let session = service.visitors().log_in("user0").await.session().unwrap();
    for round in 0..ROUNDS {
        let app = App::at(&service.address);
        let mut codes = Vec::new();
        for _ in 0..CODES {
            codes.push(app.code(&service.visitors(), &session).await.unwrap());
        }
        let storm = join_all(codes.iter().map(|code| app.exchange(code)));
        let kill = async {
            tokio::time::sleep(Duration::from_millis(2 + 5 * round)).await;
            service.kill();
        };
        let (answers, ()) = tokio::join!(storm, kill);
        service = setup.serve().await;
        let app = App::at(&service.address);
        let mut given = 0;
        for (code, answer) in codes.iter().zip(answers) {
            if let Some((200, tokens)) = answer {
                // What was answered is remembered; and gone when its code comes again.
                given += 1;
                let access = tokens["access_token"].as_str().unwrap();
                assert_eq!(app.userinfo(access).await, 200);
                assert_eq!(app.exchange(code).await.unwrap().0, 400);
                assert_eq!(app.userinfo(access).await, 401);
            } else {
                // What was not answered was given or not, and is given at most once.
                let again = app.exchange(code).await.unwrap().0;
                assert!(again == 200 || again == 400, "{again}");
                assert_eq!(app.exchange(code).await.unwrap().0, 400);
            }
        }
        eprintln!("round {round}: {given} of {CODES} were answered before the kill");
        assert_eq!(setup.count("families WHERE revoked_at IS NULL").await, 0);
        setup.cli(&["doctor"]);
    }
}
