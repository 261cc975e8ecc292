//! A call of each operation as one would type it: what is sent, and by which command.

use serde_json::{Map, Value, json};

/// The provider whose people the examples are about.
const PROVIDER: &str = "SUNRISE-IL";
/// Any id.
const ID: &str = "019a3c5e-7d10-7b52-9c1f-2f6f0e7a4b11";

/// Puts an example beside everything that an operation needs.
pub(super) fn complete(document: &mut Value) {
    let operations = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in operations.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(example) = parameter["name"].as_str().and_then(of_parameter) {
                parameter["example"] = json!(example);
            }
        }
        let Some(content) = operation.get_mut("requestBody").and_then(|body| body["content"].as_object_mut()) else {
            continue;
        };
        for (kind, body) in content {
            let name = body["schema"]["$ref"].as_str().and_then(|path| path.rsplit('/').next());
            let example = if kind == "text/csv" { Some(json!(FILE)) } else { name.and_then(of_body) };
            if let Some(example) = example {
                body["example"] = example;
            }
        }
    }
}

const FILE: &str = "login_name,name,email\nben,Ben Okafor,ben@example.org\n";

fn of_parameter(name: &str) -> Option<&'static str> {
    Some(match name {
        "provider_code" => PROVIDER,
        "user_id" | "session_id" | "issuer_id" => ID,
        "client_id" => "portal",
        "kid" => "key-1",
        "If-Match" => "\"1\"",
        "Idempotency-Key" => "4711",
        _ => return None,
    })
}

fn of_body(schema: &str) -> Option<Value> {
    Some(match schema {
        "NewProvider" => json!({"code": PROVIDER, "name": "Sunrise Homes", "time_zone": "America/Chicago"}),
        "ProviderChange" => json!({"contact": "The office, 555-0100", "idle_minutes": null}),
        "UnifiedLoginRequest" => json!({"note": "We have 200 users."}),
        "UnifiedLoginApproval" => json!({"request": ID}),
        "UnifiedLoginDecline" => json!({"request": ID, "reason": "Please finish the training first."}),
        "Reason" => json!({"reason": "The contract has ended."}),
        "NewUser" => {
            json!({"login_name": "ben", "name": "Ben Okafor", "external_id": "HR-4711", "claims": {"email": "ben@example.org"}})
        }
        "UserChange" => json!({"login_name": "ben.okafor", "name": "Ben A. Okafor", "claims": {"phone_number": null}}),
        "VerifyEmail" => json!({"email": "ben@example.org"}),
        "Unlock" => json!({"lock": "password"}),
        "PasswordReset" | "Untie" => json!({}),
        "NewClient" => json!({
            "client_id": "portal",
            "client_name": "Care Portal",
            "redirect_uris": ["https://portal.example.org/callback"],
            "scope": "openid profile email",
        }),
        "ClientChange" => json!({"client_name": "Care Portal", "logo_uri": null}),
        "RotateSecret" => json!({"keep_old_hours": 24}),
        "NewTrustedIssuer" => json!({
            "issuer": "https://secure.example.net",
            "display_name": "Therap Services",
            "origins": ["https://secure.example.net"],
            "jwks_uri": "https://secure.example.net/jwks",
        }),
        "TrustedIssuerChange" => json!({"display_name": "Therap Services"}),
        "DisableIssuer" => json!({"end_sessions": true}),
        "RotateKey" => json!({"alg": "ES256"}),
        _ => return None,
    })
}

/// The command that makes the call; `$token` is an access token.
pub(super) fn command(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let mut address = format!("{}{path}", document["servers"][0]["url"].as_str().unwrap_or_default());
    let mut options = vec!["curl -H \"Authorization: Bearer $token\"".to_owned()];
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (Some(name), Some(example)) = (parameter["name"].as_str(), parameter["example"].as_str()) else { continue };
        match parameter["in"].as_str() {
            Some("path") => address = address.replace(&format!("{{{name}}}"), example),
            Some("header") => options.push(format!("-H '{name}: {example}'")),
            _ => {}
        }
    }
    let content = &operation["requestBody"]["content"];
    let json = content["application/json"].get("example");
    if let Some(example) = json {
        options.push(format!("--json '{example}'"));
    } else if !content["text/csv"].is_null() {
        options.push("-H 'Content-Type: text/csv' --data-binary @users.csv".into());
    }
    let is_usual = method == "get" || (method == "post" && !content.is_null());
    if !is_usual {
        options.push(format!("-X {}", method.to_uppercase()));
    }
    format!("{} \\\n  {address}", options.join(" \\\n  "))
}
