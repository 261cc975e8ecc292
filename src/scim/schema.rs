//! The attributes of a User that this service has (RFC 7643 §4.1), each once: by this table bodies, paths, filters and
//! sort orders are read, answers are cut, and `/Schemas` says what there is.

use serde_json::{Value, json};

/// The schema of a User.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// What the values of an attribute are (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// True or false.
    Boolean,
    /// An instant.
    DateTime,
    /// An address of something.
    Reference,
    /// Sub-attributes.
    Complex,
}

/// An attribute or a sub-attribute.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a characteristic that the standard gives an attribute (RFC 7643 §2.2)"
)]
pub struct Attribute {
    /// As the standard spells it; in a request its case does not matter.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// More than one value.
    pub multi: bool,
    /// Without it there is no user.
    pub required: bool,
    /// Capital and small letters differ.
    pub exact: bool,
    /// It is given by this service.
    pub read_only: bool,
    /// In every answer, whatever was asked for.
    pub always: bool,
    /// Nobody else of the provider has it.
    pub unique: bool,
    /// Values that are usual.
    pub usual: &'static [&'static str],
    /// Its sub-attributes.
    pub subs: &'static [Self],
    /// What it means here.
    pub description: &'static str,
}

impl Attribute {
    const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            multi: false,
            required: false,
            exact: false,
            read_only: false,
            always: false,
            unique: false,
            usual: &[],
            subs: &[],
            description,
        }
    }

    const fn text(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::Text, description)
    }

    const fn complex(name: &'static str, subs: &'static [Self], description: &'static str) -> Self {
        Self { subs, ..Self::new(name, Kind::Complex, description) }
    }

    const fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    const fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    const fn always(self) -> Self {
        Self { always: true, ..self }
    }

    const fn multi(self) -> Self {
        Self { multi: true, ..self }
    }

    const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    const fn usual(self, usual: &'static [&'static str]) -> Self {
        Self { usual, ..self }
    }

    /// The sub-attribute of this name.
    pub fn sub(&self, name: &str) -> Option<&'static Self> {
        named(self.subs, name)
    }
}

const KIND: Attribute = Attribute::text("type", "What it is for.").usual(&["work"]);
const PRIMARY: Attribute =
    Attribute::new("primary", Kind::Boolean, "Of several values the primary one is kept, else that of type work.");

/// What every resource has (RFC 7643 §3.1); no schema names it.
static COMMON: [Attribute; 4] = [
    Attribute::new("schemas", Kind::Reference, "").multi().exact().read_only().always(),
    Attribute::text("id", "").exact().read_only().always().unique(),
    Attribute::text("externalId", "").exact(),
    Attribute::complex(
        "meta",
        &[
            Attribute::text("resourceType", "").exact().read_only(),
            Attribute::new("created", Kind::DateTime, "").read_only(),
            Attribute::new("lastModified", Kind::DateTime, "").read_only(),
            Attribute::new("location", Kind::Reference, "").exact().read_only(),
            Attribute::text("version", "").exact().read_only(),
        ],
        "",
    )
    .read_only(),
];

/// What the schema of a User names.
static OF_USER: [Attribute; 12] = [
    Attribute {
        required: true,
        ..Attribute::text(
            "userName",
            "Login Name: 1 to 255 letters, digits or symbols, no spaces; case makes no difference.",
        )
        .unique()
    },
    Attribute::complex(
        "name",
        &[
            Attribute::text("formatted", "The whole name as the directory writes it."),
            Attribute::text("familyName", "Family name."),
            Attribute::text("givenName", "Given name."),
            Attribute::text("middleName", "Middle name."),
        ],
        "The parts of the person's name.",
    ),
    Attribute::text("displayName", "The person's name. Without one it is made of name, or else is userName."),
    Attribute::text("nickName", "What the person is called."),
    Attribute::new("profileUrl", Kind::Reference, "A page about the person.").exact(),
    Attribute::text("userType", "User Type, which an administrator gives.")
        .usual(&["Regular User", "Provider Admin"])
        .read_only(),
    Attribute::text("locale", "Language and place, such as en-US."),
    Attribute::text("timezone", "Time zone of the IANA database.").usual(&[
        "America/New_York",
        "America/Chicago",
        "America/Denver",
        "America/Phoenix",
        "America/Los_Angeles",
        "America/Anchorage",
        "Pacific/Honolulu",
    ]),
    Attribute::new(
        "active",
        Kind::Boolean,
        "Whether the person may sign in. False ends every session and token at once.",
    ),
    Attribute::complex(
        "emails",
        &[Attribute::text("value", "E-mail address."), KIND, PRIMARY],
        "E-mail addresses, of which one is kept.",
    )
    .multi(),
    Attribute::complex(
        "phoneNumbers",
        &[Attribute::text("value", "Phone number."), KIND, PRIMARY],
        "Phone numbers, of which one is kept.",
    )
    .multi(),
    Attribute::complex(
        "addresses",
        &[
            Attribute::text("formatted", "The whole address."),
            Attribute::text("streetAddress", "Street and number."),
            Attribute::text("locality", "City."),
            Attribute::text("region", "State."),
            Attribute::text("postalCode", "Postal code."),
            Attribute::text("country", "Country."),
            KIND,
            PRIMARY,
        ],
        "Addresses, of which one is kept.",
    )
    .multi(),
];

