//! `Authlib` of `PyPI`, with Flask.

use std::process::Command;

use crate::journey::through_an_app;
use crate::stage::{Stage, packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_app_in_python_signs_in_refreshes_and_signs_out() {
    let Some(folder) = packages("authlib") else { return };
    let Some(stage) = Stage::with_app("client_secret_basic").await else { return };
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/authlib/app.py"));
    let _app = stage.run("the app in Python", command).await;
    through_an_app(&stage).await;
}
