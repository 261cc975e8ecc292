//! The form of a client's metadata: a field for each member of RFC 7591, with what its rule says beside it. Each kind of
//! client has few of them before its eyes, and the rest under *Advanced*.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::console::form_revision::Values;
use crate::model::client::Metadata;
use crate::model::client::draft::Draft;
use crate::model::client::kind::ClientKind;
use crate::model::client::rules::Rules;
use crate::web::fields::Fields;
use crate::web::form::{Choice, FieldErrors, choices};

type Pairs = &'static [(&'static str, &'static str)];

/// How a member is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One line; empty takes the member away.
    Line,
    /// Words with spaces between; empty is no word.
    Words,
    /// A number; empty takes the member away.
    Number,
    /// One a line.
    Lines,
    /// A JSON object; empty takes the member away.
    Json,
    /// One of these; `""` takes the member away.
    One(Pairs),
    /// Any of these.
    Any(Pairs),
    /// Yes or no.
    Tick,
}

struct Member {
    key: &'static str,
    label: &'static str,
    hint: &'static str,
    kind: Kind,
}

const fn member(key: &'static str, label: &'static str, kind: Kind, hint: &'static str) -> Member {
    Member { key, label, hint, kind }
}

const METHODS: Pairs = &[
    ("", "client_secret_basic or client_secret_post, as it likes"),
    ("client_secret_basic", "Pinned to client_secret_basic"),
    ("client_secret_post", "Pinned to client_secret_post"),
    ("private_key_jwt", "private_key_jwt: it signs with a key of its own"),
    ("none", "none: a public client, with PKCE"),
];
const GRANTS: Pairs = &[
    ("authorization_code", "authorization_code"),
    ("refresh_token", "refresh_token"),
    ("client_credentials", "client_credentials"),
];
const ALGORITHMS: Pairs = &[("RS256", "RS256"), ("PS256", "PS256"), ("ES256", "ES256"), ("EdDSA", "EdDSA")];
const ANY_ALGORITHM: Pairs =
    &[("", "Any of ours"), ("RS256", "RS256"), ("PS256", "PS256"), ("ES256", "ES256"), ("EdDSA", "EdDSA")];
const OR_PLAIN: Pairs =
    &[("", "Not signed"), ("RS256", "RS256"), ("PS256", "PS256"), ("ES256", "ES256"), ("EdDSA", "EdDSA")];
const TYPES: Pairs = &[("web", "web"), ("native", "native: on a person’s machine")];
const FORMATS: Pairs = &[("opaque", "opaque"), ("jwt", "jwt (RFC 9068)")];

