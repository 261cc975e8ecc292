//! Filters (RFC 7644 §3.4.2.2) and the paths of PATCH (§3.5.2): read once into a tree whose attributes are known and
//! whose comparisons are possible; then asked of one user's representation after another.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::schema::{Attribute, Kind, Named, Target, named_by};
use crate::model::login_name::LoginName;
use crate::time::Timestamp;

/// No filter is longer, in bytes.
const MOST_BYTES: usize = 4096;
/// So many conditions may stand inside one another.
const MOST_DEPTH: usize = 16;

/// Why a filter or path cannot be used, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFilter(pub String);

fn bad<T>(why: impl Into<String>) -> Result<T, BadFilter> {
    Err(BadFilter(why.into()))
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// An attribute, an operator, or a value that is no text.
    Word(String),
    /// A text in quotes.
    Text(String),
    /// One of `()[]`.
    Sign(char),
}

fn tokens(text: &str) -> Result<Vec<Token>, BadFilter> {
    if text.len() > MOST_BYTES {
        return bad(format!("It is longer than {MOST_BYTES} bytes."));
    }
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' | ')' | '[' | ']' => tokens.push(Token::Sign(c)),
            '"' => {
                let (mut quoted, mut escaped) = (String::from('"'), false);
                loop {
                    let Some(c) = chars.next() else { return bad("A quotation mark is not closed.") };
                    quoted.push(c);
                    match c {
                        '"' if !escaped => break,
                        c => escaped = c == '\\' && !escaped,
                    }
                }
                let Ok(text) = serde_json::from_str(&quoted) else {
                    return bad("A text in quotation marks is not a JSON string.");
                };
                tokens.push(Token::Text(text));
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '[' | ']' | '"')) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Operator {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "co" => Self::Contains,
            "sw" => Self::StartsWith,
            "ew" => Self::EndsWith,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            _ => return None,
        })
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Contains | Self::StartsWith | Self::EndsWith => false,
        }
    }
}

/// What it is compared with.
#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Text(String),
    Boolean(bool),
    Instant(Timestamp),
    Null,
}

/// A value of which attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Of a user.
    Of(Target),
    /// Of one value of an attribute that has several.
    Sub(&'static Attribute),
    /// Of none that is kept: nobody has a value.
    Nothing,
}

/// Which users, or which values of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Present(Subject),
    Compare(Subject, Operator, Literal),
    /// One value of the attribute is all of this.
    Within(&'static Attribute, Box<Node>),
}

/// By what the one user is known who may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// `id`
    Id(String),
    /// `userName`
    UserName(String),
    /// `externalId`
    ExternalId(String),
}

impl Filter {
    /// Reads a filter over users.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, BadFilter> {
        let mut reader = Reader { tokens: tokens(text)?.into_iter().peekable(), within: None, depth: 0 };
        let node = reader.any_of()?;
        match reader.tokens.next() {
            None => Ok(Self(node)),
            Some(_) => bad("Something stands after its end."),
        }
    }

    /// Whether a user, or a value of an attribute, is meant.
    pub fn matches(&self, members: &Map<String, Value>) -> bool {
        self.0.matches(members)
    }

    /// By what the only user is found who may match, where it names one.
    pub fn key(&self) -> Option<Key> {
        self.0.key()
    }

    /// The value that has what the filter asks for, where it says nothing but what each sub-attribute is: what is
    /// created where a path leads to nothing yet.
    pub fn described(&self) -> Option<Map<String, Value>> {
        let mut members = Map::new();
        self.0.describe(&mut members).then_some(members)
    }
}

