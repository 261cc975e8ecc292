//! A script file that does not run while scripts are on (an engine refuses it for one word, a filter blocks it, a line
//! in it throws), and scripts that are off: each page does its one thing all the same (L1).

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::harness::people::{AMINA, BRUNO, PAUL, ROOT, TINA};
use crate::harness::{Demo, Files, Stage};
use crate::portal::sign_in;
use crate::update::choose;

/// Scripts that are off, and each way in which a file does not run; the journey is told whether other files do.
async fn in_every_way(journey: impl AsyncFn(&Stage, bool)) {
    for files in [None, Some(Files::SyntaxErrors), Some(Files::Missing)] {
        let stage = match files {
            None => Stage::without_scripts().await,
            Some(files) => Stage::with_broken(files).await,
        };
        let Some(stage) = stage else { return };
        journey(&stage, files.is_some()).await;
        if files == Some(Files::SyntaxErrors) {
            let said = stage.browser.complaints().await;
            assert!(said.iter().any(|line| line.contains("SyntaxError")), "the file was broken: {said:?}");
        }
    }
}

/// L1, L7, L8, L10: in, out, the forced update, and a link to set a password.
#[tokio::test]
async fn somebody_signs_in_and_updates_a_password_with_a_broken_script() {
    in_every_way(async |Stage { browser, demo }, _| {
        browser.sign_in(&AMINA).await;
        browser.log_out().await;
        browser.reads("#login-notice", "You have logged out. Please close this tab.").await;
        browser.is_out().await;

        browser.try_login(&TINA, TINA.password).await;
        browser.is_at("/password/update").await;
        choose(browser, "Better#2027", "Better#2027").await;
        browser.is_in_as(&TINA).await;
        browser.log_out().await;

        let who = ["--provider", BRUNO.provider, "--login-name", BRUNO.login_name, "--output", "json"];
        let said = demo.command(&[["user", "set-up-link"].as_slice(), &who].concat());
        let link = serde_json::from_str::<Value>(&said).unwrap()["set_up_link"].as_str().unwrap().to_owned();
        browser.open(&link).await;
        choose(browser, "Bruno#2027", "Bruno#2027").await;
        browser.enter(BRUNO.login_name, "Bruno#2027", BRUNO.provider).await;
        browser.is_in_as(&BRUNO).await;
    })
    .await;
}

/// U2: the page that sends the assertion has a button until its script takes it away; the page that leads on to an app
/// goes on automatically.
#[tokio::test]
async fn a_handoff_arrives_with_a_broken_script() {
    in_every_way(async |Stage { browser, demo }, _| {
        browser.log_in_to_therap(demo, &AMINA).await;
        let there = browser.tab().await;
        browser.press_the_button(demo).await;
        browser.follow("#send-submit").await;
        browser.is_in_as(&AMINA).await;
        browser.go_to_tab(&there).await;
        let assertion = demo.assertion_with(&AMINA, &[("target", "care-portal")]).await;
        browser.send(demo, &assertion).await;
        browser.follow("#consent-allow").await;
        browser.reads("#portal-user", AMINA.name).await;
    })
    .await;
}

/// R1, R4: in and out of an app that is told of logouts in a frame; the signed-out page goes on automatically.
#[tokio::test]
async fn an_app_signs_its_user_in_and_out_with_a_broken_script() {
    in_every_way(async |Stage { browser, demo }, _| {
        sign_in(browser, demo).await;
        browser.open("/").await;
        browser.follow("#apps a.button").await;
        browser.reads("#portal-user", AMINA.name).await;
        browser.follow("#portal-logout").await;
        browser.see("#portal-login").await;
        browser.is_out().await;
    })
    .await;
}

/// OAuth 2.0 Form Post Response Mode: the answer goes back automatically, or by its button where scripts are off.
#[tokio::test]
async fn a_code_arrives_by_form_post_with_a_broken_script() {
    in_every_way(async |Stage { browser, demo }, scripts| {
        let app = FormApp::start(demo).await;
        browser.open(&app).await;
        browser.see("#login-form").await;
        browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
        if !scripts {
            browser.follow("#form-post-continue").await;
        }
        browser.reads("#portal", "Signed in, with the state as it was.").await;
        browser.follow("#out").await;
        browser.reads("#bye", "Bye.").await;
        browser.is_out().await;
    })
    .await;
}

