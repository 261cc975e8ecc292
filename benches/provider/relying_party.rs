//! The app that is signed in to, and what it asks.

use std::sync::Mutex;

use connect_idp::crypto::jws::Algorithm;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use crate::house::House;

const PASSWORD: &str = "Correct-Horse-9";
const SECRET: &str = "a-secret-of-a-bench-that-nobody-else-uses";
const REDIRECT: &str = "http://127.0.0.1:9/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What is asked besides code exchanges.
#[derive(Clone, Copy)]
pub enum Work {
    Refresh,
    RefreshAndRotate,
    ClientCredentials,
    Userinfo,
    Introspection,
}

impl Work {
    pub const ALL: [Self; 5] =
        [Self::Refresh, Self::RefreshAndRotate, Self::ClientCredentials, Self::Userinfo, Self::Introspection];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh, RS256",
            Self::RefreshAndRotate => "refresh of a public client, RS256",
            Self::ClientCredentials => "client_credentials",
            Self::Userinfo => "userinfo",
            Self::Introspection => "introspection",
        }
    }
}

/// One user, and the apps.
pub fn seed() -> String {
    let client = |id: &str, rest: &str| {
        format!(
            "[[client]]\nclient_id = \"{id}\"\nredirect_uris = [\"{REDIRECT}\"]\nfirst_party = true\n\
             grant_types = [\"authorization_code\", \"refresh_token\"]\n{rest}\n"
        )
    };
    let secret = format!("client_secret = \"{SECRET}\"\n");
    format!(
        "[[provider]]\ncode = \"BENCH\"\nname = \"Bench\"\n\
         [[user]]\nprovider = \"BENCH\"\nlogin_name = \"user\"\nname = \"Bench User\"\npassword = \"{PASSWORD}\"\ntemporary = false\n\
         {}{}{}[[client]]\nclient_id = \"machine\"\n{secret}grant_types = [\"client_credentials\"]\nresponse_types = []\n\
         scope = \"unified-login.read\"\n",
        client("RS256", &secret),
        client("ES256", &format!("{secret}id_token_signed_response_alg = \"ES256\"")),
        client("public", "token_endpoint_auth_method = \"none\""),
    )
}

/// Signed in.
pub struct RelyingParty {
    issuer: String,
    http: Client,
    cookie: String,
    access_token: String,
    refresh_token: String,
    /// Chains of a public client, each refreshed by one at a time.
    chains: Mutex<Vec<String>>,
}

impl RelyingParty {
    pub async fn sign_in(house: &House) -> Self {
        let (issuer, http) = (house.issuer.clone(), house.client.clone());
        let form = [("login_name", "user"), ("password", PASSWORD), ("provider_code", "BENCH")];
        let answer = http.post(format!("{issuer}/login")).header(ORIGIN, &issuer).form(&form).send().await.unwrap();
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let chains = Mutex::default();
        let mut rp = Self { issuer, http, cookie, access_token: String::new(), refresh_token: String::new(), chains };
        let code = rp.code("RS256").await;
        let tokens = rp.tokens("RS256", &code).await;
        rp.access_token = tokens["access_token"].as_str().unwrap().to_owned();
        rp.refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
        for _ in 0..crate::CLIENTS {
            let code = rp.code("public").await;
            let tokens = rp.tokens("public", &code).await;
            rp.chains.lock().unwrap().push(tokens["refresh_token"].as_str().unwrap().to_owned());
        }
        rp
    }

    /// So many codes.
    pub async fn codes(&self, alg: Algorithm, count: usize) -> Vec<String> {
        let mut codes = Vec::with_capacity(count);
        for _ in 0..count {
            codes.push(self.code(alg.name()).await);
        }
        codes
    }

    async fn code(&self, client: &str) -> String {
        let query = [
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid profile email"),
            ("nonce", "0123456789"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let address = url::Url::parse_with_params(&format!("{}/oauth2/authorize", self.issuer), query).unwrap();
        let answer = self.http.get(address).header(COOKIE, &self.cookie).send().await.unwrap();
        let location = url::Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap();
        location.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
    }

    fn token(&self, client: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let asked = self.http.post(format!("{}/oauth2/token", self.issuer));
        let mut fields = fields.to_vec();
        if client == "public" {
            fields.push(("client_id", "public"));
            return asked.form(&fields);
        }
        asked.basic_auth(client, Some(SECRET)).form(&fields)
    }

    async fn tokens(&self, client: &str, code: &str) -> Value {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        json(self.token(client, &fields)).await
    }

    pub async fn exchange(&self, alg: Algorithm, code: &str) {
        assert!(self.tokens(alg.name(), code).await["id_token"].is_string());
    }

    pub async fn get(&self, path: &str) -> String {
        self.http.get(format!("{}{path}", self.issuer)).send().await.unwrap().text().await.unwrap()
    }

    pub async fn one(&self, work: Work) {
        let answer = match work {
            Work::Refresh => {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", &self.refresh_token)];
                json(self.token("RS256", &fields)).await
            }
            Work::RefreshAndRotate => {
                let token = self.chains.lock().unwrap().pop().unwrap();
                let answer =
                    json(self.token("public", &[("grant_type", "refresh_token"), ("refresh_token", &token)])).await;
                self.chains.lock().unwrap().push(answer["refresh_token"].as_str().unwrap().to_owned());
                answer
            }
            Work::ClientCredentials => json(self.token("machine", &[("grant_type", "client_credentials")])).await,
            Work::Userinfo => {
                let asked = self.http.get(format!("{}/oauth2/userinfo", self.issuer));
                json(asked.bearer_auth(&self.access_token)).await
            }
            Work::Introspection => {
                let asked = self.http.post(format!("{}/oauth2/introspect", self.issuer));
                json(asked.basic_auth("RS256", Some(SECRET)).form(&[("token", &self.access_token)])).await
            }
        };
        assert!(answer.is_object());
    }
}

async fn json(request: RequestBuilder) -> Value {
    request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}