/// Every member but `response_types`, which follow the grants, in sections with the standards' words.
const SECTIONS: &[(&str, &[Member])] = &[
    (
        "Sign-in and consent",
        &[
            member("client_name", "Name (optional)", Kind::Line, "Shown to people at sign-in and consent."),
            member("redirect_uris", "Redirect URIs", Kind::Lines, "One per line. Must match exactly."),
            member("scope", "Scope", Kind::Words, "What it may request, separated by spaces."),
            member("first_party", "First-party app (skip consent)", Kind::Tick, ""),
            member(
                "application_type",
                "Application type",
                Kind::One(TYPES),
                "Only native may have a loopback redirect URI on any port, or a scheme of its own (RFC 8252).",
            ),
            member(
                "initiate_login_uri",
                "Initiate login URL (optional)",
                Kind::Line,
                "Where a handoff to this app starts.",
            ),
            member("logo_uri", "Logo URL (optional)", Kind::Line, "Shown at sign-in and consent."),
            member("client_uri", "Home page URL (optional)", Kind::Line, ""),
            member("policy_uri", "Privacy policy URL (optional)", Kind::Line, ""),
            member("tos_uri", "Terms of service URL (optional)", Kind::Line, ""),
            member("contacts", "Contacts (optional)", Kind::Lines, "One per line."),
        ],
    ),
    (
        "Logout",
        &[
            member(
                "post_logout_redirect_uris",
                "Post-logout redirect URIs (optional)",
                Kind::Lines,
                "One per line. Must match exactly.",
            ),
            member(
                "backchannel_logout_uri",
                "Back-channel logout URL (optional)",
                Kind::Line,
                "Where it is told of logouts, server to server.",
            ),
            member("backchannel_logout_session_required", "Back-channel logout needs the sid", Kind::Tick, ""),
            member(
                "frontchannel_logout_uri",
                "Front-channel logout URL (optional)",
                Kind::Line,
                "Where it is told of logouts in the browser.",
            ),
            member("frontchannel_logout_session_required", "Front-channel logout needs iss and sid", Kind::Tick, ""),
        ],
    ),
    (
        "Client authentication",
        &[
            member(
                "token_endpoint_auth_method",
                "Client authentication",
                Kind::One(METHODS),
                "Pinned to one method, the other is refused with invalid_client. A method without a secret revokes its current \
                 secrets.",
            ),
            member("jwks_uri", "JWKS URL (optional)", Kind::Line, "For private_key_jwt: give this, or the keys below."),
            member("jwks", "JWKS (optional)", Kind::Json, "A JWK Set with public keys."),
            member("token_endpoint_auth_signing_alg", "Client assertion algorithm", Kind::One(ANY_ALGORITHM), ""),
        ],
    ),
    (
        "Grants, ID tokens and userinfo",
        &[
            member("grant_types", "Grant types", Kind::Any(GRANTS), ""),
            member("require_pkce", "Require PKCE", Kind::Tick, ""),
            member(
                "id_token_claims",
                "Claims in the ID token, for libraries that read nothing but the ID token",
                Kind::Tick,
                "",
            ),
            member("id_token_signed_response_alg", "ID token signing algorithm", Kind::One(ALGORITHMS), ""),
            member("userinfo_signed_response_alg", "Userinfo signing algorithm", Kind::One(OR_PLAIN), ""),
            member(
                "default_max_age",
                "Default maximum sign-in age, in seconds (optional)",
                Kind::Number,
                "Used as max_age when a request names none.",
            ),
            member("require_auth_time", "Always include auth_time in the ID token", Kind::Tick, ""),
            member(
                "default_acr_values",
                "acr values (optional)",
                Kind::Lines,
                "One per line, used when a request names none.",
            ),
        ],
    ),
    (
        "Access tokens and resources",
        &[
            member("access_token_format", "Access token format", Kind::One(FORMATS), ""),
            member(
                "resources",
                "Resources (optional)",
                Kind::Lines,
                "One address per line. It may request tokens for these, and introspect them.",
            ),
            member("introspect_all", "May introspect every client’s access tokens (an API gateway)", Kind::Tick, ""),
        ],
    ),
];

/// What stands before the eyes at each kind.
const fn essentials(kind: ClientKind) -> &'static [&'static str] {
    match kind {
        ClientKind::WebApp => {
            &["client_name", "redirect_uris", "scope", "token_endpoint_auth_method", "id_token_claims"]
        }
        ClientKind::SinglePageApp => {
            &["client_name", "redirect_uris", "post_logout_redirect_uris", "scope", "id_token_claims"]
        }
        ClientKind::NativeApp => &["client_name", "redirect_uris", "scope", "id_token_claims"],
        ClientKind::Service => &["client_name", "scope", "token_endpoint_auth_method", "resources"],
        ClientKind::ResourceServer => &["client_name", "resources", "token_endpoint_auth_method", "introspect_all"],
    }
}

