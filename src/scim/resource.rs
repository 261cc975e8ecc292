//! A user as a resource of SCIM, and what a changed resource asks for. One value of each kind is kept (an e-mail address, a
//! phone number, an address), with what the directory wrote beside it, so that it reads what it wrote.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::{ScimError, ScimType};
use super::schema::USER;
use crate::crypto::secret::digest;
use crate::model::claims::Claims;
use crate::model::text::check_line;
use crate::operations::users::provision::Wish;
use crate::operations::users::{check_external_id, check_name, parse_login_name};
use crate::store::users::provisioned::Provisioned;
use crate::time::Timestamp;

/// Attributes that are claims (OpenID Connect Core §5.1) of one text.
const CLAIMS: [(&str, &str); 4] =
    [("nickName", "nickname"), ("profileUrl", "profile"), ("locale", "locale"), ("timezone", "zoneinfo")];
/// The same of `name`.
const NAMES: [(&str, &str); 3] =
    [("familyName", "family_name"), ("givenName", "given_name"), ("middleName", "middle_name")];
/// The same of an address.
const ADDRESS: [(&str, &str); 6] = [
    ("formatted", "formatted"),
    ("streetAddress", "street_address"),
    ("locality", "locality"),
    ("region", "region"),
    ("postalCode", "postal_code"),
    ("country", "country"),
];
/// A word for what a value is for is never longer.
const LONGEST_KIND: usize = 50;

/// What stands beside a value that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Beside {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<bool>,
}

impl Beside {
    /// Of a value that no directory wrote.
    fn usual() -> Self {
        Self { kind: Some("work".into()), primary: Some(true) }
    }

    fn on(&self, mut part: Map<String, Value>) -> Value {
        part.extend(self.kind.as_ref().map(|kind| ("type".into(), kind.as_str().into())));
        part.extend(self.primary.map(|primary| ("primary".into(), primary.into())));
        json!([part])
    }

    fn of(part: &Map<String, Value>) -> Result<Self, ScimError> {
        let kind = text(part, "type").map(str::to_owned);
        if let Some(kind) = &kind {
            check_line(kind, LONGEST_KIND).map_err(|why| ScimError::invalid("type", &why))?;
        }
        Ok(Self { kind, primary: part.get("primary").and_then(Value::as_bool) })
    }
}

/// How a directory writes a user, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Beside>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<Beside>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Beside>,
    /// `displayName` was taken away, and this stands in its place: it is shown again when that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    unnamed: Option<String>,
    /// `active` was taken away, and the account stayed so.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsaid: Option<bool>,
}

