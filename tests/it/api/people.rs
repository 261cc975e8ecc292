//! People as an HR system keeps them: known by an id of its own, renamed, and each of them once whatever races.

use connect_idp::model::user::UserType;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::actors::{Idp, PASSWORD, Program, User};

const USERS: &str = "/api/v1/providers/SUNRISE-IL/users";

async fn hr(idp: &Idp) -> Program {
    idp.client("hr", "users.read:SUNRISE-IL users.write:SUNRISE-IL").await
}

fn at(user: &User) -> String {
    format!("{USERS}/{}", user.id)
}

fn named(user: &User, login_name: &str) -> User {
    User { login_name: login_name.into(), ..user.clone() }
}

/// The Login Names of a list.
fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|user| user["login_name"].as_str().unwrap()).collect()
}

both_engines! {
    /// Set at birth, found by it, changed, taken away; unique in a provider and not beyond it.
    async fn an_external_id_is_unique_in_a_provider(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("hr", "users.read users.write").await;
        let made = program.post(USERS, &json!({"login_name": "ben", "name": "Ben", "external_id": "HR-1"})).await;
        assert_eq!(made.assert(201).json["external_id"], "HR-1");
        let ben = format!("{USERS}/{}", made.json["id"].as_str().unwrap());
        let amina = idp.user("amina").create().await;

        let taken = program.post(USERS, &json!({"login_name": "carla", "name": "Carla", "external_id": "HR-1"})).await;
        assert_eq!((taken.status, taken.problem()), (409, "conflict"));
        let taken = program.patch(&at(&amina), "*", &json!({"name": "Other", "external_id": "HR-1"})).await;
        assert_eq!((taken.status, taken.problem()), (409, "conflict"));
        assert_eq!(idp.account(&amina).await.name, "amina Diallo", "all of a change, or nothing");
        // Capital and small letters are two ids to the system that gave them.
        let other_case = program.patch(&at(&amina), "*", &json!({"external_id": "hr-1"})).await;
        assert_eq!((other_case.assert(200).json["external_id"].as_str(), other_case.etag()), (Some("hr-1"), "\"2\""));
        idp.provider("OTHER", |_| {}).await;
        let other = USERS.replace("SUNRISE-IL", "OTHER");
        program.post(&other, &json!({"login_name": "ben", "name": "Ben", "external_id": "HR-1"})).await.assert(201);

        assert_eq!(names(&program.get(&format!("{USERS}?external_id=HR-1")).await.json), ["ben"]);
        assert_eq!(names(&program.get(&format!("{USERS}?external_id=HR-1&login_name=BEN")).await.json), ["ben"]);
        for nobody in ["external_id=HR-2", "external_id=HR-1&login_name=amina", "external_id=%00", "external_id="] {
            assert!(names(&program.get(&format!("{USERS}?{nobody}")).await.json).is_empty(), "{nobody}");
        }
        for bad in ["", " a", "a\nb", &"x".repeat(256)] {
            let told = program.patch(&ben, "*", &json!({"external_id": bad})).await;
            assert_eq!(told.assert(422).json["errors"][0]["key"], "external_id", "{bad:?}");
        }
        let gone = program.patch(&ben, "*", &json!({"external_id": null})).await;
        assert!(gone.assert(200).json["external_id"].is_null());
        program.patch(&at(&amina), "*", &json!({"external_id": "HR-1"})).await.assert(200);
        let changes: Vec<_> = idp.activity().await.into_iter().filter(|r| r.kind.as_str() == "user_changed").collect();
        assert_eq!(changes.iter().map(|r| r.note.as_deref().unwrap()).collect::<Vec<_>>(), ["external_id"; 3]);
        idp.assert_invariants().await;
    }

    /// The id stays, and with it the session, the lock and the link; the old name is free, and opens nothing of hers.
    async fn a_rename_keeps_everything_but_the_name(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = hr(&idp).await;
        let amina = idp.user("amina").create().await;
        let portal = idp.app("portal", |_| {}).await;
        let mut browser = idp.browser();
        browser.hand_off(&idp.therap_services().sign(&amina)).await;
        let tokens = portal.tokens(&mut browser, &amina, &[]).await;
        let before = crate::actors::claims(tokens["id_token"].as_str().unwrap());
        let renamed = program.patch(&at(&amina), "\"1\"", &json!({"login_name": "Amina.D"})).await;
        assert_eq!((renamed.assert(200).json["login_name"].as_str(), renamed.etag()), (Some("Amina.D"), "\"2\""));
        assert_eq!(renamed.json["id"], amina.id);
        browser.assert_signed_in_as(&named(&amina, "Amina.D")).await;
        let told = portal.userinfo(tokens["access_token"].as_str().unwrap()).await.json();
        assert_eq!((&told["sub"], told["preferred_username"].as_str()), (&before["sub"], Some("Amina.D")));

        let taker = idp.user("amina").create().await;
        idp.browser().sign_in(&named(&amina, "amina.d")).await;
        idp.browser().sign_in(&taker).await;
        // The link stays with her: by her old name it opens nobody's session.
        idp.browser().hand_off(&idp.therap_services().assertion(&taker).claim("sub", amina.sub()).sign()).await
            .assert_handoff_refused("Invalid Credential");
        let hers = idp.therap_services().assertion(&named(&amina, "AMINA.D")).claim("sub", amina.sub()).sign();
        let mut fourth = idp.browser();
        fourth.hand_off(&hers).await;
        fourth.assert_signed_in_as(&named(&amina, "Amina.D")).await;

        let refused = program.patch(&at(&amina), "*", &json!({"login_name": "AMINA"})).await;
        assert_eq!((refused.status, refused.problem()), (409, "conflict"));
        let bad = program.patch(&at(&amina), "*", &json!({"login_name": "a b"})).await;
        assert_eq!(bad.assert(422).json["errors"][0]["key"], "login_name");
        // Another spelling of her own name is a rename, and the same once more is none.
        program.patch(&at(&amina), "*", &json!({"login_name": "amina.d"})).await.assert(200);
        program.patch(&at(&amina), "*", &json!({"login_name": "amina.d"})).await.assert(200);
        let records: Vec<_> = idp.activity().await.into_iter().filter(|r| r.kind.as_str() == "user_renamed").collect();
        let told: Vec<_> = records.iter().map(|r| (r.note.as_deref().unwrap(), r.login_name.as_deref().unwrap())).collect();
        assert_eq!(told, [("from amina to Amina.D", "Amina.D"), ("from Amina.D to amina.d", "amina.d")]);
        assert!(records.iter().all(|r| r.user_id.as_deref() == Some(amina.id.as_str()) && r.actor == "client hr"));
        idp.assert_invariants().await;
    }

    /// Strikes are the user's, not the name's: a lock goes along, and what strangers typed at a name that was nobody's
    /// does not lock who gets it (L4, G5).
    async fn strikes_go_with_the_user(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = hr(&idp).await;
        let (amina, lena) = (idp.user("amina").create().await, idp.user("lena").failures(3).create().await);
        for _ in 0..4 {
            idp.browser().try_login("fresh", "Wrong-Horse-9", "SUNRISE-IL").await;
        }
        program.patch(&at(&amina), "*", &json!({"login_name": "fresh"})).await.assert(200);
        program.patch(&at(&lena), "*", &json!({"login_name": "lena2"})).await.assert(200);
        idp.browser().sign_in(&named(&amina, "fresh")).await;
        let locked = idp.browser().log_in(&named(&lena, "lena2"), PASSWORD).await;
        let nobody = idp.browser().log_in(&lena, PASSWORD).await;
        let stranger = idp.browser().try_login("stranger", PASSWORD, "SUNRISE-IL").await;
        assert!(locked.message().unwrap().contains("locked"), "{:?}", locked.message());
        assert_eq!((nobody.status, nobody.message()), (stranger.status, stranger.message()));
    }

    /// A click that was taken before the rename goes on: it means the user, not the name.
    async fn a_handoff_in_flight_survives_a_rename(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = hr(&idp).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let first = browser.click(&idp.therap_services().sign(&amina)).await;
        program.patch(&at(&amina), "*", &json!({"login_name": "amina.d"})).await.assert(200);
        assert_eq!(browser.complete(&first).await.location(), "/");
        browser.assert_signed_in_as(&named(&amina, "amina.d")).await;
        let record = idp.activity().await.into_iter().find(|record| record.kind.as_str() == "sign_in").unwrap();
        assert_eq!((record.login_name.as_deref(), record.user_id), (Some("amina.d"), Some(amina.id)));
        idp.assert_invariants().await;
    }

    /// Of many who want one name, one gets it; the others are told and changed nothing.
    async fn of_renames_to_one_name_one_wins(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.throttle.enabled = false).await;
        let program = hr(&idp).await;
        let mut users = Vec::new();
        for n in 0..8 {
            users.push(idp.user(&format!("user{n}")).create().await);
        }
        let body = json!({"login_name": "wanted", "name": "Wanted", "external_id": "HR-1"});
        let races = users.iter().map(|user| {
            let (program, path, body) = (program.clone(), at(user), body.clone());
            tokio::spawn(async move { program.patch(&path, "*", &body).await.status })
        });
        // Somebody is created of that name at the same time.
        let creation = {
            let (program, body) = (program.clone(), body.clone());
            tokio::spawn(async move { program.post(USERS, &body).await.status })
        };
        let mut statuses: Vec<_> =
            join_all(races.chain([creation])).await.into_iter().map(Result::unwrap).collect();
        statuses.sort_unstable();
        assert!(matches!(statuses[0], 200 | 201), "{statuses:?}");
        assert_eq!(statuses[1..], [409; 8]);
        assert_eq!(idp.number("SELECT COUNT(*) FROM users WHERE name = 'Wanted'").await, 1);
        assert_eq!(idp.number("SELECT COUNT(*) FROM external_ids").await, 1);
        idp.assert_invariants().await;
    }

    /// People sign in while they are renamed: each try ends as one of the two names says, and is recorded once.
    async fn a_rename_during_sign_ins_breaks_none(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.throttle.enabled = false).await;
        let program = hr(&idp).await;
        let amina = idp.user("amina").create().await;
        let signing = (0..12).map(|n| {
            let (idp, user) = (idp.clone(), named(&amina, if n % 2 == 0 { "amina" } else { "amina.d" }));
            tokio::spawn(async move { idp.browser().log_in(&user, PASSWORD).await.status.as_u16() })
        });
        let renaming = {
            let (program, path) = (program.clone(), at(&amina));
            tokio::spawn(async move {
                for n in 0..6 {
                    let name = if n % 2 == 0 { "amina.d" } else { "amina" };
                    program.patch(&path, "*", &json!({"login_name": name})).await.assert(200);
                }
                200
            })
        };
        let statuses: Vec<_> = join_all(signing.chain([renaming])).await.into_iter().map(Result::unwrap).collect();
        // 503: as many guesses in hand as may be; nothing was compared.
        assert!(statuses.iter().all(|status| matches!(status, 200 | 303 | 403 | 503)), "{statuses:?}");
        let opened = statuses.iter().filter(|status| **status == 303).count();
        assert_eq!(idp.sessions(&amina).await, opened);
        idp.assert_invariants().await;
    }

    /// A Provider Admin renames on the user's page, which says what comes of it; what was typed is not lost.
    async fn an_admin_renames_on_the_page(engine: Engine) {
        let idp = Idp::start(engine).await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let amina = idp.user("amina").create().await;
        hr(&idp).await.patch(&at(&amina), "*", &json!({"external_id": "HR-7"})).await.assert(200);
        let mut browser = idp.browser();
        browser.sign_in(&paul).await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        let path = format!("/admin/users/{}", amina.id);
        let page = browser.get(&path).await;
        assert!(page.text("#external-id").contains("HR-7"));
        assert!(page.text("#login-name-hint").contains("the old one is free"));
        for (bad, words) in [("PAUL", "Another user has this Login Name"), ("a b", "not a valid Login Name"), ("", "Please enter")] {
            let told = browser.submit(&page, "#user-form", &[("login_name", bad), ("name", "Typed")]).await;
            assert_eq!(told.status, 422);
            assert!(told.text("#login-name-error").contains(words), "{}", told.text("#login-name-error"));
            assert_eq!(told.attribute("#login-name", "value").as_deref(), Some(bad));
            assert_eq!(told.attribute("#name", "value").as_deref(), Some("Typed"));
            assert!(told.text("#user-state").starts_with("amina"), "{}", told.text("#user-state"));
        }
        let saved = browser.submit(&page, "#user-form", &[("login_name", "amina.d")]).await;
        assert!(browser.follow(saved).await.text("#user-state").starts_with("amina.d"));
        hers.assert_signed_in_as(&named(&amina, "amina.d")).await;
        idp.browser().sign_in(&named(&amina, "amina.d")).await;
        idp.assert_activity(["sign_in success", "sign_in success", "sign_in success", "user_changed success", "user_renamed success"]).await;
    }

    /// A row of a file whose external id is somebody's makes nobody.
    async fn an_import_knows_external_ids(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = hr(&idp).await;
        let amina = idp.user("amina").create().await;
        program.patch(&at(&amina), "*", &json!({"external_id": "HR-1", "login_name": "amina.d"})).await.assert(200);
        let csv = "login_name,name,external_id\namina,Amina,HR-1\nben,Ben,HR-2\ncarla,Carla,HR-2\ndora,Dora,\n";
        let mut headers = crate::actors::bearer(&program.token);
        headers.insert("content-type", "text/csv".parse().unwrap());
        let answer = idp.program(axum::http::Method::POST, &format!("{USERS}/import"), headers, csv.into()).await;
        let rows = answer.json()["rows"].clone();
        let outcomes: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["refused", "created", "refused", "created"]);
        assert!(rows[0]["errors"][0].as_str().unwrap().contains("under another Login Name"), "{rows}");
        assert_eq!(names(&program.get(&format!("{USERS}?external_id=HR-2")).await.json), ["ben"]);
    }
}
