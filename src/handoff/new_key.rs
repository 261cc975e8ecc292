//! A key for whoever builds the sending side.

use serde_json::{Value, json};

use crate::crypto::jws::Algorithm;
use crate::crypto::signing::{self, SignError};

/// How long a new RSA key is.
const RSA_BITS: u32 = 3072;

/// `private`, the key as a JWK (RFC 7517), and `public`, the key set to register. Nothing is registered or kept. Without a
/// `kid` its thumbprint (RFC 7638) is its name.
///
/// # Errors
/// When the key cannot be made.
pub fn new_key(alg: Algorithm, kid: Option<&str>) -> Result<Value, SignError> {
    let key = signing::generate(alg, RSA_BITS)?;
    let named = |jwk: &str| -> Result<Value, SignError> {
        let mut jwk: Value = serde_json::from_str(jwk)?;
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        Ok(jwk)
    };
    Ok(json!({ "private": named(&key.private_jwk)?, "public": { "keys": [named(&key.public_jwk)?] } }))
}
