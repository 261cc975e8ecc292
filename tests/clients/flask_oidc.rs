//! `Flask-OIDC` of `PyPI`.

use std::process::Command;

use crate::harness::people::AMINA;
use crate::journey::{allow, shown, sign_in};
use crate::stage::{Stage, packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_app_with_flask_oidc_signs_in_and_out() {
    let Some(folder) = packages("flask_oidc") else { return };
    let Some(stage) = Stage::with_client("/authorize", "").await else { return };
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/flask_oidc/app.py"));
    let _app = stage.run("the app with Flask-OIDC", command).await;
    let Stage { browser, service, app } = &stage;

    browser.open(&app.origin).await;
    browser.follow("#private").await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    browser.is_at(&format!("{}/private", app.origin)).await;
    let first = shown(browser).await;
    assert_eq!(first["sub"], service.sub());
    assert_eq!(first["preferred_username"], AMINA.login_name);
    assert_eq!(first["email_verified"], false);

    // Out of the app alone: the session here lives, and nobody is asked again.
    browser.follow("#sign-out").await;
    browser.follow("#sign-in").await;
    assert_eq!(shown(browser).await, first);
}