impl Node {
    fn matches(&self, members: &Map<String, Value>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|node| node.matches(members)),
            Self::Or(any) => any.iter().any(|node| node.matches(members)),
            Self::Not(node) => !node.matches(members),
            Self::Present(subject) => !values(members, *subject).is_empty(),
            Self::Compare(subject, operator, literal) => {
                let values = values(members, *subject);
                if *literal == Literal::Null {
                    return values.is_empty() == (*operator == Operator::Equal);
                }
                let Some(attribute) = last(*subject) else { return *operator == Operator::NotEqual };
                if *operator == Operator::NotEqual {
                    return !values.iter().any(|value| holds(attribute, Operator::Equal, value, literal));
                }
                values.iter().any(|value| holds(attribute, *operator, value, literal))
            }
            Self::Within(attribute, node) => {
                let parts = members.get(attribute.name).and_then(Value::as_array);
                parts.is_some_and(|parts| parts.iter().filter_map(Value::as_object).any(|part| node.matches(part)))
            }
        }
    }

    fn key(&self) -> Option<Key> {
        match self {
            Self::And(all) => all.iter().find_map(Self::key),
            Self::Compare(Subject::Of(Target { attribute, sub: None }), Operator::Equal, Literal::Text(text)) => {
                match attribute.name {
                    "id" => Some(Key::Id(text.clone())),
                    "userName" => Some(Key::UserName(text.clone())),
                    "externalId" => Some(Key::ExternalId(text.clone())),
                    _ => None,
                }
            }
            Self::Compare(..) | Self::Or(_) | Self::Not(_) | Self::Present(_) | Self::Within(..) => None,
        }
    }

    fn describe(&self, members: &mut Map<String, Value>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|node| node.describe(members)),
            Self::Compare(Subject::Sub(sub), Operator::Equal, literal) => {
                let value = match literal {
                    Literal::Text(text) => Value::from(text.as_str()),
                    Literal::Boolean(is) => Value::from(*is),
                    Literal::Instant(_) | Literal::Null => return false,
                };
                members.insert(sub.name.into(), value);
                true
            }
            Self::Compare(..) | Self::Or(_) | Self::Not(_) | Self::Present(_) | Self::Within(..) => false,
        }
    }
}

fn last(subject: Subject) -> Option<&'static Attribute> {
    match subject {
        // Of an attribute with several values, `value` is meant where none is named (RFC 7644 §3.4.2.2).
        Subject::Of(Target { attribute, sub: None }) if attribute.multi && attribute.kind == Kind::Complex => {
            attribute.sub("value")
        }
        Subject::Of(target) => Some(target.last()),
        Subject::Sub(sub) => Some(sub),
        Subject::Nothing => None,
    }
}

/// Every value of an attribute.
fn values(members: &Map<String, Value>, subject: Subject) -> Vec<&Value> {
    let (name, sub) = match subject {
        Subject::Of(Target { attribute, sub }) => {
            (attribute.name, sub.or_else(|| last(subject).filter(|a| *a != attribute)))
        }
        Subject::Sub(sub) => (sub.name, None),
        Subject::Nothing => return Vec::new(),
    };
    let Some(value) = members.get(name) else { return Vec::new() };
    let each = value.as_array().map_or_else(|| vec![value], |parts| parts.iter().collect());
    match sub {
        None => each,
        Some(sub) => each.into_iter().filter_map(|part| part.get(sub.name)).collect(),
    }
}

/// Under what a text of an attribute is compared.
fn folded(attribute: &Attribute, text: &str) -> String {
    if attribute.exact {
        return text.to_owned();
    }
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let as_login_name = LoginName::parse(text).filter(|_| attribute.name == "userName");
    as_login_name.map_or_else(|| text.to_lowercase(), |name| name.key().to_owned())
}

fn holds(attribute: &Attribute, operator: Operator, value: &Value, literal: &Literal) -> bool {
    match literal {
        Literal::Boolean(is) => value.as_bool() == Some(*is),
        Literal::Instant(at) => {
            let value = value.as_str().and_then(Timestamp::parse_rfc3339);
            value.is_some_and(|value| operator.holds(value.0.cmp(&at.0)))
        }
        Literal::Text(text) => {
            let Some(value) = value.as_str() else { return false };
            let (value, text) = (folded(attribute, value), folded(attribute, text));
            match operator {
                Operator::Contains => value.contains(&text),
                Operator::StartsWith => value.starts_with(&text),
                Operator::EndsWith => value.ends_with(&text),
                Operator::Equal
                | Operator::NotEqual
                | Operator::Greater
                | Operator::GreaterOrEqual
                | Operator::Less
                | Operator::LessOrEqual => operator.holds(value.cmp(&text)),
            }
        }
        Literal::Null => false,
    }
}

struct Reader<I: Iterator<Item = Token>> {
    tokens: std::iter::Peekable<I>,
    /// Between the brackets of this attribute.
    within: Option<&'static Attribute>,
    depth: usize,
}

