//! A bare axum route that answers a static text, in a process of its own: what an answer costs at the least.

use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::house::{Process, answers, free_port};

const PORT: &str = "CONNECT_IDP_BENCH_BARE_PORT";
const BODY: &str = "CONNECT_IDP_BENCH_BARE_BODY";

/// Whether this process is to be the bare one.
pub fn is_child() -> bool {
    std::env::var_os(PORT).is_some()
}

/// Serves the text until it is stopped.
pub async fn serve() {
    let body = std::env::var(BODY).unwrap();
    let routes =
        Router::new().route("/", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], body) }));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", std::env::var(PORT).unwrap())).await.unwrap();
    axum::serve(listener, routes).await.unwrap();
}

/// The CPU time of each of so many answers of this text.
pub async fn cost(body: &str, count: usize) -> Duration {
    let port = free_port();
    let child = Command::new(std::env::current_exe().unwrap()).env(PORT, port.to_string()).env(BODY, body).spawn();
    let process = Process(child.unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let address = format!("http://127.0.0.1:{port}/");
    answers(&client, &address).await;
    let before = process.cpu();
    crate::all(count, |_| async { drop(client.get(&address).send().await.unwrap().bytes().await.unwrap()) }).await;
    process.cpu().saturating_sub(before) / u32::try_from(count).unwrap()
}
