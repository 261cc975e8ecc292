//! pgAdmin of `PyPI`: it reads the ID token before anything else.

use std::fs;
use std::process::Command;

use crate::harness::eventually;
use crate::journey::{allow, sign_in};
use crate::stage::{Stage, packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgadmin_knows_who_signed_in_by_the_id_token_and_signs_out() {
    let Some(folder) = packages("pgadmin") else { return };
    let Some(stage) = Stage::with_client("/oauth2/authorize", "id_token_claims = true\n").await else { return };
    let data = stage.service.folder.path().join("pgadmin");
    fs::create_dir(&data).unwrap();
    let mut command = Command::new(folder.join("venv/bin/pgadmin4"));
    command
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/pgadmin"))
        .env("FOLDER", &data)
        .env("PORT", stage.app.port.to_string())
        // Somebody who administers it, whom it asks for at its first start.
        .env("PGADMIN_SETUP_EMAIL", "admin@example.org")
        .env("PGADMIN_SETUP_PASSWORD", "Admin#2026");
    let _pgadmin = stage.run("pgAdmin", command).await;
    let Stage { browser, app, .. } = &stage;

    browser.open(&format!("{}/login", app.origin)).await;
    browser.follow("button[name=oauth2_button]").await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    let known = eventually(async || {
        let page = browser.text("body").await;
        if page.contains("amina@sunrise.example (therap)") { Ok(()) } else { Err(page) }
    });
    known.await.unwrap_or_else(|last| panic!("pgAdmin does not know who this is: {last:?}"));

    browser.open(&format!("{}/oauth2/logout", app.origin)).await;
    browser.is_at(&format!("{}/login?next=/", app.origin)).await;
    browser.is_out().await;
}
