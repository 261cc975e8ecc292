//! The users of a provider, by program.

use serde_json::json;

use crate::actors::{Idp, User};

const USERS: &str = "/api/v1/providers/SUNRISE-IL/users";

both_engines! {
    /// A program creates a user, who signs in with the temporary password; every step is recorded with the program's
    /// name.
    async fn a_program_manages_users(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("hr", "users.read:SUNRISE-IL users.write:SUNRISE-IL").await;
        let made = program
            .post(USERS, &json!({"login_name": "Amina", "name": "Amina Diallo", "claims": {"email": "a@example.org"}}))
            .await;
        let made = made.assert(201);
        let id = made.json["id"].as_str().unwrap().to_owned();
        let path = format!("{USERS}/{id}");
        assert_eq!(made.headers["location"], format!("{}{path}", idp.app.config.issuer));
        assert_eq!(made.etag(), "\"1\"");
        let password = made.json["temporary_password"].as_str().unwrap();
        let mut browser = idp.browser();
        let amina = User { login_name: "amina".into(), ..idp.user("other").create().await };
        let answer = browser.log_in(&amina, password).await;
        assert_eq!(answer.location(), "/password/update");

        let shown = program.get(&path).await;
        let shown = shown.assert(200);
        assert_eq!(shown.json["login_name"], "Amina");
        assert_eq!(shown.json["claims"]["email"], "a@example.org");
        assert!(shown.json["temporary_password_until"].is_string() && shown.json["last_sign_in_at"].is_null());
        assert!(shown.json.get("temporary_password").is_none());

        let changed = program
            .patch(&path, "\"1\"", &json!({"name": "Amina D.", "user_type": "Provider Admin", "claims": {"email": null, "locale": "fr"}}))
            .await;
        let changed = changed.assert(200);
        assert_eq!((changed.etag(), changed.json["name"].as_str()), ("\"2\"", Some("Amina D.")));
        assert_eq!(changed.json["claims"], json!({"locale": "fr"}));

        assert_eq!(program.act(&format!("{path}/lock")).await.assert(200).json["admin_locked"], true);
        let unlocked = program.post(&format!("{path}/unlock"), &json!({"lock": "password"})).await;
        assert_eq!(unlocked.assert(200).json["admin_locked"], true);
        let unlocked = program.post(&format!("{path}/unlock"), &json!({"lock": "admin"})).await;
        assert_eq!(unlocked.assert(200).json["admin_locked"], false);
        assert_eq!(program.act(&format!("{path}/deactivate")).await.assert(200).json["active"], false);
        assert_eq!(program.act(&format!("{path}/reactivate")).await.assert(200).json["active"], true);
        let reset = program.post(&format!("{path}/reset-password"), &json!({"temporary_password": "Correct-Horse-9"})).await;
        assert_eq!(reset.assert(200).json["temporary_password"], "Correct-Horse-9");

        let lines: Vec<_> = idp.activity().await.into_iter().filter(|record| record.actor == "client hr").collect();
        let kinds: Vec<_> = lines.iter().map(|record| record.kind.as_str()).collect();
        let wanted = ["user_created", "user_changed", "account_locked", "account_unlocked", "user_deactivated",
            "user_reactivated", "password_reset"];
        assert_eq!(kinds, wanted);
        idp.assert_invariants().await;
    }

    /// Apps know people by what is verified: an agency's program cannot say so.
    async fn an_agency_s_program_verifies_no_address(engine: Engine) {
        let idp = Idp::start(engine).await;
        let agency = idp.client("hr", "users.write:SUNRISE-IL").await;
        let verified = json!({"email": "other@example.org", "email_verified": true});
        let new = |claims: &serde_json::Value| json!({"login_name": "ben", "name": "Ben", "claims": claims});
        assert_eq!(agency.post(USERS, &new(&verified)).await.json["errors"][0]["key"], "claims");
        let made = idp.client("ops", "users.write").await.post(USERS, &new(&verified)).await;
        let path = format!("{USERS}/{}", made.assert(201).json["id"].as_str().unwrap());
        let moved = agency.patch(&path, "*", &json!({"claims": {"email": "third@example.org"}})).await;
        assert_eq!(moved.assert(200).json["claims"], json!({"email": "third@example.org"}));
    }

    /// Two programs edit one user: the second is told, and nothing is lost.
    async fn nobody_writes_over_what_was_not_read(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let program = idp.client("hr", "users.read users.write").await;
        let path = format!("{USERS}/{}", amina.id);
        let etag = program.get(&path).await.etag().to_owned();
        program.patch(&path, &etag, &json!({"name": "First"})).await.assert(200);
        let late = program.patch(&path, &etag, &json!({"name": "Second"})).await;
        assert_eq!((late.status, late.problem()), (412, "stale"));
        let without = program.send("PATCH", &path, &[], Some(&json!({"name": "Third"}))).await;
        assert_eq!((without.status, without.problem()), (428, "precondition-required"));
        let other = program.patch(&path, "W/\"1-gzip\"", &json!({"name": "Fourth"})).await;
        assert_eq!(other.status, 412);
        assert_eq!(program.get(&path).await.json["name"], "First");
        // As a proxy that compresses hands it on.
        program.patch(&path, "\"9\", W/\"2\"", &json!({"name": "Fifth"})).await.assert(200);
        program.patch(&path, "*", &json!({"name": "Sixth"})).await.assert(200);
    }

    /// Of many writers with one revision, one wins.
    async fn of_edits_that_race_one_wins(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let program = idp.client("hr", "users.write").await;
        let path = format!("{USERS}/{}", amina.id);
        let races = (0..16).map(|n| {
            let (program, path) = (program.clone(), path.clone());
            tokio::spawn(async move { program.patch(&path, "\"1\"", &json!({"name": format!("Name {n}")})).await.status })
        });
        let mut statuses = Vec::new();
        for race in races.collect::<Vec<_>>() {
            statuses.push(race.await.unwrap());
        }
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 200 | 412)), "{statuses:?}");
    }

    async fn lists_come_in_pages(engine: Engine) {
        let idp = Idp::start(engine).await;
        for n in 0..7 {
            idp.user(&format!("user{n}")).create().await;
        }
        idp.provider("OTHER", |_| {}).await;
        let foreign = idp.user("user9").of("OTHER").create().await;
        let program = idp.client("hr", "users.read").await;
        let mut seen = Vec::new();
        let mut path = format!("{USERS}?limit=3&sort=login_name");
        let mut pages = 0;
        loop {
            let page = program.get(&path).await;
            pages += 1;
            let items = page.assert(200).json["items"].as_array().unwrap().clone();
            seen.extend(items.iter().map(|user| user["login_name"].as_str().unwrap().to_owned()));
            let Some(next) = page.json["next"].as_str() else { break };
            path = format!("{USERS}?limit=3&sort=login_name&cursor={next}");
        }
        assert_eq!((pages, seen), (3, (0..7).map(|n| format!("user{n}")).collect()));
        // A place that no page gave is not the list's beginning.
        for cursor in ["nowhere", &foreign.id] {
            let told = program.get(&format!("{USERS}?cursor={cursor}")).await;
            assert_eq!(told.assert(422).json["errors"][0]["key"], "cursor");
        }
        let found = program.get(&format!("{USERS}?login_name=USER3")).await;
        assert_eq!(found.json["items"].as_array().unwrap().len(), 1);
        assert_eq!(program.get(&format!("{USERS}?login_name=nobody")).await.json["items"], json!([]));
        assert_eq!(program.get(&format!("{USERS}?state=locked")).await.json["items"], json!([]));
    }

    /// What would be done with every row first, then the rows; who is there already is left alone.
    async fn a_file_is_tried_and_then_imported(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.user("amina").create().await;
        let program = idp.client("hr", "users.write").await;
        let csv = "login_name,name,user_type\namina,Amina,\nben,Ben,\nroot,Root,Therap Admin\n";
        let send = async |path: String| {
            let mut headers = crate::actors::bearer(&program.token);
            headers.insert("content-type", "text/csv; charset=utf-8".parse().unwrap());
            let answer = idp.program(axum::http::Method::POST, &path, headers, csv.into()).await;
            let told = crate::actors::Told::of(&answer);
            let rows = told.assert(200).json["rows"].as_array().unwrap().clone();
            rows.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(send(format!("{USERS}/import?dry_run=true")).await, ["exists", "would_create", "refused"]);
        assert_eq!(idp.number("SELECT COUNT(*) FROM users WHERE login_name = 'ben'").await, 0);
        assert_eq!(send(format!("{USERS}/import")).await, ["exists", "created", "refused"]);
        assert_eq!(send(format!("{USERS}/import")).await, ["exists", "exists", "refused"]);
    }

    /// The same reader as the page's; and what was imported is told again to the program that did, and to no other.
    async fn a_program_that_lost_the_answer_asks_for_it_again(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (hr, other) = (idp.client("hr", "users.write").await, idp.client("other", "users.write").await);
        let mut headers = crate::actors::bearer(&hr.token);
        headers.insert("content-type", "text/csv".parse().unwrap());
        let csv = "\u{feff}Login Name;NAME;Room\r\nben;Ben;7\r\n;;\r\n";
        let path = format!("{USERS}/import");
        let answer = idp.program(axum::http::Method::POST, &path, headers, csv.into()).await;
        let told = crate::actors::Told::of(&answer).assert(200).json.clone();
        assert_eq!(told["notes"].as_array().unwrap().len(), 2, "{told}");
        let password = told["rows"][0]["temporary_password"].as_str().unwrap();
        assert_eq!(idp.browser().try_login("ben", password, "SUNRISE-IL").await.location(), "/password/update");
        let again = hr.get(&path).await.assert(200).json["imports"].clone();
        assert_eq!((again.as_array().unwrap().len(), &again[0]), (1, &told));
        assert_eq!(other.get(&path).await.assert(200).json["imports"], json!([]));
        idp.advance(std::time::Duration::from_hours(24));
        let hr = crate::actors::Program { token: idp.client("hr2", "users.write").await.token, ..hr };
        assert_eq!(hr.get(&path).await.assert(200).json["imports"], json!([]));
        assert_eq!(idp.number("SELECT COUNT(*) FROM imports WHERE owner LIKE 'client %'").await, 1);
    }

    async fn sessions_are_shown_and_ended(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let program = idp.client("hr", "users.read users.write").await;
        let path = format!("{USERS}/{}/sessions", amina.id);
        for _ in 0..2 {
            idp.browser().sign_in(&amina).await;
        }
        let shown = program.get(&path).await;
        let sessions = shown.assert(200).json["sessions"].as_array().unwrap().clone();
        assert_eq!((sessions.len(), sessions[0]["login_type"].as_str()), (2, Some("Direct Login")));
        let one = format!("{path}/{}", sessions[0]["id"].as_str().unwrap());
        program.delete(&one).await.assert(204);
        program.delete(&one).await.assert(204);
        assert_eq!(idp.sessions(&amina).await, 1);
        program.delete(&path).await.assert(204);
        assert_eq!(idp.sessions(&amina).await, 0);
    }
}
