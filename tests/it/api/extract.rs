//! What the API reads and how it refuses: strictly, in the problem format (RFC 9457), with tokens narrowed as asked.

use axum::http::{HeaderMap, Method};
use connect_idp::model::header_text::ascii;
use connect_idp::model::provider::UnifiedLogin;
use serde_json::{Value, json};

use crate::actors::{Idp, Told, bearer};

const USERS: &str = "/api/v1/providers/SUNRISE-IL/users";

both_engines! {
    /// G16: unknown members, repeated members and parameters, other types of body.
    async fn what_is_not_understood_is_refused(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("hr", "users.read users.write").await;
        let raw = async |kind: &str, body: &str| {
            let mut headers = bearer(&program.token);
            headers.insert("content-type", kind.parse().unwrap());
            Told::of(&idp.program(Method::POST, USERS, headers, body.into()).await)
        };
        for (kind, body, status, problem) in [
            ("application/json", "", 400, "malformed"),
            ("application/json", "[]", 400, "malformed"),
            ("application/json", "{\"login_name\": \"a\", \"login_name\": \"b\", \"name\": \"A\"}", 400, "malformed"),
            ("application/json", "{\"login_name\": \"a\", \"name\": \"A\", \"shoe_size\": 5}", 422, "invalid"),
            ("application/json", "{\"login_name\": 5, \"name\": \"A\"}", 422, "invalid"),
            ("application/json", "{\"login_name\": \"a\\u0000b\", \"name\": \"A\"}", 422, "invalid"),
            ("text/plain", "{}", 415, "unsupported-media-type"),
        ] {
            let told = raw(kind, body).await;
            assert_eq!((told.status, told.problem()), (status, problem), "{body}");
        }
        let told = raw("application/json", &format!("{{\"name\": \"{}\"}}", "x".repeat(20_000))).await;
        assert_eq!((told.status, told.problem()), (413, "too-large"));
        let many = raw("application/json", "{\"login_name\": \"a b\", \"name\": \"\", \"temporary_password\": \"x\"}").await;
        let keys: Vec<_> = many.json["errors"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
        assert_eq!(keys, ["login_name", "name", "temporary_password"]);
        for query in ["shoe_size=5", "limit=3&limit=4", "limit=many", "state=odd"] {
            assert_eq!(program.get(&format!("{USERS}?{query}")).await.problem(), "malformed", "{query}");
        }
        for query in ["limit=0", "limit=201"] {
            assert_eq!(program.get(&format!("{USERS}?{query}")).await.problem(), "invalid", "{query}");
        }
    }

    /// Each value that is not accepted is named, whoever finds it: who reads JSON, or who knows what is meant.
    async fn what_is_not_accepted_is_named(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "providers.write users.write clients.write").await;
        let decline = "/api/v1/providers/CEDAR-OR/unified-login/decline";
        idp.user("amina").create().await;
        idp.provider("CEDAR-OR", |p| p.unified_login = UnifiedLogin::Requested).await;
        let waits = "must not contain control characters or tabs, but for line breaks";
        for (path, body, key, why) in [
            (USERS, json!({"name": "A"}), "login_name", "missing field"),
            (USERS, json!({"login_name": "a", "name": "A", "shoe_size": 5}), "shoe_size", "unknown field"),
            (USERS, json!({"login_name": 5, "name": "A"}), "login_name", "invalid type"),
            ("/api/v1/clients", json!({"client_id": "x", "nickname": "y"}), "nickname", "there is no such key"),
            ("/api/v1/clients", json!({"client_id": "x", "jwks": "{"}), "jwks", "not a JSON object"),
            ("/api/v1/providers", json!({"code": "A", "name": "A", "idle_minutes": 1.5}), "idle_minutes", "invalid type"),
            (decline, json!({"request": null}), "reason", "missing field"),
            (decline, json!({"request": null, "reason": "a\tb"}), "reason", waits),
            (decline, json!({"request": null, "reason": "x".repeat(501)}), "reason", "must be at most 500 characters"),
        ] {
            let told = program.post(path, &body).await;
            let error = &told.assert(422).json["errors"][0];
            assert_eq!(error["key"], key, "{body}: {error}");
            assert!(error["detail"].as_str().unwrap().contains(why), "{body}: {error}");
        }
    }

    /// JSON Schema knows one kind of whole number, however it is written.
    async fn a_whole_number_may_have_a_point(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "providers.read providers.write").await;
        let made = program.post("/api/v1/providers", &json!({"code": "A", "name": "A", "idle_minutes": 10.0})).await;
        assert_eq!(made.assert(201).json["idle_minutes"], 10);
    }

    /// RFC 6750 §3: the challenge; RFC 9457: the body; the reference is the log's.
    async fn refusals_are_problems(engine: Engine) {
        let idp = Idp::start(engine).await;
        let nothing = Told::of(&idp.program(Method::GET, USERS, HeaderMap::new(), String::new()).await);
        assert_eq!((nothing.status, nothing.problem()), (401, "unauthenticated"));
        assert_eq!(nothing.headers["www-authenticate"], "Bearer realm=\"connect-idp\"");
        let odd = Told::of(&idp.program(Method::GET, USERS, bearer("odd"), String::new()).await);
        assert!(ascii(&odd.headers["www-authenticate"]).unwrap().contains("error=\"invalid_token\""));
        assert!(odd.json["type"].as_str().unwrap().starts_with(&format!("{}/api/v1#", idp.app.config.issuer)));
        assert!(odd.json["reference"].as_str().unwrap().len() > 5 && odd.json["title"].is_string());
        let program = idp.client("hr", "users.read").await;
        assert_eq!(program.get("/api/v1/nothing").await.problem(), "not-found");
        assert_eq!(program.send("PUT", USERS, &[], None).await.problem(), "method-not-allowed");
        let page = idp.browser().get("/api/v1").await;
        assert_eq!(page.status, 200);
        assert!(page.has("#not-found") && page.has("#problems"), "the types lead to their descriptions");
    }

    /// A client asks for less than it may have: one provider alone.
    async fn a_token_may_be_narrowed_and_never_widened(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("OTHER", |_| {}).await;
        let whole = idp.client("ops", "users.read").await;
        let ask = async |party: &crate::actors::RelyingParty, scope: &str| {
            let params = [("grant_type", "client_credentials"), ("scope", scope)];
            Told::of(&party.post("/oauth2/token", &params).await)
        };
        let narrow = ask(&whole.party, "users.read:SUNRISE-IL").await;
        assert_eq!(narrow.assert(200).json["scope"], "users.read:SUNRISE-IL");
        let mut program = whole.clone();
        program.token = narrow.json["access_token"].as_str().unwrap().to_owned();
        program.get(USERS).await.assert(200);
        assert_eq!(program.get("/api/v1/providers/OTHER/users").await.status, 404);
        let agency = idp.client("agency", "users.read:SUNRISE-IL").await;
        for wider in ["users.read:a:b", "users.read", "users.read:OTHER", "users.write:SUNRISE-IL", "users.read:SUNRISE-IL users.read"] {
            assert_eq!(ask(&agency.party, wider).await.json["error"], "invalid_scope", "{wider}");
        }
    }

    /// G9: a scope that is taken away is gone at once, also from the tokens that were given before.
    async fn a_scope_that_is_taken_away_is_gone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("hr", "users.read providers.read").await;
        let operator = idp.client("ops", "clients.read clients.write").await;
        program.get(USERS).await.assert(200);
        operator.patch("/api/v1/clients/hr", "*", &json!({"scope": "providers.read users.read:OTHER"})).await.assert(200);
        assert_eq!(program.get(USERS).await.problem(), "insufficient-scope");
        program.get("/api/v1/providers").await.assert(200);
        let narrower = operator.patch("/api/v1/clients/hr", "*", &json!({"scope": "users.read:OTHER"})).await;
        narrower.assert(200);
        assert_eq!(program.get("/api/v1/providers").await.problem(), "insufficient-scope");
    }

    async fn one_client_cannot_ask_without_end(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.throttle.enabled = true;
            config.throttle.client_per_minute = 3;
        }).await;
        let (busy, other) = (idp.client("busy", "users.read").await, idp.client("other", "users.read").await);
        for _ in 0..3 {
            busy.get(USERS).await.assert(200);
        }
        let told = busy.get(USERS).await;
        assert_eq!((told.status, told.problem()), (429, "throttled"));
        assert!(ascii(&told.headers["retry-after"]).unwrap().parse::<u64>().unwrap() > 0);
        other.get(USERS).await.assert(200);
    }
}

