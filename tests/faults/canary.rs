//! No secret in anything that is written: each is planted wherever one can enter or leave, and all that the service
//! wrote is searched for each, at the most talkative level and in both formats.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect_idp::crypto::secret::Secret;
use connect_idp::model::header_text::ascii;
use connect_idp::time::{Clock, Random};
use reqwest::header::{AUTHORIZATION, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::setup::Setup;
use crate::support::{CHEAP, Engine, PROVIDER, eventually};
use crate::visitors::SENDER;

const REDIRECT: &str = "https://portal.example/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What must stand nowhere, and what it is.
#[derive(Default)]
struct Planted(BTreeMap<String, String>);

impl Planted {
    /// A secret of our own, which is a password too.
    fn plant(&mut self, what: &str) -> String {
        let secret = format!("Canary-9{}", Secret::random(&Random::System).reveal());
        self.found(what, &secret)
    }

    /// A secret that the service made.
    fn found(&mut self, what: &str, secret: &str) -> String {
        assert!(secret.len() >= 16, "{what} is too short to be a secret: {secret:?}");
        self.0.insert(secret.to_owned(), what.to_owned());
        secret.to_owned()
    }

    /// Fails where one of them stands.
    fn assert_absent_from(&self, place: &str, text: &str) {
        let there: Vec<_> = self.0.iter().filter(|(secret, _)| text.contains(*secret)).collect();
        let lines = there.iter().map(|(secret, what)| {
            let line = text.lines().find(|line| line.contains(*secret)).unwrap_or_default();
            format!("{what}: {}", line.chars().take(600).collect::<String>())
        });
        assert!(there.is_empty(), "{place} holds\n{}", lines.collect::<Vec<_>>().join("\n"));
    }
}

/// Whoever sends the requests, with their cookies.
struct Journey<'a> {
    http: Client,
    setup: &'a Setup,
    address: String,
    planted: Planted,
    cookies: BTreeMap<String, String>,
}

