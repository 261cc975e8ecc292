//! The server's own TLS: OpenSSL with TLS 1.3 preferred and a short list of TLS 1.2 suites (oidc.md, *Cross-cutting*).

use std::path::Path;

use anyhow::Context as _;
use openssl::ssl::{AlpnError, SslFiletype, SslMethod, SslVersion, select_next_proto};
pub use openssl::ssl::{Ssl, SslAcceptor};
pub use tokio_openssl::SslStream;

/// An acceptor for the certificate chain and key in two PEM files; offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When a file cannot be read or key and certificate do not belong together.
pub fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<SslAcceptor> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder
        .set_certificate_chain_file(certificate)
        .with_context(|| format!("[tls] certificate {} is not a usable PEM chain", certificate.display()))?;
    builder
        .set_private_key_file(key, SslFiletype::PEM)
        .with_context(|| format!("[tls] key {} is not a usable PEM key", key.display()))?;
    builder.check_private_key().context("[tls] key does not belong to the certificate")?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_cipher_list(
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384",
    )?;
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x02h2\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    Ok(builder.build())
}
