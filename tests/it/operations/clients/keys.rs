//! The keys of clients: those in the row, those that they publish, and what they sign with them (RFC 7523 §2.2).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::config::Site;
use connect_idp::model::client::Client;
use connect_idp::operations::backup::restore::end_before;
use connect_idp::operations::clients;
use connect_idp::operations::clients::authenticate::ASSERTION_TYPE;
use connect_idp::operations::clients::keys::{NoKeys, fresher, keys_of};
use josekit::jwk::Jwk;
use josekit::jws::{ES256, EdDSA, JwsSigner, PS256, RS256};
use serde_json::{Value, json};

use crate::actors::{Answer, Idp, encode, private_jwk, public_jwks};
use crate::operations::clients::lifecycle::{create, draft, portal, read};

/// A client's own server, which publishes keys.
pub struct Publisher {
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
    pub address: String,
}

/// A key set with one key of this name.
pub fn jwks(kid: &str) -> String {
    json!({"keys": [{"kid": kid, "kty": "EC", "crv": "P-256", "x": "QlZDrGpOH98XOLEUquJsBwwJTenqECunjDu3eiRqSVU",
        "y": "I9eXDYJ2LsxDePSy9IewZ9UbptxSRTHbtA2lcGIfKL0"}]})
    .to_string()
}

impl Publisher {
    pub async fn start() -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, jwks("first"))));
        let asked = Arc::new(AtomicUsize::new(0));
        let (said, count) = (Arc::clone(&answer), Arc::clone(&asked));
        let handler = get(move || {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = said.lock().unwrap().clone();
            async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                answer
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/jwks", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/jwks", handler)).await });
        Self { answer, asked, address }
    }

    pub fn says(&self, status: StatusCode, text: &str) {
        *self.answer.lock().unwrap() = (status, text.to_owned());
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn client(&self, idp: &Idp) -> Client {
        let members = json!({"redirect_uris": ["https://portal.example.org/callback"], "jwks_uri": self.address,
            "token_endpoint_auth_method": "private_key_jwt"});
        create(idp, "portal", &members, None).await
    }
}

async fn beta(engine: crate::actors::Engine) -> Idp {
    Idp::start_with(engine, |config| config.site = Site::Beta).await
}

