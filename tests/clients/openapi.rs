//! The admin API's document, checked by `openapi-spec-validator` of `PyPI`, and what three generators make of it: npm
//! `openapi-typescript` and `@hey-api/openapi-ts`, `PyPI` `openapi-python-client`. None has anything to say against it; what
//! they made compiles, and the Python client works against the service.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::people::AMINA;
use crate::service::{SECRET, Service};
use crate::stage::packages;

/// Runs a program that must succeed; what it said.
async fn run(mut command: Command, folder: &Path) -> String {
    command.current_dir(folder);
    let (done, command) = tokio::task::spawn_blocking(move || (command.output().unwrap(), command)).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}:\n{said}");
    said
}

async fn document(service: &Service, folder: &Path) {
    let web = service.web().build().unwrap();
    let text = web.get(format!("{}/api/v1/openapi.json", service.issuer)).send().await.unwrap().text().await.unwrap();
    fs::write(folder.join("openapi.json"), text).unwrap();
}

fn is_quiet(said: &str) {
    let said = said.to_lowercase();
    assert!(!said.contains("warn") && !said.contains("error"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_valid_and_typescript_is_made_of_it() {
    let Some(packages) = packages("openapi") else { return };
    let service = Service::start(&format!(
        "client_id = \"robot\"\nclient_secret = \"{SECRET}\"\nredirect_uris = [\"https://a.example/\"]\n"
    ))
    .await;
    let folder = service.folder.path();
    document(&service, folder).await;

    let mut validator = Command::new(packages.join("venv/bin/openapi-spec-validator"));
    validator.args(["--schema", "3.1", "openapi.json"]);
    assert_eq!(run(validator, folder).await.trim(), "openapi.json: OK");

    let mut typescript = Command::new(packages.join("node_modules/.bin/openapi-typescript"));
    typescript.args(["openapi.json", "--output", "schema.ts", "--enum", "--alphabetize"]);
    is_quiet(&run(typescript, folder).await);
    fs::copy(packages.join("use.ts"), folder.join("use.ts")).unwrap();
    let mut hey_api = Command::new(packages.join("node_modules/.bin/openapi-ts"));
    hey_api.args(["--input", "openapi.json", "--output", "hey-api"]).env("NO_COLOR", "1");
    is_quiet(&run(hey_api, folder).await);

    let mut compiler = Command::new(packages.join("node_modules/.bin/tsc"));
    let options = [
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2023,dom,dom.iterable",
    ];
    compiler.args(options).args(["use.ts", "hey-api/index.ts"]);
    is_quiet(&run(compiler, folder).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_is_made_of_the_document_and_works() {
    let Some(packages) = packages("openapi") else { return };
    let client = format!(
        "client_id = \"robot\"\nclient_secret = \"{SECRET}\"\ngrant_types = [\"client_credentials\"]\nscope = \"users.read users.write\"\n"
    );
    let service = Service::start(&client).await;
    let folder = service.folder.path();
    document(&service, folder).await;

    let mut generator = Command::new(packages.join("venv/bin/openapi-python-client"));
    let path = format!("{}:{}", packages.join("venv/bin").display(), std::env::var("PATH").unwrap_or_default());
    generator.args(["generate", "--path", "openapi.json", "--meta", "none", "--output-path", "admin_api"]);
    generator.arg("--fail-on-warning").arg("--config").arg(packages.join("generator.yaml")).env("PATH", path);
    is_quiet(&run(generator, folder).await);

    let form = [("grant_type", "client_credentials")];
    let asked = service.web().build().unwrap().post(format!("{}/oauth2/token", service.issuer));
    let token: Value = asked.basic_auth("robot", Some(SECRET)).form(&form).send().await.unwrap().json().await.unwrap();
    let mut python = Command::new(packages.join("venv/bin/python"));
    python
        .arg(packages.join("use.py"))
        .env("PYTHONPATH", folder)
        .env("ISSUER", &service.issuer)
        .env("PROVIDER", AMINA.provider)
        .env("TOKEN", token["access_token"].as_str().unwrap())
        .env("SSL_CERT_FILE", &service.certificates.authority);
    let said: Value = serde_json::from_str(&run(python, folder).await).unwrap();
    assert_eq!(said, json!({"names": [AMINA.login_name], "active": false, "wrong": ["login_name", "name"]}));
}
