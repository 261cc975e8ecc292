//! A browser: cookies as browsers keep them, headers as browsers send them, redirects on demand.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use connect_idp::model::header_text::ascii;
use connect_idp::web::client_ip::Peer;
use tower::ServiceExt as _;

use super::{Answer, Idp, User};

/// One browser of one person.
#[derive(Clone)]
pub struct Browser {
    router: Router,
    issuer: String,
    pub cookies: BTreeMap<String, String>,
    pub address: IpAddr,
    pub agent: String,
    /// What else it sends with each request.
    pub headers: HeaderMap,
}

/// From where a request is sent, as a browser says it.
#[derive(Clone, Debug)]
pub enum From {
    /// Typed, or a bookmark.
    Nowhere,
    /// A page of ours.
    Ours,
    /// A page of this origin: a cross-site POST brings no Lax cookie, and a redirect after it does.
    Foreign(String),
}

impl Browser {
    pub fn new(idp: &Idp) -> Self {
        Self {
            router: idp.router.clone(),
            issuer: idp.app.config.issuer.clone(),
            cookies: BTreeMap::new(),
            address: "192.0.2.7".parse().unwrap(),
            agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into(),
            headers: HeaderMap::new(),
        }
    }

    /// The same person at another replica of the service.
    pub fn at(mut self, idp: &Idp) -> Self {
        self.router = idp.router.clone();
        self
    }

    /// Opens an address of ours.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.go(Method::GET, path, &From::Nowhere, None).await
    }

    /// Sends a form of ours.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.go(Method::POST, path, &From::Ours, Some(encode(fields))).await
    }

    /// Fills in a form of a page and sends it.
    pub async fn submit(&mut self, page: &Answer, form: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = page.form(form);
        for (name, value) in fields {
            assert!(form.fields.contains_key(*name), "the form has no field {name}");
            form.fields.insert((*name).into(), (*value).into());
        }
        let fields: Vec<_> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(&form.action, &fields).await
    }

    /// Sends a form of a page by one of its buttons.
    pub async fn submit_by(&mut self, page: &Answer, form: &str, button: &str, value: &str) -> Answer {
        let form = page.form(form);
        let mut fields: Vec<_> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.push((button, value));
        self.post(&form.action, &fields).await
    }

    /// Opens a confirmation (G34) and confirms it, with these fields, and the password where one is asked for.
    pub async fn confirm(&mut self, address: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(address).await;
        self.confirm_on(&page, fields).await
    }

    /// The same on a confirmation that was opened before.
    pub async fn confirm_on(&mut self, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let mut form = page.form("#confirm-form");
        if page.has("#confirm-password") {
            form.fields.insert("password".into(), super::PASSWORD.into());
        }
        form.fields.extend(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let fields: Vec<_> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(&form.action, &fields).await
    }

    /// What the page that follows says of it, this once.
    pub async fn told(&mut self, answer: Answer) -> String {
        let path = answer.location().to_owned();
        let said = self.follow(answer).await.text(NOTICES);
        assert!(!self.get(&path).await.has(NOTICES), "twice at {path}");
        said
    }

    /// Follows redirects to their end.
    pub async fn follow(&mut self, answer: Answer) -> Answer {
        self.follow_from(answer, &From::Ours).await
    }

    /// Follows redirects as long as they stay within the service.
    pub async fn follow_within(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..8 {
            match answer.header("location").filter(|_| answer.status == 303) {
                Some(next) if next.starts_with('/') => {
                    answer = self.go(Method::GET, next, &From::Ours, None).await;
                }
                _ => return answer,
            }
        }
        panic!("a redirect without end at {}", answer.path);
    }

    async fn follow_from(&mut self, mut answer: Answer, from: &From) -> Answer {
        for _ in 0..6 {
            if answer.status != 303 {
                return answer;
            }
            let next = answer.location().to_owned();
            assert!(next.starts_with('/') && !next.starts_with("//"), "away from this site: {next}");
            let leaves_notice = answer.notice().is_some();
            answer = self.go(Method::GET, &next, from, None).await;
            let is_silent = answer.status == 200 && !answer.has(NOTICES);
            assert!(!leaves_notice || !is_silent, "{next} does not say what was left for it");
        }
        panic!("a redirect without end at {}", answer.path);
    }

    /// Types credentials into the login page; the answer is the one to the form.
    pub async fn log_in(&mut self, user: &User, password: &str) -> Answer {
        self.try_login(&user.login_name, password, &user.provider_code).await
    }

    /// Types anything into the login page.
    pub async fn try_login(&mut self, login_name: &str, password: &str, provider_code: &str) -> Answer {
        let fields = [("login_name", login_name), ("password", password), ("provider_code", provider_code)];
        self.post("/login", &fields).await
    }

    /// Signs in with the user's own password, to the end.
    pub async fn sign_in(&mut self, user: &User) {
        let answer = self.log_in(user, &user.password).await;
        assert_eq!(answer.location(), "/");
    }

    /// The click in Therap Services: the POST alone.
    pub async fn click(&mut self, assertion: &str) -> Answer {
        self.click_from(super::ISSUER, assertion).await
    }

    /// The same from a page of another origin.
    pub async fn click_from(&mut self, origin: &str, assertion: &str) -> Answer {
        let from = From::Foreign(origin.into());
        self.go(Method::POST, "/unified-login", &from, Some(encode(&[("assertion", assertion)]))).await
    }

    /// The click and all that follows.
    pub async fn hand_off(&mut self, assertion: &str) -> Answer {
        let answer = self.click(assertion).await;
        self.follow_from(answer, &From::Foreign(super::ISSUER.into())).await
    }

    /// Follows only to the second step of a handoff.
    pub async fn complete(&mut self, first: &Answer) -> Answer {
        self.go(Method::GET, first.location(), &From::Foreign(super::ISSUER.into()), None).await
    }

    /// Whoever is signed in here: Login Name and Provider Code.
    pub async fn who(&mut self) -> Option<(String, String)> {
        let answer = self.get("/").await;
        if answer.status == 303 {
            return None;
        }
        assert!(answer.has("main#dashboard"), "neither signed in nor out: {} {:?}", answer.status, answer.texts("h1"));
        let facts = answer.texts("#dashboard .facts dd");
        Some((facts[1].clone(), facts[3].clone()))
    }

    pub async fn assert_signed_in_as(&mut self, user: &User) {
        let wanted = (user.login_name.clone(), user.provider_code.clone());
        assert_eq!(self.who().await, Some(wanted));
    }

    pub async fn assert_signed_out(&mut self) {
        assert_eq!(self.who().await, None);
    }

    /// The session's secret, as this browser holds it.
    pub fn session(&self) -> Option<String> {
        self.cookies.iter().find(|(name, _)| name.ends_with("connect-session")).map(|(_, value)| value.clone())
    }

    /// One request as a browser would send it; its cookies are kept.
    pub async fn go(&mut self, method: Method, path: &str, from: &From, form: Option<String>) -> Answer {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        };
        set("sec-fetch-mode", "navigate");
        set("sec-fetch-dest", "document");
        set("user-agent", &self.agent);
        set("accept-encoding", "gzip, deflate, br");
        set(
            "sec-fetch-site",
            match from {
                From::Nowhere => "none",
                From::Ours => "same-origin",
                From::Foreign(_) => "cross-site",
            },
        );
        if method == Method::POST {
            set("content-type", "application/x-www-form-urlencoded");
            match from {
                From::Nowhere => {}
                From::Ours => set("origin", &self.issuer.clone()),
                From::Foreign(origin) => set("origin", origin),
            }
        }
        let lax = method == Method::GET || !matches!(from, From::Foreign(_));
        if lax && !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            set("cookie", &pairs.join("; "));
        }
        self.send(method, path, headers, form.unwrap_or_default()).await
    }

    /// One request with exactly these headers; its cookies are kept.
    pub async fn send(&mut self, method: Method, path: &str, headers: HeaderMap, body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        *request.headers_mut() = headers;
        request.headers_mut().extend(self.headers.clone());
        request.extensions_mut().insert(Peer::Address(SocketAddr::new(self.address, 50_000)));
        // A task of its own, as in the real server: `store` finds out which task holds two connections.
        let response = tokio::spawn(self.router.clone().oneshot(request)).await.unwrap().unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = decoded(parts.headers.get("content-encoding").map(|coding| ascii(coding).unwrap()), &body);
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            path: path.to_owned(),
        };
        self.keep_cookies(&answer);
        check_every_answer(&answer, &self.issuer);
        answer
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for text in answer.headers.get_all("set-cookie").iter().map(|value| ascii(value).unwrap()) {
            let (pair, attributes) = text.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            for wanted in ["Path=/", "HttpOnly", "SameSite=Lax"] {
                assert!(attributes.split("; ").any(|attribute| attribute == wanted), "{text}");
            }
            let secure = attributes.split("; ").any(|attribute| attribute == "Secure");
            assert_eq!(secure, self.issuer.starts_with("https:"), "{text}");
            assert_eq!(name.starts_with("__Host-"), secure, "{text}");
            assert!(!attributes.contains("Domain"), "{text}");
            if attributes.split("; ").any(|attribute| attribute == "Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
    }
}

