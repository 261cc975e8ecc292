//! What the types of the handlers cannot say of themselves in the OpenAPI document: rows by their names, members that may be
//! taken away, what a text must look like, objects that may hold anything.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Members that are sent, what each must look like, and how long it is at most; wherever one of that name is.
const TEXTS: [(&str, &str, u32); 6] = [
    // More is refused of a name than a pattern can say (RFC 8265 §3.3).
    ("login_name", "^[^\\u0000-\\u0020\\u007f]+$", 255),
    ("external_id", "^[^\\s\\u0000-\\u001f\\u007f-\\u009f](.*[^\\s\\u0000-\\u001f\\u007f-\\u009f])?$", 255),
    ("issuer", "^https?://[^\\s#]+$", 255),
    ("origins", "^https?://[^\\s/#@?]+$", 255),
    ("time_zone", "^[A-Za-z][A-Za-z0-9_+/-]*$", 64),
    ("request", "^[0-9a-fA-F-]{36}$", 36),
];

/// Members of answers that are absent, not `null`, where there is nothing to say.
const LEFT_OUT: [&str; 6] = ["next", "client_secret", "old_until", "temporary_password", "id", "state"];

/// What a key of a request looks like.
const KEY: &str = "^[!-~]{1,255}$";

/// Completes a document.
pub(super) fn complete(document: &mut Value) {
    header_parameters(document);
    let Some(mut schemas) = document["components"]["schemas"].as_object().cloned() else { return };
    schemas.values_mut().for_each(tidy);
    name_rows(&mut schemas);
    for name in ["NewClient", "ClientChange"] {
        if let Some(schema) = schemas.get_mut(name) {
            *schema = metadata_to_write(schema);
        }
    }
    let sent = sent(document);
    for (name, schema) in &mut schemas {
        if sent.contains(name) { describe_texts(schema) } else { say_what_is_there(schema, name == "Metadata") }
    }
    if let Some(problem) = schemas.get("Problem").cloned() {
        schemas.insert("ValidationProblem".into(), with_errors(problem));
    }
    document["components"]["schemas"] = Value::Object(schemas);
    rename_pages(document);
}

/// The schemas of what is sent.
fn sent(document: &Value) -> Vec<String> {
    let operations = document["paths"].as_object().into_iter().flat_map(Map::values);
    let operations = operations.filter_map(Value::as_object).flat_map(Map::values);
    let bodies = operations
        .filter_map(|operation| operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str());
    bodies.filter_map(|path| path.rsplit('/').next()).map(str::to_owned).collect()
}

/// What a library writes and OpenAPI does not know, and what it leaves out.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            let is_object =
                members.get("type").is_some_and(|kind| kind == "object" || *kind == json!(["object", "null"]));
            let says_what =
                ["properties", "additionalProperties", "allOf"].iter().any(|key| members.contains_key(*key));
            if is_object && !says_what {
                members.insert("additionalProperties".into(), json!(true));
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(parts) => parts.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The rows of a page are known by name: `Page_User` has `User`s.
fn name_rows(schemas: &mut Map<String, Value>) {
    let pages: Vec<String> = schemas.keys().filter_map(|name| name.strip_prefix("Page_").map(str::to_owned)).collect();
    for row in pages {
        let reference = json!({"$ref": format!("#/components/schemas/{row}")});
        let items =
            schemas.get_mut(&format!("Page_{row}")).and_then(|page| page.pointer_mut("/properties/items/items"));
        if let Some(inlined) = items.map(|items| std::mem::replace(items, reference)) {
            schemas.entry(row).or_insert(inlined);
        }
    }
}

/// `Page_User` is called `UserPage`.
fn rename_pages(document: &mut Value) {
    let renamed = |name: &str| name.strip_prefix("Page_").map(|row| format!("{row}Page"));
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        let named = std::mem::take(schemas).into_iter();
        let named: BTreeMap<_, _> = named.map(|(name, schema)| (renamed(&name).unwrap_or(name), schema)).collect();
        schemas.extend(named);
    }
    in_references(document, &|path| {
        let (folder, name) = path.rsplit_once('/')?;
        renamed(name).map(|name| format!("{folder}/{name}"))
    });
}

