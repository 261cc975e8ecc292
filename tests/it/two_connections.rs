//! G29: who holds a connection waits for no other. Every address that is no admin's page and no operation of the API,
//! asked for twenty times at once, is answered by two connections; those have the same in their own tables.

use std::time::Duration;

use axum::http::Method;
use connect_idp::store::{Database, Error, Extent, Tx};
use connect_idp::time::Deadline;

use crate::actors::{Browser, From, ISSUER, Idp, encode, twenty_at_once};

/// Method, path, and the fields of its form.
type Row = (&'static str, &'static str, Vec<(&'static str, String)>);

async fn rows(idp: &Idp, browser: &mut Browser) -> Vec<Row> {
    let amina = idp.user("amina").create().await;
    let app = idp.app("portal", |m| m.first_party = false).await;
    let question = app.send(browser, &[]).await;
    let page = app.log_in(browser, &question, &amina).await;
    let waiting =
        |name: &str| page.attribute(&format!("#consent-form input[name={name}]"), "value").unwrap_or_default();
    let request: Vec<_> = app.request(&[]);
    let asked = |name: &str| request.iter().find(|(key, _)| key == name).unwrap().1.clone();
    let ask = [
        "client_id",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ];
    let authorize: Vec<_> = ask.into_iter().map(|name| (name, asked(name))).collect();
    let log_in = vec![
        ("login_name", amina.login_name.clone()),
        ("password", amina.password.clone()),
        ("provider_code", amina.provider_code.clone()),
    ];
    let new =
        vec![("new_password", "Another-Horse-10".to_owned()), ("confirm_new_password", "Another-Horse-10".to_owned())];
    let token =
        |grant: &str| vec![("grant_type", grant.to_owned()), ("code", "x".repeat(43)), ("client_id", "portal".into())];
    let assertion = idp.therap_services().sign(&amina);
    let consent = vec![("i", waiting("i")), ("user", amina.id.clone()), ("decision", "allow".into())];
    vec![
        ("GET", "/", vec![]),
        ("POST", "/email/send-verification", vec![]),
        ("GET", "/activity", vec![]),
        ("GET", "/sessions", vec![]),
        ("GET", "/sessions/time", vec![]),
        ("POST", "/sessions/time", vec![]),
        ("POST", "/sessions/end", vec![("session", amina.id.clone())]),
        ("POST", "/sessions/end-others", vec![]),
        ("GET", "/login", vec![]),
        ("POST", "/login", log_in),
        ("GET", "/forgot-password", vec![]),
        ("POST", "/forgot-password", vec![("login_name", "amina".into()), ("provider_code", "SUNRISE-IL".into())]),
        ("GET", "/password/update", vec![]),
        ("POST", "/password/update", new.clone()),
        ("GET", "/password/reset/{token}", vec![]),
        ("POST", "/password/reset/{token}", new.clone()),
        ("GET", "/email/verify/{token}", vec![]),
        ("POST", "/email/verify/{token}", vec![]),
        ("GET", "/password/change", vec![]),
        ("POST", "/password/change", [new, vec![("current_password", "Wrong-Horse-1".to_owned())]].concat()),
        ("GET", "/.well-known/change-password", vec![]),
        ("ANY", "/unified-login", vec![("assertion", assertion)]),
        ("GET", "/unified-login/complete", vec![("h", amina.id.clone())]),
        ("GET", "/unified-login/providers/{provider_code}", vec![]),
        ("GET", "/oauth2/authorize", authorize.clone()),
        ("POST", "/oauth2/authorize", authorize),
        ("GET", "/oauth2/authorize/resume", vec![("i", waiting("i"))]),
        ("GET", "/consent", vec![("i", waiting("i"))]),
        ("POST", "/consent", consent),
        ("POST", "/oauth2/authorize/cancel", vec![("i", waiting("i"))]),
        ("POST", "/sessions/withdraw", vec![("client", app.client.id.clone())]),
        ("POST", "/oauth2/introspect", vec![("token", "x".repeat(43)), ("client_id", "portal".into())]),
        ("POST", "/oauth2/token", token("authorization_code")),
        ("GET", "/oauth2/userinfo", vec![]),
        ("POST", "/oauth2/userinfo", vec![]),
        ("POST", "/oauth2/revoke", vec![("token", "x".repeat(43)), ("client_id", "portal".into())]),
        ("GET", "/assets/{file}", vec![]),
        ("GET", "/favicon.ico", vec![]),
        ("GET", "/robots.txt", vec![]),
        ("GET", "/.well-known/security.txt", vec![]),
        ("GET", "/help", vec![]),
        ("GET", "/help/{page}", vec![]),
        ("GET", "/workbench", vec![]),
        ("POST", "/workbench", vec![("assertion", "a.b.c".into())]),
        ("GET", "/oauth2/end_session", vec![("client_id", "portal".into())]),
        ("POST", "/oauth2/end_session", vec![("client_id", "portal".into())]),
        ("POST", "/oauth2/end_session/confirm", vec![]),
        ("POST", "/logout", vec![]),
    ]
}

both_engines! {
    async fn two_connections_answer_twenty_at_once(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.database.connections = 2;
            config.throttle.enabled = false;
        }).await;
        let mut browser = idp.browser();
        let rows = rows(&idp, &mut browser).await;
        for (method, path, fields) in &rows {
            let text = path.replace("{token}", &"x".repeat(43)).replace("{provider_code}", "SUNRISE-IL").replace("{file}", "x.css");
            let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let (query, handoff) = (encode(&pairs), *path == "/unified-login");
            twenty_at_once(path, || {
                let (mut browser, text, query, get) = (browser.clone(), text.clone(), query.clone(), *method == "GET");
                async move {
                    if get {
                        return browser.get(&format!("{text}?{query}")).await.status;
                    }
                    let from = if handoff { From::Foreign(ISSUER.into()) } else { From::Ours };
                    browser.go(Method::POST, &text, &from, Some(query)).await.status
                }
            }).await;
        }
        idp.assert_invariants().await;
    }
}

