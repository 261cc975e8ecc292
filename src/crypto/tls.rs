//! The server's own TLS: OpenSSL with TLS 1.3 preferred and a short list of TLS 1.2 suites (docs/operations/tls.md).

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, ensure};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, SslMethod, SslVersion, select_next_proto};
pub use openssl::ssl::{Ssl, SslAcceptor};
use openssl::x509::X509;
pub use tokio_openssl::SslStream;
use zeroize::Zeroizing;

use crate::time::Timestamp;

/// A certificate chain and its key, as they stand in two PEM files.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    /// What the files are called.
    names: (String, String),
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pair")
    }
}

impl Pair {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, naming its key in the configuration.
    pub fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let names = (certificate.display().to_string(), key.display().to_string());
        let (chain, key) = (read("tls.certificate", certificate)?, Zeroizing::new(read("tls.key", key)?));
        Ok(Self { chain, key, names })
    }

    /// When the first certificate of the chain ends; `None` where there is none.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        let chain = X509::stack_from_pem(&self.chain).ok()?;
        chain.iter().filter_map(|one| unix(one.not_after()).ok()).min().map(Timestamp::from_seconds)
    }

    /// An acceptor that offers HTTP/2 and HTTP/1.1. Each has keys of its own for session tickets, which go with it:
    /// whoever makes a new one now and then rotates them (RFC 9325 §3.4).
    ///
    /// # Errors
    /// When a file holds something else, or the two do not belong together.
    pub fn acceptor(&self) -> anyhow::Result<SslAcceptor> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        let (certificate, key) = &self.names;
        let chain = X509::stack_from_pem(&self.chain).unwrap_or_default();
        let leaf = chain.first().with_context(|| {
            format!("tls.certificate {certificate} holds no PEM certificate: give the chain, leaf first")
        })?;
        // An encrypted key is refused: nobody is there to type its passphrase.
        let private = PKey::private_key_from_pem_callback(&self.key, |_| Ok(0))
            .ok()
            .with_context(|| format!("tls.key {key} holds no PEM private key without a passphrase: give one"))?;
        let is_its_key = |one: &X509| one.public_key().is_ok_and(|public| public.public_eq(&private));
        ensure!(
            is_its_key(leaf) || !chain.iter().any(is_its_key),
            "tls.certificate {certificate} holds the certificate of tls.key after others: give the chain, leaf first"
        );
        ensure!(is_its_key(leaf), "tls.key {key} is not the key of tls.certificate: give the two that belong together");
        builder.set_certificate(leaf)?;
        for issuer in &chain[1..] {
            builder.add_extra_chain_cert(issuer.clone())?;
        }
        builder.set_private_key(&private)?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        builder.set_cipher_list(
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384",
        )?;
        builder.set_alpn_select_callback(|_, offered| {
            select_next_proto(b"\x02h2\x08http/1.1", offered).ok_or(AlpnError::NOACK)
        });
        Ok(builder.build())
    }
}

/// What a certificate chain is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// When the first of its certificates ends, in Unix seconds.
    pub ends: i64,
    /// What is wrong with it, each as a sentence that says what to do.
    pub faults: Vec<String>,
}

impl Pair {
    /// Looks at the dates of the chain, its order, and whether it is for `host`, now in Unix seconds.
    ///
    /// # Errors
    /// As [`Pair::acceptor`].
    pub fn inspect(&self, host: &str, now: i64) -> anyhow::Result<Inspected> {
        self.acceptor()?;
        let chain = X509::stack_from_pem(&self.chain)?;
        let mut found = Inspected { ends: i64::MAX, faults: Vec::new() };
        for (place, one) in chain.iter().enumerate() {
            let which =
                if place == 0 { "the certificate".to_owned() } else { format!("number {} of the chain", place + 1) };
            let (begins, ends) = (unix(one.not_before())?, unix(one.not_after())?);
            found.ends = found.ends.min(ends);
            if now < begins {
                found.faults.push(format!("{which} is not valid yet: set the clock, or put the one before back"));
            }
            if now >= ends {
                found.faults.push(format!("{which} has ended: browsers refuse it, renew it"));
            }
        }
        for (issued, issuer) in chain.iter().zip(chain.iter().skip(1)) {
            let signed = issuer.public_key().and_then(|key| issued.verify(&key)).unwrap_or(false);
            if !signed {
                found.faults.push(
                    "a certificate of the chain is not of the one after it: give the chain in order, leaf first".into(),
                );
            }
        }
        if !chain.first().is_some_and(|leaf| is_for(leaf, host)) {
            found
                .faults
                .push(format!("the certificate is not for {host}, the host of `issuer`: get one with that name"));
        }
        Ok(found)
    }
}

