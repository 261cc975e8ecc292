//! Nothing of what people and apps hold goes to Redis, nor a hash of it, in no command.

use connect_idp::crypto::secret::digest;
use serde_json::Value;

use super::{Replicas, somebody};
use crate::actors::{Engine, RedisServer};

/// A secret as it is, and as hashes of it are written.
fn shapes(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let hash = digest(secret);
    let bytes = URL_SAFE_NO_PAD.decode(&hash).unwrap();
    let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let mut shapes = vec![secret.to_owned(), hash, hex, STANDARD.encode(&bytes)];
    // Secrets of ours are remembered by the hash of their bytes.
    shapes.extend(URL_SAFE_NO_PAD.decode(secret).ok().map(digest));
    shapes
}

/// A whole journey by password, by handoff, by apps and programs, at both replicas: Redis counts it, and that is all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_journey_leaves_no_secret_in_redis() {
    let Some(redis) = RedisServer::start() else { return };
    let replicas = Replicas::start(Engine::Sqlite, Some(&redis)).await;
    let seen = redis.monitor();
    let [first, second] = &replicas.both;
    let user = &replicas.user;
    let mut secrets = vec![user.password.clone(), user.login_name.clone(), user.id.clone(), user.provider_code.clone()];

    let mut browser = first.browser();
    browser.address = somebody();
    let address = browser.address.to_string();
    browser.sign_in(user).await;
    browser.try_login("amina", "Wrong-Horse-9", &user.provider_code).await;
    secrets.extend(["Wrong-Horse-9".to_owned(), address]);

    let app = first.app("portal", |_| {}).await;
    let mut visitor = second.browser();
    visitor.address = somebody();
    let asked = [("scope", "openid offline_access"), ("prompt", "consent")];
    let callback = app.sign_in(&mut visitor.clone(), user, &[]).await;
    secrets.push(callback.code().to_owned());
    let tokens = app.tokens(&mut visitor, user, &asked[..1]).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let refreshed = app.refresh(refresh).await.json();
    for (name, tokens) in
        ["access_token", "refresh_token", "id_token"].iter().flat_map(|n| [(n, &tokens), (n, &refreshed)])
    {
        secrets.extend(tokens.get(*name).and_then(Value::as_str).map(str::to_owned));
    }
    secrets.extend(refresh.split('.').map(str::to_owned));
    secrets.push(app.secret.clone());

    let program = second.client("program", "users.read").await;
    program.get("/api/v1/providers/SUNRISE-IL/users").await;
    secrets.extend([program.token, program.party.secret]);

    let assertion = first.therap_services().assertion(user).sign();
    browser.hand_off(&assertion).await;
    secrets.push(assertion);
    for held in [&browser, &visitor] {
        secrets.extend(held.cookies.values().cloned());
    }

    let seen = seen.lock().unwrap().clone();
    for throttle in ["address", "waiting", "family", "client", "own_tokens"] {
        assert!(seen.contains(&format!("connect-idp:{throttle}:")), "{throttle} did not come to Redis:\n{seen}");
    }
    assert!(secrets.iter().filter(|secret| secret.len() >= 40).count() >= 8, "{secrets:?}");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        for shape in shapes(secret) {
            assert!(!seen.contains(&shape), "{shape} went to Redis");
        }
    }
    for line in seen.lines().filter(|line| !line.contains(" lua]")) {
        let command = line.split('"').nth(1).unwrap();
        assert!(["EVAL", "SELECT", "KEYS", "PTTL"].contains(&command), "{line}");
        assert!(line.contains("[3 ") || command == "SELECT", "another database: {line}");
    }
    let keys = redis.keys();
    assert!(!keys.is_empty() && keys.iter().all(|(_, left)| (1..=61_000).contains(left)), "{keys:?}");
}
