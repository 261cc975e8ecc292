//! Who reaches which endpoint of the API: every operation of the document × every kind of caller × own, foreign and
//! unknown objects. The rows come from the document, which is made of the routes: a route added later without a body
//! here, or with another audience than it says, fails.

use axum::http::StatusCode;
use connect_idp::model::header_text::ascii;
use serde_json::{Value, json};

use crate::actors::{Idp, Program, Told, twenty_at_once};

/// What only programs of the operator may do to a provider, as only Therap Admins may.
const OPERATORS_OWN: [&str; 7] =
    ["activate", "deactivate", "end-sessions", "unlock-all", "approve", "decline", "switch-off"];

const UNKNOWN: &str = "01900000-0000-7000-8000-000000000000";

/// An operation of the document.
#[derive(Clone)]
struct Operation {
    method: String,
    path: String,
    scope: String,
    has_body: bool,
    needs_if_match: bool,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Of a provider, as its own admins may.
    fn is_of_provider(&self) -> bool {
        self.path.starts_with("/api/v1/providers/{provider_code}")
    }

    fn is_operators_own(&self) -> bool {
        let last = self.path.rsplit('/').next().unwrap();
        OPERATORS_OWN.contains(&last) && !self.path.contains("{user_id}")
    }

    /// A body that is accepted.
    fn body(&self) -> Option<Value> {
        if !self.has_body {
            return None;
        }
        let name = self.name();
        let path = name.replace("/api/v1", "").replace("/providers/{provider_code}", "/P");
        Some(match path.as_str() {
            "POST /providers" => json!({"code": "NEW-ONE", "name": "New"}),
            "PATCH /P" => json!({"contact": "the office"}),
            "POST /P/users" => json!({"login_name": "new", "name": "New"}),
            "PATCH /P/users/{user_id}" => json!({"name": "Other"}),
            "POST /P/users/{user_id}/unlock" => json!({"lock": "both"}),
            "POST /P/users/{user_id}/verify-email" => json!({"email": "new@example.org"}),
            "POST /P/users/import" => json!("login_name,name\nimported,Imported\n"),
            "POST /P/unified-login/decline" => json!({"reason": "not yet"}),
            "POST /clients" => json!({"client_id": "new-app", "redirect_uris": ["https://new.example/cb"]}),
            "PATCH /clients/{client_id}" => json!({"client_name": "Other"}),
            "POST /issuers" => {
                json!({"issuer": "https://new.example", "origins": ["https://new.example"],
                       "jwks_uri": "https://new.example/jwks"})
            }
            "PATCH /issuers/{issuer_id}" => json!({"display_name": "Other"}),
            "POST /keys/rotate" => json!({"alg": "ES256"}),
            "POST /P/users/{user_id}/reset-password"
            | "POST /P/users/{user_id}/untie"
            | "POST /P/unified-login/request"
            | "POST /P/unified-login/switch-off"
            | "POST /P/unified-login/approve"
            | "POST /clients/{client_id}/rotate-secret"
            | "POST /issuers/{issuer_id}/disable" => json!({}),
            other => panic!("no body for {other}: add a row"),
        })
    }

    async fn send(&self, program: &Program, path: &str) -> Told {
        let (kind, text) = match self.body() {
            Some(Value::String(csv)) => ("text/csv", csv),
            Some(body) => ("application/json", body.to_string()),
            None => ("", String::new()),
        };
        let mut headers = crate::actors::bearer(&program.token);
        if !kind.is_empty() {
            headers.insert("content-type", kind.parse().unwrap());
        }
        if self.needs_if_match {
            headers.insert("if-match", "*".parse().unwrap());
        }
        let method = self.method.parse().unwrap();
        Told::of(&program.party.idp.program(method, path, headers, text).await)
    }
}

async fn operations(idp: &Idp) -> Vec<Operation> {
    let answer = idp.browser().get("/api/v1/openapi.json").await;
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                scope: operation["security"][0]["oauth2"][0].as_str().unwrap().to_owned(),
                has_body: operation.get("requestBody").is_some(),
                needs_if_match: parameters.into_iter().flatten().any(|one| one["name"] == "If-Match"),
            });
        }
    }
    assert!(operations.len() > 40, "{}", operations.len());
    operations
}

