//! What the service sends.

mod mail;
