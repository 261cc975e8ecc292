//! docs/relying-party.md: the programs that it shows are those that tests/clients runs, and its tables are true.

use connect_idp::config::Config;
use connect_idp::model::client::Metadata;
use connect_idp::model::scope::USER_SCOPES;
use connect_idp::model::session::{ACR_HANDOFF, ACR_PASSWORD};

use crate::handoff::vectors::{assert_shows_programs, fence_after, text};

const DOCUMENT: &str = "docs/relying-party.md";

#[test]
fn the_document_shows_the_programs_that_are_tested() {
    assert_shows_programs(DOCUMENT, 5);
}

#[test]
fn the_table_of_scopes_is_the_services() {
    let (docs, mut rows) = (text(DOCUMENT), Vec::new());
    for (scope, words, claims) in USER_SCOPES {
        let claims: Vec<_> = claims.iter().map(|claim| format!("`{claim}`")).collect();
        let row = format!("| `{scope}` | {words} | {} |", claims.join(", "));
        rows.push(row.replace("|  |", "| |"));
    }
    let shown = docs.split_once("| scope | users read, where they are asked | claims |\n|---|---|---|\n").unwrap().1;
    assert!(shown.starts_with(&format!("{}\n\n", rows.join("\n"))), "{rows:#?}");
}

#[test]
fn the_lifetimes_are_the_defaults() {
    let (docs, Config { tokens, session, .. }) = (text(DOCUMENT), Config::default());
    for row in [
        format!("| an authorization code | {} seconds | `tokens.code_seconds` |", tokens.code_seconds),
        format!("| an access token | {} minutes | `tokens.access_minutes` |", tokens.access_minutes),
        format!("| an ID token | {} minutes | `tokens.id_token_minutes` |", tokens.id_token_minutes),
        format!("| a refresh token with `offline_access` | {} days | `tokens.offline_days` |", tokens.offline_days),
        format!(
            "| a user's session | {} hours, or {} minutes without use |",
            session.absolute_hours, session.idle_minutes
        ),
    ] {
        assert!(docs.contains(&row), "{row}");
    }
}

#[test]
fn what_is_shown_to_be_registered_is_accepted() {
    let docs = text(DOCUMENT);
    let shown: toml::Table = fence_after(&docs, "it looks so:").parse().unwrap();
    let client = &shown["client"][0];
    let metadata: Metadata = client.clone().try_into().unwrap();
    let stored = toml::Table::try_from(&metadata).unwrap();
    for (name, value) in client.as_table().unwrap().iter().filter(|(name, _)| *name != "client_id") {
        assert_eq!(stored.get(name), Some(value), "{name}");
    }
    assert!([ACR_PASSWORD, ACR_HANDOFF].iter().all(|acr| docs.contains(acr)));
}