/// The same but for the number under which the log knows it.
fn same(a: &Told, b: &Told) -> bool {
    let plain = |told: &Told| {
        let mut json = told.json.clone();
        json.as_object_mut().map(|members| members.remove("reference"));
        (told.status, json)
    };
    plain(a) == plain(b)
}

fn works(told: &Told) -> bool {
    // 409: the state is not one that the step begins at.
    matches!(told.status, 200 | 201 | 204 | 409)
}

struct World {
    idp: Idp,
    provider_id: String,
    foreign_user: String,
    issuer: String,
    count: usize,
}

impl World {
    /// What a path names: something that is there, and what is not, or not here.
    async fn objects(&mut self, path: &str) -> (String, Vec<String>) {
        self.count += 1;
        let n = self.count;
        self.idp.set_provider_active(&self.provider_id, true).await;
        let ours = path.replace("{provider_code}", "SUNRISE-IL");
        if path.contains("{user_id}") {
            let user = self.idp.user(&format!("user{n}")).create().await;
            let at = |id: &str| ours.replace("{user_id}", id).replace("{session_id}", UNKNOWN);
            return (at(&user.id), vec![at(UNKNOWN), at(&self.foreign_user), at("nonsense"), at("%00")]);
        }
        if path.contains("{client_id}") {
            let client = self.idp.app(&format!("app{n}"), |_| {}).await.client;
            let at = |id: &str| path.replace("{client_id}", id);
            return (at(&client.client_id), vec![at("nobody"), at(UNKNOWN), at("%00"), at("a%20b")]);
        }
        if path.contains("{issuer_id}") {
            let at = |id: &str| path.replace("{issuer_id}", id);
            return (at(&self.issuer), vec![at(UNKNOWN), at("nonsense"), at("%00")]);
        }
        if path.contains("{kid}") {
            let kid = connect_idp::operations::keys::in_use::signer(
                &self.idp.app,
                connect_idp::crypto::jws::Algorithm::Es256,
                self.idp.now(),
            );
            let kid = kid.await.unwrap().kid.clone();
            let at = |id: &str| path.replace("{kid}", id);
            return (at(&kid), vec![at("nobody"), at("%00")]);
        }
        let at = |code: &str| path.replace("{provider_code}", code);
        let others =
            if path.contains("{provider_code}") { vec![at("NOBODY"), at("THERAP"), at("%00")] } else { vec![] };
        (ours, others)
    }
}

