//! Where settings come from: a TOML file, then variables over it, and files that hold one secret each.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize as _;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::keys::{ENV_PREFIX, Source};
use super::reference;
use super::sections::Config;
use super::value::{At, Given, Node};
use crate::model::text;

/// The keys whose values are never shown, and which can be read from a file named by `…_file` or `…_FILE`.
pub(super) const SECRETS: [&str; 4] = ["database.url", "mail.password", "otlp.headers", "redis.url"];

/// A configuration and the origin of each of its values, by dotted key.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings in force.
    pub config: Config,
    pub(super) sources: BTreeMap<String, Source>,
}

impl Loaded {
    /// Reads the file, then the variables, and checks the whole.
    ///
    /// # Errors
    /// One sentence that names the variable or the line of the file, and shows a right value.
    pub fn read(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let mut tree = match file {
            Some(path) => of_file(path)?,
            None => Node::Section(BTreeMap::new()),
        };
        settle_secrets(&mut tree, of_variables(variables)?)?;
        let mut sources = BTreeMap::new();
        tree.each("", &mut |key, node| {
            sources.extend(node.source().map(|source| (key.to_owned(), source.clone())));
        });
        let config = Config::deserialize(At { key: String::new(), node: &tree }).map_err(|invalid| {
            let key = invalid.key.unwrap_or_default();
            // What is wrong with a secret is not told by showing it.
            let words = if SECRETS.contains(&key.as_str()) { "is not a text".to_owned() } else { invalid.words };
            explain(&key, invalid.origin.as_ref(), &words)
        })?;
        config.check().map_err(|error| match error.downcast::<Fault>() {
            Ok(fault) => explain(fault.key, sources.get(fault.key), &fault.words),
            Err(error) => error,
        })?;
        Ok(Self { config, sources })
    }
}

/// One sentence: who says it, what is wrong, and what would be right.
fn explain(key: &str, source: Option<&Source>, words: &str) -> anyhow::Error {
    let (subject, right) = match source {
        // An unknown section hides which of its keys is meant; the variable's name does not.
        Some(Source::Variable(name)) => match key_of(name).strip_suffix("_file").filter(|key| SECRETS.contains(key)) {
            Some(secret) => (format!("what the file named by {name} holds"), reference::right(secret, false)),
            None => (name.clone(), reference::right(&key_of(name), true)),
        },
        Some(Source::File(..)) => {
            (format!("{}: {key}", source.map(ToString::to_string).unwrap_or_default()), reference::right(key, false))
        }
        Some(Source::Default) | None => (format!("the configuration key {key}"), reference::right(key, false)),
    };
    let right = right.map_or_else(
        || "`connect-idp config show` lists what there is".to_owned(),
        |right| format!("right is, for example, {right}"),
    );
    anyhow::anyhow!("{subject} {words}; {right}")
}

/// The dotted key of a variable.
fn key_of(variable: &str) -> String {
    variable.strip_prefix(ENV_PREFIX).unwrap_or(variable).to_ascii_lowercase().replace("__", ".")
}

fn of_file(path: &Path) -> anyhow::Result<Node> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).with_context(|| format!("the configuration file {shown} cannot be read"))?;
    let text = text::without_mark(&text);
    let table = DeTable::parse(text).map_err(|error| {
        let line = text::line_at(text, error.span().map_or(0, |span| span.start));
        anyhow::anyhow!("the configuration file {shown} is not TOML: line {line}: {}", error.message())
    })?;
    let source = |at| Source::File(path.to_owned(), text::line_at(text, at));
    Ok(Node::from_toml(&DeValue::Table(table.into_inner()), 0, &source))
}