impl Journey<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.http.request(method, format!("{}{path}", self.address)).header(ORIGIN, &self.setup.issuer);
        if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) }
    }

    /// Sends it; cookies, and what an address of ours opens, are secrets.
    async fn send(&mut self, request: RequestBuilder) -> Response {
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let (name, value) = ascii(cookie).unwrap().split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                // The Provider Code, which the sign-in page remembers, is none.
                if !name.contains("connect-provider") {
                    self.planted.found(&format!("the cookie {name}"), value);
                }
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(location) = response.headers().get(LOCATION).and_then(ascii) {
            for (name, value) in url::form_urlencoded::parse(location.split_once('?').unwrap_or_default().1.as_bytes())
            {
                if matches!(&*name, "code" | "i") {
                    self.planted.found(&format!("{name} of an address"), &value);
                }
            }
        }
        response
    }

    async fn get(&mut self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.send(self.request(Method::POST, path).form(fields)).await
    }

    async fn log_in(&mut self, login_name: &str, password: &str, code: &str) -> u16 {
        let fields = [("login_name", login_name), ("password", password), ("provider_code", code)];
        self.post("/login", &fields).await.status().as_u16()
    }

    async fn passwords(&mut self, right: &str, temporary: &str) {
        let wrong = self.planted.plant("a wrong password");
        assert_eq!(self.log_in("amina", &wrong, PROVIDER).await, 403);
        let elsewhere = self.planted.plant("a password in another field");
        assert_eq!(self.log_in(&elsewhere, "x", PROVIDER).await, 403);
        assert_eq!(self.log_in("amina", "x", &elsewhere).await, 403);
        let misnamed = [("pass", elsewhere.as_str()), (elsewhere.as_str(), "x"), ("login_name", "amina")];
        self.post("/login", &misnamed).await;
        let twice = [("password", elsewhere.as_str()), ("password", elsewhere.as_str())];
        self.post("/login", &twice).await;
        assert_eq!(self.log_in("bob", temporary, PROVIDER).await, 303);
        let new = self.planted.plant("a new password");
        let fields = [("new_password", new.as_str()), ("confirm_new_password", elsewhere.as_str())];
        assert_eq!(self.post("/password/update", &fields).await.status(), 422);
        let fields = [("new_password", new.as_str()), ("confirm_new_password", new.as_str())];
        assert_eq!(self.post("/password/update", &fields).await.status(), 303);
        assert_eq!(self.log_in("amina", right, PROVIDER).await, 303);
        assert_eq!(self.get("/").await.status(), 200);
        let fields =
            [("current_password", wrong.as_str()), ("new_password", &new), ("confirm_new_password", new.as_str())];
        assert_eq!(self.post("/password/change", &fields).await.status(), 422);
    }

    async fn handoffs(&mut self) {
        let assertion = self.setup.sender.assertion("carol");
        self.planted.found("an assertion", &assertion);
        self.planted.found("the signature of an assertion", assertion.rsplit('.').next().unwrap());
        let cut = assertion[..assertion.len() - 20].to_owned();
        let bare = self.planted.plant("a malformed assertion");
        let twice = assertion.clone();
        let mut answers = Vec::new();
        for (field, text) in [
            ("assertion", bare.as_str()),
            ("assertion", &format!("{bare}.{bare}.{bare}")),
            ("assertion", &cut),
            ("jwt", &assertion),
            ("assertion", &assertion),
            ("assertion", &twice),
        ] {
            let request = self.http.post(format!("{}/unified-login", self.address)).header(ORIGIN, SENDER);
            let answer = self.send(request.form(&[(field, text)])).await;
            answers.push((answer.status().as_u16(), answer.headers().get(LOCATION).and_then(ascii).map(str::to_owned)));
        }
        assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [403, 403, 403, 403, 303, 403]);
        let next = answers.swap_remove(4).1.unwrap();
        assert_eq!(self.get(&next).await.status(), 303);
        let request = self.http.get(format!("{}/unified-login?assertion={assertion}", self.address));
        assert_eq!(self.send(request).await.status(), 403);
    }

    async fn code(&mut self) -> String {
        let query = [
            ("client_id", "portal"),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid profile offline_access"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let answer = self.get(&format!("/oauth2/authorize?{query}")).await;
        let location = ascii(&answer.headers()[LOCATION]).unwrap().to_owned();
        let query = location.split_once('?').unwrap().1;
        let code = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
        code.unwrap_or_else(|| panic!("{location}")).1.into_owned()
    }

    /// A form of an app; what a token answer holds are secrets.
    async fn by_app(&mut self, path: &str, secret: Option<&str>, fields: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self.http.post(format!("{}{path}", self.address)).form(fields);
        if let Some(secret) = secret {
            self.planted.found("HTTP Basic", &STANDARD.encode(format!("portal:{secret}")));
            request = request.basic_auth("portal", Some(secret));
        }
        let answer = self.send(request).await;
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default());
        for name in ["access_token", "refresh_token", "id_token"] {
            if let Some(token) = body[name].as_str() {
                self.planted.found(name, token);
                self.planted.found(&format!("the end of {name}"), token.rsplit('.').next().unwrap());
            }
        }
        (status, body)
    }

    async fn apps(&mut self, secret: &str) {
        let code = self.code().await;
        let grant = [("grant_type", "authorization_code"), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
        let exchange = |code| [grant.as_slice(), &[("code", code)]].concat();
        let wrong = self.planted.plant("a wrong client secret");
        assert_eq!(self.by_app("/oauth2/token", Some(&wrong), &exchange(&code)).await.0, 401);
        let by_form = [exchange(&code).as_slice(), &[("client_id", "portal"), ("client_secret", &wrong)]].concat();
        assert_eq!(self.by_app("/oauth2/token", None, &by_form).await.0, 401);
        // A secret where a name belongs.
        let swapped = [exchange(&code).as_slice(), &[("client_id", secret), ("client_secret", "portal")]].concat();
        assert_eq!(self.by_app("/oauth2/token", None, &swapped).await.0, 401);
        let (status, tokens) = self.by_app("/oauth2/token", Some(secret), &exchange(&code)).await;
        assert_eq!(status, 200, "{tokens}");
        let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", &token("refresh_token"))];
        assert_eq!(self.by_app("/oauth2/token", Some(secret), &refresh).await.0, 200);
        let unknown = self.planted.plant("an unknown token");
        for text in [&token("access_token"), &token("refresh_token"), &token("id_token"), &unknown] {
            for path in ["/oauth2/introspect", "/oauth2/revoke"] {
                self.by_app(path, Some(secret), &[("token", text)]).await;
            }
            for path in ["/oauth2/userinfo", "/api/v1/providers", "/unified-login/providers/SUNRISE-IL", "/"] {
                let request = self.http.get(format!("{}{path}", self.address)).bearer_auth(text);
                self.send(request).await;
            }
            self.get(&format!("/oauth2/userinfo?access_token={text}")).await;
            self.get(&format!("/oauth2/end_session?id_token_hint={text}")).await;
        }
        assert_eq!(self.by_app("/oauth2/token", Some(secret), &exchange(&code)).await.0, 400, "a code used twice");
        self.by_assertion().await;
        let form = [("grant_type", "client_credentials"), ("scope", "users.read")];
        let (status, own) = self.by_app("/oauth2/token", Some(secret), &form).await;
        assert_eq!(status, 200, "{own}");
        let key = own["access_token"].as_str().unwrap().to_owned();
        let list = self.http.get(format!("{}/api/v1/providers/{PROVIDER}/users", self.address)).bearer_auth(&key);
        assert_eq!(self.send(list).await.status(), 200);
        let password = self.planted.plant("a password sent to the API");
        let body = json!({"login_name": "dora", "password": password, &password: true, "user_type": password});
        let made = self.http.post(format!("{}/api/v1/providers/{PROVIDER}/users", self.address)).bearer_auth(&key);
        self.send(made.json(&body)).await;
    }

    async fn by_assertion(&mut self) {
        let now = Clock::System.now().seconds();
        let claims = json!({"iss": "signer", "sub": "signer", "aud": self.setup.issuer, "exp": now + 60, "iat": now, "jti": "one-jti-of-many"});
        let assertion = self.setup.sender.sign("JWT", &claims);
        self.planted.found("a client assertion", &assertion);
        self.planted.found("the signature of a client assertion", assertion.rsplit('.').next().unwrap());
        let malformed = self.planted.plant("a malformed client assertion");
        for (text, status) in
            [(assertion.as_str(), 200), (&assertion, 401), (&malformed, 401), (&assertion[..assertion.len() - 9], 401)]
        {
            let fields = [
                ("grant_type", "client_credentials"),
                ("scope", "users.read"),
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", text),
            ];
            let (answered, body) = self.by_app("/oauth2/token", None, &fields).await;
            assert_eq!(answered, status, "{body}");
        }
    }

    /// Secrets where none belong: in the query and the headers of every kind of page, in a path, in a method.
    async fn misplaced(&mut self) {
        let secret = self.planted.plant("a secret in a query, a path or a header");
        let link = self.planted.plant("the secret of a link");
        self.get(&format!("/password/reset/{link}")).await;
        self.post(&format!("/password/reset/{link}"), &[("new_password", &secret)]).await;
        for path in [
            "/",
            "/login",
            "/logout",
            "/activity",
            "/sessions",
            "/forgot-password",
            "/password/update",
            "/password/change",
            "/unified-login",
            "/unified-login/complete",
            "/oauth2/authorize",
            "/oauth2/authorize/resume",
            "/consent",
            "/oauth2/token",
            "/oauth2/userinfo",
            "/oauth2/jwks",
            "/oauth2/end_session",
            "/.well-known/openid-configuration",
            "/admin/users",
            "/admin/activity",
            "/operator",
            "/operator/confirm",
            "/api/v1",
            "/api/v1/providers",
            "/no/such/page",
            "/assets/x.css",
        ] {
            let names = [
                "password",
                "code",
                "token",
                "i",
                "h",
                "return_to",
                "client_id",
                "redirect_uri",
                "state",
                "id_token_hint",
                "access_token",
                "reference",
            ];
            let query: Vec<_> = names.iter().map(|name| format!("{name}={secret}")).collect();
            for method in
                [Method::GET, Method::POST, Method::from_bytes(secret.replace(['_', '-'], "").as_bytes()).unwrap()]
            {
                let request = self.http.request(method, format!("{}{path}?{}", self.address, query.join("&")));
                let request = request
                    .header(AUTHORIZATION, format!("Bearer {secret}"))
                    .header(COOKIE, format!("connect-session={secret}; other={secret}"));
                let request = request
                    .header("traceparent", format!("00-{secret}-01"))
                    .header("tracestate", format!("a={secret}"))
                    .header("x-request-id", &secret);
                let request = request
                    .header("x-forwarded-for", &secret)
                    .header("if-match", &secret)
                    .header("referer", format!("https://a.example/?{secret}"));
                self.send(request.form(&[("password", secret.as_str()), (&secret, "x")])).await;
            }
        }
        self.planted.found("a secret for a method", &secret.replace(['_', '-'], ""));
        self.get(&format!("/{secret}/{secret}")).await;
        let query = format!("client_id=portal&response_type=code&redirect_uri=https://a.example/%3Fcode={secret}");
        self.get(&format!("/oauth2/authorize?{query}")).await;
    }
}

