//! npm `openid-client`, on Node.

use std::process::Command;

use crate::journey::through_an_app;
use crate::stage::{Stage, packages};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_app_in_node_signs_in_refreshes_and_signs_out() {
    let Some(folder) = packages("openid_client") else { return };
    let Some(stage) = Stage::with_app("client_secret_post").await else { return };
    let mut command = Command::new("node");
    command.arg(folder.join("app.mjs"));
    let _app = stage.run("the app in Node", command).await;
    through_an_app(&stage).await;
}
