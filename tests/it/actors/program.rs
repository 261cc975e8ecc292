//! A program with a token of its own: what the API is for.

use axum::http::{HeaderMap, Method};
use connect_idp::model::client::GrantType;
use connect_idp::model::header_text::ascii;
use serde_json::Value;

use super::{Answer, Idp, RelyingParty, bearer};

/// One program.
#[derive(Clone)]
pub struct Program {
    pub party: RelyingParty,
    pub token: String,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
}

impl Told {
    pub fn of(answer: &Answer) -> Self {
        let json: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        let is_unfit = json["type"].as_str().is_some_and(|kind| kind.ends_with("#invalid"));
        assert!(!is_unfit || json["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{json}");
        Self { status: answer.status.as_u16(), headers: answer.headers.clone(), json }
    }

    #[track_caller]
    pub fn assert(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{:#}", self.json);
        self
    }

    /// The kind of problem.
    pub fn problem(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status);
        self.json["type"].as_str().unwrap().rsplit('#').next().unwrap()
    }

    pub fn etag(&self) -> &str {
        ascii(&self.headers["etag"]).unwrap()
    }
}

impl Idp {
    /// A program that may ask for these scopes, and asked for all of them.
    pub async fn client(&self, client_id: &str, scope: &str) -> Program {
        let party = self
            .app(client_id, |metadata| {
                metadata.grant_types = vec![GrantType::ClientCredentials];
                metadata.response_types = Vec::new();
                metadata.redirect_uris = Vec::new();
                metadata.scope = scope.into();
            })
            .await;
        let answer = party.post("/oauth2/token", &[("grant_type", "client_credentials")]).await;
        let told = Told::of(&answer);
        let token = told.assert(200).json["access_token"].as_str().unwrap().to_owned();
        Program { party, token }
    }
}

impl Program {
    /// One request, with further headers.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&'static str, &str)], body: Option<&Value>) -> Told {
        let mut all = bearer(&self.token);
        if body.is_some() {
            all.insert("content-type", "application/json".parse().unwrap());
        }
        for (name, value) in headers {
            all.insert(*name, value.parse().unwrap());
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Told::of(&self.party.idp.program(method, path, all, body).await)
    }

    pub async fn get(&self, path: &str) -> Told {
        self.send("GET", path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Told {
        self.send("POST", path, &[], Some(body)).await
    }

    pub async fn act(&self, path: &str) -> Told {
        self.send("POST", path, &[], None).await
    }

    pub async fn patch(&self, path: &str, etag: &str, body: &Value) -> Told {
        self.send("PATCH", path, &[("if-match", etag)], Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Told {
        self.send("DELETE", path, &[], None).await
    }
}
