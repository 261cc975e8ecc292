//! What the demo says once everything listens.

use std::fmt::Write as _;

use connect_idp::config::Config;
use serde_json::json;

use crate::cast::Cast;
use crate::place::{Addresses, Folder};

/// One line for tests.
pub fn line(config: &Config, addresses: &Addresses, folder: &Folder) -> String {
    let line = json!({
        "issuer": addresses.issuer,
        "therap_services": addresses.therap_services,
        "foreign": addresses.foreign,
        "portal": addresses.portal,
        "internal": format!("http://{}", config.internal_listen),
        "data_dir": folder.path(),
        "database": config.database.url,
        "config": folder.path().join("connect.toml"),
    });
    line.to_string()
}

/// A page for people.
pub fn page(config: &Config, addresses: &Addresses, cast: &Cast, folder: &Folder) -> String {
    let settings = folder.path().join("connect.toml");
    let settings = settings.display();
    let kept = if folder.is_temporary() { "removed at the end" } else { "kept" };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "
Therap Connect is running. Everything here is made up, and everything stays on this machine.

  Therap Connect     {}
  Therap Services    {}   (a stand-in)
  Care Portal        {}   (an app that signs its users in with Therap Connect)
  A foreign page     {}   (registered nowhere)
  Health, metrics    http://{}/health/ready  /metrics
  Folder             {}   ({kept})

What to try first
  1. Open Therap Services, log in there as Amina Diallo, and press \"Therap Connect\".
  2. Open Therap Connect and sign in with Login Name amina, password Amina#2026, Provider Code SUNRISE-IL.
  3. Open the Care Portal, sign in with Therap Connect, and log out again, here or there.
  4. In Therap Services, open \"Misbehave\" and send assertions that must be refused.

",
        addresses.issuer,
        addresses.therap_services,
        addresses.portal,
        addresses.foreign,
        config.internal_listen,
        folder.path().display(),
    );
    let mut rows =
        vec![["Login Name", "Password", "Provider Code", "With the password", "With the button"].map(str::to_owned)];
    rows.extend(cast.people.iter().map(|p| {
        let (password, button) = p.purpose();
        [p.login_name.clone(), p.password.clone(), p.provider.clone(), password.into(), button.into()]
    }));
    let widths: Vec<usize> = (0..4).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    for [login_name, password, provider, with_password, with_button] in &rows {
        let _ = writeln!(
            text,
            "  {login_name:0$}   {password:1$}   {provider:2$}   {with_password:3$}   {with_button}",
            widths[0], widths[1], widths[2], widths[3]
        );
    }
    let _ = write!(
        text,
        "
The commands see the same data, for example in another terminal:
  cargo run --release -- --config {settings} activity list
  curl -s '{}/assertion?user=amina' | cargo run --release -- --config {settings} handoff explain

Below are the service's log lines; Ctrl-C stops it.
",
        addresses.therap_services
    );
    text
}
