//! Where PostgreSQL is, and why it cannot be reached there.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// What `database.url` says.
pub(super) struct Address(pub(super) PgConnectOptions);

impl Address {
    pub(super) fn is_silent(&self) -> String {
        format!(
            "{} does not answer: look at the network between, and whether a pooler there has a connection left, or correct \
             database.url",
            self.place()
        )
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        let options = &self.0;
        match options.get_socket() {
            Some(folder) => format!("the socket in {}", folder.display()),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        }
    }

    /// Why a connection could not be made, and what to do.
    pub(super) fn why(&self, error: &sqlx::Error) -> String {
        let (place, options) = (self.place(), &self.0);
        let user = options.get_username();
        if let sqlx::Error::Io(io) = error {
            let text = io.to_string();
            return if matches!(io.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) {
                format!("nothing listens at {place} ({text}): start PostgreSQL there, or correct database.url")
            } else if text.contains("lookup address") || text.contains("did not resolve") {
                format!("the host {} is unknown: correct database.url", options.get_host())
            } else if io.kind() == ErrorKind::UnexpectedEof {
                format!("{place} closes each connection at once: see whether a PostgreSQL is behind it")
            } else {
                format!("{place} cannot be talked to ({text}): look at the network between, or correct database.url")
            };
        }
        if let sqlx::Error::Tls(tls) = error {
            return format!("TLS with {place} fails ({tls}): see its certificate, and sslmode in database.url");
        }
        let Some(database) = error.as_database_error() else {
            return format!("{place} does not answer as PostgreSQL does ({error}): correct database.url");
        };
        let said = database.message();
        match database.code().as_deref() {
            Some("28P01") => format!("the password of {user} is wrong: correct it in database.url"),
            Some("28000") => format!("{user} is not let in ({said}): correct database.url, or pg_hba.conf there"),
            Some("3D000") => format!(
                "there is no database {} at {place}: create it, or correct database.url",
                options.get_database().unwrap_or(user)
            ),
            Some("53300") => format!(
                "{place} has no connection left for us ({said}): raise its max_connections, or lower database.connections"
            ),
            Some("57P03") => format!("{place} is starting up or shutting down ({said}): wait, or read its log"),
            _ => format!("{place} refuses the connection ({said}): see that database.url is right"),
        }
    }
}

/// Whether an address names another machine and does not ask for TLS.
pub(in crate::store) fn is_unprotected(url: &str) -> bool {
    let Some(options) = url.starts_with("postgres").then(|| PgConnectOptions::from_str(url).ok()).flatten() else {
        return false;
    };
    let host = options.get_host();
    let here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !here && matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_without_tls_is_unprotected() {
        for open in [
            "postgres://idp@db.example.org/connect",
            "postgres://idp@10.0.0.7:5433/connect?sslmode=prefer",
            "postgres://idp@[2001:db8::7]/connect?sslmode=disable",
        ] {
            assert!(is_unprotected(open), "{open}");
        }
        for closed in [
            "postgres://idp@db.example.org/connect?sslmode=require",
            "postgres://idp@db.example.org/connect?sslmode=verify-full",
            "postgres://idp@localhost/connect",
            "postgres://idp@127.0.0.1:5433/connect",
            "postgres://idp@[::1]/connect",
            "postgres:///connect?host=/run/postgresql",
            "sqlite://connect.db",
        ] {
            assert!(!is_unprotected(closed), "{closed}");
        }
    }
}
