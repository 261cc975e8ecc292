//! The clients of the OpenID Provider.

pub mod client;
pub mod confirm;
mod form;
pub mod list;
pub mod new;
mod secret;
mod snippets;
