//! What a body says of a user, put over what is there: the operations of PATCH (RFC 7644 §3.5.2), and the whole bodies of
//! POST and PUT, which are one operation over nothing. Bodies are read as Entra ID and Okta write them: operations in any
//! case, `"True"` for true, paths as keys of a value without a path, one value where several may be.

use serde_json::{Map, Value};

use super::error::{ScimError, ScimType};
use super::filter::{At, Place, path};
use super::schema::{Attribute, Kind};

/// No PATCH has more operations.
pub const MOST_OPERATIONS: usize = 100;

/// An attribute has no more values, of which one is kept.
const MOST_VALUES: usize = 50;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// One operation, read but not yet done.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    verb: Verb,
    at: At,
    /// A value of the attribute's kind; none takes away.
    value: Option<Value>,
}

/// A change of a user's representation, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch(Vec<Step>);

impl Patch {
    /// A whole user: the body of POST and PUT.
    ///
    /// # Errors
    /// 400 when a value is not of its attribute's kind.
    pub fn whole(members: &Map<String, Value>) -> Result<Self, ScimError> {
        let mut steps = Vec::new();
        for (key, value) in members {
            // Empty is the same as absent.
            steps.extend(of_member(Verb::Replace, key, value)?.filter(|step| step.value.is_some()));
        }
        Ok(Self(steps))
    }

    /// The body of PATCH.
    ///
    /// # Errors
    /// 400 when it cannot be read, or an operation cannot be done.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, ScimError> {
        let operations = member(body, "Operations").and_then(Value::as_array);
        let Some(operations) = operations.filter(|operations| !operations.is_empty()) else {
            return Err(syntax("The body needs Operations, an array of at least one operation."));
        };
        if operations.len() > MOST_OPERATIONS {
            return Err(ScimError::too_large(format!("At most {MOST_OPERATIONS} operations are done at once.")));
        }
        let mut steps = Vec::new();
        for operation in operations {
            let Some(operation) = operation.as_object() else {
                return Err(syntax("Each operation is an object."));
            };
            steps.extend(of_operation(operation)?);
        }
        Ok(Self(steps))
    }

    /// The representation after all of it.
    ///
    /// # Errors
    /// 400 when an operation leads to nothing.
    pub fn over(&self, before: &Map<String, Value>) -> Result<Map<String, Value>, ScimError> {
        let mut members = before.clone();
        for step in &self.0 {
            apply(&mut members, step)?;
        }
        Ok(members)
    }
}

fn syntax(detail: &str) -> ScimError {
    ScimError::bad(ScimType::InvalidSyntax, detail)
}

