//! What is ended at one replica is dead at the others within a second, whatever happens to Redis: nothing that ends is
//! remembered anywhere but in the database for longer (G1, G9).

use std::time::Duration;

use connect_idp::crypto::jws::Algorithm;
use connect_idp::model::client::AccessTokenFormat;
use connect_idp::operations::admin_context::Switched;
use connect_idp::operations::keys::in_use::signer;
use connect_idp::operations::keys::rotation::{self, When};
use connect_idp::operations::{clients, issuers};

use crate::actors::{Browser, ISSUER, Idp, RedisServer, User, bearer, public_jwks};
use crate::actors::{Engine, keep_log};

/// After so long it holds everywhere.
const SECOND: Duration = Duration::from_secs(1);

/// What happens to Redis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RedisState {
    None,
    There,
    Gone,
}

async fn both(engine: Engine, state: RedisState) -> Option<(Option<RedisServer>, Idp, Idp)> {
    keep_log();
    let mut redis = None;
    if state != RedisState::None {
        redis = Some(RedisServer::start()?);
    }
    let settings = redis.as_ref().map(|redis| connect_idp::config::Redis { url: redis.url() });
    let first = Idp::start_live(engine, |config| config.redis = settings).await;
    let second = first.replica(|_| {}).await;
    if let (RedisState::Gone, Some(redis)) = (state, &mut redis) {
        redis.kill();
    }
    Some((redis, first, second))
}

async fn signed_in(idp: &Idp, user: &User) -> Browser {
    let mut browser = idp.browser();
    browser.sign_in(user).await;
    browser
}

async fn everything_ends_everywhere(engine: Engine, state: RedisState) {
    let Some((_redis, first, second)) = both(engine, state).await else { return };
    let [amina, bilal, chidi] = ["amina", "bilal", "chidi"].map(|name| first.user(name));
    let (amina, bilal, chidi) = (amina.create().await, bilal.create().await, chidi.create().await);

    // At once: read at each use.
    let mut browser = signed_in(&first, &amina).await;
    let mut elsewhere = browser.clone().at(&second);
    elsewhere.assert_signed_in_as(&amina).await;
    browser.post("/logout", &[]).await;
    elsewhere.assert_signed_out().await;

    let mut elsewhere = signed_in(&first, &amina).await.at(&second);
    first.lock(&amina).await;
    elsewhere.assert_signed_out().await;
    let mut elsewhere = signed_in(&first, &bilal).await.at(&second);
    first.set_active(&bilal, false).await;
    elsewhere.assert_signed_out().await;

    let app = first.app("portal", |metadata| metadata.access_token_format = AccessTokenFormat::Jwt).await;
    let tokens = app.tokens(&mut first.browser(), &chidi, &[("scope", "openid offline_access")]).await;
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let there = crate::actors::RelyingParty { idp: second.clone(), ..app.clone() };
    assert_eq!(there.userinfo(access).await.status, 200);

    // A key that was taken back proves nothing any more.
    let signer = signer(&first.app, Algorithm::Rs256, first.now()).await.unwrap();
    rotation::rotate(&first.act(), Algorithm::Rs256, When::AtOnce).await.unwrap();
    rotation::retire(&first.act(), &signer.kid).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(there.userinfo(access).await.status, 401);
    let tokens = there.refresh(refresh).await.json();
    let access = tokens["access_token"].as_str().unwrap().to_owned();
    assert_eq!(app.userinfo(&access).await.status, 200, "the new key holds everywhere too");

    assert_eq!(clients::set_enabled(&first.act(), "portal", false).await.unwrap(), Switched::Done);
    assert_eq!(there.userinfo(&access).await.status, 401);
    there.refresh(refresh).await.assert_oauth_error(401, "invalid_client");

    let program = first.client("program", "users.read").await;
    let ask = async || {
        second
            .program(
                axum::http::Method::GET,
                "/api/v1/providers/SUNRISE-IL/users",
                bearer(&program.token),
                String::new(),
            )
            .await
            .status
    };
    assert_eq!(ask().await, 200);
    program.party.post("/oauth2/revoke", &[("token", &program.token)]).await;
    assert_eq!(ask().await, 401);

    // The second replica has the issuer in memory: it is read again in the transaction that counts.
    let hand_off = async || second.browser().hand_off(&second.therap_services().assertion(&chidi).sign()).await.status;
    assert_eq!(hand_off().await, 200);
    let mut elsewhere = second.browser();
    elsewhere.hand_off(&second.therap_services().assertion(&chidi).sign()).await;
    issuers::disable(&first.act(), ISSUER, true).await.unwrap();
    assert_eq!(hand_off().await, 403);
    elsewhere.assert_signed_out().await;

    let mut elsewhere = signed_in(&first, &chidi).await.at(&second);
    first.set_provider_active(&chidi.provider_id, false).await;
    elsewhere.assert_signed_out().await;
    assert_eq!(second.browser().log_in(&chidi, &chidi.password).await.status, 403);
    first.assert_invariants().await;
}

both_engines! {
    async fn what_ends_is_dead_everywhere_without_redis(engine: Engine) {
        everything_ends_everywhere(engine, RedisState::None).await;
    }

    async fn what_ends_is_dead_everywhere_with_redis(engine: Engine) {
        everything_ends_everywhere(engine, RedisState::There).await;
    }

    async fn what_ends_is_dead_everywhere_with_redis_gone(engine: Engine) {
        everything_ends_everywhere(engine, RedisState::Gone).await;
    }

    /// Keys that one replica fetched from an issuer's address hold at the others, which verified by those before.
    async fn a_key_that_an_issuer_withdrew_is_dead_at_every_replica(engine: Engine) {
        let first = Idp::start_live(engine, |_| {}).await;
        let second = first.replica(|_| {}).await;
        let amina = first.user("amina").create().await;
        let mut outsider = first.outsider().await;
        let fetched = |kids: &[&str]| format!("UPDATE issuers SET jwks = NULL, jwks_uri = 'https://127.0.0.1:1/jwks', last_good_jwks = '{}'", public_jwks(kids));
        outsider.run(&fetched(&["es256", "ps256"])).await;
        let hand_off = async |idp: &Idp| idp.browser().hand_off(&idp.therap_services().assertion(&amina).sign()).await.status;
        assert_eq!((hand_off(&first).await, hand_off(&second).await), (axum::http::StatusCode::OK, axum::http::StatusCode::OK));
        outsider.run(&fetched(&["ps256"])).await;
        assert_eq!(hand_off(&second).await, 403);
    }
}
