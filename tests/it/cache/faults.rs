//! Redis killed, emptied, paused, started again, lying, gone for good.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use connect_idp::web::health;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::{FOUND, LOST, Replicas, lines, somebody};
use crate::actors::{Engine, Idp, RedisServer};

const STRANGE: &str = "writes into our keys";

async fn is_ready(idp: &Idp) -> bool {
    let routes = health::routes().with_state(idp.app.clone());
    routes.oneshot(Request::get("/health/ready").body(Body::empty()).unwrap()).await.unwrap().status() == 200
}

both_engines! {
    async fn redis_may_be_killed_and_come_back(engine: Engine) {
        let Some(mut redis) = RedisServer::start() else { return };
        let replicas = Replicas::start(engine, Some(&redis)).await;
        replicas.while_people_sign_in(async {
            replicas.assert_shared().await;
            redis.kill();
            replicas.pass(somebody(), 2).await;
            replicas.assert_apart().await;
            assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (2, 0));
            redis.run();
            replicas.assert_shared_soon().await;
            assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (2, 2));
        })
        .await;
    }

    /// It takes connections and answers nothing: requests wait a moment, then no more.
    async fn redis_may_be_paused(engine: Engine) {
        let Some(redis) = RedisServer::start() else { return };
        let replicas = Replicas::start(engine, Some(&redis)).await;
        replicas.while_people_sign_in(async {
            redis.pause();
            replicas.pass(somebody(), 8).await;
            replicas.assert_apart().await;
            assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (2, 0));
            let app = &replicas.both[0].app;
            let began = Instant::now();
            for _ in 0..100 {
                app.throttle.take(somebody(), app.clock.now()).await.unwrap();
            }
            assert!(began.elapsed() < Duration::from_secs(1), "each still waits: {:?}", began.elapsed());
            tokio::time::sleep(Duration::from_secs(4)).await;
            redis.resume();
            replicas.assert_shared_soon().await;
            assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (2, 2));
        })
        .await;
    }

    /// Whatever somebody writes where the counts are, nobody is refused by it, and it is gone after one try.
    async fn redis_may_lie(engine: Engine) {
        let Some(redis) = RedisServer::start() else { return };
        let replicas = Replicas::start(engine, Some(&redis)).await;
        let huge = "9".repeat(1 << 20);
        let lies: [&[&str]; 8] = [
            &["RPUSH", "a", "b"],
            &["HSET", "a", "b"],
            &["SADD", "a"],
            &["SET", "99999999999999999999"],
            &["SET", "not a number"],
            &["SET", "nan"],
            &["SET", "inf"],
            &["SET", &huge],
        ];
        replicas.while_people_sign_in(async {
            for lie in lies {
                let (app, address) = (&replicas.both[0].app, somebody());
                let known: Vec<_> = redis.keys();
                app.throttle.take(address, app.clock.now()).await.unwrap();
                let mut outsider = redis.outsider();
                for (key, _) in redis.keys().into_iter().filter(|(key, _)| key.contains(":address:")) {
                    let _: redis::Value = redis::cmd("DEL").arg(&key).query(&mut outsider).unwrap();
                    let _: redis::Value = redis::cmd(lie[0]).arg(&key).arg(&lie[1..]).query(&mut outsider).unwrap();
                }
                assert!(replicas.pass(address, 6).await >= 5, "{:?}", &lie[..lie.len().min(2)]);
                let mine: Vec<_> = redis.keys().into_iter().filter(|key| !known.iter().any(|k| k.0 == key.0)).collect();
                assert!(mine.iter().any(|(_, left)| (1..=61_000).contains(left)), "{mine:?}");
                let _: redis::Value = redis::cmd("FLUSHDB").query(&mut outsider).unwrap();
            }
        })
        .await;
        assert!((1..=2).contains(&lines(&redis, STRANGE)), "once a replica");
        assert_eq!(lines(&redis, LOST), 0);
        replicas.assert_shared().await;
    }
}