both_engines! {
    /// Fetched once and kept; however many ask at once, the client's server is asked by one.
    async fn published_keys_are_fetched_once(engine: Engine) {
        let idp = beta(engine).await;
        let publisher = Publisher::start().await;
        let client = publisher.client(&idp).await;
        let all = futures_util::future::join_all((0..32).map(|_| keys_of(&idp.app, &client, idp.now()))).await;
        assert!(all.iter().all(|keys| keys.as_ref().is_ok_and(|keys| keys.knows("first"))));
        idp.advance(Duration::from_mins(59));
        keys_of(&idp.app, &client, idp.now()).await.unwrap();
        assert_eq!(publisher.asked(), 1);
        publisher.says(StatusCode::OK, &jwks("second"));
        idp.advance(Duration::from_mins(1));
        assert!(keys_of(&idp.app, &client, idp.now()).await.unwrap().knows("second"));
        assert_eq!(publisher.asked(), 2);
    }

    /// A key that nobody knows yet makes us ask again, at most every ten seconds: a rotation one minute later works.
    async fn a_rotation_a_minute_later_works(engine: Engine) {
        let idp = beta(engine).await;
        let publisher = Publisher::start().await;
        let client = publisher.client(&idp).await;
        let first = keys_of(&idp.app, &client, idp.now()).await.unwrap();
        publisher.says(StatusCode::OK, &jwks("second"));
        assert!(fresher(&idp.app, &client, &first, idp.now()).await.is_none());
        assert_eq!(publisher.asked(), 1);
        idp.advance(Duration::from_mins(1));
        let all = futures_util::future::join_all((0..8).map(|_| fresher(&idp.app, &client, &first, idp.now()))).await;
        assert!(all.iter().all(|keys| keys.as_ref().is_some_and(|keys| keys.knows("second"))));
        assert_eq!(publisher.asked(), 2);
        let second = all[0].clone().unwrap();
        idp.advance(Duration::from_secs(10));
        assert!(fresher(&idp.app, &client, &second, idp.now()).await.is_none());
        assert_eq!(publisher.asked(), 3);
    }

    /// A broken answer never takes the place of a good set (G20).
    async fn a_broken_answer_keeps_the_good_set(engine: Engine) {
        let idp = beta(engine).await;
        let publisher = Publisher::start().await;
        let client = publisher.client(&idp).await;
        let first = keys_of(&idp.app, &client, idp.now()).await.unwrap();
        for (status, text) in [
            (StatusCode::OK, "{\"keys\":[]}".to_owned()),
            (StatusCode::OK, "nonsense".to_owned()),
            (StatusCode::OK, json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}).to_string()),
            (StatusCode::OK, jwks("a").replace("\"kid\"", "\"d\"")),
            (StatusCode::OK, format!("{}{}", jwks("a"), " ".repeat(70_000))),
            (StatusCode::INTERNAL_SERVER_ERROR, jwks("second")),
            (StatusCode::FOUND, jwks("second")),
        ] {
            publisher.says(status, &text);
            idp.advance(Duration::from_secs(10));
            assert!(fresher(&idp.app, &client, &first, idp.now()).await.is_none(), "{text}");
            idp.advance(Duration::from_hours(1));
            assert!(keys_of(&idp.app, &client, idp.now()).await.unwrap().knows("first"), "{text}");
        }
        assert_eq!(publisher.asked(), 15);
    }

    /// An address that has never answered well is asked seldom, and found when it does.
    async fn an_address_that_fails_is_asked_seldom(engine: Engine) {
        let idp = beta(engine).await;
        let publisher = Publisher::start().await;
        publisher.says(StatusCode::SERVICE_UNAVAILABLE, "");
        let client = publisher.client(&idp).await;
        for _ in 0..5 {
            assert_eq!(keys_of(&idp.app, &client, idp.now()).await.unwrap_err(), NoKeys::NotFetched);
        }
        assert_eq!(publisher.asked(), 1);
        publisher.says(StatusCode::OK, &jwks("first"));
        idp.advance(Duration::from_secs(10));
        assert!(keys_of(&idp.app, &client, idp.now()).await.unwrap().knows("first"));
    }

    /// Whoever hangs up does not keep the keys from coming.
    async fn a_caller_that_hangs_up_stops_no_fetch(engine: Engine) {
        let idp = beta(engine).await;
        let publisher = Publisher::start().await;
        let client = publisher.client(&idp).await;
        let hung_up = tokio::time::timeout(Duration::from_millis(20), keys_of(&idp.app, &client, idp.now())).await;
        assert!(hung_up.is_err());
        assert!(keys_of(&idp.app, &client, idp.now()).await.unwrap().knows("first"));
        assert_eq!(publisher.asked(), 1);
    }

    /// Keys in the row are those of the row as it stands.
    async fn registered_keys_change_with_the_row(engine: Engine) {
        let idp = Idp::start(engine).await;
        let members = json!({"redirect_uris": ["https://portal.example.org/callback"], "jwks": jwks("first")});
        let client = create(&idp, "portal", &members, None).await;
        let keys = keys_of(&idp.app, &client, idp.now()).await.unwrap();
        assert!(keys.knows("first"));
        assert!(Arc::ptr_eq(&keys, &keys_of(&idp.app, &client, idp.now()).await.unwrap()));
        clients::set(&idp.act(), "portal", &draft(&json!({"jwks": jwks("second")}))).await.unwrap();
        let client = read(&idp, "portal").await.unwrap();
        let keys = keys_of(&idp.app, &client, idp.now()).await.unwrap();
        assert!(keys.knows("second") && !keys.knows("first"));
        assert!(fresher(&idp.app, &client, &keys, idp.now()).await.is_none());
        let none = create(&idp, "other", &portal(), None).await;
        assert_eq!(keys_of(&idp.app, &none, idp.now()).await.unwrap_err(), NoKeys::NotRegistered);
    }
}

