//! `scim2-tester` and `scim2-client` of `PyPI` against `/scim/v2`: not one finding, and a directory's work done.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::people::AMINA;
use crate::service::{SECRET, Service};
use crate::stage::packages;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tester_of_others_finds_nothing() {
    let Some(folder) = packages("scim") else { return };
    let client = format!(
        "client_id = \"entra\"\nclient_secret = \"{SECRET}\"\ngrant_types = [\"client_credentials\"]\nscope = \"scim:{}\"\n",
        AMINA.provider
    );
    let service = Service::start(&client).await;
    let form = [("grant_type", "client_credentials")];
    let asked = service.web().build().unwrap().post(format!("{}/oauth2/token", service.issuer));
    let token: Value = asked.basic_auth("entra", Some(SECRET)).form(&form).send().await.unwrap().json().await.unwrap();
    let mut python = Command::new(folder.join("venv/bin/python"));
    python
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/scim/check.py"))
        .env("ISSUER", &service.issuer)
        .env("TOKEN", token["access_token"].as_str().unwrap())
        .env("SSL_CERT_FILE", &service.certificates.authority);
    let done = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["findings"], json!([]));
    assert!(said["checked"].as_u64().unwrap() > 40, "{said}");
    assert_eq!(
        [&said["name"], &said["active"], &said["found"], &said["gone"]],
        [&json!("solo"), &json!(false), &json!(["solo"]), &json!(404)]
    );
    // Whatever it did is on record.
    let kinds: Vec<_> = service.activity().into_iter().map(|record| record["kind"].clone()).collect();
    for kind in ["user_created", "user_changed", "user_renamed", "user_deactivated"] {
        assert!(kinds.iter().any(|one| one == kind), "{kind}");
    }
}