/// A2: a password that is shown once is shown, and what takes the password again takes it.
#[tokio::test]
async fn an_admin_is_at_work_with_a_broken_script() {
    in_every_way(async |Stage { browser, .. }, _| {
        browser.sign_in(&PAUL).await;
        browser.follow("nav a[href='/admin/users']").await;
        browser.follow("#new-user").await;
        browser.fill("#login-name", "nina").await;
        browser.fill("#name", "Nina Roy").await;
        browser.follow("#create-submit").await;
        assert!(!browser.text("#temporary-password").await.is_empty());
        browser.open("/").await;
        browser.log_out().await;

        browser.sign_in(&ROOT).await;
        browser.follow("nav a[href='/operator/clients']").await;
        browser.follow("#new-client").await;
        browser.follow("#kind-web").await;
        browser.fill("#client-id", "https://new.example/app").await;
        browser.fill("#redirect-uris", "https://new.example/callback").await;
        browser.follow("#create-submit").await;
        assert!(!browser.text("#client-secret").await.is_empty());
        browser.follow("#go-on").await;
        browser.follow("#disable").await;
        browser.fill("#confirm-password", ROOT.password).await;
        browser.follow("#confirm-submit").await;
        browser.reads("#client-state .pill", "Off").await;
    })
    .await;
}

/// An app that takes its answers by form, and hears of logouts in a frame.
struct FormApp {
    issuer: String,
    origin: String,
    secret: String,
}

const CLIENT: &str = "https://form-app.example/";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const STATE: &str = "a \"state\"";

impl FormApp {
    /// Registers and serves it; where a sign-in begins.
    async fn start(demo: &Demo) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let at = |path: &str| format!("{origin}{path}");
        let (callback, bye, told) = (at("/callback"), at("/bye"), at("/told"));
        let said = demo.command(&[
            "client",
            "create",
            "--client-id",
            CLIENT,
            "--first-party",
            "--redirect-uri",
            &callback,
            "--post-logout-redirect-uri",
            &bye,
            "--frontchannel-logout-uri",
            &told,
            "--output",
            "json",
        ]);
        let row: Value = serde_json::from_str(&said).unwrap();
        let secret = row["client_secret"].as_str().unwrap().to_owned();
        let app = Arc::new(Self { issuer: demo.issuer().to_owned(), origin: origin.clone(), secret });
        let routes = Router::new()
            .route("/", get(begin))
            .route("/callback", post(finish))
            .route("/bye", get(async || Html(r#"<!doctype html><p id="bye">Bye.</p>"#)))
            .route("/told", get(async || "Told."))
            .with_state(app);
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        origin
    }
}

async fn begin(State(app): State<Arc<FormApp>>) -> Redirect {
    let (endpoint, callback) = (format!("{}/oauth2/authorize", app.issuer), format!("{}/callback", app.origin));
    let query = [
        ("client_id", CLIENT),
        ("redirect_uri", &callback),
        ("response_type", "code"),
        ("response_mode", "form_post"),
        ("scope", "openid"),
        ("state", STATE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    Redirect::to(url::Url::parse_with_params(&endpoint, query).unwrap().as_str())
}

#[derive(Deserialize)]
struct Answer {
    code: String,
    state: String,
}

async fn finish(State(app): State<Arc<FormApp>>, Form(answer): Form<Answer>) -> Html<String> {
    let callback = format!("{}/callback", app.origin);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &answer.code),
        ("redirect_uri", &callback),
        ("code_verifier", VERIFIER),
        ("client_id", CLIENT),
        ("client_secret", &app.secret),
    ];
    let asked = reqwest::Client::new().post(format!("{}/oauth2/token", app.issuer)).form(&fields);
    let tokens: Value = asked.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
    let bye = format!("{}/bye", app.origin);
    let query = [("id_token_hint", tokens["id_token"].as_str().unwrap()), ("post_logout_redirect_uri", &bye)];
    let out = url::Url::parse_with_params(&format!("{}/oauth2/end_session", app.issuer), query).unwrap();
    let words = if answer.state == STATE { "Signed in, with the state as it was." } else { "Another state." };
    let out = out.as_str().replace('&', "&amp;");
    Html(format!(r#"<!doctype html><p id="portal">{words}</p><a id="out" href="{out}">Out</a>"#))
}
