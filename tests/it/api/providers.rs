//! Providers and their way to Unified Login, by program; activity.

use serde_json::json;

use crate::actors::Idp;

both_engines! {
    async fn a_program_of_the_operator_manages_providers(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "providers.read providers.write").await;
        let made = program.post("/api/v1/providers", &json!({"code": "NEW-ONE", "name": "New"})).await;
        assert_eq!(made.assert(201).json["unified_login"], "off");
        let path = "/api/v1/providers/NEW-ONE";
        let changed = program.patch(path, made.etag(), &json!({"contact": "the office", "idle_minutes": 10})).await;
        assert_eq!(changed.assert(200).json["idle_minutes"], 10);
        let changed = program.patch(path, changed.etag(), &json!({"contact": null, "idle_minutes": null})).await;
        assert_eq!((&changed.json["contact"], &changed.json["idle_minutes"]), (&json!(null), &json!(null)));
        let bad = program.patch(path, changed.etag(), &json!({"time_zone": "Mars"})).await;
        assert_eq!((bad.status, bad.json["errors"][0]["key"].as_str()), (422, Some("time_zone")));
        let taken = program.post("/api/v1/providers", &json!({"code": "new-one", "name": "Again"})).await;
        assert_eq!((taken.status, taken.problem()), (409, "conflict"));
        let listed = program.get("/api/v1/providers?q=new").await;
        assert_eq!(listed.assert(200).json["items"][0]["code"], "NEW-ONE");
        assert_eq!(program.act(&format!("{path}/deactivate")).await.assert(200).json["active"], false);
        assert_eq!(program.get("/api/v1/providers?state=inactive").await.json["items"].as_array().unwrap().len(), 1);
        assert_eq!(program.act(&format!("{path}/activate")).await.assert(200).json["active"], true);
        assert_eq!(program.act(&format!("{path}/unlock-all")).await.assert(200).json, json!({"count": 0}));
        idp.assert_invariants().await;
    }

    /// An agency's program asks, the operator's decides the request that it read; each step is recorded.
    async fn a_request_goes_its_way(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("NEW-ONE", |provider| provider.unified_login = connect_idp::model::provider::UnifiedLogin::Off).await;
        let agency = idp.client("agency", "providers.read:NEW-ONE providers.write:NEW-ONE").await;
        let operator = idp.client("ops", "providers.read providers.write").await;
        let path = "/api/v1/providers/NEW-ONE/unified-login";
        agency.post(&format!("{path}/request"), &json!({"note": "please"})).await.assert(200);
        agency.act(&format!("{path}/withdraw")).await.assert(200);
        let asked = agency.post(&format!("{path}/request"), &json!({})).await;
        assert_eq!(asked.assert(200).json["unified_login"], "requested");
        assert_eq!(agency.post(&format!("{path}/approve"), &json!({})).await.status, 403);

        let waiting = operator.get("/api/v1/unified-login-requests").await;
        let row = waiting.assert(200).json["items"][0].clone();
        assert_eq!((row["provider_code"].as_str(), row["actor"].as_str()), (Some("NEW-ONE"), Some("client agency")));
        let another = json!({"request": "01900000-0000-7000-8000-000000000000", "reason": "no"});
        assert_eq!(operator.post(&format!("{path}/decline"), &another).await.problem(), "conflict");
        assert_eq!(operator.post(&format!("{path}/decline"), &json!({"request": row["request"]})).await.status, 422);
        let on = operator.post(&format!("{path}/approve"), &json!({"request": row["request"]})).await;
        assert_eq!(on.assert(200).json["unified_login"], "on");
        let off = operator.post(&format!("{path}/switch-off"), &json!({"reason": "pause"})).await;
        assert_eq!(off.assert(200).json["unified_login"], "off");
        assert_eq!(idp.number("SELECT COUNT(*) FROM activity WHERE kind = 'unified_login_changed'").await, 5);
    }

    /// An agency's program reads its own record alone.
    async fn activity_is_read_by_filter_and_by_provider(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        idp.provider("OTHER", |_| {}).await;
        let carla = idp.user("carla").of("OTHER").create().await;
        for user in [&amina, &carla] {
            idp.browser().sign_in(user).await;
        }
        idp.browser().log_in(&amina, "wrong").await;
        let agency = idp.client("agency", "activity.read:SUNRISE-IL").await;
        let operator = idp.client("ops", "activity.read").await;
        let own = "/api/v1/providers/SUNRISE-IL/activity";
        let names = |told: crate::actors::Told| {
            let items = told.assert(200).json["items"].as_array().unwrap().clone();
            items.iter().filter_map(|record| record["login_name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(names(agency.get(own).await), ["amina", "amina"]);
        assert_eq!(names(agency.get(&format!("{own}?outcome=refused")).await), ["amina"]);
        assert_eq!(names(agency.get(&format!("{own}?kind=sign_in&login_type=Direct%20Login&user_id={}", amina.id)).await).len(), 2);
        assert_eq!(names(agency.get(&format!("{own}?user_id={}", carla.id)).await).len(), 0);
        assert_eq!(names(agency.get(&format!("{own}?until=2000-01-01T00:00:00Z")).await).len(), 0);
        idp.browser().try_login("stranger", "wrong", "SUNRISE-IL").await;
        let strangers = agency.get(&format!("{own}?unknown_name=true")).await;
        assert_eq!(strangers.assert(200).json["items"].as_array().unwrap().len(), 1);
        assert!(strangers.json["items"][0]["name_hash"].is_string(), "{}", strangers.json);
        assert_eq!(agency.get("/api/v1/activity").await.status, 403);
        assert_eq!(names(operator.get("/api/v1/activity?kind=sign_in&outcome=success").await), ["carla", "amina"]);
        let first = operator.get("/api/v1/activity?limit=1&kind=sign_in").await;
        let next = first.json["next"].as_str().unwrap();
        let second = operator.get(&format!("/api/v1/activity?limit=1&kind=sign_in&cursor={next}")).await;
        assert_ne!(first.json["items"][0]["id"], second.json["items"][0]["id"]);
        // What does not fit is refused whoever is asked for.
        for (key, query) in [("since", "since=yesterday"), ("limit", "limit=201"), ("cursor", "cursor=first")] {
            for whom in ["", &format!("&user_id={}", carla.id)] {
                let told = agency.get(&format!("{own}?{query}{whom}")).await;
                assert_eq!(told.assert(422).json["errors"][0]["key"], key, "{whom}");
            }
        }
        let told = agency.get(&format!("{own}?unknown_name=true&user_id={}", amina.id)).await;
        assert_eq!(told.assert(422).json["errors"][0]["key"], "unknown_name");
        let numbers = operator.get("/api/v1/statistics").await;
        assert_eq!(numbers.assert(200).json["waiting_requests"], 0);
        let hours = numbers.json["hours"].as_array().unwrap();
        assert_eq!(hours.iter().map(|hour| hour["count"].as_i64().unwrap()).sum::<i64>(), 4);
    }

    /// Nobody of an inactive provider does anything, and a narrowed token of another client neither.
    async fn a_provider_that_is_off_has_no_programs(engine: Engine) {
        let idp = Idp::start(engine).await;
        let provider_id = idp.user("amina").create().await.provider_id;
        let agency = idp.client("agency", "users.read:SUNRISE-IL").await;
        agency.get("/api/v1/providers/SUNRISE-IL/users").await.assert(200);
        idp.set_provider_active(&provider_id, false).await;
        assert_eq!(agency.get("/api/v1/providers/SUNRISE-IL/users").await.status, 404);
        idp.client("ops", "users.read").await.get("/api/v1/providers/SUNRISE-IL/users").await.assert(200);
    }
}