impl<I: Iterator<Item = Token>> Reader<I> {
    fn takes_word(&mut self, word: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Word(w) if w.eq_ignore_ascii_case(word))).is_some()
    }

    fn takes(&mut self, sign: char) -> bool {
        self.tokens.next_if_eq(&Token::Sign(sign)).is_some()
    }

    /// Conditions with "or" between them, which binds least.
    fn any_of(&mut self) -> Result<Node, BadFilter> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return bad(format!("It is nested more than {MOST_DEPTH} levels deep."));
        }
        let mut any = vec![self.all_of()?];
        while self.takes_word("or") {
            any.push(self.all_of()?);
        }
        self.depth -= 1;
        Ok(only(any, Node::Or))
    }

    fn all_of(&mut self) -> Result<Node, BadFilter> {
        let mut all = vec![self.one()?];
        while self.takes_word("and") {
            all.push(self.one()?);
        }
        Ok(only(all, Node::And))
    }

    fn one(&mut self) -> Result<Node, BadFilter> {
        if self.takes('(') {
            return self.group();
        }
        let word = match self.tokens.next() {
            Some(Token::Word(word)) => word,
            Some(Token::Text(_) | Token::Sign(_)) => {
                return bad("An attribute is expected where something else stands.");
            }
            None => return bad("It ends where an attribute is expected."),
        };
        if word.eq_ignore_ascii_case("not") && self.takes('(') {
            return Ok(Node::Not(Box::new(self.group()?)));
        }
        let subject = self.subject(&word)?;
        if self.takes('[') {
            return self.bracket(&word, subject);
        }
        self.compare(subject)
    }

    fn group(&mut self) -> Result<Node, BadFilter> {
        let node = self.any_of()?;
        if self.takes(')') { Ok(node) } else { bad("A parenthesis is not closed.") }
    }

    /// `emails[type eq "work"]`, and as some write it, with `.value eq "…"` behind.
    fn bracket(&mut self, word: &str, subject: Subject) -> Result<Node, BadFilter> {
        let attribute = match subject {
            Subject::Of(Target { attribute, sub: None }) if attribute.multi && attribute.kind == Kind::Complex => {
                attribute
            }
            Subject::Of(_) | Subject::Sub(_) | Subject::Nothing => {
                return bad(format!("{word} has no values that brackets could choose from."));
            }
        };
        self.within = Some(attribute);
        let mut node = self.any_of()?;
        if !self.takes(']') {
            return bad("A bracket is not closed.");
        }
        let behind = |token: &Token| matches!(token, Token::Word(word) if word.starts_with('.'));
        if let Some(Token::Word(sub)) = self.tokens.next_if(behind) {
            let subject = self.subject(sub.trim_start_matches('.'))?;
            node = Node::And(vec![node, self.compare(subject)?]);
        }
        self.within = None;
        Ok(Node::Within(attribute, Box::new(node)))
    }

    fn subject(&self, word: &str) -> Result<Subject, BadFilter> {
        let named = match self.within {
            Some(attribute) => attribute.sub(word).map(Subject::Sub),
            None => match named_by(word) {
                Named::Kept(target) => Some(Subject::Of(target)),
                Named::NotKept => Some(Subject::Nothing),
                Named::Unknown => None,
            },
        };
        named.map_or_else(|| bad(format!("{word} is no attribute of a user.")), Ok)
    }

    fn compare(&mut self, subject: Subject) -> Result<Node, BadFilter> {
        let Some(Token::Word(word)) = self.tokens.next() else {
            return bad("An operator is expected after an attribute.");
        };
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Node::Present(subject));
        }
        let Some(operator) = Operator::parse(&word) else { return bad(format!("{word} is no operator.")) };
        let value = match self.tokens.next() {
            Some(Token::Text(text)) => Value::String(text),
            Some(Token::Word(word)) => match serde_json::from_str::<Value>(&word.to_ascii_lowercase()) {
                Ok(value) => value,
                Err(_) => return bad(format!("{word} is no value: put a text in quotation marks.")),
            },
            Some(Token::Sign(_)) | None => return bad("A value is expected after an operator."),
        };
        let literal = literal(last(subject), operator, value)?;
        Ok(Node::Compare(subject, operator, literal))
    }
}

fn only(mut nodes: Vec<Node>, all: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(node) if nodes.is_empty() => node,
        Some(node) => {
            nodes.push(node);
            all(nodes)
        }
        None => all(nodes),
    }
}