/// What is worth knowing of a member at this kind alone.
fn hint(kind: ClientKind, member: &Member) -> &'static str {
    match (kind, member.key) {
        (ClientKind::NativeApp, "redirect_uris") => {
            "One per line. Of a loopback address such as http://127.0.0.1/callback the port may be any. Or https, or a scheme of \
             the app’s own with a dot, such as org.example.app:/callback."
        }
        (ClientKind::Service, "scope") => "What it may do, separated by spaces, such as users.read:SUNRISE-IL.",
        (ClientKind::ResourceServer, "resources") => {
            "One per line: the addresses of your API, as apps name them. It may introspect the access tokens that are meant for \
             them."
        }
        _ => member.hint,
    }
}

fn members() -> impl Iterator<Item = &'static Member> {
    SECTIONS.iter().flat_map(|(_, members)| members.iter())
}

/// What stands in the fields, by member.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ClientForm(BTreeMap<&'static str, String>);

/// One field as the page shows it.
pub(super) struct FieldView {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
    pub(super) value: String,
    pub(super) input: Input,
}

/// The form as the page shows it.
pub(super) struct FormView {
    pub(super) kind: ClientKind,
    /// What nearly every client of the kind needs.
    pub(super) fields: Vec<FieldView>,
    /// The rest.
    pub(super) sections: Vec<SectionView>,
    /// Something of the rest is not as it is for a new client.
    is_set: bool,
}

pub(super) struct SectionView {
    pub(super) title: &'static str,
    pub(super) fields: Vec<FieldView>,
}

impl FormView {
    /// Whether the rest is open: something in it is set, or wrong.
    pub(super) fn is_open(&self, faults: &FieldErrors) -> bool {
        let mut fields = self.sections.iter().flat_map(|section| &section.fields);
        self.is_set || fields.any(|field| faults.of(&field.id).is_some())
    }
}

/// What it is on the page.
pub(super) enum Input {
    Text,
    Area { rows: usize },
    One(Vec<Choice>),
    Any(Vec<Choice>),
    Tick,
}

