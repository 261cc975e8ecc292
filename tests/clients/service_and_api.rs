//! A service that acts for itself and an API that checks its tokens, without a browser: npm `openid-client` with `jose`, and
//! curl. What they run is what the pages of such clients show.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::needs::left_out;
use crate::service::{SECRET, Service};
use crate::stage::packages;

const RESOURCE: &str = "https://api.example.org/";
const SCOPE: &str = "unified-login.read";

/// A service, one that is pinned to Basic, one that is pinned to the form, and an API.
async fn service() -> Service {
    let machine = |client_id: &str, more: &str| {
        format!(
            "client_id = \"{client_id}\"\nclient_secret = \"{SECRET}\"\ngrant_types = [\"client_credentials\"]\n\
             scope = \"{SCOPE}\"\naccess_token_format = \"jwt\"\nresources = [\"{RESOURCE}\"]\n{more}"
        )
    };
    let clients = [
        machine("service", ""),
        machine("pinned", "token_endpoint_auth_method = \"client_secret_basic\"\n").replace(RESOURCE, "urn:other"),
        machine("form", "token_endpoint_auth_method = \"client_secret_post\"\n"),
        format!(
            "client_id = \"api\"\nclient_secret = \"{SECRET}\"\ngrant_types = []\nscope = \"\"\nresources = [\"{RESOURCE}\"]\n"
        ),
    ];
    Service::start(&clients.join("[[client]]\n")).await
}

/// Runs a program, told who it is; what it said of itself.
async fn run(service: &Service, mut command: Command, client_id: &str, token: &str) -> Value {
    command
        .env("ISSUER", &service.issuer)
        .env("CLIENT_ID", client_id)
        .env("CLIENT_SECRET", SECRET)
        .env("PINNED_ID", "pinned")
        .env("API_ID", "api")
        .env("API_SECRET", SECRET)
        .env("RESOURCE", RESOURCE)
        .env("SCOPE", SCOPE)
        .env("TOKEN", token)
        .env("NODE_EXTRA_CA_CERTS", &service.certificates.authority)
        .env("CURL_CA_BUNDLE", &service.certificates.authority);
    let (done, command) = tokio::task::spawn_blocking(move || (command.output().unwrap(), command)).await.unwrap();
    let (said, complained) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{command:?}: {error}: {said}{complained}"))
}

/// RFC 6749 §4.4, RFC 7662, RFC 9068: the token is for the API alone, and a pinned client is refused by the other method.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_in_node_gets_a_token_that_an_api_checks_in_both_ways() {
    let Some(folder) = packages("openid_client") else { return };
    let service = service().await;
    // Beside the packages, wherever those are.
    let program = service.folder.path().join("service.mjs");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/openid_client/service.mjs"), &program).unwrap();
    std::os::unix::fs::symlink(folder.join("node_modules"), service.folder.path().join("node_modules")).unwrap();
    let mut node = Command::new("node");
    node.arg(&program);
    let said = run(&service, node, "service", "").await;
    for told in [&said["introspected"], &said["read"]] {
        assert_eq!((told["client_id"].as_str(), told["scope"].as_str()), (Some("service"), Some(SCOPE)), "{said}");
        assert!(told["aud"].as_str() == Some(RESOURCE) || told["aud"][0].as_str() == Some(RESOURCE), "{said}");
    }
    assert_eq!(said["refused"], "invalid_client", "{said}");
    assert!(said["lives"].as_i64().is_some_and(|seconds| (1..=900).contains(&seconds)), "{said}");
    assert_eq!(said["foreign"], "the token is worth nothing here", "it is for another resource");
}

/// The same by curl, with the secret in either place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_and_an_api_ask_by_curl() {
    if Command::new("curl").arg("--version").output().is_err() {
        left_out("curl");
        return;
    }
    let service = service().await;
    let shell = |name: &str| {
        let mut command = Command::new("sh");
        command.arg(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/curl")).join(name));
        command
    };
    for (script, client_id) in [("token.sh", "service"), ("token_post.sh", "service"), ("token_post.sh", "form")] {
        let got = run(&service, shell(script), client_id, "").await;
        let token = got["access_token"].as_str().unwrap_or_else(|| panic!("{client_id}: {got}"));
        let told = run(&service, shell("introspect.sh"), "api", token).await;
        assert_eq!((told["active"].as_bool(), told["client_id"].as_str()), (Some(true), Some(client_id)), "{told}");
    }
    for (script, client_id) in [("token.sh", "form"), ("token_post.sh", "pinned")] {
        assert_eq!(run(&service, shell(script), client_id, "").await["error"], "invalid_client", "{client_id}");
    }
}
