//! What is begun at one replica is finished at another one, and what is ended at one is dead at another one within a
//! second: with a Redis, and the same when it is gone.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::redis_server::RedisServer;
use crate::relying_parties::{App, client};
use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, PROVIDER, eventually};
use crate::visitors::{NOT_VALID, SENDER, Visitors};

const AT_ONCE: Duration = Duration::from_secs(1);

/// Two replicas and their Redis.
struct Pair {
    setup: Setup,
    services: [Service; 2],
    redis: RedisServer,
}

/// Somebody signed in at the first replica, with an app's tokens.
struct Person {
    login_name: String,
    session: String,
    access: String,
    refresh: String,
}

impl Pair {
    async fn start(engine: Engine) -> Option<Self> {
        let redis = RedisServer::start()?;
        let setup = Setup::new(engine, 8, CHEAP, "").await;
        setup.apply(&client(""));
        let url = redis.url();
        let settings = [("CONNECT_IDP__REDIS__URL", url.as_str()), ("CONNECT_IDP__THROTTLE__ENABLED", "true")];
        let services = [setup.serve_with(&settings).await, setup.serve_too_with(&settings).await];
        Some(Self { setup, services, redis })
    }

    fn here(&self) -> Visitors {
        self.services[0].visitors()
    }

    fn there(&self) -> Visitors {
        self.services[1].visitors()
    }

    /// The app, as it comes to the other replica.
    fn app_there(&self) -> App {
        App::at(&self.services[1].address)
    }

    async fn person(&self, number: usize) -> Person {
        let login_name = format!("user{number}");
        let session = self.here().log_in(&login_name).await.session().unwrap();
        self.with_tokens(login_name, session).await
    }

    async fn with_tokens(&self, login_name: String, session: String) -> Person {
        let app = App::at(&self.services[0].address);
        let code = app.code(&self.here(), &session).await.unwrap();
        let (_, tokens) = app.exchange(&code).await.unwrap();
        let text = |name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned();
        let person = Person { login_name, session, access: text("access_token"), refresh: text("refresh_token") };
        assert!(self.there().is_signed_in(&person.session).await);
        assert_eq!(self.app_there().userinfo(&person.access).await, 200);
        person
    }

    async fn session_dies(&self, person: &Person) {
        let dead = async || !self.there().is_signed_in(&person.session).await;
        eventually("the session is dead there", AT_ONCE, dead).await;
    }

    async fn tokens_die(&self, person: &Person) {
        let app = self.app_there();
        eventually("userinfo is refused there", AT_ONCE, async || app.userinfo(&person.access).await == 401).await;
        assert_eq!(app.refresh(&person.refresh).await.0, 400);
        for token in [&person.access, &person.refresh] {
            let (_, said) = app.post("/oauth2/introspect", &[("token", token)]).await.unwrap();
            assert_eq!(said, json!({ "active": false }));
        }
    }

    /// All that ends something: by the first replica's pages and endpoints, and by commands.
    async fn endings(&self) {
        let of = |person: &Person| {
            ["--provider".to_owned(), PROVIDER.to_owned(), "--login-name".to_owned(), person.login_name.clone()]
        };
        let cli = |words: &[&str], of: &[String]| {
            let of: Vec<&str> = of.iter().map(String::as_str).collect();
            self.setup.cli(&[words, &of].concat());
        };

        let person = self.person(0).await;
        assert_eq!(self.here().post("/logout", &[], &person.session).await.unwrap().status, 303);
        self.session_dies(&person).await;

        let person = self.person(1).await;
        let app = App::at(&self.services[0].address);
        assert_eq!(app.revoke(&person.refresh).await, 200);
        self.tokens_die(&person).await;
        assert!(self.there().is_signed_in(&person.session).await, "only the app's sign-in was ended");

        for (number, verb) in [(2, "lock"), (3, "deactivate"), (4, "end-sessions")] {
            let person = self.person(number).await;
            cli(&["user", verb], &of(&person));
            self.session_dies(&person).await;
            self.tokens_die(&person).await;
            if verb != "end-sessions" {
                assert_eq!(self.there().log_in(&person.login_name).await.status, 403);
                cli(&["user", if verb == "lock" { "unlock" } else { "reactivate" }], &of(&person));
            }
        }
        self.issuer_ends().await;
        self.key_ends().await;
        self.client_ends().await;
        self.setup.cli(&["doctor"]);
    }