/// Attributes of the standard's User that this service does not keep: taken, and passed over.
const NOT_KEPT: [&str; 9] =
    ["title", "preferredLanguage", "password", "ims", "photos", "groups", "entitlements", "roles", "x509Certificates"];
/// Sub-attributes likewise.
const SUBS_NOT_KEPT: [&str; 4] = ["display", "honorificPrefix", "honorificSuffix", "$ref"];

fn named(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// An attribute, or one of its sub-attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The attribute.
    pub attribute: &'static Attribute,
    /// Its sub-attribute.
    pub sub: Option<&'static Attribute>,
}

impl Target {
    /// The one whose values are meant.
    pub fn last(self) -> &'static Attribute {
        self.sub.unwrap_or(self.attribute)
    }
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Something that is kept.
    Kept(Target),
    /// Something of the standard, or of another schema, that is not.
    NotKept,
    /// Nothing that the standard knows.
    Unknown,
}

/// Reads `[URN ":"] name ["." sub]` (RFC 7644 §3.10).
pub fn named_by(text: &str) -> Named {
    let mut name = text;
    if let (Some(urn), Some(rest)) = (text.get(..USER.len()), text.get(USER.len()..))
        && urn.eq_ignore_ascii_case(USER)
        && let Some(rest) = rest.strip_prefix(':')
    {
        name = rest;
    }
    if name.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("urn:")) {
        return Named::NotKept;
    }
    let (name, sub) = name.split_once('.').map_or((name, None), |(name, sub)| (name, Some(sub)));
    let Some(attribute) = named(&COMMON, name).or_else(|| named(&OF_USER, name)) else {
        let is_standard = NOT_KEPT.iter().any(|known| known.eq_ignore_ascii_case(name));
        return if is_standard { Named::NotKept } else { Named::Unknown };
    };
    match sub {
        None => Named::Kept(Target { attribute, sub: None }),
        Some(sub) => match attribute.sub(sub) {
            Some(sub) => Named::Kept(Target { attribute, sub: Some(sub) }),
            None if SUBS_NOT_KEPT.iter().any(|known| known.eq_ignore_ascii_case(sub)) => Named::NotKept,
            None => Named::Unknown,
        },
    }
}

/// The definition of an attribute (RFC 7643 §7).
fn definition(attribute: &Attribute) -> Value {
    let kind = match attribute.kind {
        Kind::Text => "string",
        Kind::Boolean => "boolean",
        Kind::DateTime => "dateTime",
        Kind::Reference => "reference",
        Kind::Complex => "complex",
    };
    let mut told = json!({
        "name": attribute.name,
        "type": kind,
        "multiValued": attribute.multi,
        "description": attribute.description,
        "required": attribute.required,
        "mutability": if attribute.read_only { "readOnly" } else { "readWrite" },
        "returned": if attribute.always { "always" } else { "default" },
        "uniqueness": if attribute.unique { "server" } else { "none" },
    });
    let Some(members) = told.as_object_mut() else { return told };
    if attribute.kind == Kind::Complex {
        members.insert("subAttributes".into(), attribute.subs.iter().map(definition).collect());
    } else {
        members.insert("caseExact".into(), attribute.exact.into());
    }
    if attribute.kind == Kind::Reference {
        members.insert("referenceTypes".into(), json!(["external"]));
    }
    if !attribute.usual.is_empty() {
        members.insert("canonicalValues".into(), json!(attribute.usual));
    }
    told
}

/// The schema of a User, without where it stands.
pub fn user() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": USER,
        "name": "User",
        "description": "A person's account in the provider of the access token",
        "attributes": OF_USER.iter().map(definition).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_case_and_schema() {
        let kept = |text: &str| match named_by(text) {
            Named::Kept(target) => format!("{} {}", target.attribute.name, target.sub.map_or("", |sub| sub.name)),
            other @ (Named::NotKept | Named::Unknown) => format!("{other:?}"),
        };
        for (text, found) in [
            ("userName", "userName "),
            ("USERNAME", "userName "),
            ("urn:ietf:params:scim:schemas:core:2.0:User:name.givenname", "name givenName"),
            ("URN:ietf:params:scim:schemas:core:2.0:user:active", "active "),
            ("emails.value", "emails value"),
            ("meta.lastModified", "meta lastModified"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "NotKept"),
            ("title", "NotKept"),
            ("name.honorificPrefix", "NotKept"),
            ("shoeSize", "Unknown"),
            ("name.shoe", "Unknown"),
            ("é", "Unknown"),
        ] {
            assert_eq!(kept(text), found, "{text}");
        }
    }

    /// `userName` alone is required.
    #[test]
    fn the_schema_requires_the_login_name_alone() {
        let schema = user();
        let attributes = schema["attributes"].as_array().unwrap();
        let required: Vec<_> = attributes.iter().filter(|a| a["required"] == true).map(|a| &a["name"]).collect();
        assert_eq!(required, ["userName"]);
        assert_eq!(attributes.len(), OF_USER.len());
    }
}
