//! Which attributes an answer shows (RFC 7644 §3.9).

use serde_json::{Map, Value};

use super::error::{ScimError, ScimType};
use super::schema::{Attribute, Named, Target, named_by};

/// What is shown of a user.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    only: Option<Vec<Target>>,
    without: Vec<Target>,
}

impl Shown {
    /// As `attributes` and `excludedAttributes` say; a name that nobody knows says nothing.
    ///
    /// # Errors
    /// 400 where both say something.
    pub fn parse<'a>(
        only: Option<impl Iterator<Item = &'a str>>,
        without: Option<impl Iterator<Item = &'a str>>,
    ) -> Result<Self, ScimError> {
        if only.is_some() && without.is_some() {
            let detail = "Of attributes and excludedAttributes only one is given.";
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail));
        }
        Ok(Self { only: only.map(targets), without: without.map(targets).unwrap_or_default() })
    }

    /// That of a resource which is shown.
    pub fn of(&self, resource: Map<String, Value>) -> Map<String, Value> {
        let shown = resource.into_iter().filter_map(|(name, value)| {
            let Named::Kept(Target { attribute, .. }) = named_by(&name) else { return None };
            if attribute.always {
                return Some((name, value));
            }
            let value = match &self.only {
                Some(only) => keep(value, &subs(only, attribute)?, true)?,
                None => value,
            };
            match subs(&self.without, attribute) {
                Some(subs) if subs.is_empty() => None,
                Some(subs) => Some((name, keep(value, &subs, false)?)),
                None => Some((name, value)),
            }
        });
        shown.collect()
    }
}

fn targets<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Target> {
    let known = |name: &str| match named_by(name.trim()) {
        Named::Kept(target) => Some(target),
        Named::NotKept | Named::Unknown => None,
    };
    names.filter_map(known).collect()
}

/// The sub-attributes of an attribute that are named, none where the whole is; nothing where it is not named.
fn subs(targets: &[Target], attribute: &Attribute) -> Option<Vec<&'static Attribute>> {
    let named: Vec<_> = targets.iter().filter(|target| target.attribute == attribute).collect();
    if named.is_empty() {
        return None;
    }
    if named.iter().any(|target| target.sub.is_none()) {
        return Some(Vec::new());
    }
    Some(named.iter().filter_map(|target| target.sub).collect())
}

/// Those parts of a value that are named, or those that are not; nothing where none is left.
fn keep(value: Value, subs: &[&'static Attribute], named: bool) -> Option<Value> {
    if subs.is_empty() {
        return Some(value);
    }
    let one = |part: Value| {
        let Value::Object(mut members) = part else { return Some(part) };
        members.retain(|name, _| subs.iter().any(|sub| sub.name == name) == named);
        (!members.is_empty()).then_some(Value::Object(members))
    };
    if let Value::Array(parts) = value {
        let parts: Vec<_> = parts.into_iter().filter_map(one).collect();
        return (!parts.is_empty()).then_some(Value::Array(parts));
    }
    one(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_shows_what_was_asked_for() {
        let user = json!({
            "schemas": ["x"], "id": "1", "userName": "a", "name": {"givenName": "A", "familyName": "B"},
            "emails": [{"value": "a@x.example", "type": "work"}], "meta": {"version": "v", "created": "c"},
        });
        let shown = |only: &str, without: &str| {
            let list = |text: &'static str| (!text.is_empty()).then(|| text.split(','));
            let (only, without): (&'static str, &'static str) = (only.to_owned().leak(), without.to_owned().leak());
            let shown = Shown::parse(list(only), list(without)).unwrap();
            Value::Object(shown.of(user.as_object().unwrap().clone()))
        };
        for (only, without, left) in [
            ("", "", user.clone()),
            ("userName", "", json!({"schemas": ["x"], "id": "1", "userName": "a"})),
            ("shoeSize,title", "", json!({"schemas": ["x"], "id": "1"})),
            (
                "NAME.givenname, emails.value",
                "",
                json!({"schemas": ["x"], "id": "1", "name": {"givenName": "A"}, "emails": [{"value": "a@x.example"}]}),
            ),
            (
                "name,name.givenName",
                "",
                json!({"schemas": ["x"], "id": "1", "name": {"givenName": "A", "familyName": "B"}}),
            ),
            ("", "id,schemas,name,emails,meta", json!({"schemas": ["x"], "id": "1", "userName": "a"})),
            (
                "",
                "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName,meta.created,emails",
                json!({"schemas": ["x"], "id": "1", "userName": "a", "name": {"familyName": "B"}, "meta": {"version": "v"}}),
            ),
        ] {
            assert_eq!(shown(only, without), left, "{only} {without}");
        }
        assert!(Shown::parse(Some(["a"].into_iter()), Some(["b"].into_iter())).is_err());
    }
}
