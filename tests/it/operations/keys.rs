//! G20: our signing keys, over their whole life and over several replicas; and the key-encryption key that seals them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use connect_idp::crypto::jws::{Algorithm, Unverified};
use connect_idp::crypto::key_set::VerifyingKeys;
use connect_idp::jobs;
use connect_idp::model::signing_key::State;
use connect_idp::operations::keys::in_use;
use connect_idp::operations::keys::known::LONGEST_LIFE;
use connect_idp::operations::keys::rotation::{self, Retired, Rotated, When};
use connect_idp::operations::keys::sealing;
use connect_idp::store::Error;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::actors::{Engine, Idp, claims};

const ES256: Algorithm = Algorithm::Es256;
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const COUNT: &str = "SELECT COUNT(*) FROM signing_keys";

impl Idp {
    /// Something signed with our key of an algorithm.
    async fn signed(&self, alg: Algorithm) -> Result<String, Error> {
        let key = in_use::signer(&self.app, alg, self.now()).await?;
        Ok(key.sign("JWT", &json!({ "sub": "amina" })).unwrap())
    }

    async fn signing_kid(&self) -> String {
        in_use::signer(&self.app, ES256, self.now()).await.unwrap().kid.clone()
    }

    async fn is_ours(&self, text: &str) -> bool {
        let jws = Unverified::parse(text, 8192).unwrap();
        in_use::verify_own(&self.app, &jws, self.now()).await.unwrap()
    }

    async fn is_a_hint_of_ours(&self, text: &str) -> bool {
        let jws = Unverified::parse(text, 8192).unwrap();
        in_use::verify_hint(&self.app, &jws, self.now()).await.unwrap()
    }

