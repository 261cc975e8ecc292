//! `schemathesis` of `PyPI` against the admin API: thousands of requests that the OpenAPI document allows, and that it
//! does not; no server error, and no answer that the document does not name.

use std::process::Command;

use serde_json::Value;

use crate::service::{SECRET, Service};
use crate::stage::packages;

const SCOPE: &str = "providers.read providers.write users.read users.write activity.read clients.read clients.write \
                     issuers.read issuers.write keys.read keys.write";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_answers_as_its_document_says() {
    let Some(folder) = packages("schemathesis") else { return };
    let client = format!(
        "client_id = \"robot\"\nclient_secret = \"{SECRET}\"\ngrant_types = [\"client_credentials\"]\nscope = \"{SCOPE}\"\n"
    );
    let service = Service::start(&client).await;
    let authority = &service.certificates.authority;
    let web = service.web().build().unwrap();
    let form = [("grant_type", "client_credentials")];
    let asked = web.post(format!("{}/oauth2/token", service.issuer)).basic_auth("robot", Some(SECRET)).form(&form);
    let token: Value = asked.send().await.unwrap().json().await.unwrap();
    let token = token["access_token"].as_str().unwrap_or_else(|| panic!("no token: {token}"));

    let configuration = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/schemathesis/schemathesis.toml");
    let mut command = Command::new(folder.join("venv/bin/schemathesis"));
    command
        .current_dir(service.folder.path())
        .args(["--config-file", configuration, "run", &format!("{}/api/v1/openapi.json", service.issuer)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--tls-verify", authority.to_str().unwrap()])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "12", "--generation-deterministic"])
        .args(["--continue-on-failure", "--no-color"]);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let lines: Vec<_> = said.lines().collect();
    assert!(
        done.status.success(),
        "{}\n{}",
        lines[..lines.len().min(200)].join("\n"),
        String::from_utf8_lossy(&done.stderr)
    );
    let found = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_default();
    let tested = found("Tested: ");
    assert_eq!(found("Selected: "), format!("{tested}/{tested}"), "an operation was not tried:\n{said}");
    assert!(tested.parse().is_ok_and(|number: usize| number > 50), "{said}");
}
