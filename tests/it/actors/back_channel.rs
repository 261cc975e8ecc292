//! An app's back-channel address: remembers what it is sent, and fails as often as it is told to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::routing::post;
use connect_idp::config::Config;

/// Every field of a form, in the order they came.
type Sent = Vec<(String, String)>;

#[derive(Clone)]
pub struct BackChannel {
    /// To register as `backchannel_logout_uri`.
    pub address: String,
    state: Arc<Mutex<Listening>>,
}

#[derive(Default)]
struct Listening {
    sent: Vec<Sent>,
    failures: usize,
    silent: bool,
}

impl BackChannel {
    pub async fn listen() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/told", listener.local_addr().unwrap());
        let channel = Self { address, state: Arc::default() };
        let routes = Router::new().route("/told", post(take)).with_state(channel.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        channel
    }

    /// Answers the next tries with 500.
    pub fn fail(&self, times: usize) {
        self.state.lock().unwrap().failures = times;
    }

    /// Answers nothing any more.
    pub fn fall_silent(&self) {
        self.state.lock().unwrap().silent = true;
    }

    /// The logout tokens that came, each alone in its form (Back-Channel Logout §2.5).
    pub fn sent(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let tokens = state.sent.iter().map(|fields| match fields.as_slice() {
            [(name, token)] if name == "logout_token" => token.clone(),
            other => panic!("not a logout token alone: {other:?}"),
        });
        tokens.collect()
    }
}

async fn take(State(channel): State<BackChannel>, Form(sent): Form<Sent>) -> StatusCode {
    let silent = {
        let mut state = channel.state.lock().unwrap();
        state.sent.push(sent);
        if state.failures > 0 {
            state.failures -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        state.silent
    };
    if silent {
        std::future::pending::<()>().await;
    }
    StatusCode::OK
}

/// Where apps may listen on loopback.
pub fn on_loopback(config: &mut Config) {
    config.issuer = "http://localhost:8080".into();
}