/// The value as it is compared with those of the attribute.
fn literal(attribute: Option<&Attribute>, operator: Operator, value: Value) -> Result<Literal, BadFilter> {
    let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let text = match value {
        Value::Null if is_equality => return Ok(Literal::Null),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => Number::to_string(&number),
        Value::String(text) => text,
        Value::Null | Value::Array(_) | Value::Object(_) => return bad("This value cannot be compared so."),
    };
    let Some(attribute) = attribute else { return Ok(Literal::Text(text)) };
    match attribute.kind {
        Kind::Text | Kind::Reference => Ok(Literal::Text(text)),
        Kind::Complex => bad(format!("{} can only be compared by its parts.", attribute.name)),
        Kind::Boolean if !is_equality => bad(format!("{} can only be equal or not.", attribute.name)),
        Kind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Literal::Boolean(true)),
            "false" => Ok(Literal::Boolean(false)),
            _ => bad(format!("{} is true or false.", attribute.name)),
        },
        Kind::DateTime => match operator {
            Operator::Contains | Operator::StartsWith | Operator::EndsWith => Ok(Literal::Text(text)),
            Operator::Equal
            | Operator::NotEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::Less
            | Operator::LessOrEqual => match Timestamp::parse_rfc3339(&text) {
                Some(at) => Ok(Literal::Instant(at)),
                None => bad(format!("{} is compared with a time such as 2027-01-31T12:00:00Z.", attribute.name)),
            },
        },
    }
}

/// Where an operation of PATCH acts (RFC 7644 §3.5.2).
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// On an attribute.
    At(At),
    /// On something that is not kept: nothing is done.
    NotKept,
    /// On something that the standard does not know.
    Unknown,
}

/// An attribute, those of its values that a filter chooses, and a part of these.
#[derive(Clone, Debug, PartialEq)]
pub struct At {
    /// The attribute.
    pub attribute: &'static Attribute,
    /// Which of its values.
    pub chosen: Option<Filter>,
    /// Which sub-attribute.
    pub sub: Option<&'static Attribute>,
}

