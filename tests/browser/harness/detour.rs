//! The way of a browser to a site, on which script files are broken: what an old engine, a filter or a bad line does to
//! one.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What happens to the files whose loss no page may notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// They are `)` and nothing else.
    SyntaxErrors,
    /// They are not there.
    Missing,
}

/// How the paths of these files begin: our scripts, and the one of the page that sends an assertion.
const BROKEN: [&str; 2] = ["/assets/app.", "/send.js"];

/// A running detour; gone with this.
pub struct Detour {
    task: JoinHandle<()>,
    from: u16,
    to: u16,
}

struct Parts {
    http: reqwest::Client,
    origin: String,
    files: Files,
}

impl Detour {
    /// Listens in front of an origin.
    pub async fn before(origin: &str, files: Files) -> Self {
        let from = url::Url::parse(origin).unwrap().port().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = listener.local_addr().unwrap().port();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let parts = Arc::new(Parts { http, origin: origin.trim_end_matches('/').to_owned(), files });
        let routes = Router::new().fallback(pass).with_state(parts);
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { task, from, to }
    }

    /// The port that a browser means, and the one that it is led to.
    pub fn ports(&self) -> (u16, u16) {
        (self.from, self.to)
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(parts): State<Arc<Parts>>, request: Request) -> Response {
    let path = request.uri().path_and_query().unwrap().as_str().to_owned();
    let is_script = Path::new(&path).extension().is_some_and(|ending| ending == "js");
    if is_script && BROKEN.iter().any(|name| path.starts_with(name)) {
        return match parts.files {
            Files::SyntaxErrors => ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], ")").into_response(),
            Files::Missing => StatusCode::NOT_FOUND.into_response(),
        };
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut asked = parts.http.request(head.method, format!("{}{path}", parts.origin));
    // Of one connection alone.
    for (name, value) in head.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "connection" | "host")) {
        asked = asked.header(name, value);
    }
    let answer = asked.body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}
