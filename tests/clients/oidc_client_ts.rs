//! npm `oidc-client-ts`: an app that is only a page, without a secret, signing in in a pop-up.

use std::fs;
use std::path::PathBuf;

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::harness::{Browser, eventually};
use crate::journey::{assert_userinfo_is_amina, sign_in};
use crate::stage::{Place, Stage, packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_signs_in_in_a_pop_up_refreshes_and_signs_out() {
    let Some(folder) = packages("oidc_client_ts") else { return };
    let client = |origin: &str| {
        format!(
            "client_id = \"portal\"\nclient_name = \"Care Portal\"\nredirect_uris = [\"{origin}/signed-in.html\"]\n\
             post_logout_redirect_uris = [\"{origin}/signed-out.html\"]\n\
             grant_types = [\"authorization_code\", \"refresh_token\"]\ntoken_endpoint_auth_method = \"none\"\n\
             scope = \"openid profile email provider\"\n"
        )
    };
    let Some(Stage { browser, service, app }) = Stage::with(Place::plain(), client).await else { return };
    serve(&app, folder, json!({ "issuer": service.issuer, "clientId": "portal" })).await;

    browser.open(&app.origin).await;
    let page = browser.tab().await;
    browser.click_to_new_tab("#sign-in").await;
    sign_in(&browser).await;
    browser.click("#consent-allow").await;
    browser.go_to_tab(&page).await;
    let first = kept(&browser, |_| true).await;
    assert_userinfo_is_amina(&first["profile"], &service).await;
    let shown: Value = serde_json::from_str(&browser.text("#who").await).unwrap();
    assert_eq!(shown, first["profile"]);

    // By the refresh token, of which a client without a secret gets a new one each time.
    let mut before = first.clone();
    for _ in 0..2 {
        browser.click("#refresh").await;
        let after = kept(&browser, |after| after["access_token"] != before["access_token"]).await;
        assert_ne!(after["refresh_token"], before["refresh_token"]);
        for claim in ["iss", "sub", "aud", "sid", "provider_code"] {
            assert_eq!(after["profile"][claim], first["profile"][claim], "{claim}");
        }
        before = after;
    }

    browser.click("#sign-out").await;
    browser.see("#sign-in").await;
    assert_eq!(browser.tabs().await.len(), 1, "the pop-ups are closed");
    browser.is_out().await;
}

/// What the library keeps of the user in the browser's session storage, once it is so.
async fn kept(browser: &Browser, wanted: impl Fn(&Value) -> bool) -> Value {
    let read = eventually(async || {
        let text =
            browser.run("return Object.values(sessionStorage).find((text) => text.includes('access_token'))").await;
        let user = text.as_str().and_then(|text| serde_json::from_str(text).ok());
        user.filter(&wanted).ok_or(text)
    });
    match read.await {
        Ok(user) => user,
        Err(last) => panic!("{last:?}; {}", browser.view().await),
    }
}

/// Serves the page and the packages below it.
async fn serve(app: &Place, folder: PathBuf, settings: Value) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", app.port)).await.unwrap();
    let files = axum::Router::new().fallback(async move |uri: Uri| answer(&folder, &settings, uri.path()));
    tokio::spawn(async move { axum::serve(listener, files).await });
}

fn answer(folder: &std::path::Path, settings: &Value, path: &str) -> Response {
    let script = [(header::CONTENT_TYPE, "text/javascript")];
    let file = match path {
        "/settings.js" => return (script, format!("export const settings = {settings};")).into_response(),
        "/" | "/signed-in.html" | "/signed-out.html" => "index.html",
        other => other.trim_start_matches('/'),
    };
    match fs::read_to_string(folder.join(file)) {
        Ok(text) if file == "index.html" => axum::response::Html(text).into_response(),
        Ok(text) => (script, text).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