both_engines! {
    /// G29: each operation, asked for twenty times at once, is answered by two connections.
    async fn two_connections_answer_twenty_at_once(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.database.connections = 2;
            config.throttle.enabled = false;
        }).await;
        let provider_id = idp.user("amina").create().await.provider_id;
        let issuer = idp.trust("https://other.example.net", |_| {}).await.id;
        let mut world = World { idp: idp.clone(), provider_id, foreign_user: UNKNOWN.into(), issuer, count: 0 };
        let operations = operations(&idp).await;
        let mut scopes: Vec<&str> = operations.iter().map(|operation| operation.scope.as_str()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let program = idp.client("everything", &scopes.join(" ")).await;
        for operation in &operations {
            let (path, _) = world.objects(&operation.path).await;
            twenty_at_once(&operation.name(), || {
                let (operation, program, path) = (operation.clone(), program.clone(), path.clone());
                async move { StatusCode::from_u16(operation.send(&program, &path).await.status).unwrap() }
            }).await;
        }
        idp.assert_invariants().await;
    }

    async fn exactly_what_is_allowed_works(engine: Engine) {
        let idp = Idp::start(engine).await;
        let provider_id = idp.user("amina").create().await.provider_id;
        idp.provider("OTHER", |_| {}).await;
        let foreign_user = idp.user("carla").of("OTHER").create().await.id;
        let issuer = idp.trust("https://other.example.net", |_| {}).await.id;
        let mut world = World { idp: idp.clone(), provider_id, foreign_user, issuer, count: 0 };
        let operations = operations(&idp).await;
        let mut scopes: Vec<&str> = operations.iter().map(|operation| operation.scope.as_str()).collect();
        scopes.sort_unstable();
        scopes.dedup();

        let portal = idp.app("portal", |_| {}).await;
        let person = idp.user("paul").of("OTHER").create().await;
        let of_person = portal.tokens(&mut idp.browser(), &person, &[]).await["access_token"].as_str().unwrap().to_owned();
        let of_person = Program { party: portal, token: of_person };
        for (n, operation) in operations.iter().enumerate() {
            let name = operation.name();
            let (ours, unknown) = world.objects(&operation.path).await;

            let nobody = Program { token: "nothing".into(), ..of_person.clone() };
            let told = operation.send(&nobody, &ours).await;
            assert_eq!((told.status, told.problem()), (401, "unauthenticated"), "nobody: {name}");
            let told = operation.send(&of_person, &ours).await;
            assert_eq!((told.status, told.problem()), (403, "insufficient-scope"), "a person's app: {name}");

            let others: Vec<&str> = scopes.iter().copied().filter(|scope| *scope != operation.scope).collect();
            let lacking = idp.client(&format!("lacking{n}"), &others.join(" ")).await;
            for path in unknown.iter().chain([&ours]) {
                let told = operation.send(&lacking, path).await;
                assert_eq!((told.status, told.problem()), (403, "insufficient-scope"), "without the scope: {name}");
                assert!(ascii(&told.headers["www-authenticate"]).unwrap().contains(&operation.scope));
            }

            if operation.is_of_provider() {
                let scope = &operation.scope;
                let narrow = idp.client(&format!("narrow{n}"), &format!("{scope}:SUNRISE-IL")).await;
                let elsewhere = idp.client(&format!("elsewhere{n}"), &format!("{scope}:OTHER")).await;
                let foreign = operation.send(&elsewhere, &ours).await;
                assert_eq!((foreign.status, foreign.problem()), (404, "not-found"), "of another provider: {name}");
                let nowhere = operation.send(&elsewhere, &ours.replace("SUNRISE-IL", "NOBODY")).await;
                assert!(same(&foreign, &nowhere), "foreign is not unknown: {name}");
                let told = operation.send(&narrow, &ours).await;
                if operation.is_operators_own() {
                    assert_eq!((told.status, told.problem()), (403, "insufficient-scope"), "its own: {name}");
                } else {
                    assert!(works(&told), "its own: {name}: {told:?}");
                }
                // Once more, for whoever may do it everywhere.
                if operation.method == "POST" && operation.path.ends_with("/users") {
                    let made = &told.json["id"];
                    idp.outsider().await.run(&format!("UPDATE users SET login_name_key = 'gone{n}' WHERE id = {made}").replace('"', "'")).await;
                }
            }

            let whole = idp.client(&format!("whole{n}"), &operation.scope).await;
            let answers: Vec<Told> = {
                let mut answers = Vec::new();
                for path in &unknown {
                    answers.push(operation.send(&whole, path).await);
                }
                answers
            };
            for (told, path) in answers.iter().zip(&unknown) {
                assert_eq!((told.status, told.problem()), (404, "not-found"), "{name} {path}");
                assert!(same(told, &answers[0]), "{name} {path}");
            }
            let told = operation.send(&whole, &ours).await;
            assert!(works(&told), "{name}: {told:?}");
        }
        idp.assert_invariants().await;
    }

    /// What a browser holds opens nothing here.
    async fn a_session_is_no_token(engine: Engine) {
        let idp = Idp::start(engine).await;
        let root = idp
            .user("root").of("THERAP").user_type(connect_idp::model::user::UserType::TherapAdmin).create().await;
        let mut browser = idp.browser();
        browser.sign_in(&root).await;
        for operation in operations(&idp).await.iter().filter(|one| one.method == "GET") {
            assert_eq!(browser.get(&operation.path).await.status, 401, "{}", operation.path);
        }
    }
}