/// A member by its name in any case.
pub fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).or_else(|| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn of_operation(operation: &Map<String, Value>) -> Result<Vec<Step>, ScimError> {
    let verb = match member(operation, "op").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase().as_str() {
        "add" => Verb::Add,
        "replace" => Verb::Replace,
        "remove" => Verb::Remove,
        _ => return Err(syntax("op is add, replace or remove.")),
    };
    let value = member(operation, "value");
    let text = match member(operation, "path") {
        None | Some(Value::Null) => None,
        Some(path) => match path.as_str() {
            Some("") => None,
            Some(path) => Some(path),
            None => return Err(ScimError::bad(ScimType::InvalidPath, "A path is a text.")),
        },
    };
    let Some(text) = text else {
        if verb == Verb::Remove {
            return Err(ScimError::bad(ScimType::NoTarget, "remove needs a path."));
        }
        let Some(members) = value.and_then(Value::as_object) else {
            return Err(ScimError::bad(ScimType::InvalidValue, "Without a path, value is an object of attributes."));
        };
        let mut steps = Vec::new();
        for (key, value) in members {
            steps.extend(of_member(verb, key, value)?);
        }
        return Ok(steps);
    };
    let at = match path(text) {
        Ok(Place::At(at)) => at,
        // What the standard knows and this service has not is taken, and passed over.
        Ok(Place::NotKept) => return Ok(Vec::new()),
        Ok(Place::Unknown) => {
            return Err(ScimError::bad(ScimType::InvalidPath, format!("{text} is no attribute of a user.")));
        }
        Err(why) => {
            return Err(ScimError::bad(ScimType::InvalidPath, format!("The path {text} cannot be read: {}", why.0)));
        }
    };
    if at.attribute.read_only || at.sub.is_some_and(|sub| sub.read_only) {
        return Err(ScimError::bad(ScimType::Mutability, format!("{text} is given by this service.")));
    }
    let value = match (verb, value) {
        (Verb::Remove, None | Some(Value::Null)) => None,
        // Some send the values that are to go beside the path.
        (Verb::Remove, Some(value)) if at.attribute.multi && at.chosen.is_none() && at.sub.is_none() => {
            normal(at.attribute, value)?
        }
        (Verb::Remove, Some(_)) => None,
        (Verb::Add | Verb::Replace, None) => {
            return Err(ScimError::bad(ScimType::InvalidValue, format!("The operation on {text} needs a value.")));
        }
        (Verb::Add | Verb::Replace, Some(value)) => of_kind(&at, value)?,
    };
    Ok(vec![Step { verb, at, value }])
}

/// A member of a value without a path: its key is an attribute, or a path. What is not known here is passed over, and
/// what this service gives is not for others to say.
fn of_member(verb: Verb, key: &str, value: &Value) -> Result<Option<Step>, ScimError> {
    let Ok(Place::At(at)) = path(key) else { return Ok(None) };
    if at.attribute.read_only || at.sub.is_some_and(|sub| sub.read_only) {
        return Ok(None);
    }
    let value = of_kind(&at, value)?;
    Ok(Some(Step { verb, at, value }))
}

/// A value as the place takes it.
fn of_kind(at: &At, value: &Value) -> Result<Option<Value>, ScimError> {
    match (at.sub, &at.chosen) {
        (Some(sub), _) => one(sub, value),
        // What the filter chose is one value each, though some send it in an array.
        (None, Some(_)) => {
            let first = value.as_array().map_or(Some(value), |parts| parts.first());
            first.map_or(Ok(None), |value| part(at.attribute, value))
        }
        (None, None) => normal(at.attribute, value),
    }
}

/// A value of an attribute; nothing for one that is empty, which is the same as none (RFC 7643 §2.5).
fn normal(attribute: &Attribute, value: &Value) -> Result<Option<Value>, ScimError> {
    if !attribute.multi {
        return if attribute.kind == Kind::Complex { part(attribute, value) } else { one(attribute, value) };
    }
    let mut parts = Vec::new();
    match value {
        Value::Null => {}
        Value::Array(all) => {
            for each in all {
                parts.extend(part(attribute, each)?);
            }
        }
        Value::Object(_) | Value::String(_) | Value::Bool(_) | Value::Number(_) => {
            parts.extend(part(attribute, value)?);
        }
    }
    check_count(attribute, &parts)?;
    Ok((!parts.is_empty()).then_some(Value::Array(parts)))
}

fn check_count(attribute: &Attribute, parts: &[Value]) -> Result<(), ScimError> {
    let why = format!("has at most {MOST_VALUES} values");
    if parts.len() <= MOST_VALUES { Ok(()) } else { Err(ScimError::invalid(attribute.name, &why)) }
}

/// One object of sub-attributes; a bare text is its `value`.
fn part(attribute: &Attribute, value: &Value) -> Result<Option<Value>, ScimError> {
    let mut members = Map::new();
    if let Some(given) = value.as_object() {
        for (key, value) in given {
            if let Some(sub) = attribute.sub(key).filter(|sub| !sub.read_only)
                && let Some(value) = one(sub, value)?
                && members.insert(sub.name.into(), value).is_some()
            {
                return Err(syntax(&format!("{}.{} stands there twice.", attribute.name, sub.name)));
            }
        }
    } else if let Some(sub) = attribute.sub("value") {
        members.extend(one(sub, value)?.map(|value| (sub.name.to_owned(), value)));
    } else if !value.is_null() {
        return Err(ScimError::invalid(attribute.name, "is an object"));
    }
    Ok((!members.is_empty()).then_some(Value::Object(members)))
}

/// A value that has no parts.
fn one(attribute: &Attribute, value: &Value) -> Result<Option<Value>, ScimError> {
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (_, Value::Array(parts)) if parts.len() == 1 && parts.first().is_some_and(|part| !part.is_array()) => {
            let only = parts.first().unwrap_or(&Value::Null);
            one(attribute, only.get("value").unwrap_or(only))
        }
        (Kind::Boolean, Value::Bool(_)) => Ok(Some(value.clone())),
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true.into())),
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false.into())),
        (Kind::Boolean, _) => Err(ScimError::invalid(attribute.name, "is true or false")),
        (_, Value::String(text)) => {
            if text.contains('\0') {
                return Err(ScimError::invalid(attribute.name, "holds a character that no text can have"));
            }
            // Directories hold names with spaces at their ends, which no name here has.
            let text = if attribute.exact || attribute.unique { text.as_str() } else { text.trim() };
            Ok((!text.is_empty()).then(|| text.into()))
        }
        (_, Value::Number(number)) => Ok(Some(number.to_string().into())),
        (_, Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(ScimError::invalid(attribute.name, "is a text"))
        }
    }
}

