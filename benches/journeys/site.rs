//! An OpenID Provider that journeys are measured on, as its apps and users see it: this one, or another beside it.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::crypto::jws::Algorithm;
use connect_idp::crypto::password::{Cost, HashPool, PoolLimits};
use connect_idp::time::Random;
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::filled::block_on;
use crate::http::{Answer, Http, Request};
use crate::sender::{PROVIDER, SENDER, Sender};

/// Enough that few of them come to have dozens of sessions.
pub const USERS: usize = 2000;
/// Of them who are signed in beforehand.
const SIGNED_IN: usize = 1000;
/// Of users who cannot sign in, of each kind.
pub const OTHERS: usize = 200;
pub const PASSWORD: &str = "Correct-Horse-9";
pub const SECRET: &str = "a-secret-of-a-bench-that-nobody-else-uses";
pub const REDIRECT: &str = "http://127.0.0.1:9/callback";
/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// The number that prepare what a load uses up.
const HANDS: usize = 8;
/// Sessions are made again after this long.
const SESSIONS_LAST: Duration = Duration::from_mins(5);

/// Cookies, and since when they are there.
type Sessions = (Instant, Vec<String>);

/// What may be unlike from one provider to another.
#[derive(Clone, Default, Deserialize)]
pub struct Site {
    pub issuer: String,
    authorization_endpoint: String,
    pub token_endpoint: String,
    pub userinfo_endpoint: String,
    pub introspection_endpoint: String,
    pub jwks_uri: String,
    #[serde(skip)]
    pub port: u16,
    /// What access tokens in JWT form are signed with.
    #[serde(skip)]
    pub access_token_algorithm: Option<Algorithm>,
    /// Signs its users in, where Unified Login is there.
    #[serde(skip)]
    pub sender: Option<Arc<Sender>>,
    #[serde(skip)]
    sessions: Arc<Mutex<Option<Sessions>>>,
}

/// The members of answers that say whether they are right.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Members {
    pub issuer: String,
    pub keys: Vec<IgnoredAny>,
    pub access_token: String,
    pub refresh_token: String,
    pub id_token: String,
    pub sub: String,
    pub active: bool,
}

impl Members {
    /// Of an answer of 200.
    pub fn of(answer: Answer) -> Result<Self, String> {
        let answer = answer.expect(200)?;
        serde_json::from_slice(&answer.body).map_err(|error| answer.unexpected(&error.to_string()))
    }
}

impl Site {
    /// What discovery says.
    pub fn discover(port: u16, sender: Option<Arc<Sender>>) -> Self {
        let answer = Http::new(port).send(&Request::get("/.well-known/openid-configuration")).unwrap();
        let mut site: Self = serde_json::from_slice(&answer.body).unwrap();
        let issuer = site.issuer.clone();
        for address in [
            &mut site.authorization_endpoint,
            &mut site.token_endpoint,
            &mut site.userinfo_endpoint,
            &mut site.introspection_endpoint,
            &mut site.jwks_uri,
        ] {
            *address = address.strip_prefix(&issuer).unwrap().to_owned();
        }
        let mut site = Self { port, sender, ..site };
        let token = site.token(&mut Http::new(port), "machine-jwt", &[("grant_type", "client_credentials")]).unwrap();
        site.access_token_algorithm = algorithm_of(&token.access_token);
        site
    }

