//! The only place that names josekit, argon2 and OpenSSL.
//!
//! [`secret`] bearer secrets, digests and keys derived from the key-encryption key · [`key_ring`] that key's files
//! in `keys/` · [`seal`] sealing at rest under it · [`password`] hashing on a bounded pool · [`jws`] strict
//! verification of compact JWS · [`ecdsa_der`] signatures in a form that is told and never taken · [`signing`] our own
//! keys · [`key_set`] the key sets of others · [`client_keys`] those of clients · [`tls`] the server's own certificate.

pub mod client_keys;
pub mod ecdsa_der;
pub mod jws;
pub mod key_ring;
pub mod key_set;
pub mod password;
pub mod seal;
pub mod secret;
pub mod signing;
pub mod strict_json;
pub mod tls;