/// A mail server that takes everything; the mails.
async fn mail_server() -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, mails) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(String::new())));
    let taken = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let taken = Arc::clone(&taken);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut line, mut in_mail) = (String::new(), false);
                stream.write_all(b"220 mail\r\n").await.unwrap();
                while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
                    let said = std::mem::take(&mut line);
                    taken.lock().unwrap().push_str(&said);
                    let answer: &[u8] = match said.trim_end() {
                        "." if in_mail => b"250 taken\r\n",
                        _ if in_mail => continue,
                        "DATA" => b"354 go on\r\n",
                        text if text.starts_with("EHLO") => b"250-mail\r\n250 AUTH PLAIN\r\n",
                        text if text.starts_with("AUTH") => b"235 yes\r\n",
                        _ => b"250 yes\r\n",
                    };
                    in_mail = answer.starts_with(b"354");
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    (port, mails)
}

/// A collector of traces; what it was sent.
async fn collector() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, spans) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Mutex::new(String::new())));
    let taken = Arc::clone(&spans);
    let routes =
        Router::new().route("/v1/traces", post(async move |body: String| taken.lock().unwrap().push_str(&body)));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, spans)
}

/// Two users, one with a temporary password, one who is handed over; an app with a secret, one with a key.
fn seed(setup: &Setup, right: &str, temporary: &str, secret: &str) -> String {
    let user = |name: &str, password: &str, temporary: bool| {
        format!(
            "[[user]]\nprovider = \"{PROVIDER}\"\nlogin_name = \"{name}\"\nname = \"A User\"\npassword = \"{password}\"\ntemporary = {temporary}\n\
             claims = {{ email = \"{name}@example.org\", email_verified = true }}\n"
        )
    };
    let jwks = setup.sender.jwks();
    format!(
        "[[provider]]\ncode = \"{PROVIDER}\"\nname = \"Sunrise\"\nunified_login = \"on\"\nreset_by_mail = true\n{}{}{}\
         [[trusted_issuer]]\nissuer = \"{SENDER}\"\ndisplay_name = \"Sender\"\norigins = [\"{SENDER}\"]\njwks = '{jwks}'\n\
         [[client]]\nclient_id = \"portal\"\nclient_secret = \"{secret}\"\nredirect_uris = [\"{REDIRECT}\"]\nfirst_party = true\n\
         grant_types = [\"authorization_code\", \"refresh_token\", \"client_credentials\"]\nscope = \"openid profile offline_access users.read\"\n\
         [[client]]\nclient_id = \"signer\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\njwks = '{jwks}'\n\
         grant_types = [\"client_credentials\"]\nscope = \"users.read\"\n",
        user("amina", right, false),
        user("bob", temporary, true),
        user("carol", right, false),
    )
}