both_engines! {
    /// The watch that finds it sees transactions on either engine: one that reads beside itself, and one within
    /// another.
    async fn a_transaction_that_asks_for_a_second_connection_is_found(engine: Engine) {
        let idp = Idp::start(engine).await;
        let reads = |db: Database| async move { db.ping().await };
        let writes = |db: Database| async move {
            let deadline = Deadline::after(Duration::from_secs(5), db.now().await?);
            db.transact(deadline, Extent::Many, |tx: Tx| async move { (tx, Ok(())) }).await
        };
        assert!(matches!(beside_a_transaction(&idp, reads).await, Err(Error::TaskDied)));
        assert!(matches!(beside_a_transaction(&idp, writes).await, Err(Error::TaskDied)));
        assert!(beside_a_transaction(&idp, |_| async { Ok(()) }).await.is_ok());
    }
}

/// Does something else in the body of a transaction.
async fn beside_a_transaction<F>(idp: &Idp, what: impl Fn(Database) -> F + Send + Sync + 'static) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>> + Send,
{
    let inner = idp.app.db.clone();
    let body = move |tx: Tx| {
        let done = what(inner.clone());
        async move { (tx, done.await) }
    };
    idp.app.db.transact(idp.app.patient_deadline(), Extent::Many, body).await
}

/// A route that is added later has a row here, or in the table of its own.
#[test]
fn every_route_has_a_row() {
    let source = include_str!("../../src/router.rs");
    let table = include_str!("two_connections.rs");
    for call in source.split(".route(").skip(1) {
        let Some((path, _)) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')) else {
            continue;
        };
        if !path.starts_with("/admin") && !path.starts_with("/operator") {
            assert!(table.contains(&format!("\", \"{path}\", ")), "{path} has no row");
        }
    }
}
