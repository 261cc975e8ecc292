//! A thousand users, created, renamed and deactivated by a directory, while people sign in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;

use super::{USERS, directory, names, query, send};
use crate::actors::Idp;

const MANY: usize = 1000;
const AT_ONCE: usize = 8;

both_engines! {
    async fn a_thousand_users_are_provisioned_while_people_sign_in(engine: Engine) {
        let idp = Arc::new(Idp::start_with(engine, |config| config.throttle.enabled = false).await);
        let entra = directory(&idp).await;
        let amina = idp.user("amina").create().await;
        let over = Arc::new(AtomicBool::new(false));
        let people = tokio::spawn({
            let (idp, over) = (Arc::clone(&idp), Arc::clone(&over));
            async move {
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    idp.browser().sign_in(&amina).await;
                    count += 1;
                }
                count
            }
        });

        let places: Vec<String> = stream::iter(0..MANY)
            .map(|n| {
                let entra = &entra;
                async move {
                    let body = json!({"userName": format!("user{n}"), "externalId": format!("E-{n}"),
                        "emails": [{"value": format!("user{n}@example.org"), "type": "work"}]});
                    let told = send(entra, "POST", USERS, &body).await;
                    format!("{USERS}/{}", told.assert(201).json["id"].as_str().unwrap())
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let operations = |n: usize| {
            json!({"Operations": [{"op": "Replace", "path": "userName", "value": format!("renamed{n}")},
                {"op": "Replace", "path": "active", "value": "False"}]})
        };
        let changed = stream::iter(places.iter().enumerate()).map(|(n, place)| {
            let (entra, body) = (&entra, operations(n));
            async move {
                let told = send(entra, "PATCH", place, &body).await;
                assert_eq!(told.assert(200).json["active"], false);
            }
        });
        changed.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        over.store(true, Ordering::Relaxed);
        assert!(people.await.unwrap() > 10, "hardly anybody signed in meanwhile");

        let all = entra.get(&format!("{USERS}?count=0")).await;
        assert_eq!(all.assert(200).json["totalResults"], MANY + 1);
        let off = entra.get(&format!("{}&count=1&startIndex={MANY}", query("active eq false and userName sw \"renamed\""))).await;
        assert_eq!((&off.json["totalResults"], names(&off).len()), (&json!(MANY), 1));
        let by_it = idp.activity().await.into_iter().filter(|record| record.actor == "client entra");
        let mut kinds = BTreeMap::<String, usize>::new();
        for record in by_it {
            *kinds.entry(record.kind.as_str().to_owned()).or_default() += 1;
        }
        let each = ["user_created", "user_deactivated", "user_renamed"].map(|kind| (kind.to_owned(), MANY));
        assert_eq!(kinds, BTreeMap::from(each));
        idp.assert_invariants().await;
    }
}
