//! Somebody who is signed in, and asks the service inside this process.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use connect_idp::app::App;
use connect_idp::router;
use connect_idp::web::client_ip::Peer;
use tower::ServiceExt as _;

/// Everybody's.
pub const PASSWORD: &str = "Correct-Horse-9";
/// The sessions that a visitor has, each of a browser of its own.
const SESSIONS: usize = 12;

pub struct Visitor {
    router: Router,
    cookie: String,
}

impl Visitor {
    pub async fn sign_in(app: &App, login_name: &str, provider_code: &str) -> Self {
        let mut visitor = Self { router: router::router(app).into_router(), cookie: String::new() };
        let fields = [("login_name", login_name), ("password", PASSWORD), ("provider_code", provider_code)];
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        for _ in 0..SESSIONS {
            let request = Request::post("/login")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, &app.config.issuer)
                .body(Body::from(form.clone()));
            let answer = visitor.send(request.unwrap()).await;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{login_name} cannot sign in");
            let set = answer.headers().get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
            let session = set.map(|cookie| cookie.split(';').next().unwrap()).find(|pair| pair.contains("-session="));
            session.expect("a session").clone_into(&mut visitor.cookie);
        }
        visitor
    }

    pub async fn get(&self, path: &str) -> Response {
        let request = Request::get(path).header(header::COOKIE, &self.cookie).body(Body::empty()).unwrap();
        self.send(request).await
    }

    async fn send(&self, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(Peer::Address(([192, 0, 2, 7], 50_000).into()));
        self.router.clone().oneshot(request).await.unwrap()
    }
}
