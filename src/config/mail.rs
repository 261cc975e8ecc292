//! `[mail]`: the server that takes our mail. Without the section no mail is sent.

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::fault::must;

/// `[mail]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The SMTP server's name.
    pub host: String,
    /// Its port; without one, the usual of the `tls` mode.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// Who we are to the server.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with it.
    #[serde(default)]
    pub password: Option<String>,
    /// Whom mail is from: `no-reply@example.org` or `Therap Connect <no-reply@example.org>`.
    pub from: String,
    /// Whether admins are told of requests for Unified Login, and of what became of them.
    #[serde(default = "yes")]
    pub unified_login: bool,
}

const fn yes() -> bool {
    true
}

/// How a connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// TLS from the first byte (RFC 8314 §3.3), port 465.
    Implicit,
    /// STARTTLS, and nothing is sent without it (RFC 3207), port 587.
    #[default]
    Starttls,
    /// Not at all, port 25: on beta or loopback only.
    None,
}

impl Mail {
    /// The port in force.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailTls::Implicit => 465,
            MailTls::Starttls => 587,
            MailTls::None => 25,
        })
    }

    /// Refuses what is unsafe or absurd; `testing` allows comforts.
    pub(super) fn check(&self, testing: bool) -> anyhow::Result<()> {
        let named = !self.host.is_empty() && !self.host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@');
        must(named, "mail.host", "must be the name of a mail server, without scheme, user and port")?;
        must(self.port != Some(0), "mail.port", "is 0: it must be between 1 and 65535")?;
        must(
            self.from.parse::<Mailbox>().is_ok(),
            "mail.from",
            format!(
                "{:?} must be an address such as no-reply@example.org, or Therap Connect <no-reply@example.org>",
                self.from
            ),
        )?;
        must(
            self.username.is_none() || self.password.is_some(),
            "mail.username",
            "needs mail.password beside it: set both, or neither",
        )?;
        must(
            self.password.is_none() || self.username.is_some(),
            "mail.password",
            "needs mail.username beside it: set both, or neither",
        )?;
        must(
            self.tls != MailTls::None || testing,
            "mail.tls",
            "= \"none\" is for beta sites and loopback only: use \"starttls\" or \"implicit\", since mails hold links that set passwords",
        )
    }
}
