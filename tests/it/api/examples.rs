//! The calls that the API's page shows: one for each operation, and each is understood as it stands there.

use connect_idp::crypto::jws::Algorithm;
use connect_idp::operations::keys::in_use::signer;
use connect_idp::store;
use serde_json::Value;

use crate::actors::Idp;

/// The example of an operation's parameter, where it has one of this kind.
fn examples<'a>(operation: &'a Value, place: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let parameters = operation["parameters"].as_array().into_iter().flatten().filter(move |one| one["in"] == place);
    parameters.map(|one| (one["name"].as_str().unwrap(), one["example"].as_str().unwrap()))
}

both_engines! {
    /// What they name is here, but for ids.
    async fn each_example_is_understood(engine: Engine) {
        let idp = Idp::start(engine).await;
        let scopes = "providers.read providers.write users.read users.write activity.read clients.read clients.write issuers.read issuers.write keys.read keys.write";
        let program = idp.client("ops", scopes).await;
        let document: Value = serde_json::from_str(&idp.browser().get("/api/v1/openapi.json").await.body).unwrap();
        let kid = signer(&idp.app, Algorithm::Es256, idp.now()).await.unwrap().kid.clone();
        let issuer = idp.trust("https://other.example.net", |_| {}).await.id;
        let mut count = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                count += 1;
                let name = operation["operationId"].as_str().unwrap();
                let user = idp.user(&format!("user{count}")).create().await;
                idp.set_provider_active(&user.provider_id, true).await;
                if path.starts_with("/api/v1/clients/") {
                    let found = store::clients::by_client_id(&mut idp.app.db.read().await.unwrap(), "portal").await.unwrap();
                    if found.is_none() {
                        idp.app("portal", |_| {}).await;
                    }
                }
                let mut address = path.clone();
                for (name, example) in examples(operation, "path") {
                    let value = match name {
                        "user_id" => &user.id,
                        "issuer_id" => &issuer,
                        "kid" => &kid,
                        _ => example,
                    };
                    address = address.replace(&format!("{{{name}}}"), value);
                }
                let headers: Vec<_> = examples(operation, "header").collect();
                let any = [("if-match", "*")];
                let headers: &[_] = if headers.iter().any(|(name, _)| *name == "If-Match") { &any } else { &[] };
                let content = &operation["requestBody"]["content"];
                let told = match content["text/csv"]["example"].as_str() {
                    Some(file) => {
                        let mut headers = crate::actors::bearer(&program.token);
                        headers.insert("content-type", "text/csv".parse().unwrap());
                        let answer = idp.program(method.to_uppercase().parse().unwrap(), &address, headers, file.into()).await;
                        crate::actors::Told::of(&answer)
                    }
                    None => program.send(&method.to_uppercase(), &address, headers, content["application/json"].get("example")).await,
                };
                assert!(matches!(told.status, 200 | 201 | 204 | 404 | 409), "{name}: {} {}", told.status, told.json);
            }
        }
        assert!(count > 50);
    }

    /// The page has them as commands.
    async fn each_operation_has_its_command(engine: Engine) {
        let idp = Idp::start(engine).await;
        let page = idp.browser().get("/api/v1").await;
        let commands = page.texts(".endpoint pre code");
        let operations = page.texts(".endpoint > summary");
        assert_eq!(commands.len(), operations.len());
        for (command, operation) in commands.iter().zip(&operations) {
            assert!(command.starts_with("curl -H \"Authorization: Bearer $token\""), "{operation}: {command}");
            assert!(command.contains(&idp.app.config.issuer) && !command.contains('{') || command.contains("--json '{"), "{command}");
            let address = command.rsplit(' ').next().unwrap();
            assert!(!address.contains('{'), "{operation}: {address}");
            let (method, _) = operation.split_once(' ').unwrap();
            let says = command.contains(&format!("-X {method}"));
            let is_plain = method == "GET" || (method == "POST" && (command.contains("--json") || command.contains("--data-binary")));
            assert!(says != is_plain, "{operation}: {command}");
        }
    }
}
