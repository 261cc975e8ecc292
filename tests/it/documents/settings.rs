//! docs/configuration.md: the table of settings has every key, and the default that the code has.

use std::collections::BTreeMap;

use connect_idp::config::Config;
use toml::{Table, Value};

use super::{in_backticks, rows, text};

const DOCUMENT: &str = "docs/configuration.md";

/// Every dotted key of a table with its value.
fn flatten(table: &Table, above: &str, found: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        if let Value::Table(section) = value {
            flatten(section, &format!("{above}{name}."), found);
        } else {
            found.insert(format!("{above}{name}"), value.clone());
        }
    }
}

#[test]
fn the_table_has_every_key_with_its_default() {
    let (mut all, mut defaults) = (BTreeMap::new(), BTreeMap::new());
    flatten(&include_str!("../../../src/config/every_key.toml").parse().unwrap(), "", &mut all);
    flatten(&Table::try_from(Config::default()).unwrap(), "", &mut defaults);
    let mut told = BTreeMap::new();
    for row in rows(&text(DOCUMENT)).iter().filter(|row| row.len() == 4) {
        for key in in_backticks(&row[0]) {
            assert!(all.contains_key(key), "there is no key {key}");
            told.insert(key.to_owned(), row[1].replace('`', ""));
        }
    }
    let missing: Vec<_> = all.keys().filter(|key| !told.contains_key(*key)).collect();
    assert!(missing.is_empty(), "{DOCUMENT} has no row of {missing:?}");
    for (key, value) in defaults {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Words stand for what is nothing.
        assert!(told[&key] == value || value.is_empty() && told[&key].contains(' '), "{key} is {value} by default");
    }
}
