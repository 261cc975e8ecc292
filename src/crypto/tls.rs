//! The server's own TLS: OpenSSL with TLS 1.3 preferred and a short list of TLS 1.2 suites (docs/operations/tls.md).

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, ensure};
use openssl::asn1::Asn1Time;
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
        let epoch = Asn1Time::from_unix(0).ok()?;
        let ends = |one: X509| {
            let left = epoch.diff(one.not_after()).ok()?;
            Some(Timestamp::from_seconds(i64::from(left.days) * 86_400 + i64::from(left.secs)))
        };
        X509::stack_from_pem(&self.chain).ok()?.into_iter().filter_map(ends).min()
    }

    /// An acceptor that offers HTTP/2 and HTTP/1.1. Each has keys of its own for session tickets, which go with it: whoever
    /// makes a new one now and then rotates them (RFC 9325 §3.4).
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
    use openssl::asn1::Asn1Integer;
    use openssl::bn::BigNum;
    use openssl::hash::MessageDigest;
    use openssl::pkey::Private;

    use super::*;

    fn certificate(key: &PKey<Private>, ends: i64) -> Vec<u8> {
        let mut builder = X509::builder().unwrap();
        builder.set_serial_number(&Asn1Integer::from_bn(&BigNum::from_u32(1).unwrap()).unwrap()).unwrap();
        builder.set_pubkey(key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(ends).unwrap()).unwrap();
        builder.sign(key, MessageDigest::sha256()).unwrap();
        builder.build().to_pem().unwrap()
    }

    #[test]
    fn a_chain_ends_with_its_first_certificate() {
        let key = PKey::ec_gen("prime256v1").unwrap();
        let chain = |ends: &[i64]| Pair {
            chain: ends.iter().flat_map(|ends| certificate(&key, *ends)).collect(),
            key: Zeroizing::default(),
            names: Default::default(),
        };
        assert_eq!(chain(&[1_900_000_000]).expiry(), Some(Timestamp::from_seconds(1_900_000_000)));
        assert_eq!(chain(&[2_000_000_000, 1_800_000_123]).expiry(), Some(Timestamp::from_seconds(1_800_000_123)));
        assert_eq!(chain(&[]).expiry(), None);
    }
}
