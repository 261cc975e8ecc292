//! A bare axum route that answers a static text, in a process of its own: what an answer costs at the least.

use std::process::Command;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::machine::{Cores, Process};
use crate::ports::free_port;
use crate::service::wait_for;

const PORT: &str = "CONNECT_IDP_BENCH_BARE_PORT";
const PATH: &str = "CONNECT_IDP_BENCH_BARE_PATH";
const BODY: &str = "CONNECT_IDP_BENCH_BARE_BODY";

/// Whether this process is to be the bare one.
pub fn is_child() -> bool {
    std::env::var_os(PORT).is_some()
}

/// Serves the text until it is stopped.
pub fn serve() {
    let [port, path, body] = [PORT, PATH, BODY].map(|name| std::env::var(name).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], body) };
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
        axum::serve(listener, Router::new().route(&path, get(answer))).await.unwrap();
    });
}

/// Starts one on the server's core, and waits until it answers; its port.
pub fn start(cores: &Cores, path: &str, body: &str) -> (Process, u16) {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let process = cores.start(command.env(PORT, port.to_string()).env(PATH, path).env(BODY, body));
    wait_for(port, path);
    (process, port)
}