/// Reads a path.
///
/// # Errors
/// Why it is none.
pub fn path(text: &str) -> Result<Place, BadFilter> {
    let mut reader = Reader { tokens: tokens(text)?.into_iter().peekable(), within: None, depth: 0 };
    let Some(Token::Word(word)) = reader.tokens.next() else { return bad("A path begins with an attribute.") };
    let Target { attribute, mut sub } = match named_by(&word) {
        Named::Kept(target) => target,
        Named::NotKept => return Ok(Place::NotKept),
        Named::Unknown => return Ok(Place::Unknown),
    };
    let mut chosen = None;
    if reader.takes('[') {
        if sub.is_some() || !attribute.multi || attribute.kind != Kind::Complex {
            return bad(format!("{word} has no values that brackets could choose from."));
        }
        reader.within = Some(attribute);
        chosen = Some(Filter(reader.any_of()?));
        if !reader.takes(']') {
            return bad("A bracket is not closed.");
        }
        let behind = |token: &Token| matches!(token, Token::Word(word) if word.starts_with('.'));
        if let Some(Token::Word(word)) = reader.tokens.next_if(behind) {
            sub = attribute.sub(word.trim_start_matches('.'));
            if sub.is_none() {
                return Ok(Place::NotKept);
            }
        }
    }
    if reader.tokens.next().is_some() {
        return bad("Something stands after its end.");
    }
    Ok(Place::At(At { attribute, chosen, sub }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn amina() -> Map<String, Value> {
        let user = json!({
            "schemas": [crate::scim::schema::USER], "id": "1", "externalId": "E-7", "userName": "Amina@Example.org",
            "displayName": "Amina Diallo", "name": {"familyName": "Diallo", "givenName": "Amina"}, "active": true,
            "emails": [{"value": "amina@example.org", "type": "work", "primary": true}, {"value": "a@home.example", "type": "home"}],
            "meta": {"resourceType": "User", "created": "2027-01-31T12:00:00Z", "version": "W/\"x\""},
        });
        user.as_object().unwrap().clone()
    }

    #[test]
    fn filters_say_who_is_meant() {
        for (text, meant) in [
            (r#"userName eq "amina@example.org""#, true),
            (r#"USERNAME EQ "AMINA@example.org""#, true),
            (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "amina""#, true),
            (r#"userName ne "amina@example.org""#, false),
            (r#"userName co "example""#, true),
            (r#"userName ew ".ORG""#, true),
            (r#"userName gt "amin""#, true),
            (r#"userName lt "amin""#, false),
            (r#"userName ge "amina@example.org" and userName le "amina@example.org""#, true),
            (r#"externalId eq "e-7""#, false),
            (r#"externalId eq "E-7""#, true),
            (r#"name.familyName eq "diallo""#, true),
            ("name pr", true),
            ("nickName pr", false),
            ("not (nickName pr)", true),
            ("not(nickName pr)", true),
            ("title pr", false),
            (r#"title ne "x""#, true),
            ("title eq null", true),
            ("nickName eq null and userName ne null", true),
            ("active eq true", true),
            (r#"active eq "True""#, true),
            ("active ne false", true),
            ("active eq false", false),
            (r#"emails eq "a@home.example""#, true),
            (r#"emails.type eq "home""#, true),
            (r#"emails.value sw "b""#, false),
            (r#"emails[type eq "work" and value co "@home"]"#, false),
            (r#"emails[type eq "home" and value co "@home"]"#, true),
            (r#"emails[type eq "work"].value eq "amina@example.org""#, true),
            (r#"emails[not (type eq "work")]"#, true),
            ("emails[primary eq true]", true),
            (r#"meta.created gt "2027-01-31T11:59:59Z""#, true),
            (r#"meta.created lt "2027-01-31T13:00:00+01:00""#, false),
            (r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#, true),
            (r#"meta.resourceType eq "User""#, true),
            // "and" binds more than "or".
            (r#"userName eq "x" and active eq true or externalId eq "E-7""#, true),
            (r#"userName eq "x" and (active eq true or externalId eq "E-7")"#, false),
            (r#"displayName eq "Amina \"D\" \u0041""#, false),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|why| panic!("{text}: {}", why.0));
            assert_eq!(filter.matches(&amina()), meant, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_compared_is_refused() {
        let deep = format!("{}userName pr{}", "(".repeat(40), ")".repeat(40));
        let long = format!("userName eq \"{}\"", "x".repeat(MOST_BYTES));
        for text in [
            "",
            "   ",
            "userName",
            "userName eq",
            "userName eq amina",
            "userName is \"x\"",
            "eq \"x\"",
            "\"x\" eq userName",
            "userName eq \"x",
            "(userName pr",
            "userName pr)",
            "userName pr and",
            "or userName pr",
            "userName pr userName pr",
            "not userName pr",
            "shoeSize eq 9",
            "name eq \"x\"",
            "active gt true",
            "active eq \"maybe\"",
            "userName gt null",
            "meta.created gt \"yesterday\"",
            "emails[type eq \"work\"",
            "userName[type eq \"x\"]",
            "emails[shoe eq \"x\"]",
            "emails[emails[type pr]]",
            "userName eq \"\\x\"",
            "userName eq [1]",
            "name.familyName[type pr]",
            &deep,
            &long,
        ] {
            assert!(Filter::parse(text).is_err(), "{text:.60}");
        }
    }

    /// A large provider is not read to find one person.
    #[test]
    fn the_one_user_who_may_be_meant_is_known() {
        for (text, key) in [
            (r#"userName eq "a""#, Some(Key::UserName("a".into()))),
            (r#"active eq true and externalId eq "E""#, Some(Key::ExternalId("E".into()))),
            (r#"(id eq "1" and active eq true) and name pr"#, Some(Key::Id("1".into()))),
            (r#"userName eq "a" or id eq "1""#, None),
            (r#"not (userName eq "a")"#, None),
            (r#"userName sw "a""#, None),
        ] {
            assert_eq!(Filter::parse(text).unwrap().key(), key, "{text}");
        }
    }

    #[test]
    fn paths_lead_to_attributes_and_their_values() {
        let told = |text: &str| match path(text) {
            Ok(Place::At(At { attribute, chosen, sub })) => {
                let chosen = chosen.map_or("", |filter| if filter.described().is_some() { "[=]" } else { "[?]" });
                format!("{}{chosen}{}", attribute.name, sub.map_or(String::new(), |sub| format!(".{}", sub.name)))
            }
            Ok(other) => format!("{other:?}"),
            Err(BadFilter(_)) => "bad".into(),
        };
        for (text, place) in [
            ("active", "active"),
            ("name.givenName", "name.givenName"),
            ("NAME.GIVENNAME", "name.givenName"),
            (r#"emails[type eq "work"].value"#, "emails[=].value"),
            (r#"emails[type eq "work" and primary eq true]"#, "emails[=]"),
            (r#"emails[type ne "work"].value"#, "emails[?].value"),
            (r#"addresses[type eq "work"].streetAddress"#, "addresses[=].streetAddress"),
            (r#"emails[type eq "work"].display"#, "NotKept"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "NotKept"),
            ("urn:ietf:params:scim:schemas:core:2.0:User:displayName", "displayName"),
            (r#"roles[primary eq "True"].value"#, "NotKept"),
            ("shoeSize", "Unknown"),
            ("", "bad"),
            ("emails[type eq \"work\"", "bad"),
            ("userName[type eq \"work\"]", "bad"),
            ("active active", "bad"),
        ] {
            assert_eq!(told(text), place, "{text}");
        }
    }
}