impl Written {
    fn of(user: &Provisioned) -> Self {
        user.written.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

fn claims_of(user: &Provisioned) -> Map<String, Value> {
    serde_json::from_str(&user.claims).unwrap_or_default()
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

/// Those members of `from` that have another name here.
fn renamed<'a>(from: &Map<String, Value>, names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    let found = names.into_iter().filter_map(|(old, new)| Some((new.to_owned(), from.get(old)?.clone())));
    found.filter(|(_, value)| value.as_str() != Some("")).collect()
}

fn swapped<'a, const N: usize>(pairs: [(&'a str, &'a str); N]) -> [(&'a str, &'a str); N] {
    pairs.map(|(attribute, claim)| (claim, attribute))
}

/// The attributes of a user, without `meta`.
pub fn members(user: &Provisioned) -> Map<String, Value> {
    let (claims, written) = (claims_of(user), Written::of(user));
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| drop(members.insert(name.into(), value));
    set("schemas", json!([USER]));
    set("id", user.id.as_str().into());
    if let Some(external_id) = &user.external_id {
        set("externalId", external_id.as_str().into());
    }
    set("userName", user.login_name.as_str().into());
    let mut name = Map::new();
    name.extend(written.formatted.map(|formatted| ("formatted".to_owned(), Value::from(formatted))));
    name.extend(renamed(&claims, swapped(NAMES)));
    if !name.is_empty() {
        set("name", name.into());
    }
    if written.unnamed.as_ref() != Some(&user.name) {
        set("displayName", user.name.as_str().into());
    }
    for (attribute, value) in renamed(&claims, swapped(CLAIMS)) {
        set(&attribute, value);
    }
    set("userType", user.user_type.as_str().into());
    if written.unsaid != Some(user.active) {
        set("active", user.active.into());
    }
    for (attribute, claim, beside) in
        [("emails", "email", written.email), ("phoneNumbers", "phone_number", written.phone)]
    {
        let value = renamed(&claims, [(claim, "value")]);
        if !value.is_empty() {
            set(attribute, beside.unwrap_or_else(Beside::usual).on(value));
        }
    }
    let address = claims.get("address").and_then(Value::as_object);
    let address = address.map(|address| renamed(address, swapped(ADDRESS))).unwrap_or_default();
    if !address.is_empty() {
        set("addresses", written.address.unwrap_or_else(Beside::usual).on(address));
    }
    members
}

/// Where a user stands.
pub fn location(issuer: &str, id: &str) -> String {
    format!("{issuer}/scim/v2/Users/{id}")
}

/// The version of a user (RFC 7644 §3.14): weak, and another one whenever anything is different.
pub fn version(members: &Map<String, Value>) -> String {
    let digest = digest(Value::Object(members.clone()).to_string());
    let tag: String = digest.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    format!("W/\"{tag}\"")
}

/// The whole resource.
pub fn resource(user: &Provisioned, issuer: &str) -> Map<String, Value> {
    let mut members = members(user);
    let meta = json!({
        "resourceType": "User",
        "created": Timestamp(user.created_at).rfc3339(),
        "lastModified": user.last_change().rfc3339(),
        "location": location(issuer, &user.id),
        "version": version(&members),
    });
    members.insert("meta".into(), meta);
    members
}

/// Over what a resource was written.
#[derive(Clone, Copy, Debug)]
pub enum Basis<'a> {
    /// Over nothing.
    New,
    /// In place of a user, as PUT does: what is absent is taken away, but for `externalId` and `active`, which stay.
    Whole(&'a Provisioned),
    /// Over a user's own resource, as PATCH does: what is absent was taken away.
    Changed(&'a Provisioned),
}

/// What a resource asks for.
///
/// # Errors
/// 400 with the attribute that is missing or not accepted.
pub fn wish(members: &Map<String, Value>, basis: Basis<'_>) -> Result<Wish, ScimError> {
    let before = match basis {
        Basis::New => None,
        Basis::Whole(user) | Basis::Changed(user) => Some(user),
    };
    let Some(login_name) = text(members, "userName") else {
        return Err(ScimError::bad(ScimType::InvalidValue, "userName is required."));
    };
    let login_name = parse_login_name(login_name)?;
    let external_id = text(members, "externalId");
    if let Some(external_id) = external_id {
        check_external_id(external_id)?;
    }
    let no_parts = Map::new();
    let names = members.get("name").and_then(Value::as_object).unwrap_or(&no_parts);
    let formatted = text(names, "formatted");
    if let Some(formatted) = formatted {
        check_line(formatted, 200).map_err(|why| ScimError::invalid("name.formatted", &why))?;
    }
    let stand_in = stand_in(names, login_name.shown());
    let name = text(members, "displayName").unwrap_or(&stand_in).to_owned();
    check_name(&name)?;
    let active = members.get("active").and_then(Value::as_bool);
    let mut written = Written { formatted: formatted.map(str::to_owned), ..Written::default() };
    let claims = claims(members, names, before, &mut written)?;
    if let Basis::Changed(user) = basis {
        written.unnamed = (!members.contains_key("displayName")).then(|| name.clone());
        written.unsaid = active.is_none().then_some(user.active);
    }
    let external_id = match (external_id, basis) {
        (Some(external_id), _) => Some(external_id.to_owned()),
        (None, Basis::Changed(_)) => Some(String::new()),
        (None, Basis::New | Basis::Whole(_)) => None,
    };
    let written = serde_json::to_string(&written).map_err(ScimError::unavailable)?;
    Ok(Wish { login_name, external_id, name, active, claims, written })
}

/// The person's name where no `displayName` says it.
fn stand_in(names: &Map<String, Value>, login_name: &str) -> String {
    if let Some(formatted) = text(names, "formatted") {
        return formatted.to_owned();
    }
    let parts: Vec<_> = ["givenName", "middleName", "familyName"].iter().filter_map(|part| text(names, part)).collect();
    if parts.is_empty() { login_name.to_owned() } else { parts.join(" ") }
}

/// The claims after it. What a directory does not know of stays; what is new is not verified (G38).
fn claims(
    members: &Map<String, Value>,
    names: &Map<String, Value>,
    before: Option<&Provisioned>,
    written: &mut Written,
) -> Result<Claims, ScimError> {
    let mut claims = before.map(claims_of).unwrap_or_default();
    for (from, pairs) in [(members, CLAIMS.as_slice()), (names, NAMES.as_slice())] {
        for (attribute, claim) in pairs {
            put(&mut claims, claim, from.get(*attribute).cloned());
        }
    }
    let has_value = |part: &Map<String, Value>| part.contains_key("value");
    let email = kept(members, "emails", has_value);
    written.email = email.map(Beside::of).transpose()?;
    let phone = kept(members, "phoneNumbers", has_value);
    written.phone = phone.map(Beside::of).transpose()?;
    let number = phone.and_then(|part| part.get("value")).cloned();
    if claims.get("phone_number") != number.as_ref() {
        claims.remove("phone_number_verified");
    }
    put(&mut claims, "phone_number", number);
    let address = kept(members, "addresses", |part| ADDRESS.iter().any(|(attribute, _)| part.contains_key(*attribute)));
    written.address = address.map(Beside::of).transpose()?;
    put(&mut claims, "address", address.map(|part| renamed(part, ADDRESS).into()));
    let refused = |why: String| ScimError::bad(ScimType::InvalidValue, format!("{why}."));
    let email = email.and_then(|part| text(part, "value")).unwrap_or_default();
    let claims = Claims::parse(claims).map_err(refused)?;
    claims.with_email(email).map_err(|why| ScimError::invalid("emails.value", why))
}

fn put(claims: &mut Map<String, Value>, claim: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(claims.insert(claim.into(), value)),
        None => drop(claims.remove(claim)),
    }
}

/// The one value of several that is kept: the primary one, else that of type work, else the first.
fn kept<'a>(
    members: &'a Map<String, Value>,
    attribute: &str,
    counts: impl Fn(&Map<String, Value>) -> bool,
) -> Option<&'a Map<String, Value>> {
    let parts = members.get(attribute).and_then(Value::as_array)?;
    let parts: Vec<_> = parts.iter().filter_map(Value::as_object).filter(|part| counts(part)).collect();
    let is_primary = |part: &&&Map<String, Value>| part.get("primary") == Some(&Value::Bool(true));
    let is_work =
        |part: &&&Map<String, Value>| text(part, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("work"));
    let first = parts.iter().find(is_primary).or_else(|| parts.iter().find(is_work)).or_else(|| parts.first());
    first.copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::user::UserType;
    use crate::scim::patch::Patch;

    fn of(wish: &Wish) -> Provisioned {
        Provisioned {
            id: "1".into(),
            login_name: wish.login_name.shown().into(),
            name: wish.name.clone(),
            user_type: UserType::Regular,
            active: wish.active.unwrap_or(true),
            claims: wish.claims.to_json(),
            external_id: wish.external_id.clone().filter(|id| !id.is_empty()),
            written: Some(wish.written.clone()),
            created_at: 1000,
            provisioned_at: Some(3000),
            changed_at: Some(2000),
            deleted_at: None,
        }
    }

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn created(body: &Value) -> Result<Provisioned, ScimError> {
        let whole = Patch::whole(&map(body))?.over(&Map::new())?;
        wish(&whole, Basis::New).map(|wish| of(&wish))
    }

    fn patched(user: &Provisioned, operations: &Value) -> Provisioned {
        let patch = Patch::parse(&map(&json!({"Operations": operations}))).unwrap();
        let after = patch.over(&members(user)).unwrap();
        let wish = wish(&after, Basis::Changed(user)).unwrap();
        Provisioned { active: wish.active.unwrap_or(user.active), ..of(&wish) }
    }

    #[test]
    fn a_directory_reads_what_it_wrote() {
        let body = json!({
            "schemas": [USER], "externalId": "E-7", "userName": "amina@example.org", "displayName": "Amina Diallo",
            "name": {"formatted": "Diallo, Amina", "familyName": "Diallo", "givenName": "Amina", "middleName": "M"},
            "nickName": "Mina", "profileUrl": "https://example.org/amina", "locale": "en-US", "timezone": "America/Chicago",
            "active": true,
            "emails": [{"value": "amina@example.org", "type": "home", "primary": false}],
            "phoneNumbers": [{"value": "+1 555 0100", "type": "mobile"}],
            "addresses": [{"streetAddress": "1 Main St", "postalCode": "62701", "type": "work", "primary": true}],
        });
        let user = created(&body).unwrap();
        let mut shown = members(&user);
        assert_eq!(shown.remove("id").unwrap(), "1");
        assert_eq!(shown.remove("userType").unwrap(), "Regular User");
        assert_eq!(Value::Object(shown), body);
        assert_eq!(resource(&user, "https://x.example")["meta"]["lastModified"], "1970-01-01T00:00:03.000Z");
    }

    #[test]
    fn the_login_name_alone_is_required() {
        let user = created(
            &json!({"USERNAME": "amina", "password": "x", "roles": ["a"], "groups": [{"value": "1"}], "shoe": 9}),
        )
        .unwrap();
        assert_eq!((user.name.as_str(), user.active), ("amina", true));
        assert_eq!(members(&user)["displayName"], "amina");
        for (body, word) in [
            (json!({}), "userName"),
            (json!({"userName": ""}), "userName"),
            (json!({"userName": "a b"}), "userName"),
            (json!({"userName": "a", "emails": "nobody"}), "emails.value"),
            (json!({"userName": "a", "timezone": "Moon/Sea"}), "zoneinfo"),
            (json!({"userName": "a", "displayName": "two\nlines"}), "displayName"),
            (json!({"userName": "a", "name": {"formatted": "x".repeat(201)}}), "name.formatted"),
            (json!({"userName": "a", "emails": [{"value": "a@x.example", "type": "x".repeat(51)}]}), "type"),
            (json!({"userName": "a", "active": "maybe"}), "active"),
        ] {
            let error = created(&body).unwrap_err();
            assert_eq!(error.scim_type, Some(ScimType::InvalidValue), "{body}");
            assert!(error.body("R")["detail"].as_str().unwrap().contains(word), "{body}: {error:?}");
        }
    }

    #[test]
    fn a_name_is_made_of_what_there_is() {
        for (body, name) in [
            (json!({"userName": "a", "displayName": "D", "name": {"formatted": "F"}}), "D"),
            (json!({"userName": "a", "name": {"formatted": "F", "givenName": "G"}}), "F"),
            (json!({"userName": "a", "name": {"familyName": "B", "givenName": "A"}}), "A B"),
        ] {
            assert_eq!(created(&body).unwrap().name, name);
        }
    }

    /// Of several values the primary one, else that of type work.
    #[test]
    fn one_value_is_kept() {
        let email =
            |emails: Value| claims_of(&created(&json!({"userName": "a", "emails": emails})).unwrap())["email"].clone();
        let (home, work) =
            (json!({"value": "h@x.example", "type": "home"}), json!({"value": "w@x.example", "type": "Work"}));
        assert_eq!(email(json!([home, work])), "w@x.example");
        assert_eq!(email(json!([home, {"value": "p@x.example", "primary": "True"}, work])), "p@x.example");
        assert_eq!(email(json!([{"type": "work"}, home])), "h@x.example");
    }

    #[test]
    fn what_was_taken_away_is_not_shown_until_it_is_said_again() {
        let user = created(&json!({"userName": "a", "displayName": "D", "active": false, "externalId": "E"})).unwrap();
        let less = patched(
            &user,
            &json!([{"op": "remove", "path": "displayName"}, {"op": "remove", "path": "active"}, {"op": "remove", "path": "externalId"}]),
        );
        let shown = members(&less);
        assert_eq!(less.name, "a");
        assert!(["displayName", "active", "externalId"].iter().all(|gone| !shown.contains_key(*gone)), "{shown:?}");
        // Whoever says something else, it is shown.
        let named = Provisioned { name: "Amina".into(), active: true, ..less.clone() };
        assert_eq!((&members(&named)["displayName"], &members(&named)["active"]), (&json!("Amina"), &json!(true)));
        assert_eq!(patched(&less, &json!([{"op": "add", "path": "displayName", "value": "a"}])).name, "a");
    }

    #[test]
    fn what_no_directory_knows_of_stays_and_what_is_new_is_not_verified() {
        let mut user = created(&json!({"userName": "a"})).unwrap();
        user.claims = json!({"email": "a@x.example", "email_verified": true, "birthdate": "1990"}).to_string();
        user.written = None;
        assert_eq!(members(&user)["emails"], json!([{"value": "a@x.example", "type": "work", "primary": true}]));
        let same = patched(&user, &json!([{"op": "add", "path": "nickName", "value": "A"}]));
        assert_eq!(claims_of(&same)["email_verified"], true);
        let other = patched(
            &user,
            &json!([{"op": "replace", "path": "emails[type eq \"work\"].value", "value": "b@x.example"}]),
        );
        assert_eq!(Value::Object(claims_of(&other)), json!({"email": "b@x.example", "birthdate": "1990"}));
    }

    #[test]
    fn a_version_is_weak_and_another_for_whatever_is_different() {
        let user = created(&json!({"userName": "a"})).unwrap();
        let of = |user: &Provisioned| version(&members(user));
        assert!(of(&user).starts_with("W/\"") && of(&user).len() == 24);
        for other in [
            Provisioned { active: false, ..user.clone() },
            Provisioned { name: "B".into(), ..user.clone() },
            Provisioned { external_id: Some("E".into()), ..user.clone() },
        ] {
            assert_ne!(of(&user), of(&other));
        }
    }
}
