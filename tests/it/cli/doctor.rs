//! What `doctor` rests on: claims about the rows are named with what breaks them, and replicas are compared.

use std::time::Duration;

use connect_idp::jobs::purge;
use connect_idp::operations::replicas::{compare, give_sign, leave};
use connect_idp::store::invariants;

use crate::actors::{Engine, Idp};

both_engines! {
    /// Every statement is one that both engines understand, and names three of what breaks its claim at most.
    async fn what_breaks_a_claim_is_named(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut names = Vec::new();
        for number in 0..5 {
            names.push(idp.user(&format!("amina{number}")).create().await.id);
        }
        let mut conn = idp.app.db.read().await.unwrap();
        for invariant in invariants::ALL {
            assert_eq!(invariant.examples(&mut conn, idp.now()).await.unwrap(), [""; 0], "{}", invariant.claim);
        }
        drop(conn);
        idp.outsider().await.run("DELETE FROM strikes").await;
        let broken = invariants::ALL.iter().find(|one| one.claim.contains("a strike row of its own")).unwrap();
        let mut conn = idp.app.db.read().await.unwrap();
        assert_eq!(broken.count(&mut conn, idp.now()).await.unwrap(), 5);
        names.sort();
        assert_eq!(broken.examples(&mut conn, idp.now()).await.unwrap(), names[..3]);
    }

    /// Replicas that were told different things are named, with the keys; one that is gone is forgotten, one that stops
    /// at once. What each may have of its own is no difference, and nothing that is stored tells a value.
    async fn replicas_that_differ_are_told(engine: Engine) {
        let idp = Idp::start(engine).await;
        let twin = idp.replica(|own| own.drain_seconds += 1).await;
        assert!(compare(&idp.app).await.unwrap().replicas.is_empty());
        for one in [&idp, &twin] {
            give_sign(&one.app).await.unwrap();
        }
        let alike = compare(&idp.app).await.unwrap();
        assert_eq!((alike.replicas.len(), alike.differing.len(), alike.versions().len()), (2, 0, 1));
        let other = idp.replica(|own| own.session.idle_minutes = 7).await;
        give_sign(&other.app).await.unwrap();
        let found = compare(&twin.app).await.unwrap();
        let keys: Vec<_> = found.differing.iter().map(|(key, groups)| (key.as_str(), groups.len())).collect();
        assert_eq!(keys, [("session.idle_minutes", 2)]);
        let stored = idp.outsider().await.text("SELECT settings FROM replicas LIMIT 1").await;
        assert!(stored.contains("session.idle_minutes") && !stored.contains("connect.example.org"), "{stored}");

        leave(&other.app).await.unwrap();
        assert!(compare(&idp.app).await.unwrap().differing.is_empty());
        give_sign(&other.app).await.unwrap();
        // It was told the same over again.
        other.app.adopt(&idp.app.config);
        give_sign(&other.app).await.unwrap();
        assert!(compare(&idp.app).await.unwrap().differing.is_empty());
        idp.outsider().await.run("UPDATE replicas SET expires_at = seen_at").await;
        give_sign(&idp.app).await.unwrap();
        assert_eq!(compare(&idp.app).await.unwrap().replicas.len(), 1);
        purge(&idp.app).await.unwrap();
        assert_eq!(idp.number("SELECT COUNT(*) FROM replicas").await, 1);
    }

    /// Replicas on several machines are seen by one clock, the database's: one whose own clock is off is neither
    /// missing nor of a wrong age. On SQLite all share a machine, and its clock.
    async fn a_replica_whose_clock_is_off_is_seen_like_the_others(engine: Engine) {
        let idp = Idp::start(engine).await;
        give_sign(&idp.app).await.unwrap();
        idp.advance(Duration::from_mins(10));
        let seen = compare(&idp.app).await.unwrap().replicas;
        match engine {
            Engine::Sqlite => assert_eq!(seen.len(), 0),
            Engine::Postgres => assert!(seen.len() == 1 && seen[0].seen_ago < 60, "{seen:?}"),
        }
        purge(&idp.app).await.unwrap();
        assert_eq!(idp.number("SELECT COUNT(*) FROM replicas").await, i64::from(engine == Engine::Postgres));
    }
}