    /// The same requests, to somebody else.
    pub fn at(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// Makes `count`, each from its number.
    pub fn many<T: Send>(
        &self,
        count: usize,
        make: impl Fn(&mut Http, usize) -> Result<T, String> + Sync,
    ) -> Result<Vec<T>, String> {
        let hand = |first: usize| {
            let mut http = Http::new(self.port);
            (first..count).step_by(HANDS).map(|number| make(&mut http, number)).collect::<Result<Vec<T>, String>>()
        };
        thread::scope(|scope| {
            let hands: Vec<_> = (0..HANDS).map(|first| scope.spawn(move || hand(first))).collect();
            let mut all = Vec::with_capacity(count);
            for hand in hands {
                all.extend(hand.join().unwrap()?);
            }
            Ok(all)
        })
    }

    /// Of a user whom no other request concerns at the moment.
    pub fn user(number: usize) -> String {
        format!("user{}", number % USERS)
    }

    pub fn assertion(&self, number: usize) -> String {
        self.sender.as_ref().unwrap().assertion(&self.issuer, &Self::user(number))
    }

    /// Cookies of sessions, each of a user of its own.
    pub fn sessions(&self) -> Result<Vec<String>, String> {
        let mut sessions = self.sessions.lock().unwrap();
        if let Some((_, known)) = sessions.as_ref().filter(|(since, _)| since.elapsed() < SESSIONS_LAST) {
            return Ok(known.clone());
        }
        let made = self.many(SIGNED_IN, |http, number| self.sign_in(http, number))?;
        *sessions = Some((Instant::now(), made.clone()));
        Ok(made)
    }

    fn sign_in(&self, http: &mut Http, number: usize) -> Result<String, String> {
        if self.sender.is_some() {
            let (target, cookie) = post_assertion(http, &self.assertion(number))?;
            return Ok(http.send(&Request::get(&target).with("cookie", &cookie))?.expect(303)?.cookies());
        }
        // Another provider asks a page of the bench, which signs in whoever comes.
        let first = http.send(&self.authorize("RS256", "sign-in"))?.expect(303)?;
        let cookies = first.cookies();
        let second = http.send(&Request::get(first.location()?).with("cookie", &cookies))?.expect(303)?;
        let path = second.location()?.strip_prefix(&self.issuer).ok_or("not back to the provider")?.to_owned();
        Ok(http.send(&Request::get(&path).with("cookie", &cookies))?.expect(303)?.cookies())
    }

    /// The request that an app sends its user with.
    pub fn authorize(&self, client: &str, state: &str) -> Request {
        let query = [
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid profile email"),
            ("nonce", "0123456789"),
            ("state", state),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        Request::get(&format!("{}?{query}", self.authorization_endpoint))
    }

    /// A code by a session that is there.
    pub fn code(&self, http: &mut Http, client: &str, session: &str) -> Result<String, String> {
        let answer = http.send(&self.authorize(client, "abc").with("cookie", session))?;
        let back = url::Url::parse(answer.location()?).map_err(|error| error.to_string())?;
        let value = |name| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let right = back.as_str().starts_with(REDIRECT) && value("state").as_deref() == Some("abc");
        value("code").filter(|_| right).ok_or_else(|| answer.unexpected("no code"))
    }

    pub fn token(&self, http: &mut Http, client: &str, fields: &[(&str, &str)]) -> Result<Members, String> {
        let mut fields = fields.to_vec();
        let request = if client.starts_with("public") {
            fields.push(("client_id", client));
            Request::post(&self.token_endpoint, &fields)
        } else {
            Request::post(&self.token_endpoint, &fields).basic(client, SECRET)
        };
        Members::of(http.send(&request)?)
    }

    pub fn exchange(&self, http: &mut Http, client: &str, code: &str) -> Result<Members, String> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.token(http, client, &fields)
    }
}

/// Posts an assertion: where to go on, and with which cookie.
pub fn post_assertion(http: &mut Http, assertion: &str) -> Result<(String, String), String> {
    let request = Request::post("/unified-login", &[("assertion", assertion)]).with("origin", SENDER);
    let answer = http.send(&request)?.expect(303)?;
    Ok((answer.location()?.to_owned(), answer.cookies()))
}

/// Everybody's password, as it is kept.
pub fn password_hash() -> String {
    let cost = Cost { memory_kib: 19_456, iterations: 2, parallelism: 1 };
    let limits = PoolLimits { threads: 1, queue: 1, patience: Duration::from_secs(10) };
    let pool = HashPool::start(cost, limits, Random::System).unwrap();
    block_on(pool.hash(Zeroizing::new(PASSWORD.to_owned()))).unwrap()
}

/// Users, apps and a sender, as `apply` takes them.
pub fn seed(sender: &Sender) -> String {
    let hash = password_hash();
    let provider = |code: &str, active: bool| {
        format!("[[provider]]\ncode = \"{code}\"\nname = \"Bench\"\nunified_login = \"on\"\nactive = {active}\n")
    };
    let user = |provider: &str, name: String, active: bool| {
        format!(
            "[[user]]\nprovider = \"{provider}\"\nlogin_name = \"{name}\"\nname = \"Bench User\"\npassword_hash = '{hash}'\n\
             temporary = false\nactive = {active}\nclaims = {{ email = \"{name}@example.org\" }}\n"
        )
    };
    let mut text = [provider(PROVIDER, true), provider("CLOSED", false)].concat();
    text.extend((0..USERS).map(|n| user(PROVIDER, Site::user(n), true)));
    text.extend((0..OTHERS).map(|n| user(PROVIDER, format!("gone{n}"), false)));
    text.extend((0..OTHERS).map(|n| user("CLOSED", Site::user(n), true)));
    text.push_str(&apps());
    let _ = write!(
        text,
        "[[trusted_issuer]]\nissuer = \"{SENDER}\"\ndisplay_name = \"Bench sender\"\norigins = [\"{SENDER}\"]\njwks = '{}'\n",
        sender.jwks()
    );
    text
}

fn apps() -> String {
    let app = |id: &str, rest: &str| {
        format!(
            "[[client]]\nclient_id = \"{id}\"\nredirect_uris = [\"{REDIRECT}\"]\nfirst_party = true\n\
             grant_types = [\"authorization_code\", \"refresh_token\"]\n{rest}\n"
        )
    };
    let secret = format!("client_secret = \"{SECRET}\"\n");
    let machine = |id: &str, format: &str| {
        format!(
            "[[client]]\nclient_id = \"{id}\"\n{secret}grant_types = [\"client_credentials\"]\nresponse_types = []\n\
             scope = \"unified-login.read\"\naccess_token_format = \"{format}\"\n"
        )
    };
    [
        app("RS256", &secret),
        app("ES256", &format!("{secret}id_token_signed_response_alg = \"ES256\"")),
        app("public-RS256", "token_endpoint_auth_method = \"none\""),
        app("public-ES256", "token_endpoint_auth_method = \"none\"\nid_token_signed_response_alg = \"ES256\""),
        machine("machine", "opaque"),
        machine("machine-jwt", "jwt"),
    ]
    .concat()
}

/// The algorithm that a token says it is signed with.
pub fn algorithm_of(token: &str) -> Option<Algorithm> {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    header["alg"].as_str()?.parse().ok()
}
