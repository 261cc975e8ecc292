//! What Entra ID and Okta send, request by request, as their documentation shows it.

use serde_json::{Value, json};

use super::{USERS, directory, names, query, refused, send};
use crate::actors::Idp;

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn patch(operations: &Value) -> Value {
    json!({"schemas": [PATCH], "Operations": operations})
}

both_engines! {
    /// Entra ID: tests the connection by a user who is not there, looks for whom it creates, changes by paths with
    /// capitals and texts, disables, and deletes at last ("Develop and plan provisioning for a SCIM endpoint").
    async fn entra_id_keeps_a_user(engine: Engine) {
        let idp = Idp::start(engine).await;
        let entra = directory(&idp).await;
        let nobody = entra.get(&query("userName eq \"non-existent user 5f1e\"")).await;
        assert_eq!((names(&nobody), &nobody.json["totalResults"]), (vec![], &json!(0)));
        let who = "Test_User_dfeef4c5-5681-4387-b016-bdf221e82081";
        assert!(names(&entra.get(&query(&format!("userName eq \"{who}\""))).await).is_empty());
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
            "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "userName": who, "active": true,
            "displayName": "lennay", "title": "Nurse", "preferredLanguage": "en-US",
            "emails": [{"primary": true, "type": "work", "value": "Test_User_1@testuser.com"}],
            "meta": {"resourceType": "User"},
            "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
            "addresses": [{"type": "work", "formatted": "1 Main St, Springfield", "primary": true}],
            "phoneNumbers": [{"type": "work", "value": "1"}, {"type": "mobile", "value": "2"}, {"type": "fax", "value": "3"}],
            "roles": [],
            ENTERPRISE: {"employeeNumber": "7", "department": "Care", "manager": {"value": "x"}},
        });
        let made = send(&entra, "POST", USERS, &body).await;
        made.assert(201);
        for kept in ["externalId", "userName", "displayName", "emails", "name", "addresses", "active"] {
            assert_eq!(made.json[kept], body[kept], "{kept}");
        }
        let place = format!("{USERS}/{}", made.json["id"].as_str().unwrap());
        let steps = [
            (json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updatedEmail@microsoft.com"},
                {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"}]),
                "/emails/0/value", json!("updatedEmail@microsoft.com")),
            (json!([{"op": "Replace", "path": "userName", "value": "5b50642d-79fc-4410-9e90-4c077cdd1a59@testuser.com"}]),
                "/userName", json!("5b50642d-79fc-4410-9e90-4c077cdd1a59@testuser.com")),
            (json!([{"op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "Springfield"},
                {"op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "Kitchen"},
                {"op": "Replace", "path": format!("{ENTERPRISE}:manager"), "value": "y"},
                {"op": "Replace", "path": "title", "value": "Cook"},
                {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "22"}]),
                "/addresses/0/locality", json!("Springfield")),
            (json!([{"op": "Add", "value": {"displayName": "Lennay T", "name.givenName": "Lennay",
                "emails[type eq \"work\"].value": "lennay@testuser.com", format!("{ENTERPRISE}:employeeNumber"): "8"}}]),
                "/emails", json!([{"type": "work", "primary": true, "value": "lennay@testuser.com"}])),
            (json!([{"op": "Remove", "path": "addresses[type eq \"work\"].formatted"}]),
                "/addresses", json!([{"type": "work", "primary": true, "locality": "Springfield"}])),
            (json!([{"op": "Replace", "path": "active", "value": "False"}]), "/active", json!(false)),
            (json!([{"op": "Replace", "path": "active", "value": "True"}]), "/active", json!(true)),
            (json!([{"op": "Replace", "path": "active", "value": false}]), "/active", json!(false)),
        ];
        for (operations, pointer, value) in steps {
            let told = send(&entra, "PATCH", &place, &patch(&operations)).await;
            assert_eq!(told.assert(200).json.pointer(pointer), Some(&value), "{operations}");
        }
        let found = entra.get(&query("externalId eq \"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef\"")).await;
        let user = &found.json["Resources"][0];
        assert_eq!((&user["displayName"], &user["name"]["givenName"], &user["phoneNumbers"][0]["value"]), (&json!("Lennay T"), &json!("Lennay"), &json!("1")));
        assert!(user["title"].is_null() && user[ENTERPRISE].is_null());
        entra.delete(&place).await.assert(204);
        assert!(names(&entra.get(&query(&format!("userName eq \"{who}\""))).await).is_empty());
        // Assigned again, it is created again: the same person comes back.
        let back = send(&entra, "POST", USERS, &body).await;
        assert_eq!((&back.assert(201).json["id"], &back.json["userName"], &back.json["active"]), (&made.json["id"], &json!(who), &json!(true)));
        // It asks for groups, which are not there.
        refused(&entra.get("/scim/v2/Groups?excludedAttributes=members&filter=displayName+eq+%22x%22").await, 404);
        idp.assert_invariants().await;
    }

    /// Okta: looks for whom it creates, pages through all, puts whole users, and deactivates without a path ("Okta and
    /// SCIM Version 2.0").
    async fn okta_keeps_a_user(engine: Engine) {
        let idp = Idp::start(engine).await;
        let okta = directory(&idp).await;
        let looked = okta.get(&format!("{}&startIndex=1&count=100", query("userName eq \"test.user@okta.local\""))).await;
        assert_eq!(looked.assert(200).json["totalResults"], 0);
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "test.user@okta.local", "name": {"givenName": "Test", "familyName": "User"},
            "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
            "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7", "groups": [],
            "password": "1mz050nq", "active": true,
        });
        let made = send(&okta, "POST", USERS, &body).await;
        assert_eq!((&made.assert(201).json["emails"], &made.json["name"]), (&body["emails"], &body["name"]));
        assert!(made.json["password"].is_null());
        assert_eq!(refused(&send(&okta, "POST", USERS, &body).await, 409), "uniqueness");
        let id = made.json["id"].as_str().unwrap();
        let place = format!("{USERS}/{id}");
        let page = okta.get(&format!("{USERS}?startIndex=1&count=100")).await;
        assert_eq!((&page.json["startIndex"], &page.json["itemsPerPage"], names(&page)), (&json!(1), &json!(1), vec!["test.user@okta.local"]));
        // It reads, and puts the whole of what it read with its change.
        let mut whole = okta.get(&place).await.json;
        whole["name"] = json!({"givenName": "Another", "middleName": "Excited", "familyName": "User"});
        whole["nickName"] = "Ann".into();
        let put = send(&okta, "PUT", &place, &whole).await;
        assert_eq!((&put.assert(200).json["name"], &put.json["id"], &put.json["externalId"]), (&whole["name"], &json!(id), &body["externalId"]));
        // What is absent is taken away; whether the user is active, and what it is called, is not.
        let less = send(&okta, "PUT", &place, &json!({"userName": "test.user@okta.local", "displayName": "Test"})).await;
        assert!(less.assert(200).json["nickName"].is_null() && less.json["name"].is_null() && less.json["emails"].is_null());
        assert_eq!((&less.json["active"], &less.json["externalId"]), (&json!(true), &body["externalId"]));
        for active in [false, true, false] {
            let told = send(&okta, "PATCH", &place, &patch(&json!([{"op": "replace", "value": {"active": active}}]))).await;
            assert_eq!(told.assert(200).json["active"], active);
        }
        // A password that it pushes is not taken, and nothing fails.
        let told = send(&okta, "PATCH", &place, &patch(&json!([{"op": "replace", "value": {"password": "7ElliptiC_x"}}]))).await;
        assert_eq!(told.assert(200).json["active"], false);
        let kinds: Vec<_> = idp.activity().await.into_iter().map(|record| record.kind.as_str().to_owned()).collect();
        assert!(!kinds.iter().any(|kind| kind.starts_with("password")), "{kinds:?}");
        idp.assert_invariants().await;
    }
}