fn unix(time: &Asn1TimeRef) -> anyhow::Result<i64> {
    let since = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(i64::from(since.days) * 86_400 + i64::from(since.secs))
}

/// Whether a certificate names a host, directly or by a `*` for its first part (RFC 9525).
fn is_for(leaf: &X509, host: &str) -> bool {
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let listed = leaf.subject_alt_names();
    listed.iter().flatten().any(|name| match (address, name.dnsname(), name.ipaddress()) {
        (Some(IpAddr::V4(ip)), _, Some(bytes)) => ip.octets() == bytes,
        (Some(IpAddr::V6(ip)), _, Some(bytes)) => ip.octets() == bytes,
        (None, Some(named), _) => match (named.strip_prefix("*."), host.split_once('.')) {
            (Some(parent), Some((_, rest))) => parent.eq_ignore_ascii_case(rest),
            (Some(_), None) => false,
            (None, _) => named.eq_ignore_ascii_case(host),
        },
        _ => false,
    })
}

/// Until when OpenSSL's project mends a line of its releases.
const SUPPORT: [(&str, &str); 9] = [
    ("1.1.1", "2023-09-11"),
    ("3.0", "2026-09-07"),
    ("3.1", "2025-03-14"),
    ("3.2", "2025-11-23"),
    ("3.3", "2026-04-09"),
    ("3.4", "2026-10-22"),
    ("3.5", "2030-04-08"),
    ("3.6", "2026-11-01"),
    ("4.0", "2027-05-14"),
];

/// The OpenSSL in this program, such as `OpenSSL 3.5.4 30 Sep 2025`, and the day on which its support ends, where it is
/// known.
#[must_use]
pub fn openssl() -> (&'static str, Option<&'static str>) {
    let text = openssl::version::version();
    (text, support_ends(text))
}

fn support_ends(text: &str) -> Option<&'static str> {
    let number = text.split(' ').nth(1)?;
    let is_of =
        |line: &str| number.strip_prefix(line).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    SUPPORT.iter().find(|(line, _)| is_of(line)).map(|(_, day)| *day)
}

fn read(key: &str, file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("the file {} that {key} names cannot be read", file.display()))
}

/// An acceptor for the certificate chain and key in two PEM files.
///
/// # Errors
/// When a file cannot be read or holds something else, or key and certificate do not belong together.
pub fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<SslAcceptor> {
    Pair::read(certificate, key)?.acceptor()
}

#[cfg(test)]
mod tests {
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::Private;
    use openssl::x509::extension::SubjectAlternativeName;
    use openssl::x509::{X509Builder, X509NameBuilder};

    use super::*;

    const DAY: i64 = 86_400;
    const NOW: i64 = 1_800_000_000;

    fn key() -> PKey<Private> {
        let group = openssl::ec::EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap()
    }