impl ClientForm {
    /// A client's metadata as they stand.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let stored = serde_json::to_value(metadata).unwrap_or_default();
        let typed = |member: &Member| match (member.kind, stored.get(member.key)) {
            (_, None) | (Kind::Tick, Some(Value::Bool(false))) => String::new(),
            (Kind::Tick, Some(_)) => "yes".to_owned(),
            (Kind::Any(_), Some(list)) => {
                // In the order in which ticks are read.
                let mut words = words(list);
                words.sort_unstable();
                words.join(" ")
            }
            (_, Some(list @ Value::Array(_))) => words(list).join("\n"),
            (_, Some(Value::String(text))) => text.clone(),
            (_, Some(other)) => other.to_string(),
        };
        Self(members().map(|member| (member.key, typed(member))).collect())
    }

    /// What was typed.
    pub(super) fn typed(fields: &mut Fields) -> Self {
        let mut typed = |member: &Member| {
            if let Kind::Any(_) = member.kind {
                return fields.take_ticked(&format!("{}.", member.key)).join(" ");
            }
            fields.take(member.key)
        };
        Self(members().map(|member| (member.key, typed(member))).collect())
    }

    /// The form of a client of this kind.
    pub(super) fn view(&self, kind: ClientKind) -> FormView {
        let shown = essentials(kind);
        let essential = |member: &&Member| shown.contains(&member.key);
        let place = |member: &&Member| shown.iter().position(|key| *key == member.key);
        let mut first: Vec<_> = members().filter(essential).collect();
        first.sort_by_key(place);
        let rest = |(title, members): &(&'static str, &'static [Member])| SectionView {
            title,
            fields: members.iter().filter(|member| !essential(member)).map(|member| self.field(kind, member)).collect(),
        };
        let usual = Self::of(&kind.metadata());
        let differs = |member: &Member| !same(member.kind, usual.value(member.key), self.value(member.key));
        FormView {
            kind,
            fields: first.into_iter().map(|member| self.field(kind, member)).collect(),
            sections: SECTIONS.iter().map(rest).filter(|section| !section.fields.is_empty()).collect(),
            is_set: members().filter(|member| !essential(member)).any(differs),
        }
    }

    /// What stands in the fields, by name.
    pub(super) fn values(&self) -> Values {
        members().map(|member| (name_of(member), self.value(member.key).to_owned())).collect()
    }

    fn value(&self, key: &str) -> &str {
        self.0.get(key).map(String::as_str).unwrap_or_default()
    }

    fn field(&self, kind: ClientKind, member: &Member) -> FieldView {
        let value = self.value(member.key);
        let input = match member.kind {
            Kind::Line | Kind::Words | Kind::Number => Input::Text,
            Kind::Lines => Input::Area { rows: 2 },
            Kind::Json => Input::Area { rows: 4 },
            Kind::One(pairs) => Input::One(choices(pairs, value)),
            Kind::Any(pairs) => {
                let ticked: Vec<&str> = value.split(' ').collect();
                let choice = |(value, label): &(&'static str, &'static str)| Choice {
                    value,
                    label,
                    chosen: ticked.contains(value),
                };
                Input::Any(pairs.iter().map(choice).collect())
            }
            Kind::Tick => Input::Tick,
        };
        FieldView {
            id: member.key.replace('_', "-"),
            name: member.key,
            label: member.label,
            hint: hint(kind, member),
            value: value.to_owned(),
            input,
        }
    }

    /// All of it as a draft, or all that is wrong at each field; `before` is what it changes.
    pub(super) fn check(
        &self,
        kind: ClientKind,
        before: Option<&Metadata>,
        rules: Rules,
        faults: &mut FieldErrors,
    ) -> Option<Draft> {
        let stored = before.map(Self::of);
        let (mut draft, mut wrong) = (Draft::default(), BTreeMap::<_, Vec<String>>::new());
        for member in members() {
            let typed = self.value(member.key);
            // As it stands: also the order of a list whose boxes have none.
            if stored.as_ref().is_some_and(|stored| same(member.kind, stored.value(member.key), typed)) {
                continue;
            }
            let part = Draft::parse(Map::from_iter([(member.key.to_owned(), value(member.kind, typed))]));
            match part {
                Ok(part) => draft = draft.with(part),
                Err(why) => {
                    let why = why.strip_prefix(&format!("{}: ", member.key)).unwrap_or(&why);
                    wrong.insert(member.key, vec![format!("{} cannot be read: {why}.", name_of(member))]);
                }
            }
        }
        let unread: Vec<_> = wrong.keys().copied().collect();
        for invalid in draft.all_errors(before, rules) {
            let (key, why) = match invalid.key {
                "grant_types" if kind == ClientKind::ResourceServer && self.value("resources").is_empty() => {
                    ("resources", "is empty: please enter the addresses of the API".to_owned())
                }
                "response_types" => ("grant_types", invalid.why),
                key => (key, invalid.why),
            };
            // Of what could not be read, no rule knows anything.
            if !unread.contains(&key) {
                let label = members().find(|member| member.key == key).map_or("It", name_of);
                wrong.entry(key).or_default().push(format!("“{label}” {why}."));
            }
        }
        let advanced = |key: &&str| !essentials(kind).contains(key);
        let rest = members().map(|member| member.key).filter(advanced);
        for key in essentials(kind).iter().copied().chain(rest) {
            for message in wrong.remove(key).unwrap_or_default() {
                faults.add(&key.replace('_', "-"), message);
            }
        }
        for message in wrong.into_values().flatten() {
            faults.add("client-name", message);
        }
        faults.is_empty().then_some(draft)
    }
}

/// The label without what stands in brackets.
fn name_of(member: &Member) -> &'static str {
    member.label.trim_end_matches(" (optional)")
}

