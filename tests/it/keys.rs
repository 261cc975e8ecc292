//! Our signing keys through their life (G20), and the key-encryption keys above them.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use connect_idp::config::Config;
use connect_idp::crypto::jws::{Algorithm, Unverified, VerifyingKeys};
use connect_idp::crypto::key_ring::KeyRing;
use connect_idp::jobs;
use connect_idp::operations::signing_keys::{Retired, Rotated, jwks, list, reseal, retire, rotate, signer, verify_own};
use connect_idp::time::Random;

use crate::actors::{Idp, claims};

const HOUR: Duration = Duration::from_hours(1);

async fn states(idp: &Idp, alg: &str) -> Vec<String> {
    let listed = list(&idp.app, idp.now()).await.unwrap();
    listed.iter().filter(|listed| listed.key.alg == alg).map(|listed| listed.state.to_string()).collect()
}

async fn kids(idp: &Idp) -> HashSet<String> {
    let json = jwks(&idp.app, idp.now()).await.unwrap().json;
    let set: serde_json::Value = serde_json::from_str(&json).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn signs(idp: &Idp) -> String {
    signer(&idp.app, Algorithm::Es256, idp.now()).await.unwrap().kid.clone()
}

both_engines! {
    /// Replicas that start at once make one key each algorithm; `EdDSA`'s is made when it is needed.
    async fn replicas_that_start_at_once_make_one_key(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let other = idp.replica(|_| {}).await;
        let tasks = (0..8).map(|n| {
            let idp = if n % 2 == 0 { idp.clone() } else { other.clone() };
            tokio::spawn(async move { jobs::rotate(&idp.app).await.unwrap() })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(idp.number("SELECT COUNT(*) FROM signing_keys").await, 3);
        assert_eq!(signs(&idp).await, signs(&other).await);
        signer(&idp.app, Algorithm::EdDsa, idp.now()).await.unwrap();
        assert_eq!(kids(&idp).await.len(), 4);
    }

    /// G20: announced ahead of use, verifying until nothing it signed is good, then out of the set; by the job alone.
    async fn a_key_is_replaced_by_its_dates(engine: Engine) {
        let idp = Idp::start(engine).await;
        jobs::rotate(&idp.app).await.unwrap();
        let first = signs(&idp).await;
        idp.advance(Duration::from_millis(24 * 89 * 3_600_000 - 10_001));
        jobs::rotate(&idp.app).await.unwrap();
        assert_eq!(states(&idp, "ES256").await, ["signing"]);
        idp.advance(Duration::from_millis(1));
        jobs::rotate(&idp.app).await.unwrap();
        jobs::rotate(&idp.app).await.unwrap();
        assert_eq!(states(&idp, "ES256").await, ["signing", "announced"], "once");
        assert_eq!((signs(&idp).await, kids(&idp).await.len()), (first.clone(), 6));
        idp.advance(HOUR * 24);
        assert_eq!(states(&idp, "ES256").await, ["verifying", "signing"]);
        let second = signs(&idp).await;
        assert!(second != first && kids(&idp).await.contains(&first));
        idp.advance(HOUR + Duration::from_mins(5));
        assert_eq!(states(&idp, "ES256").await, ["retired", "signing"]);
        assert!(!kids(&idp).await.contains(&first) && kids(&idp).await.contains(&second));
        assert_eq!(idp.record().await.iter().filter(|line| *line == "signing_key_rotated success").count(), 3);
    }

    /// 32 operators at once announce one key.
    async fn simultaneous_rotations_are_one(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        signs(&idp).await;
        let tasks = (0..32).map(|n| {
            let idp = if n % 2 == 0 { idp.clone() } else { other.clone() };
            tokio::spawn(async move { rotate(&idp.act(), Algorithm::Es256, false).await.unwrap() })
        });
        let mut done = 0;
        for task in tasks.collect::<Vec<_>>() {
            done += usize::from(matches!(task.await.unwrap(), Rotated::Yes(..)));
        }
        assert_eq!((done, states(&idp, "ES256").await), (1, vec!["signing".to_owned(), "announced".to_owned()]));
    }

    /// A retired key proves nothing any more, and another signs in its place; on the other replica within seconds.
    async fn a_retired_key_is_out_at_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |m| m.id_token_signed_response_alg = Algorithm::Es256).await);
        let tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let id_token = tokens["id_token"].as_str().unwrap();
        let is_ours = async |idp: &Idp| verify_own(&idp.app, &Unverified::parse(id_token, 8192).unwrap(), idp.now()).await.unwrap();
        assert!(is_ours(&idp).await && is_ours(&other).await);
        let kid = signs(&idp).await;
        let Retired::Yes(Some(next)) = retire(&idp.act(), &kid).await.unwrap() else { panic!("it signed") };
        assert_eq!((signs(&idp).await, is_ours(&idp).await), (next.clone(), false));
        assert!(!kids(&idp).await.contains(&kid));
        idp.advance(Duration::from_secs(3));
        assert_eq!((signs(&other).await, is_ours(&other).await), (next, false));
        assert_eq!(retire(&idp.act(), &kid).await.unwrap(), Retired::Already);
        assert_eq!(retire(&idp.act(), "nobody").await.unwrap(), Retired::NotFound);
        assert_eq!(idp.number("SELECT COUNT(*) FROM signing_keys WHERE sealed_jwk = ''").await, 1);
    }

    /// Keys rotate while tokens are given: a client that caches the set as its headers allow verifies every one.
    async fn no_client_that_caches_as_allowed_fails_while_keys_rotate(engine: Engine) {
        let idp = Idp::start_with(engine, |config: &mut Config| config.session.absolute_hours = 168).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |m| m.id_token_signed_response_alg = Algorithm::Es256).await);
        let mut browser = idp.browser();
        let mut refresh = app.tokens(&mut browser, &amina, &[("scope", "openid offline_access")]).await["refresh_token"].as_str().unwrap().to_owned();
        let mut cached: Option<(VerifyingKeys, i64)> = None;
        let mut signed_by = HashSet::new();
        for step in 0..120 {
            if step % 50 == 10 {
                assert!(matches!(rotate(&idp.act(), Algorithm::Es256, false).await.unwrap(), Rotated::Yes(..)));
            }
            idp.advance(Duration::from_mins(40));
            if step % 25 == 24 {
                refresh = app.tokens(&mut browser, &amina, &[("scope", "openid offline_access")]).await["refresh_token"].as_str().unwrap().to_owned();
            }
            let token = app.refresh(&refresh).await.json()["id_token"].as_str().unwrap().to_owned();
            if cached.as_ref().is_none_or(|(_, until)| *until <= idp.now().seconds()) {
                let answer = idp.program(Method::GET, "/oauth2/jwks", HeaderMap::new(), String::new()).await;
                let max_age: i64 = answer.header("cache-control").unwrap().rsplit_once('=').unwrap().1.parse().unwrap();
                cached = Some((VerifyingKeys::parse(&answer.body).unwrap(), idp.now().seconds() + max_age));
            }
            let jws = Unverified::parse(&token, 8192).unwrap();
            let kid = jws.header["kid"].as_str().unwrap();
            let key = cached.as_ref().unwrap().0.get(kid).unwrap_or_else(|| panic!("step {step}: {kid} is not in the cached set"));
            assert!(key.verify(&jws) && claims(&token)["exp"].as_i64() > Some(idp.now().seconds()));
            signed_by.insert(kid.to_owned());
        }
        assert_eq!(signed_by.len(), 3, "two rotations took place");
    }

    /// A key-encryption key is replaced: the new one seals, the old one still opens, and without it nothing is made up.
    async fn a_key_encryption_key_is_replaced(engine: Engine) {
        let idp = Idp::start(engine).await;
        let kid = signs(&idp).await;
        let dir = idp.app.config.keys.dir.clone();
        KeyRing::add(&dir, &Random::System).unwrap();
        let renewed = idp.replica(|_| {}).await;
        assert_eq!(signs(&renewed).await, kid);
        assert_eq!(reseal(&renewed.act()).await.unwrap(), 1);
        // The first replica has yet to be restarted: it goes on with what it holds, and reads nothing new.
        idp.advance(Duration::from_secs(3));
        assert_eq!(signs(&idp).await, kid);
        assert_eq!(signs(&idp.replica(|_| {}).await).await, kid);
        std::fs::rename(dir.join("kek-0002"), dir.join("away")).unwrap();
        let poor = idp.replica(|_| {}).await;
        let why = signer(&poor.app, Algorithm::Es256, poor.now()).await.unwrap_err().to_string();
        assert!(why.contains("restore that folder"), "{why}");
        assert_eq!(idp.number("SELECT COUNT(*) FROM signing_keys").await, 1, "no key was made up");
    }
}