    async fn published(&self) -> BTreeSet<String> {
        let set = in_use::jwks(&self.app, self.now()).await.unwrap();
        let set: Value = serde_json::from_str(&set.json).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    /// The states of the ES256 keys, oldest first.
    async fn states(&self) -> Vec<State> {
        let keys = in_use::list(&self.app, self.now()).await.unwrap();
        keys.iter().filter(|listed| listed.key.alg == "ES256").map(|listed| listed.state).collect()
    }

    async fn rotate(&self, when: When) -> Rotated {
        rotation::rotate(&self.act(), ES256, when).await.unwrap()
    }

    /// Rotates, and says the new key's `kid`.
    async fn rotated(&self, when: When) -> String {
        match self.rotate(when).await {
            Rotated::Done { kid, .. } => kid,
            other @ (Rotated::Already { .. } | Rotated::TooMany) => panic!("{other:?}"),
        }
    }

    async fn retire(&self, kid: &str) -> Retired {
        rotation::retire(&self.act(), kid).await.unwrap()
    }

    /// One round of the job.
    async fn job(&self) {
        jobs::look_after_keys(&self.app).await.unwrap();
    }
}

/// A millisecond short of it.
fn just_before(span: Duration) -> Duration {
    span.saturating_sub(Duration::from_millis(1))
}

fn kid_of(text: &str) -> String {
    Unverified::parse(text, 8192).unwrap().header["kid"].as_str().unwrap().to_owned()
}

both_engines! {
    /// Two replicas that start at once, and every request that finds no key, agree on one key each algorithm.
    async fn of_many_at_once_one_makes_the_first_keys(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let jobs = [&idp, &other].map(Idp::job);
        let signers = [&idp, &other].map(|idp| join_all((0..8).map(|_| idp.signing_kid())));
        let (_, kids) = tokio::join!(join_all(jobs), join_all(signers));
        assert_eq!(kids.concat().into_iter().collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(idp.number("SELECT COUNT(DISTINCT alg) FROM signing_keys").await, 3);
        assert_eq!(idp.number(COUNT).await, 3);
        assert_eq!(idp.published().await, other.published().await);
    }

    /// One command triggers a rotation; of 32 at once, on two replicas, one makes a key and the others say which.
    async fn of_many_rotations_at_once_one_is_done(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let first = idp.signing_kid().await;
        let rotations = (0..32).map(|n| if n % 2 == 0 { &idp } else { &other }.rotate(When::Announced));
        let rotated = join_all(rotations).await;
        let done = rotated.iter().filter(|rotated| matches!(rotated, Rotated::Done { .. })).count();
        assert_eq!((done, idp.states().await), (1, vec![State::Signing, State::Announced]));
        let kid = |rotated: &Rotated| match rotated {
            Rotated::Done { kid, .. } | Rotated::Already { kid, .. } => kid.clone(),
            Rotated::TooMany => panic!("too many"),
        };
        assert_eq!(rotated.iter().map(kid).collect::<BTreeSet<_>>().len(), 1);
        assert_eq!((idp.signing_kid().await, other.signing_kid().await), (first.clone(), first));
        idp.assert_activity(["signing_key_rotated success"]).await;
        idp.assert_invariants().await;
    }

    /// Published ahead of its use, in use, kept until the last token, gone: on every replica at the same instant.
    async fn a_key_lives_by_its_dates(engine: Engine) {
        use State::{Announced, Retired, Signing, Verifying};
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let (first, old_token) = (idp.signing_kid().await, idp.signed(ES256).await.unwrap());
        let second = idp.rotated(When::Announced).await;
        assert!(idp.published().await.is_superset(&[first.clone(), second.clone()].into()));

        idp.advance(just_before(DAY));
        assert_eq!((idp.states().await, idp.signing_kid().await), (vec![Signing, Announced], first.clone()));
        idp.advance(Duration::from_millis(1));
        assert_eq!((idp.states().await, idp.signing_kid().await), (vec![Verifying, Signing], second.clone()));
        assert_eq!(other.signing_kid().await, second);

        idp.advance(just_before(LONGEST_LIFE));
        assert!(idp.published().await.contains(&first) && idp.is_ours(&old_token).await);
        idp.advance(Duration::from_millis(1));
        assert!(!idp.is_ours(&old_token).await && !other.is_ours(&old_token).await);
        assert_eq!(idp.states().await, [Retired, Signing]);
        idp.advance(Duration::from_secs(1));
        for idp in [&idp, &other] {
            assert!(!idp.published().await.contains(&first) && !idp.is_ours(&old_token).await);
            assert!(idp.is_a_hint_of_ours(&old_token).await, "an id_token_hint may be old");
        }
        idp.advance(400 * DAY);
        assert!(!idp.is_a_hint_of_ours(&old_token).await);
        idp.assert_invariants().await;
    }

    /// Keys rotate automatically: one successor however many replicas look after them, recorded once.
    async fn old_keys_have_successors_by_themselves(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.keys.rotate_days = 10).await;
        let other = idp.replica(|_| {}).await;
        let both = async || {
            tokio::join!(idp.job(), other.job());
        };
        both().await;
        idp.advance(214 * HOUR);
        both().await;
        assert_eq!(idp.states().await, [State::Signing]);
        idp.advance(2 * HOUR);
        both().await;
        both().await;
        assert_eq!((idp.states().await, idp.number(COUNT).await), (vec![State::Signing, State::Announced], 6));
        idp.assert_activity(["signing_key_rotated success"; 3]).await;
        assert!(idp.activity().await.iter().all(|record| record.actor == "system"));
        let lives = "SELECT COUNT(*) FROM signing_keys WHERE sealed_jwk <> ''";
        idp.advance(just_before(DAY + HOUR));
        both().await;
        assert_eq!((idp.states().await, idp.number(lives).await), (vec![State::Verifying, State::Signing], 6));
        idp.advance(Duration::from_millis(1));
        both().await;
        assert_eq!(idp.number(lives).await, 3, "the private half of a key that signs no more is forgotten");
        idp.advance(30 * DAY);
        both().await;
        assert_eq!(idp.states().await, [State::Retired, State::Signing, State::Announced]);
        idp.assert_invariants().await;
    }

    /// A client that keeps our JWK Set as long as its headers allow never meets a key that it does not know.
    async fn no_verification_fails_for_who_keeps_the_set_as_its_headers_allow(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            (config.keys.rotate_days, config.keys.announce_minutes) = (1, 60);
        })
        .await;
        let fetch = async || {
            let answer = idp.program(Method::GET, "/oauth2/jwks", HeaderMap::new(), String::new()).await;
            let kept = answer.header("cache-control").unwrap().strip_prefix("public, max-age=").unwrap().to_owned();
            (VerifyingKeys::parse(&answer.body).unwrap(), idp.now().after(Duration::from_secs(kept.parse().unwrap())))
        };
        idp.job().await;
        let (mut keys, mut until) = fetch().await;
        let (mut kids, mut waiting) = (BTreeSet::new(), Vec::new());
        for step in 0_usize..3 * 24 * 6 {
            idp.advance(HOUR / 6);
            idp.job().await;
            if until <= idp.now() {
                (keys, until) = fetch().await;
            }
            let alg = if step % 2 == 0 { ES256 } else { Algorithm::Rs256 };
            waiting.push(idp.signed(alg).await.unwrap());
            // What was just signed, and what is nearly as old as a token may become.
            for text in [Some(&waiting[step]), waiting.iter().rev().nth(24 * 6 - 1)].into_iter().flatten() {
                let jws = Unverified::parse(text, 8192).unwrap();
                assert!(keys.get(&kid_of(text)).is_some_and(|key| key.verify(&jws)), "step {step}");
                assert!(idp.is_ours(text).await);
            }
            kids.insert(kid_of(&waiting[step]));
        }
        assert!(kids.len() >= 6, "{} keys signed", kids.len());
    }

    /// Keys rotate while tokens are given: a client that caches the set as its headers allow verifies every one.
    async fn no_app_that_keeps_the_set_as_allowed_fails_while_keys_rotate(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.session.absolute_hours = 168).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |m| m.id_token_signed_response_alg = ES256).await);
        let mut browser = idp.browser();
        let mut refresh = app.tokens(&mut browser, &amina, &[("scope", "openid offline_access")]).await["refresh_token"].as_str().unwrap().to_owned();
        let mut cached: Option<(VerifyingKeys, i64)> = None;
        let mut signed_by = BTreeSet::new();
        for step in 0..120 {
            if step % 50 == 10 {
                assert!(matches!(idp.rotate(When::Announced).await, Rotated::Done { .. }));
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

    /// In an emergency the new key signs at once, and other replicas follow within a second.
    async fn a_rotation_at_once_needs_no_announcement(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let (first, old_token) = (other.signing_kid().await, other.signed(ES256).await.unwrap());
        let second = idp.rotated(When::AtOnce).await;
        assert_eq!(idp.signing_kid().await, second);
        assert!(other.is_ours(&idp.signed(ES256).await.unwrap()).await, "an unknown kid is looked for at once");
        idp.advance(Duration::from_secs(1));
        assert_eq!(other.signing_kid().await, second);
        assert!(idp.is_ours(&old_token).await && idp.published().await.contains(&first));
        // One that is announced already is not waited for.
        let third = idp.rotated(When::Announced).await;
        assert_eq!((idp.signing_kid().await, idp.rotated(When::AtOnce).await), (second, third.clone()));
        assert_eq!(idp.signing_kid().await, third);
        idp.advance(LONGEST_LIFE);
        assert_eq!(idp.states().await, [State::Retired, State::Retired, State::Signing]);
        idp.assert_invariants().await;
    }

    /// A stolen key is worth nothing from the commit on: not published, no token and no hint of its is ours, its
    /// private half is gone, and another signs.
    async fn a_key_that_is_taken_back_is_worth_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let (first, token) = (other.signing_kid().await, other.signed(ES256).await.unwrap());
        assert!(idp.is_ours(&token).await);
        let Retired::Done { successor: Some(second) } = idp.retire(&first).await else { panic!("a successor") };
        assert_eq!((idp.signing_kid().await, idp.published().await.contains(&first)), (second.clone(), false));
        assert!(!idp.is_ours(&token).await && !idp.is_a_hint_of_ours(&token).await);
        idp.advance(Duration::from_secs(1));
        assert_eq!((other.signing_kid().await, other.is_ours(&token).await), (second.clone(), false));
        assert_eq!(idp.retire(&first).await, Retired::Already);
        assert_eq!(idp.retire("nobody").await, Retired::NotFound);
        // An announced key is taken back: another is announced, and the one that signs goes on.
        let third = idp.rotated(When::Announced).await;
        let Retired::Done { successor: Some(fourth) } = idp.retire(&third).await else { panic!("a successor") };
        assert_eq!(idp.signing_kid().await, second);
        assert!(idp.published().await.contains(&fourth) && !idp.published().await.contains(&third));
        // The one that signs is taken back while another is announced: that one signs at once.
        assert_eq!(idp.retire(&second).await, Retired::Done { successor: Some(fourth.clone()) });
        assert_eq!(idp.signing_kid().await, fourth);
        idp.assert_activity([
            "signing_key_retired success", "signing_key_retired success", "signing_key_retired success",
            "signing_key_rotated success",
        ])
        .await;
        idp.assert_invariants().await;
    }

    /// Taking back and rotating at once leave one key that signs and one successor at most.
    async fn taking_back_and_rotating_at_once_leave_one_key_that_signs(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let first = idp.signing_kid().await;
        let takers = join_all((0..6).map(|n| if n % 2 == 0 { &idp } else { &other }.retire(&first)));
        let rotations = join_all((0..6).map(|n| if n % 2 == 0 { &other } else { &idp }.rotate(When::Announced)));
        let (taken, _) = tokio::join!(takers, rotations);
        assert_eq!(taken.iter().filter(|taken| matches!(taken, Retired::Done { .. })).count(), 1);
        idp.advance(Duration::from_secs(1));
        assert_eq!(idp.signing_kid().await, other.signing_kid().await);
        assert_ne!(idp.signing_kid().await, first);
        let states = idp.states().await;
        assert_eq!(states.iter().filter(|state| **state == State::Signing).count(), 1, "{states:?}");
        assert!(states.iter().filter(|state| **state == State::Announced).count() <= 1, "{states:?}");
        idp.assert_invariants().await;
    }

    /// An empty or broken set never replaces a good one.
    async fn a_broken_set_never_replaces_a_good_one(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (published, token) = (idp.published().await, idp.signed(ES256).await.unwrap());
        let mut outsider = idp.outsider().await;
        for damage in [
            "ALTER TABLE signing_keys RENAME TO away",
            "ALTER TABLE away RENAME TO signing_keys; UPDATE signing_keys SET public_jwk = '{}' WHERE alg = 'ES256'",
            "DELETE FROM signing_keys",
        ] {
            outsider.run(damage).await;
            idp.advance(Duration::from_secs(2));
            assert_eq!(idp.published().await, published, "{damage}");
            assert!(idp.is_ours(&token).await && idp.is_ours(&idp.signed(ES256).await.unwrap()).await);
        }
        assert_eq!(idp.number(COUNT).await, 0);
    }

    /// Readers bound what they read, so what is published is bounded too (G22).
    async fn no_more_keys_are_published_than_readers_read(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.signing_kid().await;
        for _ in 1..16 {
            idp.rotated(When::AtOnce).await;
        }
        assert_eq!(idp.rotate(When::AtOnce).await, Rotated::TooMany);
        assert!(matches!(idp.retire(&idp.signing_kid().await).await, Retired::Done { .. }), "a thief is not waited for");
        idp.advance(LONGEST_LIFE);
        idp.rotated(When::AtOnce).await;
    }

    /// The key type that some libraries do not know is published once a client asks for it, before anything is signed.
    async fn a_rare_key_type_is_published_when_a_client_asks_for_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.job().await;
        assert_eq!(idp.published().await.len(), 3);
        let metadata = r#"{"id_token_signed_response_alg":"EdDSA"}"#;
        let client = format!("INSERT INTO clients (id, client_id, metadata, enabled, epoch, revision, created_at) \
                              VALUES ('1', 'portal', '{metadata}', TRUE, 1, 1, 0)");
        idp.outsider().await.run(&client).await;
        idp.job().await;
        assert_eq!(idp.published().await.len(), 4);
    }

    /// A key-encryption key is replaced while old ones open what they sealed; a replica that runs finds the new file.
    async fn what_an_old_key_sealed_opens_after_a_renewal(engine: Engine) {
        let idp = Idp::start(engine).await;
        let running = idp.replica(|_| {}).await;
        let (first, token) = (running.signing_kid().await, running.signed(ES256).await.unwrap());
        assert_eq!(sealing::renew(&idp.act()).await.unwrap(), "kek-0002");
        let fresh = idp.replica(|_| {}).await;
        assert_eq!(fresh.signing_kid().await, first, "sealed under the old key, and opened");
        let second = idp.rotated(When::AtOnce).await;
        idp.advance(Duration::from_secs(1));
        assert_eq!(running.signing_kid().await, second, "sealed under a key that came while this replica ran");

        assert_eq!(sealing::reseal(&idp.act()).await.unwrap(), 1);
        assert_eq!(sealing::reseal(&idp.act()).await.unwrap(), 0);
        assert_eq!(idp.number("SELECT COUNT(*) FROM signing_keys WHERE sealed_jwk = ''").await, 0);
        let under = in_use::list(&idp.app, idp.now()).await.unwrap();
        assert!(under.iter().all(|listed| listed.sealed_under.as_deref() == Some("kek-0002")));
        assert!(idp.replica(|_| {}).await.is_ours(&token).await);
        let wanted = ["sealing_key_renewed success", "signing_key_rotated success", "signing_keys_resealed success"];
        idp.assert_activity(wanted).await;
    }

    /// A key that cannot be opened is an error that says what to do; never is another made in its place.
    async fn a_key_that_cannot_be_opened_is_never_replaced_silently(engine: Engine) {
        let idp = Idp::start(engine).await;
        sealing::renew(&idp.act()).await.unwrap();
        idp.published().await;
        let dir = idp.app.config.keys.dir.clone();
        let file = dir.join("kek-0002");
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let blind = idp.replica(|_| {}).await;
        let why = blind.signed(ES256).await.unwrap_err().to_string();
        assert!(why.contains("kek-0002") && why.contains("restore"), "{why}");
        blind.job().await;
        assert_eq!((idp.number(COUNT).await, blind.published().await), (3, idp.published().await));
        // Once the file is there again, so is the key.
        fs::write(&file, kept).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        blind.advance(Duration::from_secs(1));
        assert_eq!(blind.signing_kid().await, idp.signing_kid().await);
    }

    /// A database knows its key-encryption keys by name: another file of the same name stops the start.
    async fn another_key_of_a_known_name_stops_the_start(engine: Engine) {
        let idp = Idp::start(engine).await;
        sealing::renew(&idp.act()).await.unwrap();
        idp.replica(|_| {}).await;
        let dir = idp.app.config.keys.dir.clone();
        let start = async || {
            let (config, clock) = (idp.app.config.clone(), idp.app.clock.clone());
            let opening = connect_idp::app::Opening::Run;
            connect_idp::app::App::open_with(config, opening, clock, idp.app.random.clone()).await.unwrap_err().to_string()
        };
        let (first, second) = (fs::read(dir.join("kek-0001")).unwrap(), fs::read(dir.join("kek-0002")).unwrap());
        fs::write(dir.join("kek-0002"), &first).unwrap();
        assert!(start().await.contains("kek-0002 in the keys folder is not"));
        fs::write(dir.join("kek-0002"), second).unwrap();
        fs::remove_file(dir.join("kek-0001")).unwrap();
        assert!(start().await.contains("does not belong to this database"));
    }
}

/// G1: where the keys cannot be read, those read before sign on, and prove nothing: one may have been taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_could_not_be_read_lately_prove_nothing() {
    if crate::actors::postgres_server().is_none() {
        return;
    }
    let idp = Idp::start(Engine::Postgres).await;
    let (published, token) = (idp.published().await, idp.signed(ES256).await.unwrap());
    let jws = Unverified::parse(&token, 8192).unwrap();
    let mut outsider = idp.outsider().await;
    outsider.run("BEGIN; LOCK TABLE signing_keys IN ACCESS EXCLUSIVE MODE").await;
    idp.advance(Duration::from_millis(899));
    assert!(in_use::verify_own(&idp.app, &jws, idp.now()).await.unwrap());
    idp.advance(Duration::from_millis(1));
    assert!(in_use::verify_own(&idp.app, &jws, idp.now()).await.is_err());
    assert_eq!(idp.published().await, published);
    outsider.run("COMMIT").await;
    idp.signed(ES256).await.unwrap();
    idp.advance(Duration::from_millis(500));
    assert!(idp.is_ours(&token).await);
}
