//! `/Bulk`: many operations in one request, one after another (RFC 7644 §3.7). Each is a transaction of its own, and counts
//! as a request of the client's.

use std::collections::{HashMap, HashSet};

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::caller::Directory;
use super::error::{ScimError, ScimType};
use super::extract::{Body, Versions, answer};
use super::patch::member;
use super::resource::{location, members, version};
use super::users;
use crate::app::App;
use crate::store::users::provisioned::Provisioned;
use crate::web::ids::checked;

/// The most operations of a request.
pub const MOST_OPERATIONS: usize = 100;
/// The largest request, in bytes.
pub const MOST_BYTES: usize = 512 * 1024;

const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// One operation.
#[derive(Debug)]
struct Operation<'a> {
    method: String,
    path: &'a str,
    bulk_id: Option<&'a str>,
    version: Option<&'a str>,
    data: Option<&'a Map<String, Value>>,
}

impl<'a> Operation<'a> {
    fn parse(value: &'a Value) -> Result<Self, ScimError> {
        let Some(members) = value.as_object() else {
            return Err(ScimError::bad(ScimType::InvalidSyntax, "Each operation is an object."));
        };
        let text = |name: &str| member(members, name).and_then(Value::as_str);
        Ok(Self {
            method: text("method").unwrap_or_default().to_ascii_uppercase(),
            path: text("path").unwrap_or_default(),
            bulk_id: text("bulkId"),
            version: text("version"),
            data: member(members, "data").and_then(Value::as_object),
        })
    }

    /// The bulkId that its path refers to.
    fn refers_to(&self) -> Option<&'a str> {
        self.path.trim_start_matches('/').strip_prefix("Users/")?.strip_prefix("bulkId:")
    }

    fn data(&self) -> Result<&'a Map<String, Value>, ScimError> {
        self.data.ok_or_else(|| ScimError::bad(ScimType::InvalidSyntax, "This operation needs data, an object."))
    }
}

/// What came of an operation.
struct Answered {
    status: StatusCode,
    user: Option<Box<Provisioned>>,
    /// Where the user stands, or stood.
    id: Option<String>,
}

/// `POST /Bulk`
pub async fn post(app: App, directory: Directory, Body(body): Body) -> Result<Response, ScimError> {
    let Some(operations) = member(&body, "Operations").and_then(Value::as_array) else {
        return Err(ScimError::bad(ScimType::InvalidSyntax, "The body needs Operations, an array."));
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(ScimError::too_large(format!("At most {MOST_OPERATIONS} operations are done in one request.")));
    }
    let most_errors = match member(&body, "failOnErrors") {
        None | Some(Value::Null) => u64::MAX,
        Some(number) => number
            .as_u64()
            .filter(|most| *most > 0)
            .ok_or_else(|| ScimError::invalid("failOnErrors", "is a number from 1"))?,
    };
    let operations = operations.iter().map(Operation::parse).collect::<Result<Vec<_>, _>>()?;
    let answers = all(&app, &directory, &operations, most_errors).await;
    Ok(answer(StatusCode::OK, json!({"schemas": [RESPONSE], "Operations": answers})))
}

/// Does them in their order, but for those that refer to one that comes later; stops after too many errors.
async fn all(app: &App, directory: &Directory, operations: &[Operation<'_>], most_errors: u64) -> Vec<Value> {
    let to_come: HashSet<&str> =
        operations.iter().filter(|one| one.method == "POST").filter_map(|one| one.bulk_id).collect();
    let mut created: HashMap<&str, Option<String>> = HashMap::new();
    let mut answers: Vec<Option<Value>> = vec![None; operations.len()];
    let (mut waiting, mut errors) = ((0..operations.len()).collect::<Vec<_>>(), 0);
    while !waiting.is_empty() && errors < most_errors {
        let mut later = Vec::new();
        for at in waiting {
            let Some(operation) = operations.get(at) else { continue };
            let reference = operation.refers_to();
            if reference.is_some_and(|id| to_come.contains(id) && !created.contains_key(id)) {
                later.push(at);
                continue;
            }
            if errors >= most_errors {
                break;
            }
            let done = match (reference, reference.and_then(|id| created.get(id))) {
                (Some(bulk_id), None | Some(None)) => Err(ScimError::unresolved(bulk_id)),
                (_, Some(Some(id))) => one(app, directory, operation, Some(id)).await,
                (None, _) => one(app, directory, operation, None).await,
            };
            errors += u64::from(done.is_err());
            if operation.method == "POST"
                && let Some(bulk_id) = operation.bulk_id
            {
                created.insert(bulk_id, done.as_ref().ok().and_then(|done| done.id.clone()));
            }
            if let Some(answer) = answers.get_mut(at) {
                *answer = Some(told(app, directory, operation, done));
            }
        }
        waiting = later;
    }
    answers.into_iter().flatten().collect()
}

async fn one(
    app: &App,
    directory: &Directory,
    operation: &Operation<'_>,
    created: Option<&String>,
) -> Result<Answered, ScimError> {
    let directory = &directory.again(app);
    directory.take_one(app).await?;
    let path = operation.path.trim_start_matches('/');
    if path == "Users" {
        if operation.method != "POST" {
            return Err(ScimError::bad(ScimType::InvalidPath, "At /Users a bulk operation is POST."));
        }
        let user = users::create(app, directory, operation.data()?).await?;
        return Ok(Answered { status: StatusCode::CREATED, id: Some(user.id.clone()), user: Some(user) });
    }
    let Some(id) = path.strip_prefix("Users/") else {
        return Err(ScimError::bad(ScimType::InvalidPath, "The path of an operation is /Users or /Users/{id}."));
    };
    let id = created.cloned().or_else(|| checked(id)).ok_or_else(ScimError::not_found)?;
    let versions = Versions::named(operation.version);
    let user = match operation.method.as_str() {
        "PUT" => users::replace(app, directory, &id, operation.data()?, versions).await?,
        "PATCH" => users::change(app, directory, &id, operation.data()?, versions).await?,
        "DELETE" => {
            users::remove(app, directory, &id, versions).await?;
            return Ok(Answered { status: StatusCode::NO_CONTENT, id: Some(id), user: None });
        }
        _ => return Err(ScimError::bad(ScimType::InvalidSyntax, "method is POST, PUT, PATCH or DELETE.")),
    };
    Ok(Answered { status: StatusCode::OK, id: Some(id), user: Some(user) })
}

fn told(app: &App, directory: &Directory, operation: &Operation<'_>, done: Result<Answered, ScimError>) -> Value {
    let mut told = Map::new();
    told.insert("method".into(), operation.method.as_str().into());
    told.extend(operation.bulk_id.map(|bulk_id| ("bulkId".into(), bulk_id.into())));
    match done {
        Ok(Answered { status, user, id }) => {
            told.insert("status".into(), status.as_u16().to_string().into());
            told.extend(id.map(|id| ("location".into(), location(&app.config.issuer, &id).into())));
            told.extend(user.map(|user| ("version".into(), version(&members(&user)).into())));
        }
        Err(error) => {
            error.log(&directory.visitor);
            told.insert("status".into(), error.status.as_u16().to_string().into());
            if operation.method != "POST" {
                let place = format!("{}/scim/v2/{}", app.config.issuer, operation.path.trim_start_matches('/'));
                told.insert("location".into(), place.into());
            }
            told.insert("response".into(), error.body(&directory.visitor.reference));
        }
    }
    Value::Object(told)
}
