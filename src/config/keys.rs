//! Keys by their whole dotted names, and where the value of each came from.

use std::fmt;
use std::path::PathBuf;

use toml::{Table, Value};

/// What the name of each variable begins with.
pub const ENV_PREFIX: &str = "CONNECT_IDP__";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Each value with its dotted key.
pub(super) fn flatten(table: &Table, prefix: &str, each: &mut impl FnMut(&str, &Value)) {
    for (name, value) in table {
        let key = under(prefix, name);
        if let Value::Table(inner) = value {
            flatten(inner, &key, each);
        } else {
            each(&key, value);
        }
    }
}

/// A name below a dotted key.
pub(super) fn under(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}
