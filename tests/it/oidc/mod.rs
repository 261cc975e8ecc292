//! The OpenID Provider: a file for each endpoint, each test citing its clause.

mod answered;
mod authorize;
mod back_channel;
mod consent;
mod library;
mod logout;
mod programs;
mod races;
mod resources;
mod token;
mod told;