/// Each variable of ours by its dotted key.
fn of_variables(variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<BTreeMap<String, Node>> {
    let mut given = BTreeMap::<String, Node>::new();
    for (name, value) in variables {
        if !name.starts_with(ENV_PREFIX) {
            continue;
        }
        let key = key_of(&name);
        if let Some(Source::Variable(other)) = given.get(&key).and_then(Node::source) {
            anyhow::bail!("{name} and {other} set the same key: remove one of them");
        }
        given.insert(key, Node::Value(Given::Text(value), Source::Variable(name)));
    }
    Ok(given)
}

/// Puts the variables over the file, and what the files of secrets hold in the place of their names.
fn settle_secrets(tree: &mut Node, variables: BTreeMap<String, Node>) -> anyhow::Result<()> {
    for key in SECRETS {
        let by_file = format!("{key}_file");
        let both = |one: Option<&Node>, other: Option<&Node>| {
            let (Some(one), Some(other)) = (one.and_then(Node::source), other.and_then(Node::source)) else {
                return Ok(());
            };
            anyhow::bail!("{one} and {other} both set {key}: remove one of them");
        };
        both(tree.get(key), tree.get(&by_file))?;
        both(variables.get(key), variables.get(&by_file))?;
        if variables.contains_key(key) || variables.contains_key(&by_file) {
            tree.remove(key);
            tree.remove(&by_file);
        }
    }
    for (key, node) in variables {
        let source = node.source().map(ToString::to_string).unwrap_or_default();
        ensure!(tree.set(&key, node), "{source} sets a key inside something that is not a section");
    }
    for key in SECRETS {
        let Some(named) = tree.remove(&format!("{key}_file")) else { continue };
        let source = named.source().cloned().unwrap_or(Source::Default);
        let Node::Value(Given::String(file) | Given::Text(file), _) = named else {
            anyhow::bail!("{source}: {key}_file must be the name of a file, in quotes");
        };
        // The secret itself may stand there: that is not said.
        ensure!(!file.contains("://"), "{source} must be the name of a file that holds the address, not the address");
        let text = std::fs::read_to_string(&file);
        let text = text.with_context(|| format!("the file {file:?} named by {source} cannot be read as text"))?;
        let value = text::one_value(&text);
        ensure!(!value.is_empty(), "the file {file:?} named by {source} is empty: write the secret into it");
        ensure!(tree.set(key, Node::Value(Given::Text(value.to_owned()), source.clone())), "{source} is in no section");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Site;

    fn read(toml: &str, variables: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connect.toml");
        std::fs::write(&file, toml).unwrap();
        Loaded::read(Some(&file), variables.iter().map(|(k, v)| (format!("{ENV_PREFIX}{k}"), (*v).to_owned())))
    }

    fn config(variables: &[(&str, &str)]) -> Config {
        read("", variables).unwrap().config
    }

    fn refusal(toml: &str, variables: &[(&str, &str)]) -> String {
        let why = format!("{:#}", read(toml, variables).unwrap_err());
        assert!(!why.contains('\n'), "{why}");
        why
    }

    #[test]
    fn a_variable_is_read_by_the_type_of_its_key() {
        let mail =
            [("MAIL__HOST", "true"), ("MAIL__FROM", "a@b.org"), ("MAIL__USERNAME", "4711"), ("MAIL__PASSWORD", "[1]")];
        let mail = config(&mail).mail.unwrap();
        assert_eq!(
            (mail.host.as_str(), mail.username.as_deref(), mail.password.as_deref()),
            ("true", Some("4711"), Some("[1]"))
        );
        assert_eq!(config(&[("OPERATOR_CODE", "2024")]).operator_code, "2024");
        assert_eq!(config(&[("KEYS__DIR", "12")]).keys.dir, Path::new("12"));
        assert_eq!(config(&[("SITE", "beta")]).site, Site::Beta);
        assert_eq!(config(&[("SESSION__IDLE_MINUTES", " 7 ")]).session.idle_minutes, 7);
        for (text, is) in [
            ("true", true),
            ("True", true),
            ("1", true),
            ("yes", true),
            ("ON", true),
            ("false", false),
            ("False", false),
            ("0", false),
            ("no", false),
            ("off", false),
        ] {
            assert_eq!(config(&[("THROTTLE__ENABLED", text)]).throttle.enabled, is, "{text}");
        }
    }

    #[test]
    fn a_list_is_written_with_commas_or_as_an_array() {
        let proxies = |text| {
            config(&[("TRUSTED_PROXIES", text)]).trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let two = ["10.0.0.0/8", "192.168.0.0/16"];
        assert_eq!(proxies("10.0.0.0/8,192.168.0.0/16"), two);
        assert_eq!(proxies(" 10.0.0.0/8, 192.168.0.0/16, "), two);
        assert_eq!(proxies(r#"["10.0.0.0/8", "192.168.0.0/16"]"#), two);
        assert_eq!(proxies("['10.0.0.0/8', '192.168.0.0/16',]"), two);
        assert_eq!(proxies(r#"["10.0.0.1"]"#), ["10.0.0.1/32"]);
        assert!(proxies("").is_empty() && proxies("[]").is_empty());
        assert_eq!(
            config(&[("OUTBOUND__INTERNAL_HOSTS", "a.internal,b.internal")]).outbound.internal_hosts,
            ["a.internal", "b.internal"]
        );
    }

    /// A value of another type, out of range, or of no known key; by a variable and by a line of the file.
    #[test]
    fn an_error_names_who_says_it_and_shows_what_is_right() {
        for (name, value, right) in [
            ("TRUSTED_PROXIES", "10.0.0.1/8", "CONNECT_IDP__TRUSTED_PROXIES=10.0.0.0/8,192.168.0.0/16"),
            ("TRUSTED_PROXIES", "[10.0.0.0/8]", "CONNECT_IDP__TRUSTED_PROXIES=10.0.0.0/8,192.168.0.0/16"),
            ("THROTTLE__ENABLED", "maybe", "CONNECT_IDP__THROTTLE__ENABLED=true"),
            ("SESION__IDLE_MINUTES", "5", "CONNECT_IDP__SESSION__IDLE_MINUTES=30"),
            ("SESSION__IDLE", "5", "CONNECT_IDP__SESSION__IDLE_MINUTES=30"),
            ("SESSION__IDLE_MINUTES", "five", "CONNECT_IDP__SESSION__IDLE_MINUTES=30"),
            ("SESSION__IDLE_MINUTES", "-5", "CONNECT_IDP__SESSION__IDLE_MINUTES=30"),
            ("SESSION__IDLE_MINUTES", "5000000000", "CONNECT_IDP__SESSION__IDLE_MINUTES=30"),
            ("SESSION__IDLE_MINUTES", "0", "CONNECT_IDP__SESSION__IDLE_MINUTES=30"),
            ("SESSION__IDLE_MINUTES__X", "0", "CONNECT_IDP__SESSION__IDLE_MINUTES=30"),
            ("SITE", "staging", "CONNECT_IDP__SITE=production"),
            ("LISTEN", "8080", "CONNECT_IDP__LISTEN=0.0.0.0:8080"),
            ("LOG__LEVEL", "loud", "CONNECT_IDP__LOG__LEVEL=info"),
            ("MAIL__PORT", "99999", "CONNECT_IDP__MAIL__PORT=587"),
            ("ISSUER", "https://connect.example.org/", "CONNECT_IDP__ISSUER=https://connect.example.org"),
        ] {
            let why = refusal("", &[(name, value)]);
            assert!(why.contains(&format!("{ENV_PREFIX}{name} ")) && why.contains(right), "{name}={value}: {why}");
        }
        for (toml, line, right) in [
            ("[session]\n\nidle_minutes = \"x\"", "line 3: session.idle_minutes", "idle_minutes = 30 below [session]"),
            ("[session]\nidle_minutes = 0", "line 2: session.idle_minutes", "idle_minutes = 30"),
            ("[sesion]\nidle_minutes = 5", "line 2: sesion", "[session]"),
            (
                "\ntrusted_proxies = [\n \"10.0.0.0/8\",\n \"here\",\n]",
                "line 2: trusted_proxies",
                "trusted_proxies = [\"10.0.0.0/8\"",
            ),
            ("operator_code = 2024", "line 1: operator_code", "operator_code = \"THERAP\""),
            ("[mail]\nhost = \"m\"", "mail.from", "from = \"Therap Connect"),
            ("session = 3", "line 1: session", "is a section"),
        ] {
            let why = refusal(toml, &[]);
            assert!(why.contains(line) && why.contains(right), "{toml}: {why}");
        }
        let why = refusal("", &[("QUITE_ANOTHER_THING", "x")]);
        assert!(why.contains("CONNECT_IDP__QUITE_ANOTHER_THING is no setting; `connect-idp config show`"), "{why}");
        let why = refusal("", &[("SESSION", "x")]);
        assert!(why.contains("CONNECT_IDP__SESSION is a section"), "{why}");
    }

    #[test]
    fn no_error_shows_a_secret() {
        for (toml, name, value) in [
            ("[mail]\npassword = 4711", "X", ""),
            ("[mail]\npassword = [\"4711\"]", "X", ""),
            ("", "DATABASE__URL", "mysql://idp:4711@db/connect"),
            ("", "ISSUER", "https://idp:4711@connect.example.org"),
            ("[mail]\nfrom = \"a@b.org\"", "MAIL__HOST", "smtps://idp:4711@mail.example.org"),
        ] {
            let why = refusal(toml, &[(name, value)]);
            assert!(!why.contains("4711"), "{why}");
        }
    }

    #[test]
    fn one_key_is_set_once() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("password");
        std::fs::write(&secret, "of the file").unwrap();
        let file = secret.to_str().unwrap();
        let why = refusal("", &[("MAIL__PASSWORD", "a"), ("MAIL__PASSWORD_FILE", file)]);
        assert!(why.contains("CONNECT_IDP__MAIL__PASSWORD and CONNECT_IDP__MAIL__PASSWORD_FILE"), "{why}");
        let why = refusal("[database]\nurl = \"sqlite://a\"\nurl_file = \"b\"", &[]);
        assert!(why.contains("line 2 and") && why.contains("line 3"), "{why}");
        let why = refusal("", &[("SITE", "beta"), ("site", "beta")]);
        assert!(why.contains("CONNECT_IDP__SITE"), "{why}");
        // A variable stands over the file, whichever of the two ways each goes.
        let mail = format!("[mail]\nhost = \"m\"\nfrom = \"a@b.org\"\nusername = \"u\"\npassword_file = {file:?}");
        let password = |toml: &str, variables: &[(&str, &str)]| {
            read(toml, variables).unwrap().config.mail.unwrap().password.unwrap()
        };
        assert_eq!(password(&mail, &[]), "of the file");
        assert_eq!(password(&mail, &[("MAIL__PASSWORD", "of the variable")]), "of the variable");
        let typed = mail.replace(&format!("_file = {file:?}"), " = \"typed\"");
        assert_eq!(password(&typed, &[("MAIL__PASSWORD_FILE", file)]), "of the file");
    }

    #[test]
    fn a_file_is_read_without_its_mark_and_a_secret_without_the_end_of_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let (url, password) = (dir.path().join("url"), dir.path().join("password"));
        std::fs::write(&url, "\u{feff}postgres://idp:pa55@db/connect\r\n").unwrap();
        std::fs::write(&password, "pass \n").unwrap();
        let variables = [
            ("DATABASE__URL_FILE", url.to_str().unwrap()),
            ("MAIL__PASSWORD_FILE", password.to_str().unwrap()),
            ("MAIL__USERNAME", "connect"),
        ];
        let toml = "\u{feff}[mail]\nhost = \"m\"\nfrom = \"a@b.org\"";
        let config = read(toml, &variables).unwrap().config;
        assert_eq!(config.database.url, "postgres://idp:pa55@db/connect");
        assert_eq!(config.mail.unwrap().password.as_deref(), Some("pass "));
        std::fs::write(&password, "\u{feff}\n").unwrap();
        assert!(refusal(toml, &variables).contains("is empty"));
        std::fs::write(&url, "http://db").unwrap();
        let why = refusal("", &variables[..1]);
        assert!(
            why.starts_with("what the file named by CONNECT_IDP__DATABASE__URL_FILE holds must begin with"),
            "{why}"
        );
        let why = refusal("", &[("DATABASE__URL_FILE", "postgres://idp:pa55@db/connect")]);
        assert!(why.contains("CONNECT_IDP__DATABASE__URL_FILE") && !why.contains("pa55"), "{why}");
    }

    /// What is not there is named, and not what stands beside it.
    #[test]
    fn a_missing_key_is_named_by_its_own_variable() {
        for (given, missing) in
            [("MAIL__USERNAME", "MAIL__HOST"), ("MAIL__HOST", "MAIL__FROM"), ("TLS__KEY", "TLS__CERTIFICATE")]
        {
            let why = refusal("", &[(given, "x")]);
            let wanted = format!("CONNECT_IDP__{missing} is missing; right is, for example, CONNECT_IDP__{missing}=");
            assert!(why.starts_with(&wanted), "{why}");
        }
        let why = refusal("[session]\nidle_minutes = \"5\"", &[]);
        assert!(why.contains("a whole number, without quotes"), "{why}");
    }

    #[test]
    fn each_row_says_where_its_value_is_from_and_hides_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let digits = dir.path().join("password");
        std::fs::write(&digits, "123456\n").unwrap();
        let variables = [
            ("SESSION__IDLE_MINUTES", "7"),
            ("DATABASE__URL", "postgres://idp:12/pa55@db/connect"),
            ("MAIL__HOST", "mail.example.org"),
            ("MAIL__FROM", "Therap Connect <no-reply@example.org>"),
            ("MAIL__USERNAME", "connect"),
            ("MAIL__PASSWORD_FILE", digits.to_str().unwrap()),
        ];
        let loaded = read("[session]\nidle_minutes = 5\nabsolute_hours = 2", &variables).unwrap();
        assert_eq!((loaded.config.session.idle_minutes, loaded.config.session.absolute_hours), (7, 2));
        let rows = loaded.rows();
        let row = |key: &str| rows.iter().find(|(k, ..)| k == key).unwrap().clone();
        assert_eq!(row("database.url").1, "\"hidden\"");
        assert_eq!(loaded.config.mail.as_ref().unwrap().password.as_deref(), Some("123456"));
        assert_eq!(row("mail.password").1, "\"hidden\"");
        assert_eq!(row("mail.password").2, Source::Variable("CONNECT_IDP__MAIL__PASSWORD_FILE".into()));
        assert_eq!(row("session.idle_minutes").2, Source::Variable("CONNECT_IDP__SESSION__IDLE_MINUTES".into()));
        assert!(matches!(row("session.absolute_hours").2, Source::File(_, 3)));
        assert_eq!(row("listen").2, Source::Default);
    }
}
