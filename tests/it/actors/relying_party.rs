//! An app that signs its users in through the service: by hand, parameter by parameter; and by the `openidconnect`
//! crate, an independent check.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use connect_idp::crypto::secret::Secret;
use connect_idp::model::client::{AuthMethod, Client, GrantType, Metadata};
use connect_idp::operations::clients::hash_secret;
use connect_idp::store;
use serde_json::Value;

use super::{Answer, Browser, Idp, User, encode};

/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// One app.
#[derive(Clone)]
pub struct RelyingParty {
    pub idp: Idp,
    pub client: Client,
    pub secret: String,
}

impl Idp {
    /// An app of our own that may have everything, changed as a test says.
    pub async fn app(&self, client_id: &str, change: impl FnOnce(&mut Metadata)) -> RelyingParty {
        let now = self.now();
        let mut metadata = Metadata {
            client_name: Some(format!("The {client_id}")),
            redirect_uris: vec![format!("https://{client_id}.example/callback")],
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            scope: "openid profile email address phone provider offline_access".into(),
            first_party: true,
            ..Metadata::default()
        };
        change(&mut metadata);
        let client = Client {
            id: self.app.random.id(now),
            client_id: client_id.into(),
            metadata,
            enabled: true,
            epoch: 1,
            revision: 1,
            created_at: now.0,
        };
        let secret = Secret::random(&self.app.random).reveal();
        assert!(in_tx!(self, [client], |tx| store::clients::insert(tx, &client).await));
        let hash = hash_secret(&self.app, client_id, &secret);
        let sql = format!(
            "INSERT INTO client_secrets (id, client, hash, created_at) VALUES ('{}', '{}', '{hash}', {})",
            self.app.random.id(now),
            client.id,
            now.0
        );
        self.outsider().await.run(&sql).await;
        RelyingParty { idp: self.clone(), client, secret }
    }

    /// One request by a program: no browser, no cookies.
    pub async fn program(&self, method: Method, path: &str, headers: HeaderMap, body: String) -> Answer {
        self.browser().send(method, path, headers, body).await
    }
}

/// What came back to the redirect URI.
#[derive(Clone, Debug)]
pub struct Callback {
    pub uri: String,
    pub params: HashMap<String, String>,
}

impl Callback {
    /// Reads a redirect away from the service.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        let location = answer.location();
        let url = url::Url::parse(location).unwrap_or_else(|_| panic!("not away from the service: {location}"));
        let text = url.fragment().or_else(|| url.query()).unwrap_or_default();
        let params = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Self { uri: location.split(['?', '#']).next().unwrap().to_owned(), params }
    }

    #[track_caller]
    pub fn code(&self) -> &str {
        self.params.get("code").unwrap_or_else(|| panic!("no code: {self:?}"))
    }

    #[track_caller]
    pub fn assert_error(&self, code: &str) {
        assert_eq!(self.params.get("error").map(String::as_str), Some(code), "{self:?}");
        let words = &self.params["error_description"];
        assert!(words.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\'), "{words}");
        assert!(self.params.contains_key("iss"), "RFC 9207: iss on errors too");
    }
}

impl RelyingParty {
    pub fn redirect_uri(&self) -> &str {
        &self.client.metadata.redirect_uris[0]
    }

    /// The ordinary request, with these parameters in place of its own; an empty value takes one away.
    pub fn request(&self, change: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut params: Vec<(String, String)> = [
            ("client_id", self.client.client_id.as_str()),
            ("redirect_uri", self.redirect_uri()),
            ("response_type", "code"),
            ("scope", "openid profile email provider"),
            ("state", "a state"),
            ("nonce", "a nonce"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in change {
            params.retain(|(key, _)| key != name);
            if !value.is_empty() {
                params.push(((*name).into(), (*value).into()));
            }
        }
        params
    }

    /// The path that asks for authorization.
    pub fn path(&self, change: &[(&str, &str)]) -> String {
        let params = self.request(change);
        let pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        format!("/oauth2/authorize?{}", encode(&pairs))
    }

    /// Sends a browser there; the first answer that is not a redirect within the service.
    pub async fn send(&self, browser: &mut Browser, change: &[(&str, &str)]) -> Answer {
        let answer = browser.get(&self.path(change)).await;
        browser.follow_within(answer).await
    }

    /// Sends a browser there whose user is signed in or signs in by password now, to the callback.
    pub async fn sign_in(&self, browser: &mut Browser, user: &User, change: &[(&str, &str)]) -> Callback {
        let mut answer = self.send(browser, change).await;
        if answer.has("#login-form") {
            answer = self.log_in(browser, &answer, user).await;
        }
        Callback::of(&answer)
    }

    /// Fills in the login page that an app's request led to.
    pub async fn log_in(&self, browser: &mut Browser, page: &Answer, user: &User) -> Answer {
        let fields = [
            ("login_name", user.login_name.as_str()),
            ("password", user.password.as_str()),
            ("provider_code", user.provider_code.as_str()),
        ];
        let answer = browser.submit(page, "#login-form", &fields).await;
        browser.follow_within(answer).await
    }

    /// The client's own headers: HTTP Basic where it may use it.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if matches!(self.client.metadata.token_endpoint_auth_method, None | Some(AuthMethod::Basic)) {
            // RFC 6749 §2.3.1: each half is form-encoded.
            let [id, secret] = [&self.client.client_id, &self.secret]
                .map(|half| url::form_urlencoded::byte_serialize(half.as_bytes()).collect::<String>());
            let text = STANDARD.encode(format!("{id}:{secret}"));
            headers.insert(header::AUTHORIZATION, format!("Basic {text}").parse().unwrap());
        }
        headers
    }

    /// A form to the back channel, with the client's own proof.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        match self.client.metadata.token_endpoint_auth_method {
            Some(AuthMethod::Post) => {
                fields.extend([("client_id", self.client.client_id.as_str()), ("client_secret", self.secret.as_str())]);
            }
            Some(AuthMethod::None) => fields.push(("client_id", self.client.client_id.as_str())),
            None | Some(AuthMethod::Basic | AuthMethod::PrivateKeyJwt) => {}
        }
        self.idp.program(Method::POST, path, self.headers(), encode(&fields)).await
    }

    /// Exchanges a code.
    pub async fn exchange(&self, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri()),
            ("code_verifier", VERIFIER),
        ];
        self.post("/oauth2/token", &fields).await
    }

    /// Refreshes.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Signs a user in, to the tokens.
    pub async fn tokens(&self, browser: &mut Browser, user: &User, change: &[(&str, &str)]) -> Value {
        let callback = self.sign_in(browser, user, change).await;
        let answer = self.exchange(callback.code()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Asks the userinfo endpoint.
    pub async fn userinfo(&self, access_token: &str) -> Answer {
        self.idp.program(Method::GET, "/oauth2/userinfo", bearer(access_token), String::new()).await
    }

    /// Whether a token is active, by introspection.
    pub async fn is_active(&self, token: &str) -> bool {
        let answer = self.post("/oauth2/introspect", &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["active"].as_bool().unwrap()
    }
}

/// The header that carries an access token.
pub fn bearer(access_token: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {access_token}").parse().unwrap())])
}

/// The claims of a JWT, unproven.
#[track_caller]
pub fn claims(jwt: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

impl Answer {
    /// The JSON of an answer for programs.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "at {}: {}", self.path, self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// An OAuth error (RFC 6749 §5.2).
    #[track_caller]
    pub fn assert_oauth_error(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["error"].as_str()), (status, Some(code)), "at {}: {body}", self.path);
        assert!(!body["error_description"].as_str().unwrap().is_empty());
    }
}
