//! Those who come to the service: browsers without JavaScript, and Therap Services, which sends them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::model::header_text::ascii;
use connect_idp::time::Clock;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jws::{ES256, JwsSigner as _};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE};
use reqwest::{Client, Error, RequestBuilder};
use scraper::{Html, Selector};

use crate::support::{PASSWORD, PROVIDER};

pub const SENDER: &str = "https://secure.example.net";
/// L3, L5, U5 and U7.
pub const INVALID: &str = "Invalid Credentials";
pub const LOCKED: &str = "Your account has been locked. Please contact your agency administrator.";
pub const NOT_VALID: &str = "Invalid Credential";
pub const TIMED_OUT: &str = "Login failed due to request timeout. Please try again from Therap Services";

/// An answer, received whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub location: String,
    pub cookies: Vec<String>,
    pub retry_after: Option<String>,
    pub body: String,
}

impl Answer {
    /// The session cookie as the browser sends it back, if this answer set one.
    pub fn session(&self) -> Option<String> {
        self.cookie("connect-session")
    }

    /// The handoff's own cookie.
    pub fn handle(&self) -> Option<String> {
        self.cookie("handoff-")
    }

    pub fn cookie(&self, prefix: &str) -> Option<String> {
        let pair = |cookie: &String| cookie.split(';').next().map(str::to_owned);
        self.cookies.iter().filter_map(pair).find(|pair| pair.starts_with(prefix) && !pair.ends_with('='))
    }

    /// What stands in the element of this id.
    pub fn text(&self, id: &str) -> String {
        let element = Selector::parse(&format!("#{id}")).unwrap();
        let page = Html::parse_document(&self.body);
        page.select(&element).next().map(|e| e.text().collect::<String>().trim().to_owned()).unwrap_or_default()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn is_busy(&self) -> bool {
        self.status == 503 && self.retry_after.is_some()
    }
}

/// People who come to one service; each request on a connection of its own.
#[derive(Clone)]
pub struct Visitors {
    client: Client,
    address: String,
    issuer: String,
}

impl Visitors {
    pub fn new(address: &str, issuer: &str) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().pool_max_idle_per_host(0);
        let client = client.timeout(Duration::from_mins(1)).build().unwrap();
        Self { client, address: address.to_owned(), issuer: issuer.to_owned() }
    }

    pub async fn log_in(&self, login_name: &str) -> Answer {
        self.try_log_in(login_name, PASSWORD, None).await.unwrap()
    }

    pub async fn try_log_in(&self, login_name: &str, password: &str, session: Option<&str>) -> Result<Answer, Error> {
        let form = [("login_name", login_name), ("password", password), ("provider_code", PROVIDER)];
        let request = self.client.post(format!("{}/login", self.address)).header(ORIGIN, &self.issuer).form(&form);
        send(with_cookie(request, session)).await
    }

    /// A form of our own pages.
    pub async fn post(&self, path: &str, form: &[(&str, &str)], cookie: &str) -> Result<Answer, Error> {
        let request = self.client.post(format!("{}{path}", self.address)).header(ORIGIN, &self.issuer).form(form);
        send(with_cookie(request, Some(cookie))).await
    }

    /// The first step of a handoff.
    pub async fn hand_over(&self, assertion: &str) -> Result<Answer, Error> {
        let request = self.client.post(format!("{}/unified-login", self.address)).header(ORIGIN, SENDER);
        send(request.form(&[("assertion", assertion)])).await
    }

    /// The second step, where the first one led to.
    pub async fn complete(&self, posted: &Answer) -> Result<Answer, Error> {
        self.get(&posted.location, posted.handle().as_deref()).await
    }

    pub async fn get(&self, path: &str, cookie: Option<&str>) -> Result<Answer, Error> {
        send(with_cookie(self.client.get(format!("{}{path}", self.address)), cookie)).await
    }

    /// An app's own form: with its secret, or with its name alone in the form.
    pub async fn back_channel(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        secret: Option<(&str, &str)>,
    ) -> Result<Answer, Error> {
        let request = self.client.post(format!("{}{path}", self.address)).form(fields);
        send(match secret {
            Some((id, secret)) => request.basic_auth(id, Some(secret)),
            None => request,
        })
        .await
    }

    /// What an access token opens.
    pub async fn bearer(&self, path: &str, token: &str) -> Result<Answer, Error> {
        send(self.client.get(format!("{}{path}", self.address)).bearer_auth(token)).await
    }

    /// Whether this session cookie opens the Dashboard.
    pub async fn is_signed_in(&self, session: &str) -> bool {
        let home = self.get("/", Some(session)).await.unwrap();
        assert!(home.status == 200 || (home.status == 303 && home.location.starts_with("/login")), "{home:?}");
        home.status == 200
    }

    pub async fn status(&self, address: &str) -> Option<u16> {
        Some(self.client.get(address).send().await.ok()?.status().as_u16())
    }
}

fn with_cookie(request: RequestBuilder, cookie: Option<&str>) -> RequestBuilder {
    match cookie {
        Some(cookie) => request.header(COOKIE, cookie),
        None => request,
    }
}

async fn send(request: RequestBuilder) -> Result<Answer, Error> {
    let response = request.send().await?;
    let text = |name| response.headers().get(name).and_then(ascii).map(str::to_owned);
    let cookies = response.headers().get_all(SET_COOKIE).iter().map(|value| ascii(value).unwrap().to_owned()).collect();
    let (location, retry_after) = (text(LOCATION).unwrap_or_default(), text(RETRY_AFTER));
    Ok(Answer { status: response.status().as_u16(), location, cookies, retry_after, body: response.text().await? })
}

/// Therap Services: signs what it sends.
pub struct Sender {
    key: Jwk,
    audience: String,
}

impl Sender {
    pub fn new(audience: &str) -> Self {
        Self { key: Jwk::generate_ec_key(EcCurve::P256).unwrap(), audience: audience.to_owned() }
    }

    pub fn jwks(&self) -> String {
        let mut key = self.key.to_public_key().unwrap();
        key.set_key_id("faults");
        key.set_algorithm("ES256");
        format!("{{\"keys\":[{key}]}}")
    }

    /// Clicked now.
    pub fn assertion(&self, login_name: &str) -> String {
        self.clicked(login_name, 0)
    }

    /// Clicked a number of seconds ahead of now, by the sender's clock (U14): its time runs from its arrival.
    pub fn clicked(&self, login_name: &str, ahead: i64) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let iat = Clock::System.now().seconds() + ahead;
        let claims = serde_json::json!({
            "iss": SENDER, "aud": self.audience, "sub": format!("sub-{login_name}"), "provider_code": PROVIDER,
            "login_name": login_name, "iat": iat, "exp": iat + 60,
            "jti": format!("faults-{iat:012}-{:012}", NUMBER.fetch_add(1, Ordering::Relaxed)),
        });
        self.sign("therap-handoff+jwt", &claims)
    }

    /// A JWT of this type with these claims.
    pub fn sign(&self, typ: &str, claims: &serde_json::Value) -> String {
        let header = format!(r#"{{"typ":"{typ}","alg":"ES256","kid":"faults"}}"#);
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = ES256.signer_from_jwk(&self.key).unwrap().sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