    async fn issuer_ends(&self) {
        let sender = &self.setup.sender;
        let posted = self.here().hand_over(&sender.assertion("user5")).await.unwrap();
        let session = self.here().complete(&posted).await.unwrap().session().unwrap();
        let person = self.with_tokens("user5".into(), session).await;
        let issuer = ["--issuer", SENDER];
        self.setup.cli(&[&["issuer", "disable"], issuer.as_slice(), &["--end-sessions"]].concat());
        self.session_dies(&person).await;
        self.tokens_die(&person).await;
        let refused = self.there().hand_over(&sender.assertion("user5")).await.unwrap();
        assert_eq!(refused.text("handoff-error"), NOT_VALID, "{refused:?}");
        self.setup.cli(&[&["issuer", "enable"], issuer.as_slice()].concat());
        let trusted = async || self.there().hand_over(&sender.assertion("user5")).await.unwrap().status == 303;
        eventually("the issuer is trusted again there", AT_ONCE, trusted).await;
    }

    /// A key that is taken back is not published any more, and signs nothing.
    async fn key_ends(&self) {
        let person = self.person(6).await;
        let keys: Vec<Value> = serde_json::from_str(&self.setup.cli(&["key", "list", "--output", "json"])).unwrap();
        let signing = keys.iter().find(|key| key["alg"] == "RS256" && key["state"] == "signing").unwrap();
        let kid = signing["kid"].as_str().unwrap();
        let published = async || {
            let set = self.there().get("/oauth2/jwks", None).await.unwrap().json();
            set["keys"].as_array().unwrap().iter().any(|key| key["kid"] == kid)
        };
        assert!(published().await);
        self.setup.cli(&["key", "retire", kid]);
        eventually("it is not published there", AT_ONCE, async || !published().await).await;
        let (status, tokens) = self.app_there().refresh(&person.refresh).await;
        assert_eq!(status, 200, "{tokens}");
        let header = tokens["id_token"].as_str().unwrap().split('.').next().unwrap();
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_ne!(header["kid"], kid);
    }

    async fn client_ends(&self) {
        let person = self.person(7).await;
        self.setup.cli(&["client", "disable", "--client-id", "portal"]);
        let app = self.app_there();
        eventually("the client is refused there", AT_ONCE, async || app.refresh(&person.refresh).await.0 == 401).await;
        self.setup.cli(&["client", "enable", "--client-id", "portal"]);
        let back = async || app.code(&self.there(), &person.session).await.is_some();
        eventually("the client is served again there", AT_ONCE, back).await;
    }

    /// All that has two steps.
    async fn beginnings(&self) {
        let (here, there) = (self.here(), self.there());
        let posted = here.hand_over(&self.setup.sender.assertion("user0")).await.unwrap();
        let session = there.complete(&posted).await.unwrap().session().unwrap();
        let app = App::at(&self.services[0].address);
        let code = app.code(&here, &session).await.unwrap();
        let (status, tokens) = self.app_there().exchange(&code).await.unwrap();
        assert_eq!(status, 200, "{tokens}");
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let (status, tokens) = app.refresh(refresh).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(self.app_there().userinfo(tokens["access_token"].as_str().unwrap()).await, 200);
        assert_eq!(app.exchange(&code).await.unwrap().0, 400, "a code is good once");
        let dead = async || self.app_there().userinfo(tokens["access_token"].as_str().unwrap()).await == 401;
        eventually("a code that came twice ends what it gave, there too", AT_ONCE, dead).await;
    }
}

on_engines! { what_is_begun_here_is_finished_there: postgres }
async fn what_is_begun_here_is_finished_there(engine: Engine) {
    let Some(mut pair) = Pair::start(engine).await else { return };
    pair.beginnings().await;
    pair.redis.kill();
    pair.beginnings().await;
}

on_engines! { what_is_ended_here_is_dead_there_within_a_second: postgres }
async fn what_is_ended_here_is_dead_there_within_a_second(engine: Engine) {
    let Some(mut pair) = Pair::start(engine).await else { return };
    pair.endings().await;
    pair.redis.kill();
    pair.endings().await;
}
