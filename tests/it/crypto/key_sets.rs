//! The key sets of others as they really are: what is not a key that we can use stands beside those that are (G37).

use std::time::Duration;

use axum::http::StatusCode;
use connect_idp::config::Site;
use serde_json::{Value, json};

use crate::actors::{Idp, User, public_jwks};
use crate::console::operator::therap_admin;
use crate::operations::clients::keys::Publisher;

/// A set with these keys of the published ones, and beside them what others publish.
fn mixed(kids: &[&str]) -> Value {
    let mut set: Value = serde_json::from_str(&public_jwks(kids)).unwrap();
    let keys = set["keys"].as_array_mut().unwrap();
    keys.insert(0, json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "pq-1"}));
    keys.push(json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "p384"}));
    keys.push(json!("not a key"));
    set
}

/// Whether a click from an issuer's page signs somebody in.
async fn accepted(idp: &Idp, issuer: &str, kid: &str, user: &User) -> bool {
    let mut browser = idp.browser();
    let assertion = idp.therap_services().under(issuer, kid).sign(user);
    let first = browser.click_from(issuer, &assertion).await;
    if first.status == 303 {
        browser.complete(&first).await;
    }
    browser.who().await.is_some()
}

both_engines! {
    /// An issuer that rotates, and publishes keys of other kinds beside the new one, is understood at the next fetch; a
    /// set that gives a secret away, or in which nothing is of use, replaces nothing.
    async fn an_issuer_rotates_among_keys_of_other_kinds(engine: Engine) {
        let publisher = Publisher::start().await;
        publisher.says(StatusCode::OK, &public_jwks(&["es256"]));
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let issuer = "https://fetched.example.net";
        let address = publisher.address.clone();
        idp.trust(issuer, |i| (i.jwks, i.jwks_uri) = (None, Some(address))).await;
        let amina = idp.user("amina").create().await;
        assert!(accepted(&idp, issuer, "es256", &amina).await);
        publisher.says(StatusCode::OK, &mixed(&["rs256"]).to_string());
        idp.advance(Duration::from_mins(1));
        assert!(accepted(&idp, issuer, "rs256", &amina).await);
        assert!(!accepted(&idp, issuer, "es256", &amina).await, "it is not published any more");
        let mut private = mixed(&["ps256"]);
        private["keys"][0]["priv"] = "AAAA".into();
        for useless in [private, mixed(&[])] {
            publisher.says(StatusCode::OK, &useless.to_string());
            idp.advance(Duration::from_mins(1));
            assert!(!accepted(&idp, issuer, "ps256", &amina).await);
            assert!(accepted(&idp, issuer, "rs256", &amina).await);
        }
        let restarted = idp.replica(|_| {}).await;
        assert!(accepted(&restarted, issuer, "rs256", &amina).await);
    }

    /// What is passed over is named where the set was given: by the API, and on the pages.
    async fn what_is_passed_over_is_named(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "issuers.read issuers.write clients.read clients.write").await;
        let issuer = "https://second.example.net";
        let new = json!({"issuer": issuer, "origins": [issuer], "jwks": mixed(&["es256"])});
        let made = program.post("/api/v1/issuers", &new).await;
        let warnings = made.assert(201).json["warnings"].clone();
        assert_eq!(warnings.as_array().unwrap().len(), 3, "{warnings}");
        assert!(warnings[0].as_str().unwrap().starts_with("key number 1 (\"pq-1\") is of a kind not accepted (AKP)"));
        let path = format!("/api/v1/issuers/{}", made.json["id"].as_str().unwrap());
        assert_eq!(program.get(&path).await.json["warnings"], warnings);
        let plain: Value = serde_json::from_str(&public_jwks(&["es256"])).unwrap();
        let changed = program.patch(&path, "*", &json!({ "jwks": plain })).await;
        assert_eq!(changed.assert(200).json["warnings"], json!([]));
        for refused in [mixed(&[]), json!({"keys": [{"kty": "oct", "k": "AAAA", "kid": "s"}]})] {
            program.patch(&path, "*", &json!({ "jwks": refused })).await.assert(422);
        }
        program.patch(&path, "*", &json!({ "jwks": mixed(&["es256"]) })).await.assert(200);
        let client = json!({"client_id": "service", "grant_types": ["client_credentials"], "scope": "",
            "token_endpoint_auth_method": "private_key_jwt", "jwks": mixed(&["es256"])});
        let made = program.post("/api/v1/clients", &client).await;
        assert_eq!(made.assert(201).json["warnings"].as_array().unwrap().len(), 3);
        let useless = program.patch("/api/v1/clients/service", "*", &json!({"jwks": mixed(&[])})).await;
        assert!(useless.assert(422).json.to_string().contains("no key that can verify"), "{}", useless.json);

        let (_, mut root) = therap_admin(&idp, "root").await;
        let id = path.rsplit_once('/').unwrap().1;
        let page = root.get(&format!("/operator/issuers/{id}")).await;
        assert_eq!((page.texts("#keys li").len(), page.texts("#keys-not-used li").len()), (1, 3));
        let service = crate::operations::clients::lifecycle::read(&idp, "service").await.unwrap();
        let page = root.get(&format!("/operator/clients/{}", service.id)).await;
        assert_eq!(page.texts("#keys-not-used li").len(), 3);
    }
}
