//! SCIM 2.0 as directories speak it: who may, what is created, changed, deactivated and deleted, and what is found.

mod directories;
mod many;

use std::time::Duration;

use connect_idp::model::header_text::ascii;
use connect_idp::model::provider::Provider;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::actors::{Idp, PASSWORD, Program, Told, User, twenty_at_once};

pub const USERS: &str = "/scim/v2/Users";
const TYPE: (&str, &str) = ("content-type", "application/scim+json");

/// The directory of the first agency.
pub async fn directory(idp: &Idp) -> Program {
    idp.client("entra", "scim:SUNRISE-IL").await
}

pub async fn send(program: &Program, method: &str, path: &str, body: &Value) -> Told {
    program.send(method, path, &[TYPE], Some(body)).await
}

fn at(told: &Told) -> String {
    format!("{USERS}/{}", told.json["id"].as_str().unwrap())
}

/// A refusal in SCIM's format (RFC 7644 §3.12): its keyword.
#[track_caller]
fn refused(told: &Told, status: u16) -> &str {
    assert_eq!(told.status, status, "{:#}", told.json);
    assert_eq!(told.headers["content-type"], "application/scim+json");
    assert_eq!(told.json["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(told.json["status"], status.to_string());
    let reference = told.json["detail"].as_str().unwrap().rsplit(' ').next().unwrap();
    assert!(reference.len() == 9, "no reference: {}", told.json);
    told.json["scimType"].as_str().unwrap_or_default()
}

/// Who was found.
fn names(list: &Told) -> Vec<&str> {
    list.assert(200).json["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["userName"].as_str().unwrap())
        .collect()
}

fn query(filter: &str) -> String {
    format!("{USERS}?{}", crate::actors::encode(&[("filter", filter)]))
}

both_engines! {
    /// No token 401, a token without the scope 403, another provider's user 404; all in SCIM's format.
    async fn a_token_binds_to_one_provider(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        let other: Provider = idp.provider("OTHER", |_| {}).await;
        let (amina, theirs) = (idp.user("amina").create().await, idp.user("theirs").of(&other.code).create().await);
        assert_eq!(names(&entra.get(USERS).await), ["amina"]);
        for (method, body) in [("GET", None), ("PUT", Some(json!({"userName": "x"}))), ("DELETE", None),
            ("PATCH", Some(json!({"Operations": [{"op": "replace", "path": "active", "value": false}]})))] {
            refused(&entra.send(method, &format!("{USERS}/{}", theirs.id), &[], body.as_ref()).await, 404);
        }
        for nobody in ["no-id", "00000000-0000-7000-8000-000000000000"] {
            refused(&entra.get(&format!("{USERS}/{nobody}")).await, 404);
        }
        let nobody = Program { token: "x".repeat(43), ..entra.clone() };
        let told = nobody.get(USERS).await;
        refused(&told, 401);
        assert!(ascii(&told.headers["www-authenticate"]).unwrap().contains("invalid_token"));
        let answer = idp.browser().get(USERS).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"connect-idp\"");
        refused(&Told::of(&answer), 401);
        for (client, scope) in [("hr", "users.write:SUNRISE-IL users.read:SUNRISE-IL"), ("two", "scim:SUNRISE-IL scim:OTHER"), ("none", "scim:NOBODY")] {
            let told = idp.client(client, scope).await.get(&format!("{USERS}/{}", amina.id)).await;
            refused(&told, 403);
            assert!(ascii(&told.headers["www-authenticate"]).unwrap().contains("insufficient_scope"));
        }
        // Its scope opens nothing else.
        let told = entra.get("/api/v1/providers/SUNRISE-IL/users").await;
        assert_eq!((told.status, told.problem()), (403, "insufficient-scope"));
        idp.set_provider_active(&other.id, false).await;
        refused(&idp.client("theirs", "scim:OTHER").await.get(USERS).await, 403);
    }

    /// Errors in SCIM's format everywhere below `/scim/v2`.
    async fn every_refusal_is_in_the_format_of_the_standard(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.throttle.enabled = true;
            config.throttle.client_per_minute = 20;
        }).await;
        let entra = directory(&idp).await;
        refused(&entra.get("/scim/v2/Groups").await, 404);
        refused(&entra.get("/scim/v2").await, 404);
        let told = entra.send("PUT", USERS, &[], Some(&json!({}))).await;
        refused(&told, 405);
        assert!(ascii(&told.headers["allow"]).unwrap().contains("POST"));
        refused(&entra.send("DELETE", "/scim/v2/ServiceProviderConfig", &[], None).await, 405);
        refused(&entra.send("POST", USERS, &[("content-type", "text/plain")], Some(&json!({}))).await, 415);
        refused(&send(&entra, "POST", USERS, &json!({"userName": "x".repeat(70_000)})).await, 413);
        assert_eq!(refused(&send(&entra, "POST", USERS, &json!([])).await, 400), "invalidSyntax");
        assert_eq!(refused(&send(&entra, "POST", USERS, &json!({"displayName": "A"})).await, 400), "invalidValue");
        assert_eq!(refused(&entra.get(&query("userName is \"x\"")).await, 400), "invalidFilter");
        let mut last = entra.get(USERS).await;
        for _ in 0..60 {
            if last.status == 429 {
                break;
            }
            last = entra.get(USERS).await;
        }
        refused(&last, 429);
        assert!(last.headers.contains_key("retry-after"));
    }

    /// `userName` alone is required; what nobody keeps here is tolerated; the person's name is `displayName`.
    async fn a_user_is_created_with_what_there_is(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        let made = send(&entra, "POST", USERS, &json!({"userName": "solo"})).await;
        made.assert(201);
        assert_eq!(made.headers["location"], made.json["meta"]["location"].as_str().unwrap());
        assert_eq!(made.etag(), made.json["meta"]["version"]);
        assert!(made.etag().starts_with("W/\""));
        assert_eq!((&made.json["displayName"], &made.json["active"]), (&json!("solo"), &json!(true)));

        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            "userName": "amina@example.org", "displayName": "Amina Diallo", "externalId": "E-7", "active": true, "password": "Not-Taken-9",
            "name": {"givenName": "Amina", "familyName": "Diallo"}, "title": "Nurse", "roles": ["x"], "groups": [], "shoeSize": 9,
            "emails": [{"value": "amina@example.org", "type": "work", "primary": true}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Care"},
        });
        let made = send(&entra, "POST", USERS, &body).await;
        made.assert(201);
        for kept in ["userName", "displayName", "externalId", "active", "name", "emails"] {
            assert_eq!(made.json[kept], body[kept], "{kept}");
        }
        assert_eq!(entra.get(&at(&made)).await.assert(200).json, made.json);
        // A duplicate, in whatever case; another user's external id.
        assert_eq!(refused(&send(&entra, "POST", USERS, &json!({"userName": "AMINA@example.org"})).await, 409), "uniqueness");
        assert_eq!(refused(&send(&entra, "POST", USERS, &json!({"userName": "b", "externalId": "E-7"})).await, 409), "uniqueness");
        assert_eq!(refused(&send(&entra, "PUT", &at(&made), &json!({"userName": "Solo"})).await, 409), "uniqueness");

        let ops = idp.client("ops", "users.read").await;
        let user = ops.get("/api/v1/providers/SUNRISE-IL/users?external_id=E-7").await;
        let user = &user.assert(200).json["items"][0];
        assert_eq!((&user["name"], &user["user_type"]), (&json!("Amina Diallo"), &json!("Regular User")));
        assert_eq!(user["claims"]["email"], "amina@example.org");
        assert!(user["claims"]["email_verified"].is_null(), "G38");
        // The password of a body is nobody's.
        let answer = idp.browser().try_login("amina@example.org", "Not-Taken-9", "SUNRISE-IL").await;
        answer.assert_page(403, "Invalid Credentials");
        // One record each, with the client as actor.
        let activity = idp.activity().await;
        let created: Vec<_> = activity.iter().filter(|record| record.kind.as_str() == "user_created").collect();
        assert_eq!(created.iter().map(|record| record.actor.as_str()).collect::<Vec<_>>(), ["client entra"; 2]);
        idp.assert_invariants().await;
    }

    /// R4: deprovisioning ends every session and token; one record each, and none where nothing changed.
    async fn a_deactivation_ends_everything(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        let amina = idp.user("amina").create().await;
        let place = format!("{USERS}/{}", amina.id);
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let off = json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
        assert_eq!(send(&entra, "PATCH", &place, &off).await.assert(200).json["active"], false);
        send(&entra, "PATCH", &place, &off).await.assert(200);
        browser.assert_signed_out().await;
        assert_eq!(idp.sessions(&amina).await, 0);
        idp.browser().log_in(&amina, PASSWORD).await.assert_page(403, "Invalid Credentials");
        let on = json!({"Operations": [{"op": "replace", "value": {"active": true}}]});
        assert_eq!(send(&entra, "PATCH", &place, &on).await.assert(200).json["active"], true);
        idp.browser().sign_in(&amina).await;
        let both = json!({"userName": "amina2", "displayName": "A", "active": false});
        send(&entra, "PUT", &place, &both).await.assert(200);
        let by_it: Vec<_> = idp.activity().await.into_iter().filter(|record| record.actor == "client entra").collect();
        let mut kinds: Vec<_> = by_it.iter().map(|record| record.kind.as_str()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["user_changed", "user_deactivated", "user_deactivated", "user_reactivated", "user_renamed"]);
        idp.assert_invariants().await;
    }

    /// DELETE answers 204, then 404; the account stays on record, and the same person comes back with the same id.
    async fn a_deleted_user_is_gone_for_directories_alone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        let made = send(&entra, "POST", USERS, &json!({"userName": "amina", "externalId": "E-1"})).await;
        let place = at(made.assert(201));
        entra.delete(&place).await.assert(204);
        refused(&entra.delete(&place).await, 404);
        refused(&entra.get(&place).await, 404);
        refused(&send(&entra, "PUT", &place, &json!({"userName": "amina"})).await, 404);
        assert!(names(&entra.get(USERS).await).is_empty() && names(&entra.get(&query("userName eq \"amina\"")).await).is_empty());
        assert!(names(&entra.get(&query("externalId eq \"E-1\"")).await).is_empty());
        assert!(names(&entra.get(&query("userName sw \"a\"")).await).is_empty());
        let ops = idp.client("ops", "users.read users.write").await;
        let there = ops.get("/api/v1/providers/SUNRISE-IL/users?login_name=amina").await;
        assert_eq!((&there.json["items"][0]["id"], &there.json["items"][0]["active"]), (&made.json["id"], &json!(false)));

        // The same person, whatever the Login Name is now.
        let back = send(&entra, "POST", USERS, &json!({"userName": "amina.d", "externalId": "E-1"})).await;
        assert_eq!((&back.assert(201).json["id"], &back.json["active"]), (&made.json["id"], &json!(true)));
        assert_eq!(refused(&send(&entra, "POST", USERS, &json!({"userName": "amina.d"})).await, 409), "uniqueness");
        // Another person of the same Login Name does not become the one before: apps know people by the id.
        entra.delete(&place).await.assert(204);
        let other = send(&entra, "POST", USERS, &json!({"userName": "amina.d", "externalId": "E-2"})).await;
        assert_ne!(other.assert(201).json["id"], made.json["id"]);
        // An admin who activates the account brings it back for the directory too, under the name that it has now.
        let id = made.json["id"].as_str().unwrap();
        ops.act(&format!("/api/v1/providers/SUNRISE-IL/users/{id}/reactivate")).await.assert(200);
        let seen = entra.get(&place).await;
        assert!(seen.assert(200).json["userName"].as_str().unwrap().starts_with("amina.d."), "{}", seen.json);
        // A new name may be one that a deleted account has.
        entra.delete(&at(&other)).await.assert(204);
        let renamed = json!({"Operations": [{"op": "replace", "path": "userName", "value": "amina.d"}, {"op": "add", "path": "externalId", "value": "E-2"}]});
        assert_eq!(send(&entra, "PATCH", &place, &renamed).await.assert(200).json["userName"], "amina.d");
        idp.assert_invariants().await;
    }

    /// A stale If-Match is 412; of two writers one is told, and nothing is lost without it either.
    async fn two_writers_lose_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        let made = send(&entra, "POST", USERS, &json!({"userName": "amina"})).await;
        let (place, first) = (at(made.assert(201)), made.etag().to_owned());
        let patch = |path: &str, value: &str| json!({"Operations": [{"op": "replace", "path": path, "value": value}]});
        let with = async |version: &str, body: &Value| entra.send("PATCH", place.as_str(), &[TYPE, ("if-match", version)], Some(body)).await;
        let second = with(&first, &patch("nickName", "A")).await;
        assert_ne!(second.assert(200).etag(), first);
        refused(&with(&first, &patch("nickName", "B")).await, 412);
        refused(&entra.send("PUT", place.as_str(), &[TYPE, ("if-match", first.as_str())], Some(&json!({"userName": "x"}))).await, 412);
        refused(&entra.send("DELETE", place.as_str(), &[("if-match", first.as_str())], None).await, 412);
        with("*", &patch("nickName", "C")).await.assert(200);
        let now = entra.get(&place).await;
        let unchanged = entra.send("GET", place.as_str(), &[("if-none-match", now.etag())], None).await;
        assert_eq!((unchanged.assert(304).etag(), &unchanged.json), (now.etag(), &Value::Null));

        let raced = join_all((0..8).map(|n| { let body = patch("nickName", &format!("N{n}")); let (with, etag) = (&with, now.etag()); async move { with(etag, &body).await.status } })).await;
        assert_eq!(raced.iter().filter(|status| **status == 200).count(), 1, "{raced:?}");
        assert_eq!(raced.iter().filter(|status| **status == 412).count(), 7, "{raced:?}");
        // Without a version, each changes its own attribute, and all of them stand.
        let paths = ["nickName", "locale", "name.givenName", "name.familyName", "displayName", "emails[type eq \"work\"].value", "phoneNumbers[type eq \"work\"].value"];
        let value = |path: &str| if path.starts_with("emails") { "a@example.org" } else { "all" };
        let done = join_all(paths.iter().map(|path| { let body = patch(path, value(path)); let (entra, place) = (&entra, &place); async move { send(entra, "PATCH", place, &body).await.status } })).await;
        assert_eq!(done, [200; 7]);
        let all = entra.get(&place).await.json;
        assert_eq!(
            (&all["nickName"], &all["locale"], &all["name"], &all["displayName"], &all["emails"][0]["value"], &all["phoneNumbers"][0]["value"]),
            (&json!("all"), &json!("all"), &json!({"givenName": "all", "familyName": "all"}), &json!("all"), &json!("a@example.org"), &json!("all"))
        );
        // One is created, whoever was first; and one comes back.
        for _ in 0..2 {
            let made = join_all((0..6).map(|_| { let entra = &entra; async move { send(entra, "POST", USERS, &json!({"userName": "twin"})).await } })).await;
            let statuses: Vec<_> = made.iter().map(|told| told.status).collect();
            assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 5, "{statuses:?}");
            entra.delete(&at(made.iter().find(|told| told.status == 201).unwrap())).await.assert(204);
        }
        idp.assert_invariants().await;
    }

    async fn users_are_found_sorted_and_paged(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        for (name, shown, active) in [("dora", "Anna", true), ("carl", "Dora", false), ("ben", "Carl", true), ("anna", "Ben", true)] {
            let email = format!("{name}@example.org");
            idp.advance(Duration::from_millis(5));
            send(&entra, "POST", USERS, &json!({"userName": name, "displayName": shown, "active": active, "emails": [{"value": email, "type": "work"}]})).await.assert(201);
        }
        let found = async |parameters: &[(&str, &str)]| {
            let told = entra.get(&format!("{USERS}?{}", crate::actors::encode(parameters))).await;
            (told.assert(200).json["totalResults"].as_i64().unwrap(), names(&told).join(" "))
        };
        for (parameters, total, who) in [
            (vec![], 4, "dora carl ben anna"),
            (vec![("startIndex", "2"), ("count", "2")], 4, "carl ben"),
            (vec![("startIndex", "-3"), ("count", "1")], 4, "dora"),
            (vec![("startIndex", "9")], 4, ""),
            (vec![("count", "0")], 4, ""),
            (vec![("count", "-1")], 4, ""),
            (vec![("sortBy", "userName")], 4, "anna ben carl dora"),
            (vec![("sortBy", "userName"), ("sortOrder", "descending"), ("count", "2")], 4, "dora carl"),
            (vec![("sortBy", "displayName")], 4, "dora anna ben carl"),
            (vec![("sortBy", "emails.value"), ("sortOrder", "Descending"), ("count", "2"), ("startIndex", "2")], 4, "carl ben"),
            (vec![("sortBy", "active"), ("count", "1")], 4, "carl"),
            (vec![("filter", "active eq true"), ("sortBy", "userName")], 3, "anna ben dora"),
            (vec![("filter", "active eq true"), ("startIndex", "2"), ("count", "1")], 3, "ben"),
            (vec![("filter", "emails[type eq \"work\" and value sw \"ben\"]")], 1, "ben"),
            (vec![("filter", "userName eq \"BEN\"")], 1, "ben"),
            (vec![("filter", "userName eq \"ben\" and active eq false")], 0, ""),
            (vec![("filter", "userName eq \"a b\"")], 0, ""),
            (vec![("filter", "userName eq \"anna\" or (displayName co \"ora\" and not (active eq true))")], 2, "carl anna"),
            (vec![("filter", "meta.created gt \"2020-01-01T00:00:00Z\" and title eq null"), ("count", "1")], 4, "dora"),
            (vec![("filter", "externalId eq \"\\u0000\"")], 0, ""),
        ] {
            assert_eq!(found(&parameters).await, (total, who.to_owned()), "{parameters:?}");
        }
        for (bad, keyword) in [("filter=x", "invalidFilter"), ("filter=shoe+eq+1", "invalidFilter"), ("count=many", "invalidValue"),
            ("sortBy=shoe", "invalidPath"), ("sortOrder=up", "invalidValue"), ("count=1&count=2", "invalidSyntax"),
            ("attributes=userName&excludedAttributes=name", "invalidSyntax")] {
            assert_eq!(refused(&entra.get(&format!("{USERS}?{bad}")).await, 400), keyword, "{bad}");
        }
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": "active eq true",
            "attributes": ["userName"], "sortBy": "userName", "startIndex": 1, "count": 1});
        for place in ["/scim/v2/.search", "/scim/v2/Users/.search"] {
            let told = send(&entra, "POST", place, &body).await;
            assert_eq!((names(&told), &told.json["totalResults"]), (vec!["anna"], &json!(3)));
            let members: Vec<_> = told.json["Resources"][0].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members.len(), 3, "{members:?}");
        }
        let less = entra.get(&format!("{USERS}?filter=userName+eq+%22ben%22&excludedAttributes=emails,meta")).await;
        assert!(less.json["Resources"][0]["emails"].is_null() && less.json["Resources"][0]["displayName"] == "Carl");
    }

    /// Bounded, in order, each a transaction of its own; what refers to what is created first.
    async fn a_bulk_request_does_many_things(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        let amina = idp.user("amina").create().await;
        let op = |method: &str, path: &str, id: &str, data: Value| json!({"method": method, "path": path, "bulkId": id, "data": data});
        let bulk = async |operations: Vec<Value>, most: Option<u32>| {
            let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
            if let Some(most) = most {
                body["failOnErrors"] = most.into();
            }
            send(&entra, "POST", "/scim/v2/Bulk", &body).await
        };
        let statuses = |told: &Told| told.assert(200).json["Operations"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let off = json!({"Operations": [{"op": "replace", "value": {"active": false}}]});
        let told = bulk(vec![
            op("PATCH", "/Users/bulkId:b", "x", off.clone()),
            op("POST", "/Users", "a", json!({"userName": "ann"})),
            op("post", "/Users", "b", json!({"userName": "bob"})),
            op("POST", "/Users", "c", json!({"userName": "AMINA"})),
            op("PUT", "/Users/bulkId:c", "y", json!({"userName": "nobody"})),
            op("PATCH", "/Users/bulkId:z", "z", off.clone()),
            json!({"method": "DELETE", "path": format!("/Users/{}", amina.id)}),
            op("GET", "/Users", "q", json!({})),
            op("POST", "/Groups", "g", json!({"displayName": "g"})),
        ], None).await;
        assert_eq!(statuses(&told), ["200", "201", "201", "409", "409", "409", "204", "400", "400"]);
        let operations = &told.json["Operations"];
        assert_eq!((&operations[3]["response"]["scimType"], &operations[3]["response"]["status"]), (&json!("uniqueness"), &json!("409")));
        assert_eq!(operations[0]["location"], operations[2]["location"]);
        assert_eq!(names(&entra.get(&query("active eq false")).await), ["bob"]);
        refused(&entra.get(&format!("{USERS}/{}", amina.id)).await, 404);
        // The version that was there a moment ago.
        let ann = entra.get(&query("userName eq \"ann\"")).await.json["Resources"][0].clone();
        let path = format!("/Users/{}", ann["id"].as_str().unwrap());
        let with = |version: &Value| json!({"method": "PATCH", "path": path, "version": version, "data": off});
        assert_eq!(statuses(&bulk(vec![with(&ann["meta"]["version"]), with(&ann["meta"]["version"])], None).await), ["200", "412"]);
        // It stops after so many errors.
        let bad = || op("POST", "/Users", "e", json!({}));
        let told = bulk(vec![bad(), bad(), bad(), op("POST", "/Users", "f", json!({"userName": "late"}))], Some(2)).await;
        assert_eq!(statuses(&told), ["400", "400"]);
        assert!(names(&entra.get(&query("userName eq \"late\"")).await).is_empty());
        refused(&bulk((0..101).map(|_| bad()).collect(), None).await, 413);
        assert_eq!(refused(&send(&entra, "POST", "/scim/v2/Bulk", &json!({"Operations": 1})).await, 400), "invalidSyntax");
        refused(&send(&entra, "POST", "/scim/v2/Bulk", &json!({"Operations": [], "x": "x".repeat(600_000)})).await, 413);
        idp.assert_invariants().await;
    }

    async fn what_there_is_is_described(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        let config = entra.get("/scim/v2/ServiceProviderConfig").await;
        for supported in ["patch", "bulk", "filter", "sort", "etag"] {
            assert_eq!(config.assert(200).json[supported]["supported"], true, "{supported}");
        }
        assert_eq!(config.headers["content-type"], "application/scim+json");
        for place in ["Schemas", "ResourceTypes"] {
            let list = entra.get(&format!("/scim/v2/{place}")).await;
            let first = list.assert(200).json["Resources"][0].clone();
            let location = first["meta"]["location"].as_str().unwrap();
            let path = location.split_once("/scim/").unwrap().1;
            assert_eq!(entra.get(&format!("/scim/{path}")).await.assert(200).json, first);
            refused(&entra.get(&format!("/scim/v2/{place}?filter=id+pr")).await, 403);
            refused(&entra.get(&format!("/scim/v2/{place}/Group")).await, 404);
        }
    }

    /// G29: whoever holds a connection gets no second one.
    async fn two_connections_answer_twenty_directories_at_once(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.database.connections = 2;
            config.throttle.enabled = false;
        }).await;
        let entra = directory(&idp).await;
        let amina: User = idp.user("amina").create().await;
        let (place, found) = (format!("{USERS}/{}", amina.id), query("userName sw \"a\""));
        let change = json!({"Operations": [{"op": "replace", "path": "nickName", "value": "A"}]});
        let bulk = json!({"Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "many"}}]});
        for (method, path, body) in [
            ("GET", USERS, None),
            ("GET", found.as_str(), None),
            ("POST", USERS, Some(json!({"userName": "twin"}))),
            ("POST", "/scim/v2/.search", Some(json!({}))),
            ("POST", "/scim/v2/Users/.search", Some(json!({}))),
            ("POST", "/scim/v2/Bulk", Some(bulk)),
            ("GET", place.as_str(), None),
            ("PATCH", place.as_str(), Some(change)),
            ("PUT", place.as_str(), Some(json!({"userName": "amina"}))),
            ("DELETE", place.as_str(), None),
            ("GET", "/scim/v2/ServiceProviderConfig", None),
            ("GET", "/scim/v2/ResourceTypes/User", None),
            ("GET", "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", None),
        ] {
            twenty_at_once(path, || {
                let (entra, path, body) = (entra.clone(), path.to_owned(), body.clone());
                async move {
                    let told = entra.send(method, &path, &[], body.as_ref()).await;
                    axum::http::StatusCode::from_u16(told.status).unwrap()
                }
            }).await;
        }
        idp.assert_invariants().await;
    }
}
