//! The server's own TLS: OpenSSL with TLS 1.3 preferred and a short list of TLS 1.2 suites (oidc.md, *Cross-cutting*).

use std::path::Path;

use anyhow::{Context as _, ensure};
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, SslMethod, SslVersion, select_next_proto};
pub use openssl::ssl::{Ssl, SslAcceptor};
use openssl::x509::X509;
pub use tokio_openssl::SslStream;

/// An acceptor for the certificate chain and key in two PEM files; offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When a file cannot be read or key and certificate do not belong together.
pub fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<SslAcceptor> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    let chain = X509::stack_from_pem(&read("tls.certificate", certificate)?).unwrap_or_default();
    let mut chain = chain.into_iter();
    let shown = certificate.display();
    let leaf = chain
        .next()
        .with_context(|| format!("tls.certificate {shown} holds no PEM certificate: give the chain, leaf first"))?;
    builder.set_certificate(&leaf)?;
    for issuer in chain {
        builder.add_extra_chain_cert(issuer)?;
    }
    let private = PKey::private_key_from_pem(&read("tls.key", key)?).ok();
    let shown = key.display();
    let private =
        private.with_context(|| format!("tls.key {shown} holds no PEM private key without a passphrase: give one"))?;
    ensure!(
        leaf.public_key()?.public_eq(&private),
        "tls.key {shown} is not the key of tls.certificate: give the two that belong together"
    );
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

fn read(key: &str, file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("the file {} that {key} names cannot be read", file.display()))
}
