//! `JupyterHub` of `PyPI`, with `oauthenticator`.

use std::process::Command;

use crate::harness::eventually;
use crate::harness::people::AMINA;
use crate::journey::{allow, sign_in};
use crate::ports::free_port;
use crate::stage::{Stage, packages};

const SIGN_IN: &str = "a.btn-jupyter[href*=oauth_login]";

/// RP-Initiated Logout 1.0 §2: without a hint the person is asked, stays here, and has a link back to the hub.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_signs_in_and_out() {
    let Some(folder) = packages("jupyterhub") else { return };
    let Some(stage) = Stage::with_client("/hub/oauth_callback", "").await else { return };
    let mut command = Command::new(folder.join("venv/bin/jupyterhub"));
    command
        .arg("--config")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/jupyterhub/jupyterhub_config.py"))
        .current_dir(stage.service.folder.path())
        .env("HUB_PORT", free_port().to_string())
        .env("PROXY_PORT", free_port().to_string())
        .env("PROXY", folder.join("node_modules/.bin/configurable-http-proxy"));
    let _hub = stage.run("JupyterHub", command).await;
    let Stage { browser, app, .. } = &stage;

    let home = format!("{}/hub/home", app.origin);
    // Its proxy listens before it does.
    let there = eventually(async || {
        browser.open(&home).await;
        if browser.has(SIGN_IN).await { Ok(()) } else { Err(browser.view().await) }
    });
    there.await.unwrap_or_else(|last| panic!("no hub: {last:?}"));
    browser.follow(SIGN_IN).await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    browser.is_at(&home).await;
    browser.reads("#login_widget span", AMINA.login_name).await;

    browser.follow("#logout").await;
    browser.follow("#logout-confirm").await;
    browser.reads("#back-to-app", "Back to Care Portal").await;
    browser.follow("#back-to-app").await;
    assert!(browser.address().await.starts_with(&app.origin), "{}", browser.view().await);
    browser.is_out().await;
    browser.open(&home).await;
    browser.see(SIGN_IN).await;
}
