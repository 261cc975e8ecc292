//! The real binary as a child process, seeded, and what one client does with it.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
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

const USERS: usize = 500;
const PASSWORD: &str = "Correct-Horse-9";
const SENDER: &str = "https://secure.example.net";
pub const REFUSALS: [&str; 5] =
    ["wrong password", "unknown user", "unknown provider", "deactivated user", "inactive provider"];

/// Where the service keeps its truth.
pub struct Engine {
    pub name: &'static str,
    postgres: Option<String>,
}

/// SQLite always; PostgreSQL where `CONNECT_IDP_TEST_POSTGRES` names one.
pub fn engines() -> Vec<Engine> {
    let mut engines = vec![Engine { name: "SQLite", postgres: None }];
    match std::env::var("CONNECT_IDP_TEST_POSTGRES") {
        Ok(url) => engines.push(Engine { name: "PostgreSQL", postgres: Some(url) }),
        Err(_) => println!("\nPostgreSQL is left out: set CONNECT_IDP_TEST_POSTGRES to the address of one"),
    }
    engines
}

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

/// The running service. Dropped, it is stopped.
pub struct Server {
    handle: Handle,
    child: Child,
    _folder: tempfile::TempDir,
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
        let folder = tempfile::tempdir().unwrap();
        let (port, internal) = (free_port(), free_port());
        let issuer = format!("http://localhost:{port}");
        let signer = Signer::new("ES256");
        let database = match &engine.postgres {
            None => format!("sqlite://{}/connect.db", folder.path().display()),
            Some(url) => create_database(url),
        };
        let configuration = format!(
            "issuer = \"{issuer}\"\nlisten = \"127.0.0.1:{port}\"\ninternal_listen = \"127.0.0.1:{internal}\"\n\
             [database]\nurl = \"{database}\"\n[keys]\ndir = \"{}/keys\"\n[throttle]\nenabled = false\n[log]\nlevel = \"error\"\n",
            folder.path().display()
        );
        let config = folder.path().join("connect.toml");
        fs::write(&config, configuration).unwrap();
        let seed_file = folder.path().join("seed.toml");
        fs::write(&seed_file, seed(&signer).await).unwrap();
        let command = |verb: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_connect-idp"));
            command.arg("--config").arg(&config).args(verb).stdout(Stdio::null());
            command
        };
        if engine.postgres.is_some() {
            assert!(command(&["key", "init"]).status().unwrap().success());
            assert!(command(&["migrate"]).status().unwrap().success());
        }
        assert!(command(&["apply", seed_file.to_str().unwrap()]).status().unwrap().success());
        let child = command(&["serve"]).spawn().unwrap();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let ready = format!("http://127.0.0.1:{internal}/health/ready");
        let mut answers = false;
        for _ in 0..200 {
            answers = client.get(&ready).send().await.is_ok_and(|r| r.status() == StatusCode::OK);
            if answers {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(answers, "the service did not become ready");
        let handle = Handle(Arc::new(Shared { issuer, client, signer, next: AtomicUsize::new(0) }));
        Self { handle, child, _folder: folder }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub async fn one(&self, load: Load, client: usize) {
        self.handle.one(load, client).await;
    }

    /// User and system time of the process so far.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<u64> =
            stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2).map(|f| f.parse().unwrap()).collect();
        // Linux counts in hundredths of a second, whatever the machine.
        Duration::from_millis((fields[0] + fields[1]) * 10)
    }

    /// Resident memory.
    pub fn memory_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
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

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A database of its own on the given server, by PostgreSQL's own client.
fn create_database(url: &str) -> String {
    let name = format!("connect_idp_bench_{}", std::process::id());
    let mut psql = Command::new("psql").arg(url).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    writeln!(psql.stdin.take().unwrap(), "DROP DATABASE IF EXISTS {name};\nCREATE DATABASE {name};").unwrap();
    assert!(psql.wait().unwrap().success());
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
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
