//! The clients of the OpenID Provider.

pub mod client;
mod form;
pub mod list;
mod secret;