/// What a client signs to prove who it is.
struct Assertion {
    header: Value,
    claims: Value,
    key: &'static str,
}

/// A good one of the client `service`.
fn assertion(idp: &Idp, key: &'static str, alg: &str) -> Assertion {
    let now = idp.now().seconds();
    Assertion {
        header: json!({"alg": alg, "kid": key}),
        claims: json!({"iss": "service", "sub": "service", "aud": idp.app.config.issuer, "iat": now, "exp": now + 60,
            "jti": idp.app.random.id(idp.now())}),
        key,
    }
}

impl Assertion {
    fn with(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    fn without_kid(mut self) -> Self {
        self.header.as_object_mut().unwrap().remove("kid");
        self
    }

    fn sign(&self) -> String {
        let mut jwk = private_jwk(self.key);
        jwk.as_object_mut().unwrap().remove("alg");
        let jwk = Jwk::from_map(jwk.as_object().unwrap().clone()).unwrap();
        let signer: Box<dyn JwsSigner> = match self.header["alg"].as_str().unwrap() {
            "ES256" => Box::new(ES256.signer_from_jwk(&jwk).unwrap()),
            "PS256" => Box::new(PS256.signer_from_jwk(&jwk).unwrap()),
            "RS256" => Box::new(RS256.signer_from_jwk(&jwk).unwrap()),
            _ => Box::new(EdDSA.signer_from_jwk(&jwk).unwrap()),
        };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&self.header), part(&self.claims));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signer.sign(input.as_bytes()).unwrap()))
    }
}

async fn ask_token(idp: &Idp, assertion: &str) -> Answer {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ];
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, form)]);
    idp.program(Method::POST, "/oauth2/token", headers, encode(&fields)).await
}

/// A client that acts for itself, with keys in its row or at an address.
async fn service(idp: &Idp, keys: Value) -> Client {
    let mut members = json!({"grant_types": ["client_credentials"], "scope": "unified-login.read",
        "token_endpoint_auth_method": "private_key_jwt"});
    members.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    create(idp, "service", &members, None).await
}