fn apply(members: &mut Map<String, Value>, step: &Step) -> Result<(), ScimError> {
    let At { attribute, chosen, sub } = &step.at;
    if attribute.multi && (chosen.is_some() || sub.is_some()) {
        return among_values(members, step);
    }
    let before = members.get(attribute.name);
    let after = match (step.verb, sub, &step.value) {
        (Verb::Remove, None, Some(Value::Array(gone))) => {
            let left = before.and_then(Value::as_array).into_iter().flatten();
            let left: Vec<_> = left.filter(|part| !gone.iter().any(|gone| is_meant(part, gone))).cloned().collect();
            (!left.is_empty()).then_some(Value::Array(left))
        }
        (Verb::Remove, None, _) | (Verb::Replace, None, None) => None,
        (Verb::Add, None, None) => before.cloned(),
        (Verb::Add | Verb::Replace | Verb::Remove, Some(sub), value) => {
            let mut parts = before.and_then(Value::as_object).cloned().unwrap_or_default();
            set(&mut parts, sub, value.as_ref().filter(|_| step.verb != Verb::Remove));
            (!parts.is_empty()).then_some(Value::Object(parts))
        }
        (Verb::Add | Verb::Replace, None, Some(Value::Object(given))) => {
            let mut parts = before.and_then(Value::as_object).cloned().unwrap_or_default();
            parts.extend(given.clone());
            Some(Value::Object(parts))
        }
        (Verb::Add, None, Some(Value::Array(new))) => {
            let mut parts = before.and_then(Value::as_array).cloned().unwrap_or_default();
            for part in new {
                add(&mut parts, part);
            }
            check_count(attribute, &parts)?;
            Some(Value::Array(parts))
        }
        (Verb::Add | Verb::Replace, None, Some(value)) => Some(value.clone()),
    };
    match after {
        Some(value) => drop(members.insert(attribute.name.into(), value)),
        None if attribute.required => {
            return Err(ScimError::bad(ScimType::Mutability, format!("{} cannot be taken away.", attribute.name)));
        }
        None => drop(members.remove(attribute.name)),
    }
    Ok(())
}

fn set(parts: &mut Map<String, Value>, sub: &Attribute, value: Option<&Value>) {
    match value {
        Some(value) => drop(parts.insert(sub.name.into(), value.clone())),
        None => drop(parts.remove(sub.name)),
    }
}

/// Whether a value is the one that is named: by its `value`, else by all that is said of it.
fn is_meant(part: &Value, named: &Value) -> bool {
    let all = named.as_object().into_iter().flatten();
    match named.get("value") {
        Some(value) => part.get("value") == Some(value),
        None => all.into_iter().all(|(key, value)| part.get(key) == Some(value)),
    }
}

/// One more value, once; a new primary one is the only one (RFC 7644 §3.5.2.1).
fn add(parts: &mut Vec<Value>, new: &Value) {
    if parts.contains(new) {
        return;
    }
    if new.get("primary") == Some(&Value::Bool(true)) {
        step_back(parts);
    }
    parts.push(new.clone());
}

fn step_back(parts: &mut [Value]) {
    for part in parts.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(primary) = part.get_mut("primary") {
            *primary = false.into();
        }
    }
}

/// An operation on those of an attribute's values that its filter chooses, or on all of them.
fn among_values(members: &mut Map<String, Value>, step: &Step) -> Result<(), ScimError> {
    let At { attribute, chosen, sub } = &step.at;
    let mut parts = members.get(attribute.name).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_chosen = |part: &Value| {
        let part = part.as_object();
        part.is_some_and(|part| chosen.as_ref().is_none_or(|filter| filter.matches(part)))
    };
    if step.verb == Verb::Remove && sub.is_none() {
        parts.retain(|part| !is_chosen(part));
    } else {
        // A directory replaces what it believes to be there: where nothing is yet, it is made as its path describes it.
        if step.verb != Verb::Remove && !parts.iter().any(is_chosen) {
            let new = chosen.as_ref().map_or_else(|| Some(Map::new()), super::filter::Filter::described);
            let Some(new) = new else {
                let detail = format!("No value of {} is what the path asks for.", attribute.name);
                return Err(ScimError::bad(ScimType::NoTarget, detail));
            };
            if step.value.is_none() {
                return Ok(());
            }
            let was_there: Vec<_> = (0..parts.len()).collect();
            parts.push(Value::Object(new));
            check_count(attribute, &parts)?;
            change(&mut parts, step, |at, _| !was_there.contains(&at));
        } else {
            let chosen: Vec<bool> = parts.iter().map(is_chosen).collect();
            change(&mut parts, step, |at, _| chosen.get(at).copied().unwrap_or_default());
        }
    }
    let says_something = |part: &Value| {
        let says = |(key, _): (&String, &Value)| key != "type" && key != "primary";
        part.as_object().is_some_and(|part| part.iter().any(says))
    };
    parts.retain(says_something);
    if parts.is_empty() {
        members.remove(attribute.name);
    } else {
        members.insert(attribute.name.into(), Value::Array(parts));
    }
    Ok(())
}

