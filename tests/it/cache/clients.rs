//! What a replica knows of a client since an earlier request lets nobody in: a change at another replica holds at once (G1).

use std::time::Duration;

use connect_idp::operations::clients::{rotate_secret, set, set_enabled};
use connect_idp::store;
use serde_json::json;

use crate::actors::{Browser, Engine, Idp, RelyingParty};
use crate::operations::clients::lifecycle::draft;

/// An app that this replica knows, somebody who is signed in, and what the app was given.
struct Stand {
    idp: Idp,
    other: Idp,
    app: RelyingParty,
    browser: Browser,
    refresh_token: String,
    access_token: String,
}

impl Stand {
    async fn make(engine: Engine) -> Self {
        let idp = Idp::start(engine).await;
        let (other, amina) = (idp.replica(|_| {}).await, idp.user("amina").create().await);
        let app = idp.app("portal", |_| {}).await;
        let (mut browser, scope) = (idp.browser(), [("scope", "openid profile")]);
        let tokens = app.tokens(&mut browser, &amina, &scope).await;
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        let (refresh_token, access_token) = (text("refresh_token"), text("access_token"));
        assert_eq!(app.refresh(&refresh_token).await.status, 200);
        assert!(app.is_active(&access_token).await);
        Self { idp, other, app, browser, refresh_token, access_token }
    }

    /// A code, asked for by whoever is signed in.
    async fn code(&mut self) -> Option<String> {
        let answer = self.app.send(&mut self.browser, &[]).await;
        let url = url::Url::parse(answer.header("location")?).ok()?;
        url.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned())
    }

    /// What each way answers.
    async fn statuses(&mut self, code: &str) -> [u16; 3] {
        let app = &self.app;
        let introspection = app.post("/oauth2/introspect", &[("token", &self.access_token)]).await;
        [app.exchange(code).await.status, app.refresh(&self.refresh_token).await.status, introspection.status]
            .map(|status| status.as_u16())
    }
}

both_engines! {
    /// A secret that was ended opens nothing any more, and the one in its place opens all.
    async fn a_secret_ends_at_every_replica_at_once(engine: Engine) {
        let mut stand = Stand::make(engine).await;
        let code = stand.code().await.unwrap();
        rotate_secret(&stand.other.act(), "portal", "another-secret", Duration::ZERO, None).await.unwrap();
        assert_eq!(stand.statuses(&code).await, [401, 401, 401]);
        stand.app.secret = "another-secret".into();
        assert_eq!(stand.statuses(&code).await, [200, 200, 200], "the code was not spent by who did not prove itself");
    }

    /// A secret that is over by its time, and that nobody ended.
    async fn a_secret_is_over_in_time(engine: Engine) {
        let mut stand = Stand::make(engine).await;
        let code = stand.code().await.unwrap();
        rotate_secret(&stand.other.act(), "portal", "another-secret", Duration::from_secs(10), None).await.unwrap();
        stand.idp.advance(Duration::from_secs(9));
        assert!(stand.app.is_active(&stand.access_token).await);
        stand.idp.advance(Duration::from_secs(1));
        assert_eq!(stand.statuses(&code).await, [401, 401, 401]);
    }

    /// A client that was switched off gets nothing, nor does anybody for it.
    async fn a_client_is_off_at_every_replica_at_once(engine: Engine) {
        let mut stand = Stand::make(engine).await;
        let code = stand.code().await.unwrap();
        set_enabled(&stand.other.act(), "portal", false).await.unwrap();
        assert_eq!(stand.statuses(&code).await, [401, 401, 401]);
        assert_eq!(stand.code().await, None);
        set_enabled(&stand.other.act(), "portal", true).await.unwrap();
        assert!(stand.code().await.is_some());
    }

    /// What a client may is checked by its registration of this moment.
    async fn a_registration_changes_at_every_replica_at_once(engine: Engine) {
        let mut stand = Stand::make(engine).await;
        let code = stand.code().await.unwrap();
        let change = json!({"grant_types": ["authorization_code"], "scope": "openid",
                            "redirect_uris": ["https://portal.example/moved"]});
        set(&stand.other.act(), "portal", &draft(&change)).await.unwrap();
        let refused = stand.app.refresh(&stand.refresh_token).await;
        refused.assert_oauth_error(400, "unauthorized_client");
        assert_eq!(stand.code().await, None, "the address is not registered any more");
        let tokens = stand.app.exchange(&code).await.json();
        assert!(tokens.get("refresh_token").is_none(), "{tokens}");
    }

    /// The same of a public client, which is known by its registration alone.
    async fn a_public_client_is_what_it_is_now(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (other, amina) = (idp.replica(|_| {}).await, idp.user("amina").create().await);
        let public = json!({"token_endpoint_auth_method": "none"});
        let mut app = idp.app("spa", |_| {}).await;
        set(&other.act(), "spa", &draft(&public)).await.unwrap();
        app.client.metadata.token_endpoint_auth_method = Some(connect_idp::model::client::AuthMethod::None);
        let mut browser = idp.browser();
        let tokens = app.tokens(&mut browser, &amina, &[]).await;
        let first = tokens["refresh_token"].as_str().unwrap();
        let second = app.refresh(first).await.json()["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(app.refresh(first).await.json()["refresh_token"], second.as_str(), "a retry is answered alike");
        set_enabled(&other.act(), "spa", false).await.unwrap();
        app.refresh(&second).await.assert_oauth_error(401, "invalid_client");
        app.refresh(first).await.assert_oauth_error(401, "invalid_client");
    }

    /// Where a known client's code is of no use, the code is spent and told of as for any client.
    async fn a_code_that_is_of_no_use_is_spent_by_a_known_client_too(engine: Engine) {
        let mut stand = Stand::make(engine).await;
        let code = stand.code().await.unwrap();
        let fields = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", "x"),
                      ("redirect_uri", "https://portal.example/callback")];
        let answer = stand.app.post("/oauth2/token", &fields).await;
        assert!(answer.body.contains("code_verifier is not right"), "{}", answer.body);
        let answer = stand.app.exchange(&code).await;
        assert!(answer.body.contains("spent before"), "{}", answer.body);
    }

    /// A second statement is refused where one was promised: on PostgreSQL it would be another transaction.
    async fn a_transaction_of_one_statement_has_no_second_one(engine: Engine) {
        let idp = Idp::start(engine).await;
        let put = async |names: &'static [&'static str]| {
            let (db, deadline) = (idp.app.db.clone(), idp.app.ordinary_deadline(idp.now()));
            db.transact(deadline, store::Extent::One, move |mut tx: store::Tx| async move {
                let mut done = Ok(());
                for name in names {
                    done = store::settings::put(&mut tx, name, "1").await;
                }
                (tx, done)
            })
            .await
        };
        let count = "SELECT COUNT(*) FROM settings WHERE name IN ('one', 'two', 'three')";
        put(&["one"]).await.unwrap();
        assert_eq!(idp.number(count).await, 1);
        assert!(put(&["two", "three"]).await.is_err());
        assert_eq!(idp.number("SELECT COUNT(*) FROM settings WHERE name = 'three'").await, 0);
    }
}
