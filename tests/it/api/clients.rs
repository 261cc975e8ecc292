//! Clients, trusted issuers and signing keys, by program.

use serde_json::json;

use crate::actors::{ISSUER, Idp, public_jwks};

both_engines! {
    async fn a_program_manages_clients(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "clients.read clients.write").await;
        let new = json!({"client_id": "portal", "client_name": "Portal", "redirect_uris": ["https://portal.example/cb"]});
        let made = program.post("/api/v1/clients", &new).await;
        let secret = made.assert(201).json["client_secret"].as_str().unwrap().to_owned();
        assert!(secret.len() >= 43);
        let path = "/api/v1/clients/portal";
        let shown = program.get(path).await;
        assert_eq!(shown.assert(200).json["client_name"], "Portal");
        assert!(shown.json.get("client_secret").is_none());
        assert_eq!(shown.etag(), made.etag());
        let changed = program.patch(path, shown.etag(), &json!({"client_name": null, "tos_uri": "https://portal.example/t"})).await;
        assert!(changed.assert(200).json.get("client_name").is_none());
        let bad = program.patch(path, changed.etag(), &json!({"redirect_uris": ["ftp://x"], "scope": "nonsense"})).await;
        let keys: Vec<_> = bad.json["errors"].as_array().unwrap().iter().map(|error| error["key"].clone()).collect();
        assert_eq!((bad.status, keys), (422, vec![json!("redirect_uris"), json!("scope")]));
        assert_eq!(program.patch(path, "*", &json!({"client_nmae": "x"})).await.status, 422);
        let rotated = program.post(&format!("{path}/rotate-secret"), &json!({"keep_old_hours": 2})).await;
        assert_ne!(rotated.assert(200).json["client_secret"], secret.as_str());
        assert!(rotated.json["old_until"].is_string());
        assert_eq!(program.act(&format!("{path}/disable")).await.assert(200).json["enabled"], false);
        assert_eq!(program.act(&format!("{path}/enable")).await.assert(200).json["enabled"], true);
        assert_eq!(program.delete(path).await.problem(), "precondition-required");
        program.send("DELETE", path, &[("if-match", "*")], None).await.assert(204);
        assert_eq!(program.get(path).await.status, 404);
        let listed = program.get("/api/v1/clients").await;
        assert_eq!(listed.json["items"].as_array().unwrap().len(), 1);
    }

    /// A client is off: so are its tokens here. No client switches itself off.
    async fn a_client_that_is_off_reaches_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (one, other) = (idp.client("one", "clients.write").await, idp.client("other", "clients.read").await);
        other.get("/api/v1/clients").await.assert(200);
        one.act("/api/v1/clients/other/disable").await.assert(200);
        assert_eq!(other.get("/api/v1/clients").await.status, 401);
        assert_eq!(one.act("/api/v1/clients/one/disable").await.problem(), "conflict");
        assert_eq!(one.send("DELETE", "/api/v1/clients/one", &[("if-match", "*")], None).await.problem(), "conflict");
    }

    async fn a_program_manages_trusted_issuers(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "issuers.read issuers.write").await;
        let issuer = "https://third.example.net";
        let keys: serde_json::Value = serde_json::from_str(&public_jwks(&["es256"])).unwrap();
        let made = program.post("/api/v1/issuers", &json!({"issuer": issuer, "origins": [issuer], "jwks": keys})).await;
        let path = format!("/api/v1/issuers/{}", made.assert(201).json["id"].as_str().unwrap());
        let changed = program.patch(&path, made.etag(), &json!({"display_name": "Third", "client_id": null})).await;
        assert_eq!(changed.assert(200).json["display_name"], "Third");
        let moved = program.patch(&path, changed.etag(), &json!({"jwks_uri": "https://third.example.net/jwks"})).await;
        assert_eq!((moved.assert(200).json["jwks"].is_null(), moved.json["enabled"].as_bool()), (true, Some(true)));
        let off = program.post(&format!("{path}/disable"), &json!({"end_sessions": true})).await;
        assert_eq!(off.assert(200).json["enabled"], false);
        assert_eq!(program.act(&format!("{path}/enable")).await.assert(200).json["enabled"], true);
        program.act(&format!("{path}/end-sessions")).await.assert(200);
        assert_eq!(program.act(&format!("{path}/untie")).await.assert(200).json, json!({"count": 0}));
        let listed = program.get("/api/v1/issuers").await;
        let names: Vec<_> = listed.json["items"].as_array().unwrap().iter().map(|one| one["issuer"].clone()).collect();
        assert_eq!(names, [json!(ISSUER), json!(issuer)]);
    }

    async fn a_program_rotates_and_retires_keys(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "keys.read keys.write").await;
        let next = program.post("/api/v1/keys/rotate", &json!({"alg": "ES256", "at_once": true})).await;
        let kid = next.assert(200).json["kid"].as_str().unwrap().to_owned();
        let listed = program.get("/api/v1/keys").await;
        let mine = listed.json["items"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap().clone();
        assert_eq!((mine["state"].as_str(), mine.get("sealed_jwk")), (Some("signing"), None));
        let retired = program.act(&format!("/api/v1/keys/{kid}/retire")).await;
        assert_eq!(retired.assert(200).json["state"], "retired");
        assert_eq!(program.act(&format!("/api/v1/keys/{kid}/retire")).await.problem(), "conflict");
        assert_eq!(program.post("/api/v1/keys/rotate", &json!({"alg": "none"})).await.status, 422);
    }
}
