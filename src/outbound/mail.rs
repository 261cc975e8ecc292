//! Mail to our users, through the operator's SMTP server: the only place that sends it.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::{Config, MailTls};

/// One command of SMTP lasts no longer; a whole mail no longer than the second.
const PATIENCE: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(30);

/// A mail as it waits to be sent.
#[derive(Clone, Deserialize, Serialize)]
pub struct Email {
    /// The recipient's address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({:?})", self.subject)
    }
}

/// It could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Not now; perhaps later.
    #[error("{0}")]
    Now(String),
    /// The server will not take it, however often it is tried.
    #[error("{0}")]
    Ever(String),
}

/// The way out.
#[derive(Debug)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// Our own name in message ids.
    domain: String,
}

impl Mailer {
    /// The mailer of a configuration; `None` where it has none.
    ///
    /// # Errors
    /// When a certificate cannot be read, or the address is none.
    pub fn new(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(mail) = &config.mail else {
            return Ok(None);
        };
        let tls = if mail.tls == MailTls::None {
            Tls::None
        } else {
            let mut parameters = TlsParameters::builder(mail.host.clone());
            for file in &config.outbound.ca_files {
                let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
                let certificate = Certificate::from_pem(&pem);
                let certificate = certificate.with_context(|| format!("{} is no certificate", file.display()))?;
                parameters = parameters.add_root_certificate(certificate);
            }
            let parameters = parameters.build().context("TLS for mail.host cannot be set up")?;
            if mail.tls == MailTls::Implicit { Tls::Wrapper(parameters) } else { Tls::Required(parameters) }
        };
        let domain = Url::parse(&config.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let domain = domain.unwrap_or_else(|| "localhost".into());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.host.clone())
            .port(mail.port())
            .tls(tls)
            .timeout(Some(PATIENCE))
            .hello_name(ClientId::Domain(domain.clone()));
        if let (Some(username), Some(password)) = (&mail.username, &mail.password) {
            builder = builder.credentials(Credentials::new(username.clone(), password.clone()));
        }
        let from = mail.from.parse().context("mail.from is not an address")?;
        Ok(Some(Self { transport: builder.build(), from, domain }))
    }

    /// Sends a mail. The same `id` is the same message, however often it arrives.
    ///
    /// # Errors
    /// Why it was not taken, and whether trying again makes sense.
    pub async fn send(&self, id: &str, email: &Email) -> Result<(), NotSent> {
        let message = self.message(id, email)?;
        match tokio::time::timeout(WHOLE, self.transport.send(message)).await {
            Err(_) => Err(NotSent::Now("the mail server did not answer in time".into())),
            Ok(Ok(_)) => Ok(()),
            // That it does not know us, or wants us to sign in, is ours to mend: the mail waits for it (RFC 4954 §6).
            Ok(Err(error)) => {
                let ours =
                    error.status().is_some_and(|code| ["530", "534", "535", "538"].contains(&&*code.to_string()));
                let why = error.to_string();
                Err(if error.is_permanent() && !ours { NotSent::Ever(why) } else { NotSent::Now(why) })
            }
        }
    }

    fn message(&self, id: &str, email: &Email) -> Result<Message, NotSent> {
        let to: Address = email.to.parse().map_err(|_| NotSent::Ever("the recipient's address is none".into()))?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(email.subject.clone())
            .message_id(Some(format!("<{id}@{}>", self.domain)))
            // No machine answers a machine (RFC 3834 §5).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()))
            .header(ContentType::TEXT_PLAIN)
            .body(email.body.clone())
            .map_err(|error| NotSent::Ever(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mail;

    fn mailer(from: &str) -> Mailer {
        let mail = Mail {
            host: "127.0.0.1".into(),
            port: Some(1),
            tls: MailTls::None,
            username: None,
            password: None,
            from: from.into(),
            unified_login: true,
        };
        Mailer::new(&Config { mail: Some(mail), ..Config::default() }).unwrap().unwrap()
    }

    fn email(to: &str) -> Email {
        Email { to: to.into(), subject: "Grüße".into(), body: "Hello,\n\na line\n".into() }
    }

    #[tokio::test]
    async fn a_message_has_one_recipient_one_id_and_is_marked_as_a_machines() {
        let mailer = mailer("Therap Connect <no-reply@example.org>");
        let text = String::from_utf8(mailer.message("id-1", &email("amina@example.org")).unwrap().formatted()).unwrap();
        for line in ["To: amina@example.org", "Message-ID: <id-1@localhost>", "Auto-Submitted: auto-generated"] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
        for no_address in ["", "amina", "a@b.org, c@d.org", "a@b.org\r\nBcc: c@d.org"] {
            assert!(matches!(mailer.message("id-1", &email(no_address)), Err(NotSent::Ever(_))), "{no_address}");
        }
        assert!(!format!("{:?}", email("amina@example.org")).contains("amina"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_for_later() {
        let sent = mailer("a@example.org").send("id-1", &email("amina@example.org")).await;
        assert!(matches!(sent, Err(NotSent::Now(_))), "{sent:?}");
    }
}
