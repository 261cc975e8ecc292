//! npm `passport-openidconnect`, with Express: what Node-RED and many an older app of Node's sign in with. As it comes
//! it reads nothing but the ID token.

use std::process::Command;

use serde_json::json;

use crate::harness::people::AMINA;
use crate::journey::{allow, shown, sign_in};
use crate::stage::{Stage, packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_app_with_passport_signs_in_and_out() {
    let Some(folder) = packages("passport") else { return };
    let Some(stage) = Stage::with_client("/callback", "id_token_claims = true\n").await else { return };
    let mut command = Command::new("node");
    command.arg(folder.join("app.mjs"));
    let _app = stage.run("the app with passport", command).await;
    let Stage { browser, service, app } = &stage;

    browser.open(&app.origin).await;
    browser.follow("#sign-in").await;
    browser.follow("#login-cancel").await;
    browser.is_at(&format!("{}/", app.origin)).await;

    browser.follow("#sign-in").await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    let expected = json!({
        "issuer": service.issuer, "id": service.sub(), "displayName": AMINA.name, "username": AMINA.login_name,
        "emails": [{ "value": "amina@sunrise.example" }],
    });
    assert_eq!(shown(browser).await, expected);

    // Out of the app alone: the session here lives, and nobody is asked again.
    browser.follow("#sign-out").await;
    browser.follow("#sign-in").await;
    assert_eq!(shown(browser).await, expected);
}