/// Whether two texts mean the same value; boxes have no order.
fn same(kind: Kind, stored: &str, typed: &str) -> bool {
    if let Kind::Any(_) = kind {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
        return words(stored) == words(typed);
    }
    value(kind, stored) == value(kind, typed)
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What was typed as a member of metadata. What is no number stays a text, which the rule refuses.
fn value(kind: Kind, typed: &str) -> Value {
    let text = typed.trim();
    match kind {
        Kind::Tick => (typed == "yes").into(),
        Kind::Any(_) => text.split_whitespace().collect(),
        Kind::Lines => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        Kind::Line | Kind::Number | Kind::Json | Kind::One(_) if text.is_empty() => Value::Null,
        Kind::Number => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
        Kind::Words | Kind::Line | Kind::Json | Kind::One(_) => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::client::draft::keys;

    #[test]
    fn every_member_has_a_field() {
        let mut fields: Vec<_> = members().map(|member| member.key).chain(["response_types"]).collect();
        let mut wanted = keys().to_vec();
        fields.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(fields, wanted);
    }

    #[test]
    fn every_kind_shows_few_fields_and_hides_the_rest() {
        for kind in ClientKind::ALL {
            let view = ClientForm::of(&kind.metadata()).view(*kind);
            // With the client_id, four to six.
            assert!((3..=5).contains(&view.fields.len()), "{kind}");
            assert_eq!(view.fields.iter().map(|field| field.name).collect::<Vec<_>>(), essentials(*kind));
            let hidden: usize = view.sections.iter().map(|section| section.fields.len()).sum();
            assert_eq!(view.fields.len() + hidden, members().count(), "{kind}");
            assert!(!view.is_open(&FieldErrors::default()), "{kind}");
            let set = Metadata { contacts: vec!["a@example.org".into()], ..kind.metadata() };
            assert!(ClientForm::of(&set).view(*kind).is_open(&FieldErrors::default()), "{kind}");
            let mut faults = FieldErrors::default();
            faults.add("jwks", "It is wrong.");
            assert!(view.is_open(&faults), "{kind}");
        }
    }

    #[test]
    fn a_form_that_was_not_touched_changes_nothing() {
        let text = r#"{"client_name": "Portal", "redirect_uris": ["https://a.example/cb", "https://a.example/b"],
            "grant_types": ["refresh_token", "authorization_code"], "default_max_age": 60, "first_party": true,
            "jwks": {"keys": []}, "userinfo_signed_response_alg": "ES256"}"#;
        let metadata = Draft::from_json(text).unwrap().new_metadata(Rules::default()).unwrap();
        let mut faults = FieldErrors::default();
        let form = ClientForm::of(&metadata);
        let draft = form.check(ClientKind::WebApp, Some(&metadata), Rules::default(), &mut faults).unwrap();
        assert_eq!(draft, Draft::default());
        assert!(faults.is_empty());
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let wrong = |kind: ClientKind, typed: &[(&'static str, &str)]| {
            let mut form = ClientForm::of(&kind.metadata());
            form.0.extend(typed.iter().map(|(key, text)| (*key, (*text).to_owned())));
            let mut faults = FieldErrors::default();
            assert!(form.check(kind, None, Rules::default(), &mut faults).is_none());
            faults.list().iter().map(|fault| fault.field.clone()).collect::<Vec<_>>()
        };
        let web = [("jwks_uri", "ftp://x"), ("scope", "nothing else"), ("default_max_age", "soon")];
        assert_eq!(wrong(ClientKind::WebApp, &web), ["redirect-uris", "scope", "scope", "jwks-uri", "default-max-age"]);
        let unread =
            [("redirect_uris", "https://a.example/"), ("jwks", "{"), ("token_endpoint_auth_method", "private_key_jwt")];
        assert_eq!(wrong(ClientKind::WebApp, &unread), ["jwks"], "and not that it is missing");
        assert_eq!(wrong(ClientKind::ResourceServer, &[]), ["resources"]);
        let addresses = [("redirect_uris", "x\nhttps://a.example/\ny")];
        assert_eq!(wrong(ClientKind::NativeApp, &addresses), ["redirect-uris", "redirect-uris"]);
    }
}
