//! Every key with a right value: for errors, and for docs/configuration.md.

use toml::{Table, Value};

use super::keys::{ENV_PREFIX, flatten};

const EVERY_KEY: &str = include_str!("every_key.toml");

/// Every dotted key with a value that is right.
fn keys() -> Vec<(String, Value)> {
    let table: Table = EVERY_KEY.parse().unwrap_or_default();
    let mut keys = Vec::new();
    flatten(&table, "", &mut |key, value| keys.push((key.to_owned(), value.clone())));
    // What is in no section stands first, as it must in a file.
    keys.sort_by_key(|(key, _)| key.contains('.'));
    keys
}

/// The variable of a dotted key.
pub(super) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// A value as a variable has it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => {
            value.to_string()
        }
    }
}

/// A right way to set a key, or the key that is most like one that is none.
pub(super) fn right(key: &str, in_variable: bool) -> Option<String> {
    let keys = keys();
    if let Some(known) = keys.iter().find(|(known, _)| known == key) {
        return Some(written(known, in_variable));
    }
    // As many letters may be wrong as leave more than half of them right.
    let distance = |known: &str| strsim::damerau_levenshtein(known, key);
    let near = |known: &str| distance(known) * 2 < known.len();
    let sections = keys.iter().filter_map(|(known, _)| known.split_once('.')).map(|(section, _)| section);
    let section = sections.filter(|known| !in_variable && near(known)).min_by_key(|known| distance(known));
    let nearest = keys.iter().filter(|(known, _)| near(known)).min_by_key(|(known, _)| distance(known));
    match (section, nearest) {
        (Some(section), nearest) if nearest.is_none_or(|(known, _)| distance(section) < distance(known)) => {
            Some(format!("[{section}]"))
        }
        (_, nearest) => nearest.map(|known| written(known, in_variable)),
    }
}

fn written((key, value): &(String, Value), in_variable: bool) -> String {
    if in_variable {
        return format!("{}={}", variable(key), plain(value));
    }
    let (section, name) = key.split_once('.').map_or(("", key.as_str()), |(section, name)| (section, name));
    let below = if section.is_empty() { String::new() } else { format!(" below [{section}]") };
    format!("{name} = {value}{below}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::sources::SECRETS;
    use crate::config::{Config, Loaded};

    /// What docs/configuration.md says between its marks.
    fn page() -> String {
        let mut page = vec!["| in the file | as a variable |".to_owned(), "|---|---|".to_owned()];
        let mut section = String::new();
        for (key, value) in keys() {
            let (of, name) = key.split_once('.').unwrap_or(("", &key));
            if of != section {
                of.clone_into(&mut section);
                page.push(format!("| **`[{of}]`** | |"));
            }
            page.push(format!("| `{name} = {value}` | `{}={}` |", variable(&key), plain(&value)));
            if SECRETS.contains(&key.as_str()) {
                let file = format!("/run/secrets/{}", key.replace('.', "-"));
                page.push(format!("| `{name}_file = \"{file}\"` | `{}_FILE={file}` |", variable(&key)));
            }
        }
        page.join("\n") + "\n"
    }

    /// The same keys, by the file and by variables, and nothing that is not right.
    #[test]
    fn every_key_can_be_set_either_way() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connect.toml");
        // No key is weakened, so that an address that is not on loopback stands.
        std::fs::write(&file, EVERY_KEY.replace("[\"/etc/connect-idp/ca.pem\"]", "[]")).unwrap();
        let by_file = Loaded::read(Some(&file), std::iter::empty()).unwrap();
        let variables = keys().into_iter().filter(|(key, _)| key != "outbound.ca_files");
        let by_variables = Loaded::read(None, variables.map(|(key, value)| (variable(&key), plain(&value)))).unwrap();
        let table = |loaded: &Loaded| Table::try_from(&loaded.config).unwrap();
        assert_eq!(table(&by_file), table(&by_variables));
        let mut in_force = BTreeSet::new();
        flatten(&table(&by_file), "", &mut |key, _| {
            in_force.insert(key.to_owned());
        });
        assert_eq!(in_force, keys().into_iter().map(|(key, _)| key).collect(), "every_key.toml names every key");
        let mut default = BTreeSet::new();
        flatten(&Table::try_from(Config::default()).unwrap(), "", &mut |key, _| {
            default.insert(key.to_owned());
        });
        assert!(default.is_subset(&in_force));
    }

    #[test]
    fn the_page_of_keys_is_what_the_code_says() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md")).unwrap();
        let (_, rest) = file.split_once("<!-- every key -->\n").unwrap();
        let (told, _) = rest.split_once("<!-- end -->").unwrap();
        assert_eq!(told, page(), "write this between the marks of docs/configuration.md:\n{}", page());
    }
}
