//! Sealing at rest: a compact JWE (`dir`, A256GCM; RFC 7516, RFC 7518 §4.5 and §5.3) under the key-encryption key, with
//! a key of its own for each purpose. A purpose that names its row binds the text to that row.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwe::{self, Dir, JweHeader};
use zeroize::Zeroizing;

use super::key_ring::KeyRing;
use super::secret::Secret;
use super::strict_json;

const ENCRYPTION: &str = "A256GCM";

/// It could not be sealed.
#[derive(Debug, thiserror::Error)]
#[error("it could not be sealed: {0}")]
pub struct NotSealed(String);

/// Seals bytes of any length under the newest key of the ring: a compact JWE whose `kid` is that key's name. What is
/// opened for another purpose does not open.
///
/// # Errors
/// [`NotSealed`] when OpenSSL fails; never because of the bytes.
pub fn seal(ring: &KeyRing, purpose: &str, bytes: &[u8]) -> Result<String, NotSealed> {
    let failed = |error: josekit::JoseError| NotSealed(error.to_string());
    let (name, kek) = ring.newest();
    let mut header = JweHeader::new();
    header.set_content_encryption(ENCRYPTION);
    header.set_key_id(name);
    let encrypter = Dir.encrypter_from_bytes(key_for(&kek, purpose).bytes()).map_err(failed)?;
    jwe::serialize_compact(bytes, &header, &encrypter).map_err(failed)
}

/// Opens what any key of the ring sealed for this purpose; `None` for everything else.
#[must_use]
pub fn open(ring: &KeyRing, purpose: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let kek = ring.named(&sealed_under(text)?)?;
    let decrypter = Dir.decrypter_from_bytes(key_for(&kek, purpose).bytes()).ok()?;
    jwe::deserialize_compact(text, &decrypter).ok().map(|(bytes, _)| Zeroizing::new(bytes))
}

/// The name of the key-encryption key that sealed a text; `None` when [`seal`] did not make it.
#[must_use]
pub fn sealed_under(text: &str) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(text.split_once('.')?.0).ok()?;
    let members = strict_json::parse_object(&header).ok()?;
    let member = |name: &str| members.get(name).and_then(|value| value.as_str());
    let ours = members.len() == 3 && member("alg") == Some("dir") && member("enc") == Some(ENCRYPTION);
    member("kid").filter(|_| ours).map(str::to_owned)
}

fn key_for(kek: &Secret, purpose: &str) -> Secret {
    kek.derive(&format!("seal: {purpose}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Random;

    #[test]
    fn what_was_sealed_opens_for_its_purpose_alone_and_not_when_touched() {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::load_or_create(dir.path(), &Random::System).unwrap();
        let text = seal(&ring, "a", b"secret").unwrap();
        assert_eq!(sealed_under(&text).as_deref(), Some("kek-0001"));
        assert_eq!(open(&ring, "a", &text).unwrap().as_slice(), b"secret");
        assert_eq!(open(&ring, "b", &text), None);
        assert_ne!(seal(&ring, "a", b"secret").unwrap(), text);
        for at in [0, text.len() / 2, text.len() - 4] {
            let mut touched = text.clone().into_bytes();
            touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(open(&ring, "a", std::str::from_utf8(&touched).unwrap()), None, "byte {at}");
        }
        for nonsense in ["", ".", "a.b.c.d.e", "e30..AA.AA.AA"] {
            assert_eq!(open(&ring, "a", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_current_key_seals_and_every_key_that_is_there_opens() {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::load_or_create(dir.path(), &Random::System).unwrap();
        let before = seal(&ring, "a", b"before").unwrap();
        ring.add("kek-0002", &Random::System).unwrap();
        let after = seal(&ring, "a", b"after").unwrap();
        assert_eq!(sealed_under(&after).as_deref(), Some("kek-0002"));
        assert!(open(&ring, "a", &before).is_some() && open(&ring, "a", &after).is_some());
        std::fs::remove_file(dir.path().join("kek-0001")).unwrap();
        let ring = KeyRing::load(dir.path()).unwrap().unwrap();
        assert!(open(&ring, "a", &before).is_none() && open(&ring, "a", &after).is_some());
    }
}
