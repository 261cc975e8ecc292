//! Sealing at rest: a compact JWE (`dir`, A256GCM) under the key-encryption key, with a key of its own for each purpose.

use josekit::jwe::{self, Dir, JweHeader};
use zeroize::Zeroizing;

use super::key_ring::KeyRing;

/// It could not be sealed.
#[derive(Debug, thiserror::Error)]
#[error("it could not be sealed: {0}")]
pub struct NotSealed(String);

/// Seals bytes under the current key.
///
/// # Errors
/// When the cryptography fails.
pub fn seal(ring: &KeyRing, purpose: &str, bytes: &[u8]) -> Result<String, NotSealed> {
    let failed = |error: josekit::JoseError| NotSealed(error.to_string());
    let (name, kek) = ring.newest();
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    header.set_key_id(name);
    let key = kek.derive(&format!("seal: {purpose}"));
    let encrypter = Dir.encrypter_from_bytes(key.bytes()).map_err(failed)?;
    jwe::serialize_compact(bytes, &header, &encrypter).map_err(failed)
}

/// Opens what any active key sealed for this purpose; `None` for everything else.
#[must_use]
pub fn open(ring: &KeyRing, purpose: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let name = text.split_once('.').and_then(|(header, _)| kid(header))?;
    let key = ring.named(&name)?.derive(&format!("seal: {purpose}"));
    let decrypter = Dir.decrypter_from_bytes(key.bytes()).ok()?;
    jwe::deserialize_compact(text, &decrypter).ok().map(|(bytes, _)| Zeroizing::new(bytes))
}

fn kid(header: &str) -> Option<String> {
    use base64::Engine as _;
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).ok()?;
    let members = super::strict_json::parse_object(&json).ok()?;
    members.get("kid")?.as_str().map(str::to_owned)
}
