//! Keys and signatures.

mod key_sets;