fn change(parts: &mut [Value], step: &Step, is_chosen: impl Fn(usize, &Value) -> bool) {
    let makes_primary = match (&step.at.sub, &step.value) {
        (Some(sub), Some(value)) => sub.name == "primary" && *value == true,
        (None, Some(value)) => value.get("primary") == Some(&Value::Bool(true)),
        (_, None) => false,
    };
    if makes_primary && step.verb != Verb::Remove {
        step_back(parts);
    }
    for (at, part) in parts.iter_mut().enumerate() {
        if !is_chosen(at, part) {
            continue;
        }
        let Some(part) = part.as_object_mut() else { continue };
        match (&step.at.sub, &step.value) {
            (Some(sub), value) => set(part, sub, value.as_ref().filter(|_| step.verb != Verb::Remove)),
            (None, Some(Value::Object(given))) => part.extend(given.clone()),
            (None, _) => part.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn patched(before: &Value, operations: &Value) -> Result<Value, String> {
        let told = |error: ScimError| error.scim_type.unwrap().as_str().to_owned();
        let patch = Patch::parse(&members(&json!({"Operations": operations}))).map_err(told)?;
        patch.over(&members(before)).map(Value::Object).map_err(told)
    }

    #[test]
    fn operations_do_what_the_standard_and_the_directories_mean() {
        let work = json!([{"value": "a@x.example", "type": "work", "primary": true}]);
        for (before, operations, after) in [
            // Entra ID: operations in capitals, truth as a text.
            (
                json!({"active": true}),
                json!([{"op": "Replace", "path": "active", "value": "False"}]),
                json!({"active": false}),
            ),
            (
                json!({"active": true}),
                json!([{"op": "Replace", "path": "active", "value": [{"value": "False"}]}]),
                json!({"active": false}),
            ),
            // Okta: no path.
            (json!({"active": true}), json!([{"op": "replace", "value": {"active": false}}]), json!({"active": false})),
            (
                json!({}),
                json!([{"op": "Add", "path": "emails[type eq \"work\"].value", "value": "a@x.example"}]),
                json!({"emails": [{"type": "work", "value": "a@x.example"}]}),
            ),
            (
                json!({"emails": work}),
                json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "b@x.example"}]),
                json!({"emails": [{"value": "b@x.example", "type": "work", "primary": true}]}),
            ),
            // Paths as keys.
            (
                json!({"userName": "a", "emails": work}),
                json!([{"op": "Replace", "value": {
                    "emails[type eq \"work\"].value": "b@x.example", "name.familyName": "B", "NAME.givenName": "A",
                    "urn:ietf:params:scim:schemas:core:2.0:User:displayName": "A B", "active": "true", "shoeSize": 9,
                    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Care", "id": "x", "roles": ["x"],
                }}]),
                json!({"userName": "a", "emails": [{"value": "b@x.example", "type": "work", "primary": true}],
                    "name": {"familyName": "B", "givenName": "A"}, "displayName": "A B", "active": true}),
            ),
            // What is not kept is passed over, with a path too.
            (
                json!({"userName": "a"}),
                json!([{"op": "add", "path": "roles", "value": [{"value": "x"}]}, {"op": "replace", "path": "password", "value": "x"},
                    {"op": "remove", "path": "title"}, {"op": "add", "path": "groups[value eq \"1\"].display", "value": "x"}]),
                json!({"userName": "a"}),
            ),
            (json!({"nickName": "A"}), json!([{"op": "remove", "path": "nickName"}]), json!({})),
            (json!({"nickName": "A"}), json!([{"op": "replace", "path": "nickName", "value": null}]), json!({})),
            (json!({"nickName": "A"}), json!([{"op": "replace", "path": "nickName", "value": ""}]), json!({})),
            (
                json!({"name": {"familyName": "B", "givenName": "A"}}),
                json!([{"op": "replace", "path": "name", "value": {"familyName": "C"}}]),
                json!({"name": {"familyName": "C", "givenName": "A"}}),
            ),
            (
                json!({"name": {"familyName": "B", "givenName": "A"}}),
                json!([{"op": "remove", "path": "name.familyName"}, {"op": "remove", "path": "name.givenName"}]),
                json!({}),
            ),
            // A new primary value is the only one; the same value is added once.
            (
                json!({"emails": work}),
                json!([{"op": "add", "path": "emails", "value": [{"value": "b@x.example", "primary": "True"}]},
                    {"op": "add", "path": "emails", "value": [{"value": "b@x.example", "primary": true}]}]),
                json!({"emails": [{"value": "a@x.example", "type": "work", "primary": false}, {"value": "b@x.example", "primary": true}]}),
            ),
            (json!({"emails": work}), json!([{"op": "remove", "path": "emails[type eq \"work\"]"}]), json!({})),
            (
                json!({"emails": work}),
                json!([{"op": "remove", "path": "emails[type eq \"home\"]"}]),
                json!({"emails": work}),
            ),
            (json!({"emails": work}), json!([{"op": "remove", "path": "emails[type eq \"work\"].value"}]), json!({})),
            (
                json!({"emails": work}),
                json!([{"op": "Remove", "path": "emails", "value": [{"value": "a@x.example"}]}]),
                json!({}),
            ),
            (
                json!({"emails": work}),
                json!([{"op": "Remove", "path": "emails", "value": [{"value": "c@x.example"}]}]),
                json!({"emails": work}),
            ),
            (
                json!({"emails": work}),
                json!([{"op": "replace", "path": "emails", "value": {"value": "c@x.example", "display": "C"}}]),
                json!({"emails": [{"value": "c@x.example"}]}),
            ),
            (
                json!({}),
                json!([{"op": "Add", "path": "addresses[type eq \"work\"].streetAddress", "value": "1 Main St"},
                    {"op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "Springfield"}]),
                json!({"addresses": [{"type": "work", "streetAddress": "1 Main St", "locality": "Springfield"}]}),
            ),
            (
                json!({}),
                json!([{"op": "add", "path": "displayName", "value": " Amina Diallo "}]),
                json!({"displayName": "Amina Diallo"}),
            ),
            (json!({}), json!([{"op": "add", "path": "externalId", "value": 4711}]), json!({"externalId": "4711"})),
        ] {
            assert_eq!(patched(&before, &operations), Ok(after), "{operations}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_told_by_its_keyword() {
        for (operations, keyword) in [
            (json!([]), "invalidSyntax"),
            (json!({"op": "add"}), "invalidSyntax"),
            (json!([{"op": "move", "path": "active", "value": true}]), "invalidSyntax"),
            (json!([{"path": "active", "value": true}]), "invalidSyntax"),
            (json!([{"op": "remove"}]), "noTarget"),
            (json!([{"op": "replace", "value": true}]), "invalidValue"),
            (json!([{"op": "replace", "path": "active"}]), "invalidValue"),
            (json!([{"op": "replace", "path": "active", "value": "maybe"}]), "invalidValue"),
            (json!([{"op": "replace", "path": "nickName", "value": {"a": 1}}]), "invalidValue"),
            (json!([{"op": "replace", "path": "name", "value": "A"}]), "invalidValue"),
            (json!([{"op": "replace", "path": "shoeSize", "value": 9}]), "invalidPath"),
            (json!([{"op": "replace", "path": "emails[type eq", "value": 9}]), "invalidPath"),
            (json!([{"op": "replace", "path": 9, "value": 9}]), "invalidPath"),
            (json!([{"op": "replace", "path": "id", "value": "x"}]), "mutability"),
            (json!([{"op": "replace", "path": "userType", "value": "Provider Admin"}]), "mutability"),
            (json!([{"op": "replace", "path": "meta.created", "value": "x"}]), "mutability"),
            (json!([{"op": "remove", "path": "userName"}]), "mutability"),
            (json!([{"op": "replace", "path": "emails[type ne \"work\"].value", "value": "x@x.example"}]), "noTarget"),
            (json!([{"op": "replace", "path": "nickName", "value": "a\u{0}b"}]), "invalidValue"),
            (json!([{"op": "add", "path": "emails", "value": vec!["a@x.example"; 51]}]), "invalidValue"),
        ] {
            assert_eq!(patched(&json!({"userName": "a"}), &operations).unwrap_err(), keyword, "{operations}");
        }
    }
}