/// Every schema that the document names is there, every operation has a scope that is one of ours, and says how it may
/// be refused.
#[tokio::test]
async fn the_document_is_whole() {
    let idp = Idp::start(crate::actors::Engine::Sqlite).await;
    let answer = idp.browser().get("/api/v1/openapi.json").await;
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let text = answer.body.as_str();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    let mut names = std::collections::HashSet::new();
    let scopes = &document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]["scopes"];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scope = operation["security"][0]["oauth2"][0].as_str().unwrap();
            assert!(scopes[scope].is_string(), "{method} {path}: {scope}");
            for status in ["400", "401", "403", "429", "503"] {
                assert!(operation["responses"][status].is_object(), "{method} {path}: {status}");
            }
            assert!(operation["summary"].is_string(), "{method} {path}");
            let name = operation["operationId"].as_str().unwrap();
            assert!(name.starts_with(char::is_lowercase) && name.chars().all(char::is_alphabetic), "{name}");
            assert!(names.insert(name.to_owned()), "{name} is the name of two operations");
            for part in operation["parameters"].as_array().into_iter().flatten() {
                assert!(part["in"] == "query" || part["example"].is_string(), "{name}: {}", part["name"]);
            }
            for (kind, body) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                assert!(!body["example"].is_null(), "{name}: {kind} has no example");
            }
            let invalid = &operation["responses"]["422"];
            let invalid = &invalid["content"]["application/problem+json"]["schema"]["$ref"];
            assert!(invalid.is_null() || invalid == "#/components/schemas/ValidationProblem", "{name}: {invalid}");
        }
    }
    assert_eq!(json!(document["servers"][0]["url"]), json!(idp.app.config.issuer));
    assert_no_null(&document, "");
    let schemas = &document["components"]["schemas"];
    for (name, schema) in schemas.as_object().unwrap() {
        if let Some(row) = name.strip_suffix("Page") {
            let items = &schema["properties"]["items"]["items"];
            assert_eq!(items["$ref"], format!("#/components/schemas/{row}"), "{name}");
        }
        assert!(!name.contains('_'), "{name}");
    }
    for row in ["User", "Client", "TrustedIssuer", "SigningKey", "ActivityRecord", "ListedProvider"] {
        assert!(schemas[format!("{row}Page")].is_object(), "{row}");
    }
    assert_eq!(schemas["User"]["properties"]["claims"]["additionalProperties"], true);
    assert!(schemas["ValidationProblem"]["required"].as_array().unwrap().contains(&json!("errors")));
    assert_eq!(schemas["UnifiedLoginDecline"]["required"], json!(["reason"]));
    // What is answered is there, or is left out and never null.
    assert!(schemas["User"]["required"].as_array().unwrap().contains(&json!("last_sign_in_at")));
    assert_eq!(schemas["UserPage"]["properties"]["next"]["type"], "string");
    assert_eq!(schemas["Metadata"]["properties"]["logo_uri"]["type"], "string");
    // RFC 7396: whatever a client's metadata holds can be taken away, and nothing else is taken.
    for (name, required) in [("ClientChange", Value::Null), ("NewClient", json!(["client_id"]))] {
        let schema = &schemas[name];
        assert_eq!((&schema["required"], &schema["additionalProperties"]), (&required, &json!(false)), "{name}");
        let members = schema["properties"].as_object().unwrap();
        assert!(members.len() > 20);
        for (name, member) in members.iter().filter(|(name, _)| *name != "client_id") {
            let kinds = member["oneOf"].as_array().map_or(&member["type"], |either| &either[1]["type"]);
            assert!(
                kinds == "null" || kinds.as_array().is_some_and(|kinds| kinds.contains(&json!("null"))),
                "{name}: {member}"
            );
        }
    }
    for (schema, member) in [("NewUser", "login_name"), ("NewTrustedIssuer", "issuer"), ("NewProvider", "time_zone")] {
        assert!(schemas[schema]["properties"][member]["pattern"].is_string(), "{schema}: {member}");
    }
    assert!(schemas["NewTrustedIssuer"]["properties"]["origins"]["items"]["pattern"].is_string());
}

/// OpenAPI knows no `null` but among examples and the words of an `enum`.
fn assert_no_null(value: &Value, path: &str) {
    match value {
        Value::Null => panic!("{path} is null"),
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| *name != "example") {
                assert_no_null(member, &format!("{path}/{name}"));
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| assert_no_null(part, path)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