    fn certificate(key: &PKey<Private>, signer: &PKey<Private>, host: &str, days: i64) -> X509 {
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "one").unwrap();
        let name = name.build();
        let mut made = X509Builder::new().unwrap();
        made.set_version(2).unwrap();
        made.set_subject_name(&name).unwrap();
        made.set_issuer_name(&name).unwrap();
        made.set_not_before(&Asn1Time::from_unix(NOW - DAY).unwrap()).unwrap();
        made.set_not_after(&Asn1Time::from_unix(NOW + days * DAY).unwrap()).unwrap();
        made.set_pubkey(key).unwrap();
        let mut names = SubjectAlternativeName::new();
        if host.parse::<IpAddr>().is_ok() {
            names.ip(host)
        } else {
            names.dns(host)
        };
        let names = names.build(&made.x509v3_context(None, None)).unwrap();
        made.append_extension(names).unwrap();
        made.sign(signer, MessageDigest::sha256()).unwrap();
        made.build()
    }

    fn pair(chain: &[&X509], key: &PKey<Private>) -> Pair {
        let chain = chain.iter().flat_map(|one| one.to_pem().unwrap()).collect();
        let key = Zeroizing::new(key.private_key_to_pem_pkcs8().unwrap());
        Pair { chain, key, names: ("tls.crt".into(), "tls.key".into()) }
    }

    #[test]
    fn a_chain_ends_with_its_first_certificate() {
        let (ours, authority) = (key(), key());
        let leaf = certificate(&ours, &authority, "*.example.org", 40);
        let issuer = certificate(&authority, &authority, "ca", 30);
        let end = |days: i64| Some(Timestamp::from_seconds(NOW + days * DAY));
        assert_eq!(pair(&[&leaf], &ours).expiry(), end(40));
        assert_eq!(pair(&[&leaf, &issuer], &ours).expiry(), end(30));
        assert_eq!(pair(&[], &ours).expiry(), None);
    }

    /// Files as people have them: each is told in a sentence, and nobody is asked for a passphrase.
    #[test]
    fn files_that_cannot_be_used_are_told() {
        let (ours, authority) = (key(), key());
        let leaf = certificate(&ours, &authority, "*.example.org", 40);
        let issuer = certificate(&authority, &authority, "ca", 400);
        let why = |pair: &Pair| pair.acceptor().map(drop).unwrap_err().to_string();
        assert!(pair(&[&leaf, &issuer], &ours).acceptor().is_ok());
        assert!(why(&pair(&[&issuer, &leaf], &ours)).ends_with("give the chain, leaf first"));
        assert!(why(&pair(&[&issuer], &ours)).starts_with("tls.key tls.key is not the key of tls.certificate"));
        let cipher = openssl::symm::Cipher::aes_128_cbc();
        let encrypted = Zeroizing::new(ours.private_key_to_pem_pkcs8_passphrase(cipher, b"x").unwrap());
        let encrypted = Pair { key: encrypted, ..pair(&[&leaf], &ours) };
        assert!(why(&encrypted).contains("no PEM private key without a passphrase"));
    }

    #[test]
    fn a_chain_is_looked_at_for_what_browsers_refuse() {
        let (ours, authority, other) = (key(), key(), key());
        let leaf = certificate(&ours, &authority, "*.example.org", 40);
        let issuer = certificate(&authority, &authority, "ca", 400);
        let good = pair(&[&leaf, &issuer], &ours).inspect("connect.example.org", NOW).unwrap();
        assert_eq!(good, Inspected { ends: NOW + 40 * DAY, faults: vec![] });
        let faults =
            |chain: &[&X509], host: &str, now: i64| pair(chain, &ours).inspect(host, now).unwrap().faults.join("; ");
        assert!(faults(&[&leaf], "connect.example.org", NOW + 41 * DAY).contains("the certificate has ended"));
        assert!(faults(&[&leaf], "connect.example.org", NOW - 2 * DAY).contains("not valid yet"));
        assert!(faults(&[&leaf], "a.connect.example.org", NOW).contains("not for a.connect.example.org"));
        assert!(faults(&[&leaf], "example.org", NOW).contains("not for example.org"));
        let stranger = certificate(&other, &other, "ca", 400);
        assert!(faults(&[&leaf, &stranger], "connect.example.org", NOW).contains("not of the one after it"));
        let short = certificate(&authority, &authority, "ca", -1);
        assert!(faults(&[&leaf, &short], "connect.example.org", NOW).contains("number 2 of the chain has ended"));
        for (named, host) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("Connect.Example.org", "connect.example.org"),
        ] {
            assert_eq!(faults(&[&certificate(&ours, &ours, named, 40)], host, NOW), "", "{host}");
        }
        assert!(pair(&[&leaf], &other).inspect("connect.example.org", NOW).is_err());
    }

    #[test]
    fn the_end_of_a_line_of_openssl_is_known() {
        assert_eq!(support_ends("OpenSSL 3.5.4 30 Sep 2025"), Some("2030-04-08"));
        assert_eq!(support_ends("OpenSSL 1.1.1w  11 Sep 2023"), Some("2023-09-11"));
        assert_eq!(support_ends("OpenSSL 3.50.1 1 Jan 2040"), None);
        assert!(openssl().0.starts_with("OpenSSL "), "{}", openssl().0);
    }
}