on_engines! { no_secret_is_written: sqlite, postgres }
async fn no_secret_is_written(engine: Engine) {
    for format in ["json", "text"] {
        let (port, mails) = mail_server().await;
        let (endpoint, spans) = collector().await;
        let mut planted = Planted::default();
        let [mail, otlp, redis, database] =
            ["the mail server's password", "the collector's token", "Redis's password", "the database's password"]
                .map(|what| planted.plant(what));
        let settings = format!(
            "format = \"{format}\"\nhealth = true\n[mail]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nusername = \"connect\"\npassword = \"{mail}\"\nfrom = \"no-reply@example.org\"\n\
             [otlp]\nendpoint = \"{endpoint}\"\nheaders = \"authorization=Bearer {otlp}\"\n[redis]\nurl = \"redis://:{redis}@127.0.0.1:9/0\"\n"
        );
        planted.found("the mail server's password", &STANDARD.encode(format!("\0connect\0{mail}")));
        let setup = Setup::empty(engine.clone(), CHEAP, &settings).await;
        setup.prepare();
        let [right, temporary, secret] =
            ["a right password", "a temporary password", "a client secret"].map(|what| planted.plant(what));
        setup.apply(&seed(&setup, &right, &temporary, &secret));
        let mut variables = vec![("CONNECT_IDP__LOG__LEVEL", "debug,connect_idp=trace")];
        let with_password = setup.database.replace("://postgres@", &format!("://postgres:{database}@"));
        if matches!(engine, Engine::Postgres(_)) {
            assert!(with_password.contains(&database), "{}", setup.database);
            variables.push(("CONNECT_IDP__DATABASE__URL", &with_password));
        }
        let mut service = setup.serve_with(&variables).await;
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let mut journey =
            Journey { http, setup: &setup, address: service.address.clone(), planted, cookies: BTreeMap::new() };
        let link = [("login_name", "carol"), ("provider_code", PROVIDER)];
        journey.post("/forgot-password", &link).await;
        journey.passwords(&right, &temporary).await;
        journey.handoffs().await;
        journey.apps(&secret).await;
        journey.misplaced().await;
        eventually("the link is mailed", Duration::from_secs(30), async || {
            mails.lock().unwrap().contains("/password/reset/")
        })
        .await;
        let mut planted = journey.planted;
        let text = mails.lock().unwrap().replace("=\r\n", "");
        let link: String = text
            .split_once("/password/reset/")
            .unwrap()
            .1
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
            .collect();
        planted.found("the secret of a mailed link", &link);
        for key in std::fs::read_dir(setup.folder.path().join("keys")).unwrap() {
            let key = std::fs::read_to_string(key.unwrap().path()).unwrap();
            planted.found("a key-encryption key", key.trim());
        }
        let metrics = reqwest::get(service.internal("/metrics")).await.unwrap().text().await.unwrap();
        service.terminate();
        assert!(service.ended(Duration::from_mins(1)).await.success());
        let said = service.said();
        // What was searched is what was written.
        for word in ["connect_idp::request", "/oauth2/token", "pending"] {
            assert!(said.contains(word) || format == "text", "{word}");
        }
        assert!(said.contains("POST /unified-login") && metrics.contains("connect_idp_sign_ins"));
        assert!(spans.lock().unwrap().contains("POST /oauth2/token"), "the last traces are sent at a stop");
        planted.assert_absent_from(&format!("the log as {format}"), &said);
        planted.assert_absent_from("/metrics", &metrics);
        planted.assert_absent_from("the traces", &spans.lock().unwrap());
        for output in ["json", "csv"] {
            planted.assert_absent_from("User Activity", &setup.cli(&["activity", "export", "--output", output]));
        }
        planted.assert_absent_from("config show", &setup.cli(&["config", "show"]));
        if matches!(engine, Engine::Sqlite) {
            let file = std::fs::read(setup.folder.path().join("connect.db")).unwrap();
            planted.assert_absent_from("the database", &String::from_utf8_lossy(&file));
        }
    }
}
