//! The `openidconnect` crate, with axum.

use std::path::Path;
use std::process::Command;

use crate::journey::through_an_app;
use crate::needs::left_out;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_app_in_rust_signs_in_refreshes_and_signs_out() {
    let program = Path::new(env!("CARGO_BIN_EXE_connect-idp")).with_file_name("examples/openidconnect_app");
    if !program.exists() {
        left_out("the app in Rust (`cargo build --examples` makes it)");
        return;
    }
    let Some(stage) = Stage::with_app("client_secret_basic").await else { return };
    let _app = stage.run("the app in Rust", Command::new(program)).await;
    through_an_app(&stage).await;
}