fn in_references(value: &mut Value, change: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "$ref").and_then(change) {
                    Some(changed) => *member = Value::String(changed),
                    None => in_references(member, change),
                }
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(|part| in_references(part, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A client's metadata as it is written: one object whose members are all that are known, of which `null` takes any away that
/// need not be there.
fn metadata_to_write(schema: &Value) -> Value {
    let (mut members, mut required) = (Map::new(), Vec::new());
    gather(schema, &mut members, &mut required);
    for (name, member) in &mut members {
        if !required.contains(&json!(name)) {
            allow_null(member);
        }
    }
    let mut written = json!({
        "type": "object",
        "description": schema["description"],
        "properties": members,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        written["required"] = Value::Array(required);
    }
    written
}

fn gather(schema: &Value, members: &mut Map<String, Value>, required: &mut Vec<Value>) {
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gather(part, members, required);
    }
    members.extend(schema["properties"].as_object().cloned().unwrap_or_default());
    required.extend(schema["required"].as_array().cloned().unwrap_or_default());
}

fn allow_null(member: &mut Value) {
    if let Some(kind) = member["type"].as_str() {
        member["type"] = json!([kind, "null"]);
    } else if let Some(target) = member.get("$ref").cloned() {
        let mut either = json!({"oneOf": [{"$ref": target}, {"type": "null"}]});
        for key in ["description", "default"] {
            if let Some(value) = member.get(key) {
                either[key] = value.clone();
            }
        }
        *member = either;
    }
}

/// Of what is answered: a member without a value is left out where it is one of [`LEFT_OUT`], and in a client's metadata;
/// any other is there, and `null`.
fn say_what_is_there(schema: &mut Value, is_metadata: bool) {
    for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        say_what_is_there(part, is_metadata);
    }
    let mut there = Vec::new();
    for (name, member) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let null = |kinds: &Value| kinds.as_array().is_some_and(|kinds| kinds.contains(&json!("null")));
        let either = member["oneOf"].as_array().is_some_and(|parts| parts.contains(&json!({"type": "null"})));
        if !null(&member["type"]) && !either {
            continue;
        }
        if is_metadata || LEFT_OUT.contains(&name.as_str()) {
            never_null(member);
        } else {
            there.push(json!(name));
        }
    }
    if there.is_empty() {
        return;
    }
    let required = schema["required"].take();
    there.extend(required.as_array().into_iter().flatten().cloned());
    schema["required"] = Value::Array(there);
}

fn never_null(member: &mut Value) {
    if let Some(kinds) = member["type"].as_array_mut() {
        kinds.retain(|kind| *kind != "null");
        if let [kind] = kinds.as_slice() {
            member["type"] = kind.clone();
        }
    }
    if let Some(mut one) = member["oneOf"].as_array().and_then(|parts| parts.first()).cloned() {
        if one.get("description").is_none()
            && let Some(description) = member.get("description")
        {
            one["description"] = description.clone();
        }
        *member = one;
    }
}

/// What the texts of a schema that is sent must look like.
fn describe_texts(schema: &mut Value) {
    for (name, pattern, longest) in TEXTS {
        let Some(member) = schema.pointer_mut(&format!("/properties/{name}")) else { continue };
        let text = if member.get("items").is_some() {
            member["minItems"] = json!(1);
            &mut member["items"]
        } else {
            member
        };
        text["pattern"] = json!(pattern);
        text["minLength"] = json!(1);
        text["maxLength"] = json!(longest);
    }
}

/// A problem that always names what is not accepted.
fn with_errors(mut problem: Value) -> Value {
    if let Some(required) = problem["required"].as_array_mut() {
        required.push(json!("errors"));
    }
    problem["description"] = json!("A request with values that are not accepted (RFC 9457).");
    problem
}

/// What is sent in headers.
fn header_parameters(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    let operations = paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    let parameters = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten();
    for parameter in parameters {
        match parameter["name"].as_str() {
            Some("Idempotency-Key") => {
                parameter["required"] = json!(false);
                parameter["schema"] = json!({"type": "string", "pattern": KEY});
            }
            Some("If-Match") => parameter["schema"] = json!({"type": "string", "minLength": 1}),
            _ => {}
        }
    }
}
