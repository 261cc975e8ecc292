//! `/api/v1`: the OpenAPI document as a page for people, without a script: what each endpoint reads, what it answers,
//! and which scope it needs.

use std::sync::OnceLock;

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::document::ABOUT;
use super::examples;
use super::problem::Kind;
use crate::app::App;
use crate::model::scope::{CLIENT_SCOPES, PROVIDER_SCOPES};
use crate::web::page::{Page, Shape, with_shape};
use crate::web::unchanging::Unchanging;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[derive(Template)]
#[template(path = "api/reference.html")]
struct ReferencePage<'a> {
    page: Page,
    about: Vec<Words>,
    token_endpoint: String,
    scopes: Vec<(&'static str, Words, bool)>,
    reference: &'a Reference,
    problems: Vec<(Kind, u16, Words)>,
}

/// `GET /api/v1`: the same for everybody, so it is made once.
pub async fn page(app: &App, reference: &Reference, asked: &HeaderMap) -> Response {
    let page = match reference.page.get() {
        Some(page) => page,
        None => match render(app, reference) {
            Ok(html) => reference.page.get_or_init(|| Unchanging::new(html)),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        },
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    with_shape(page.answer(asked, headers).await, Shape::Entrance)
}

fn render(app: &App, reference: &Reference) -> askama::Result<String> {
    let template = ReferencePage {
        page: Page::new(app, "Admin API"),
        about: ABOUT.split("\n\n").map(Words::of).collect(),
        token_endpoint: format!("{}/oauth2/token", app.config.issuer),
        scopes: CLIENT_SCOPES
            .iter()
            .map(|(name, what)| (*name, Words::of(what), PROVIDER_SCOPES.contains(name)))
            .collect(),
        reference,
        problems: Kind::ALL.iter().map(|kind| (*kind, kind.status().as_u16(), Words::of(kind.title()))).collect(),
    };
    template.render()
}

/// Words in which what stands between backticks is code.
#[derive(Clone, Debug, Default)]
struct Words(String);

impl Words {
    fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Without the marks, for a label.
    fn plain(&self) -> String {
        self.0.replace('`', "")
    }

    /// Each part, and whether it is code.
    fn parts(&self) -> impl Iterator<Item = (bool, &str)> {
        self.0.split('`').enumerate().map(|(at, part)| (at % 2 == 1, part))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The document as the page shows it.
#[derive(Debug)]
pub struct Reference {
    sections: Vec<Section>,
    page: OnceLock<Unchanging>,
}

/// What belongs together.
#[derive(Debug)]
struct Section {
    name: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug)]
struct Endpoint {
    id: String,
    method: String,
    path: String,
    summary: Words,
    description: Words,
    scope: String,
    parameters: Vec<Field>,
    body: Vec<Field>,
    answers: Vec<(String, Words)>,
    shown: Vec<Field>,
    /// A command that makes such a call.
    example: String,
}

/// A parameter or a member.
#[derive(Debug)]
struct Field {
    name: String,
    required: bool,
    shape: String,
    what: Words,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Reference {
    /// Reads the document.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for method in METHODS {
                let operation = &item[method];
                if operation.is_null() {
                    continue;
                }
                let (tag, endpoint) = (text(&operation["tags"][0]), endpoint(document, path, method, operation));
                match sections.iter_mut().find(|section| section.name == tag) {
                    Some(section) => section.endpoints.push(endpoint),
                    None => sections.push(Section { name: tag, endpoints: vec![endpoint] }),
                }
            }
        }
        Self { sections, page: OnceLock::new() }
    }
}

fn endpoint(document: &Value, path: &str, method: &str, operation: &Value) -> Endpoint {
    let answers = operation["responses"].as_object();
    let good = answers.into_iter().flatten().find(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer);
    let schema_of = |holder: &Value| {
        let content = holder["content"].as_object().and_then(|types| types.values().next());
        content.map(|content| content["schema"].clone()).unwrap_or_default()
    };
    Endpoint {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: Words(text(&operation["summary"])),
        description: Words(text(&operation["description"])),
        scope: text(&operation["security"][0]["oauth2"][0]),
        parameters: rows(&operation["parameters"]).map(parameter).collect(),
        body: fields(document, &schema_of(&operation["requestBody"])),
        answers: answers
            .into_iter()
            .flatten()
            .map(|(status, answer)| (status.clone(), Words(text(&answer["description"]))))
            .collect(),
        example: examples::command(document, path, method, operation),
        shown: good.map(|answer| fields(document, &schema_of(answer))).unwrap_or_default(),
    }
}

fn parameter(parameter: &Value) -> Field {
    Field {
        name: format!("{} ({})", text(&parameter["name"]), text(&parameter["in"])),
        required: parameter["required"].as_bool().unwrap_or_default(),
        shape: shape(&parameter["schema"]),
        what: Words(text(&parameter["description"])),
    }
}

/// What a reference leads to.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let path = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
    path.and_then(|path| document.pointer(path)).unwrap_or(schema)
}

/// The members of a schema, those of its parts included.
fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let schema = resolved(document, schema);
    let required = |name: &str| rows(&schema["required"]).any(|one| one == name);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, property)| Field {
        name: name.clone(),
        required: required(name),
        shape: shape(property),
        what: Words(text(&property["description"])),
    });
    let parts = rows(&schema["allOf"]).flat_map(|part| fields(document, part));
    own.chain(parts).collect()
}

/// A type in a few words.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| word.as_str().unwrap_or("null")).collect::<Vec<_>>().join(" | ");
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[key].as_array() {
            return parts.iter().map(shape).collect::<Vec<_>>().join(" | ");
        }
    }
    let kind = &schema["type"];
    let plain =
        kind.as_array().map_or_else(|| text(kind), |kinds| kinds.iter().map(text).collect::<Vec<_>>().join(" | "));
    let format = schema["format"].as_str().map(|format| format!(" ({format})")).unwrap_or_default();
    if plain.starts_with("array") { format!("list of {}", shape(&schema["items"])) } else { format!("{plain}{format}") }
}