/// Where pages say what was just done.
pub const NOTICES: &str = "#notice, #login-notice, #forgot-notice";

/// What holds after every request, whatever it was (docs/rules.md, *After every request*, 1 and 6).
fn check_every_answer(answer: &Answer, issuer: &str) {
    let (status, path) = (answer.status, &answer.path);
    assert!(!status.is_server_error() || status == 503, "{status} at {path}");
    if status == 503 || status == 429 {
        assert!(answer.header("retry-after").is_some(), "{status} without Retry-After at {path}");
    }
    assert_ne!(status, 408, "browsers repeat a request answered so");
    let header = |name| answer.header(name).unwrap_or_else(|| panic!("no {name} at {path}"));
    assert!(!header("content-security-policy").contains("unsafe-inline"));
    assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "strict-origin");
    assert_eq!(answer.headers.contains_key("strict-transport-security"), issuer.starts_with("https:"));
    let cached = [
        "/assets/",
        "/oauth2/jwks",
        "/.well-known/",
        "/favicon.ico",
        "/robots.txt",
        "/unified-login/providers/",
        "/api/v1/openapi.json",
    ];
    if !cached.iter().any(|one| path.starts_with(one)) && path != "/api/v1" {
        assert_eq!(header("cache-control"), "no-store", "{path}");
    }
    // What depends on who asks is never compressed (BREACH).
    if answer.headers.contains_key("content-encoding") {
        let unchanging = path.starts_with("/assets/")
            || ["/api/v1", "/api/v1/openapi.json", "/favicon.ico"].contains(&path.as_str());
        assert!(unchanging && status == 200 && !answer.headers.contains_key("set-cookie"), "{status} at {path}");
    }
}

/// What a browser makes of a body.
fn decoded(coding: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        // An answer to HEAD has none.
        _ if body.is_empty() => {}
        None => plain.extend_from_slice(body),
        Some("br") => drop(brotli::Decompressor::new(body, 4096).read_to_end(&mut plain).unwrap()),
        Some("gzip") => drop(flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap()),
        Some(other) => panic!("nobody asked for {other}"),
    }
    plain
}

/// Fields as a form sends them.
pub fn encode(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
