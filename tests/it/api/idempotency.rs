//! `Idempotency-Key`: what is created under a key is created once.

use serde_json::{Value, json};

use crate::actors::{Idp, Program, Told};

const USERS: &str = "/api/v1/providers/SUNRISE-IL/users";

async fn under(program: &Program, key: &str, path: &str, body: &Value) -> Told {
    program.send("POST", path, &[("idempotency-key", key)], Some(body)).await
}

both_engines! {
    /// The answer of the first time, temporary password and all.
    async fn a_repeat_gets_the_same_answer(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("hr", "users.write").await;
        let body = json!({"login_name": "amina", "name": "Amina"});
        let first = under(&program, "one", USERS, &body).await;
        let again = under(&program, "one", USERS, &body).await;
        assert_eq!((first.assert(201).status, &first.json), (again.status, &again.json));
        for header in ["location", "etag"] {
            assert_eq!(first.headers[header], again.headers[header]);
        }
        assert_eq!(idp.number("SELECT COUNT(*) FROM activity WHERE kind = 'user_created'").await, 1);
        let stored = idp.outsider().await.text("SELECT sealed_answer FROM idempotency_keys").await;
        assert!(!stored.contains("temporary") && stored.split('.').count() == 5, "{stored}");
    }

    async fn a_key_belongs_to_one_request_of_one_client(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("hr", "users.write").await;
        let body = json!({"login_name": "amina", "name": "Amina"});
        under(&program, "one", USERS, &body).await.assert(201);
        let other = under(&program, "one", USERS, &json!({"login_name": "ben", "name": "Ben"})).await;
        assert_eq!((other.status, other.problem()), (409, "conflict"));
        idp.provider("OTHER", |_| {}).await;
        let elsewhere = under(&program, "one", "/api/v1/providers/OTHER/users", &body).await;
        assert_eq!(elsewhere.status, 409, "the same body for another provider is another request");
        let stranger = idp.client("stranger", "users.write").await;
        under(&stranger, "one", USERS, &json!({"login_name": "ben", "name": "Ben"})).await.assert(201);
        for bad in ["", "a b", &"x".repeat(256)] {
            assert_eq!(under(&program, bad, USERS, &body).await.problem(), "malformed", "{bad}");
        }
    }

    /// Nothing came of it, so the key is free.
    async fn a_refused_request_leaves_its_key_free(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.user("amina").create().await;
        let program = idp.client("hr", "users.write").await;
        let taken = under(&program, "one", USERS, &json!({"login_name": "AMINA", "name": "Amina"})).await;
        assert_eq!((taken.status, taken.problem()), (409, "conflict"));
        let wrong = under(&program, "one", USERS, &json!({"login_name": "x", "name": "X", "user_type": "Therap Admin"})).await;
        assert_eq!((wrong.status, wrong.json["errors"][0]["key"].as_str()), (422, Some("user_type")));
        under(&program, "one", USERS, &json!({"login_name": "ben", "name": "Ben"})).await.assert(201);
    }

    /// However many arrive at once, one is created and all are told of it.
    async fn repeats_that_race_create_one(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "providers.write").await;
        let races: Vec<_> = (0..16)
            .map(|_| {
                let program = program.clone();
                let body = json!({"code": "NEW-ONE", "name": "New"});
                tokio::spawn(async move { under(&program, "one", "/api/v1/providers", &body).await })
            })
            .collect();
        for race in races {
            assert_eq!(race.await.unwrap().assert(201).json["code"], "NEW-ONE");
        }
        assert_eq!(idp.number("SELECT COUNT(*) FROM activity WHERE kind = 'provider_created'").await, 1);
    }

    async fn a_key_is_forgotten_after_a_day(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "providers.write").await;
        under(&program, "one", "/api/v1/providers", &json!({"code": "NEW-ONE", "name": "New"})).await.assert(201);
        idp.advance(std::time::Duration::from_secs(86_401));
        connect_idp::jobs::purge(&idp.app).await.unwrap();
        assert_eq!(idp.number("SELECT COUNT(*) FROM idempotency_keys").await, 0);
    }
}