both_engines! {
    /// RFC 7523 §2.2: every algorithm; keys without `kid` are matched by kind, and without `alg` RSA serves both.
    async fn a_client_proves_itself_by_its_key(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut keys: Value = serde_json::from_str(&public_jwks(&["es256", "eddsa", "rs256"])).unwrap();
        for key in keys["keys"].as_array_mut().unwrap() {
            key.as_object_mut().unwrap().remove("kid");
            key.as_object_mut().unwrap().remove("alg");
        }
        service(&idp, json!({ "jwks": keys })).await;
        for (key, alg) in [("es256", "ES256"), ("eddsa", "EdDSA"), ("rs256", "RS256"), ("rs256", "PS256")] {
            assert_eq!(ask_token(&idp, &assertion(&idp, key, alg).sign()).await.status, 200, "{alg}");
            assert_eq!(ask_token(&idp, &assertion(&idp, key, alg).without_kid().sign()).await.status, 200, "{alg}");
        }
        ask_token(&idp, &assertion(&idp, "ps256", "PS256").sign()).await.assert_oauth_error(401, "invalid_client");
    }

    /// What could be used before a restore may have been used (G36). Without `iat` nobody knows since when it could.
    async fn an_assertion_of_before_a_restore_counts_as_used(engine: Engine) {
        let idp = Idp::start(engine).await;
        service(&idp, json!({ "jwks": serde_json::from_str::<Value>(&public_jwks(&["es256"])).unwrap() })).await;
        let new = || assertion(&idp, "es256", "ES256");
        let undated = || {
            let mut undated = new();
            undated.claims.as_object_mut().unwrap().remove("iat");
            undated.sign()
        };
        let before = new().sign();
        idp.advance(Duration::from_secs(1));
        end_before(&idp.act(), idp.now()).await.unwrap();
        ask_token(&idp, &before).await.assert_oauth_error(401, "invalid_client");
        // Clocks may differ by fifteen seconds.
        idp.advance(Duration::from_secs(15));
        assert_eq!(ask_token(&idp, &new().sign()).await.status, 200);
        ask_token(&idp, &undated()).await.assert_oauth_error(401, "invalid_client");
        idp.advance(Duration::from_hours(1));
        assert_eq!(ask_token(&idp, &undated()).await.status, 200);
    }

    /// RFC 7523 §3, OpenID Connect Core §9: whatever is not as it must be is `invalid_client`.
    async fn an_assertion_that_is_not_right_is_refused(engine: Engine) {
        let idp = Idp::start(engine).await;
        service(&idp, json!({"jwks": public_jwks(&["es256", "rs256"]), "token_endpoint_auth_signing_alg": "ES256"})).await;
        let good = || assertion(&idp, "es256", "ES256");
        let now = idp.now().seconds();
        let used = good().sign();
        assert_eq!(ask_token(&idp, &used).await.status, 200);
        for (what, text) in [
            ("used before", used),
            ("another algorithm than the registered one", assertion(&idp, "rs256", "RS256").sign()),
            ("expired", good().with("exp", json!(now - 60)).sign()),
            ("without exp", good().with("exp", Value::Null).sign()),
            ("for a day", good().with("exp", json!(now + 86_400)).sign()),
            ("from the future", good().with("iat", json!(now + 60)).sign()),
            ("for somebody else", good().with("aud", json!("https://other.example")).sign()),
            ("without sub", good().with("sub", Value::Null).sign()),
            ("of another subject", good().with("sub", json!("portal")).sign()),
            ("without jti", good().with("jti", Value::Null).sign()),
            ("of nobody", good().with("iss", json!("nobody")).sign()),
            ("changed", good().sign().replacen('.', ".e", 1)),
        ] {
            let answer = ask_token(&idp, &text).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.body);
            answer.assert_oauth_error(401, "invalid_client");
        }
        let audiences = json!(["https://other.example", format!("{}/oauth2/token", idp.app.config.issuer)]);
        assert_eq!(ask_token(&idp, &good().with("aud", audiences).sign()).await.status, 200);
        clients::set_enabled(&idp.act(), "service", false).await.unwrap();
        ask_token(&idp, &good().sign()).await.assert_oauth_error(401, "invalid_client");
    }

    /// A client that publishes its keys rotates them, and goes on a minute later.
    async fn a_client_rotates_its_published_keys(engine: Engine) {
        let idp = beta(engine).await;
        let publisher = Publisher::start().await;
        publisher.says(StatusCode::OK, &public_jwks(&["es256"]));
        service(&idp, json!({"jwks_uri": publisher.address})).await;
        assert_eq!(ask_token(&idp, &assertion(&idp, "es256", "ES256").sign()).await.status, 200);
        publisher.says(StatusCode::OK, &public_jwks(&["ps256"]));
        idp.advance(Duration::from_mins(1));
        assert_eq!(ask_token(&idp, &assertion(&idp, "ps256", "PS256").sign()).await.status, 200);
        let old = ask_token(&idp, &assertion(&idp, "es256", "ES256").sign()).await;
        old.assert_oauth_error(401, "invalid_client");
        assert_eq!(publisher.asked(), 2);
    }

    /// One assertion that many replay at once proves its client once.
    async fn an_assertion_is_used_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        service(&idp, json!({"jwks": public_jwks(&["es256"])})).await;
        let text = assertion(&idp, "es256", "ES256").sign();
        let answers = futures_util::future::join_all((0..32).map(|_| ask_token(&idp, &text))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    }
}