/// Emptied, it gives nobody more than a process alone would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_be_emptied() {
    let Some(redis) = RedisServer::start() else { return };
    let replicas = Replicas::start(Engine::Sqlite, Some(&redis)).await;
    let address = somebody();
    let before = replicas.pass(address, 20).await;
    let _: redis::Value = redis::cmd("FLUSHALL").query(&mut redis.outsider()).unwrap();
    let after = replicas.pass(address, 20).await;
    assert!(before + after <= 13, "{before} and {after}");
    replicas.assert_shared().await;
    assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (0, 0));
}

/// A replica starts and is ready without its Redis, which it says once; when that comes, it is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_come_later_or_never() {
    let Some(mut redis) = RedisServer::absent() else { return };
    let began = Instant::now();
    let replicas = Replicas::start(Engine::Sqlite, Some(&redis)).await;
    assert!(began.elapsed() < Duration::from_secs(15));
    assert!(is_ready(&replicas.both[0]).await && is_ready(&replicas.both[1]).await);
    replicas.while_people_sign_in(replicas.assert_apart()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (2, 0));
    let why = replicas.both[0].app.redis.as_ref().unwrap().round_trip().await.unwrap_err();
    assert!(why.contains(&redis.port.to_string()), "{why}");
    redis.run();
    replicas.while_people_sign_in(replicas.assert_shared_soon()).await;
    assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (2, 2));
    assert!(replicas.both[0].app.redis.as_ref().unwrap().round_trip().await.unwrap() < Duration::from_secs(1));
}

/// What it may do is taken away, its memory is full, it follows another server, it wants a password: it is as good as
/// gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_refuse() {
    let Some(redis) = RedisServer::start() else { return };
    let replicas = Replicas::start(Engine::Sqlite, Some(&redis)).await;
    let refusals: [(&[&str], &[&str]); 4] = [
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
        (&["ACL", "SETUSER", "default", "-set"], &["ACL", "SETUSER", "default", "+set"]),
        (&["ACL", "SETUSER", "default", "-getrange"], &["ACL", "SETUSER", "default", "+getrange"]),
    ];
    let mut outsider = redis.outsider();
    let mut tell = |words: &[&str]| {
        let _: redis::Value = redis::cmd(words[0]).arg(&words[1..]).query(&mut outsider).unwrap();
    };
    for (number, (refuse, mend)) in refusals.into_iter().enumerate() {
        tell(refuse);
        replicas
            .while_people_sign_in(async {
                replicas.pass(somebody(), 2).await;
                replicas.assert_apart().await;
            })
            .await;
        tell(mend);
        replicas.assert_shared_soon().await;
        assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (2 * (number + 1), 2 * (number + 1)), "{refuse:?}");
    }
}

/// A user of the access control list needs no more than docs/operations/redis.md says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_few_rights_is_enough() {
    let user = "user idp on >let-me-count resetchannels ~connect-idp:* -@all +eval +getrange +set +time +select";
    let page = include_str!("../../../docs/operations/redis.md");
    assert!(page.contains("~connect-idp:* -@all +eval +getrange +set +time +select"), "the page says something else");
    let Some(mut redis) = RedisServer::absent() else { return };
    let file = redis.folder().join("users.acl");
    std::fs::write(&file, format!("{user}\nuser default off\n")).unwrap();
    redis.add_options(&["--aclfile", file.to_str().unwrap()]);
    redis.run();
    redis.log_in_as("idp:let-me-count");
    let replicas = Replicas::start(Engine::Sqlite, Some(&redis)).await;
    replicas.assert_shared().await;
    assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (0, 0));
    redis.log_in_as("idp:wrong");
    let refused = Replicas::start(Engine::Sqlite, Some(&redis)).await;
    refused.assert_apart().await;
    assert_eq!(crate::actors::logged(&["let-me-count"]) + crate::actors::logged(&["idp:wrong"]), 0);
}
