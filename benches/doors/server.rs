//! The service with its users and a sender, and what one client does with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::crypto::password::{Cost, HashPool, PoolLimits};
use connect_idp::time::Random;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{ES256, EdDSA, JwsSigner, PS256, RS256};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use zeroize::Zeroizing;

use crate::Load;
use crate::house::{Engine, House};

const USERS: usize = 500;
const PASSWORD: &str = "Correct-Horse-9";
const SENDER: &str = "https://secure.example.net";
pub const REFUSALS: [&str; 5] =
    ["wrong password", "unknown user", "unknown provider", "deactivated user", "inactive provider"];

/// Signs assertions as a sender does.
pub struct Signer {
    pub name: &'static str,
    key: Jwk,
    signs: Box<dyn JwsSigner>,
}

impl Signer {
    pub fn all() -> Vec<Self> {
        ["ES256", "EdDSA", "RS256", "PS256"].into_iter().map(Self::new).collect()
    }

    fn new(name: &'static str) -> Self {
        let mut key = match name {
            "ES256" => Jwk::generate_ec_key(EcCurve::P256),
            "EdDSA" => Jwk::generate_ed_key(EdCurve::Ed25519),
            _ => Jwk::generate_rsa_key(2048),
        }
        .unwrap();
        key.set_key_id("bench");
        key.set_algorithm(name);
        let signer: Box<dyn JwsSigner> = match name {
            "ES256" => Box::new(ES256.signer_from_jwk(&key).unwrap()),
            "EdDSA" => Box::new(EdDSA.signer_from_jwk(&key).unwrap()),
            "RS256" => Box::new(RS256.signer_from_jwk(&key).unwrap()),
            _ => Box::new(PS256.signer_from_jwk(&key).unwrap()),
        };
        Self { name, key, signs: signer }
    }

    pub fn jwks(&self) -> String {
        let mut public = self.key.to_public_key().unwrap();
        public.set_key_id("bench");
        public.set_algorithm(self.name);
        format!("{{\"keys\":[{public}]}}")
    }

    pub fn assertion(&self, audience: &str, issuer: &str, provider_code: &str, login_name: &str) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let iat = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = serde_json::json!({
            "iss": issuer, "aud": audience, "sub": format!("sub-{login_name}"), "provider_code": provider_code,
            "login_name": login_name, "iat": iat, "exp": iat + 60,
            "jti": format!("bench-{iat:012}-{:012}", NUMBER.fetch_add(1, Ordering::Relaxed)),
        });
        let header = format!(r#"{{"typ":"therap-handoff+jwt","alg":"{}","kid":"bench"}}"#, self.name);
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.signs.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The running service, and a sender that it trusts.
pub struct Server {
    house: House,
    handle: Handle,
}

/// What clients share.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    issuer: String,
    client: Client,
    signer: Signer,
    next: AtomicUsize,
}

impl Server {
    pub async fn start(engine: &Engine) -> Self {
        let signer = Signer::new("ES256");
        let house = House::start(engine, &seed(&signer).await, "").await;
        let (issuer, client) = (house.issuer.clone(), house.client.clone());
        Self { house, handle: Handle(Arc::new(Shared { issuer, client, signer, next: AtomicUsize::new(0) })) }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub async fn one(&self, load: Load, client: usize) {
        self.handle.one(load, client).await;
    }

    /// User and system time of the process so far.
    pub fn cpu(&self) -> Duration {
        self.house.cpu()
    }

    /// Resident memory.
    pub fn memory_mib(&self) -> f64 {
        self.house.memory_mib()
    }

    pub async fn refused(&self, kind: usize, round: usize) {
        let (provider, name, password) = match kind {
            0 => ("BENCH", format!("user{round}"), "Wrong-Horse-9"),
            1 => ("BENCH", format!("nobody{round}"), PASSWORD),
            2 => ("NOWHERE", format!("user{round}"), PASSWORD),
            3 => ("BENCH", format!("gone{round}"), PASSWORD),
            _ => ("CLOSED", format!("user{round}"), PASSWORD),
        };
        let answer = self.handle.log_in(provider, &name, password).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}

impl Handle {
    /// One login or one handoff, for a user that no other client uses at the moment.
    pub async fn one(&self, load: Load, _client: usize) {
        let user = format!("user{}", self.0.next.fetch_add(1, Ordering::Relaxed) % USERS);
        match load {
            Load::Login => {
                let answer = self.log_in("BENCH", &user, PASSWORD).await;
                assert_eq!(answer.status(), StatusCode::SEE_OTHER);
            }
            Load::Handoff => self.hand_off(&user).await,
        }
    }

    async fn log_in(&self, provider: &str, name: &str, password: &str) -> Response {
        let form = [("login_name", name), ("password", password), ("provider_code", provider)];
        let Shared { issuer, client, .. } = &*self.0;
        client.post(format!("{issuer}/login")).header(ORIGIN, issuer).form(&form).send().await.unwrap()
    }

    async fn hand_off(&self, user: &str) {
        let Shared { issuer, client, signer, .. } = &*self.0;
        let assertion = signer.assertion(issuer, SENDER, "BENCH", user);
        let posted =
            client.post(format!("{issuer}/unified-login")).header(ORIGIN, SENDER).form(&[("assertion", assertion)]);
        let posted = posted.send().await.unwrap();
        assert_eq!(posted.status(), StatusCode::SEE_OTHER);
        let completed =
            client.get(format!("{issuer}{}", location(&posted))).header(COOKIE, cookie(&posted)).send().await.unwrap();
        assert_eq!(completed.status(), StatusCode::SEE_OTHER);
        let home = client
            .get(format!("{issuer}{}", location(&completed)))
            .header(COOKIE, cookie(&completed))
            .send()
            .await
            .unwrap();
        assert_eq!(home.status(), StatusCode::OK);
        home.bytes().await.unwrap();
    }
}

fn location(response: &Response) -> &str {
    response.headers()[LOCATION].to_str().unwrap()
}

fn cookie(response: &Response) -> String {
    response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn seed(signer: &Signer) -> String {
    let cost = Cost { memory_kib: 19_456, iterations: 2, parallelism: 1 };
    let limits = PoolLimits { threads: 1, queue: 1, patience: Duration::from_secs(10) };
    let pool = HashPool::start(cost, limits, Random::System).unwrap();
    let hash = pool.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
    let provider = |code: &str, active: bool| {
        format!("[[provider]]\ncode = \"{code}\"\nname = \"Bench\"\nunified_login = \"on\"\nactive = {active}\n")
    };
    let user = |provider: &str, name: String, active: bool| {
        format!(
            "[[user]]\nprovider = \"{provider}\"\nlogin_name = \"{name}\"\nname = \"Bench User\"\npassword_hash = '{hash}'\ntemporary = false\nactive = {active}\n"
        )
    };
    let mut text = provider("BENCH", true) + &provider("CLOSED", false);
    text.extend((0..USERS).map(|n| user("BENCH", format!("user{n}"), true)));
    text.extend((0..200).map(|n| user("BENCH", format!("gone{n}"), false)));
    text.extend((0..200).map(|n| user("CLOSED", format!("user{n}"), true)));
    text + &format!(
        "[[trusted_issuer]]\nissuer = \"{SENDER}\"\ndisplay_name = \"Bench sender\"\norigins = [\"{SENDER}\"]\njwks = '{}'\n",
        signer.jwks()
    )
}
