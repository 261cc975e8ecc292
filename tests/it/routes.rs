//! Every route, with its methods and whom it answers: what `routes.txt` beside this file says.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use connect_idp::config::{Config, Mail, MailTls};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::actors::Idp;

/// The sources in which routes stand, each as `.route("PATH", …)`.
const SOURCES: [&str; 4] = [
    include_str!("../../src/router.rs"),
    include_str!("../../src/api/mod.rs"),
    include_str!("../../src/oidc/published.rs"),
    include_str!("../../src/scim/mod.rs"),
];
const LIST: &str = include_str!("routes.txt");

/// Asks by a method that no route has, so that a route says which it has.
async fn ask(router: &Router, path: &str) -> Response<Body> {
    let request = Request::builder().method("BREW").uri(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

/// Whom an answer is for, by its type.
fn audience(answer: &Response<Body>) -> &'static str {
    match answer.headers()[header::CONTENT_TYPE].as_bytes() {
        b"text/html; charset=utf-8" => "person",
        b"application/json" => "back-channel",
        b"application/problem+json" => "program",
        b"application/scim+json" => "directory",
        other => panic!("{other:?}"),
    }
}

/// With a mail server, people may ask for a link.
fn with_mail(config: &mut Config) {
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

/// Each path of the sources and of the API's document.
async fn paths(idp: &Idp) -> BTreeSet<String> {
    let in_sources = SOURCES.iter().flat_map(|source| source.split(".route(").skip(1));
    let in_sources = in_sources.map(|call| call.split('"').nth(1).unwrap().to_owned());
    let document: Value = serde_json::from_str(&idp.browser().get("/api/v1/openapi.json").await.body).unwrap();
    in_sources.chain(document["paths"].as_object().unwrap().keys().cloned()).collect()
}

/// A path of this pattern.
fn example(pattern: &str) -> String {
    pattern.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

/// The methods that a route answers, and whom: `GET,HEAD person`. One that takes every method says `any`.
async fn told(router: &Router, path: &str) -> String {
    let answer = ask(router, &example(path)).await;
    let methods =
        answer.headers().get(header::ALLOW).map_or("any".into(), |value| String::from_utf8_lossy(value.as_bytes()));
    let methods: BTreeSet<_> = methods.split(',').map(str::trim).collect();
    format!("{} {}", methods.into_iter().collect::<Vec<_>>().join(","), audience(&answer))
}

both_engines! {
    /// A route that comes, goes, takes another method or answers somebody else changes the list.
    async fn the_list_of_routes_is_as_it_is_written(engine: Engine) {
        let idp = Idp::start_with(engine, with_mail).await;
        let mut found = BTreeMap::new();
        for path in paths(&idp).await {
            let told = told(&idp.router, &path).await;
            found.insert(path, told);
        }
        let found = found.iter().fold(String::new(), |list, (path, told)| list + path + " " + told + "\n");
        assert!(found == LIST, "tests/it/routes.txt is out of date; it should read:\n{found}");
    }

    /// Where no route is, whoever answers at the addresses that begin alike says so, and takes no more than they do
    /// (G27).
    async fn an_address_that_is_nobodys_answers_like_its_neighbours(engine: Engine) {
        let idp = Idp::start(engine).await;
        for (path, from_elsewhere, whom) in [
            ("/nothing", 403, "person"),
            ("/login/x", 403, "person"),
            ("/oauth2/token/x", 403, "person"),
            ("/unified-login/x", 403, "person"),
            ("/unified-login/providers/x/y", 404, "back-channel"),
            ("/.well-known/openid-configuration/x", 404, "back-channel"),
            ("/.well-known/oauth-authorization-server/x", 404, "back-channel"),
            ("/api/v1/x", 404, "program"),
            ("/api/x", 404, "program"),
            ("/api", 403, "person"),
            ("/scim/v2/x", 404, "directory"),
            ("/scim", 403, "person"),
        ] {
            let answer = ask(&idp.router, path).await;
            assert_eq!((answer.status().as_u16(), audience(&answer)), (404, whom), "{path}");
            let request = Request::post(path).header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
            let answer = idp.router.clone().oneshot(request).await.unwrap();
            assert_eq!((answer.status().as_u16(), audience(&answer)), (from_elsewhere, whom), "{path}");
        }
    }
}
