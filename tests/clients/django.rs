//! `mozilla-django-oidc` of `PyPI`, with Django.

use std::process::Command;

use crate::journey::{allow, sign_in};
use crate::stage::{Stage, packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_site_in_django_signs_in_and_out() {
    let Some(folder) = packages("django") else { return };
    let Some(stage) = Stage::with_client("/oidc/callback/", "").await else { return };
    let command = |arguments: &[&str]| {
        let mut command = Command::new(folder.join("venv/bin/python"));
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/django/manage.py")).args(arguments);
        command.env("DATABASE", stage.service.folder.path().join("django.sqlite"));
        command
    };
    stage.run_to_its_end(command(&["migrate"])).await;
    let address = stage.app.origin.trim_start_matches("http://");
    let _app = stage.run("the site in Django", command(&["runserver", "--noreload", address])).await;
    let Stage { browser, app, .. } = &stage;

    browser.open(&app.origin).await;
    browser.follow("#sign-in").await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;
    browser.reads("#who", "amina@sunrise.example").await;

    // With the ID token as a hint: out here too, and back.
    browser.follow("#sign-out").await;
    browser.is_at(&format!("{}/", app.origin)).await;
    browser.see("#sign-in").await;
    browser.is_out().await;
}
