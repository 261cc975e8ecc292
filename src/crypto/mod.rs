//! The only place that names josekit, argon2 and OpenSSL.
//!
//! [`secret`] bearer secrets, digests and keys derived from the key-encryption key · [`key_ring`] that key's files
//! in `keys/` · [`seal`] sealing at rest under it · [`password`] hashing on a bounded pool · [`jws`] strict verification
//! of compact JWS · [`signing`] our own keys · [`client_keys`] the keys of clients, read leniently · [`tls`] the
//! server's own certificate.

pub mod client_keys;
pub mod jws;
pub mod key_ring;
pub mod password;
pub mod seal;
pub mod secret;
pub mod signing;
pub mod strict_json;
pub mod tls;
