//! `oauth2-proxy`, a program in Go: apps without a sign-in of their own stand behind it.

use std::process::Command;

use serde_json::Value;

use crate::harness::people::AMINA;
use crate::journey::{allow, sign_in};
use crate::program::Program;
use crate::stage::{Stage, packages};

/// OpenID Connect Core §5.1: an address that an admin typed is not verified, and who goes by addresses is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_nobody_verified_opens_no_app_behind_oauth2_proxy() {
    let Some((_proxy, stage)) = started(&[]).await else { return };
    let Stage { browser, app, .. } = &stage;
    browser.open(&app.origin).await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    assert_eq!(browser.status().await, 403);
    browser.open(&format!("{}/oauth2/userinfo", app.origin)).await;
    assert_eq!(browser.status().await, 401);
}

/// The way that docs/relying-party.md recommends: people are known by `sub`.
///
/// Its `backend_logout_url`: the sign-out there ends the session here, from server to server, without a cookie of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_behind_oauth2_proxy_is_for_who_signed_in_until_they_sign_out() {
    let Some((_proxy, stage)) = started(&["--oidc-email-claim=sub"]).await else { return };
    let Stage { browser, service, app } = &stage;
    browser.open(&app.origin).await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    browser.reads("body", "Authenticated").await;
    browser.open(&format!("{}/oauth2/userinfo", app.origin)).await;
    let shown: Value = serde_json::from_str(&browser.text("body").await).unwrap();
    assert_eq!(shown["user"], service.sub());
    assert_eq!(shown["preferredUsername"], AMINA.login_name);
    assert_eq!(shown["email"], service.sub());

    browser.open(&format!("{}/oauth2/sign_out?rd=%2Foauth2%2Fuserinfo", app.origin)).await;
    assert_eq!(browser.status().await, 401);
    browser.is_out().await;
    let ended: Vec<_> = service.activity().into_iter().filter(|record| record["kind"] == "logout").collect();
    assert_eq!(ended.len(), 1, "{ended:#?}");
}

/// The app behind it says "Authenticated", and nothing else.
async fn started(more: &[&str]) -> Option<(Program, Stage)> {
    let program = packages("oauth2_proxy")?.join("oauth2-proxy");
    let stage = Stage::with_client("/oauth2/callback", "").await?;
    let Stage { service, app, .. } = &stage;
    let mut command = Command::new(program);
    command
        .arg("--provider=oidc")
        .arg(format!("--oidc-issuer-url={}", service.issuer))
        .arg(format!("--provider-ca-file={}", service.certificates.authority.display()))
        .args(["--client-id=portal", "--scope=openid profile email provider", "--code-challenge-method=S256"])
        .arg(format!("--redirect-url={}/oauth2/callback", app.origin))
        .arg(format!("--backend-logout-url={}/oauth2/end_session?id_token_hint={{id_token}}", service.issuer))
        .arg(format!("--http-address=127.0.0.1:{}", app.port))
        .args(["--upstream=static://200", "--email-domain=*", "--skip-provider-button", "--cookie-secure=false"])
        .args(more)
        .env("OAUTH2_PROXY_CLIENT_SECRET", crate::service::SECRET)
        .env("OAUTH2_PROXY_COOKIE_SECRET", "0123456789abcdef0123456789abcdef");
    let proxy = stage.run("oauth2-proxy", command).await;
    Some((proxy, stage))
}
