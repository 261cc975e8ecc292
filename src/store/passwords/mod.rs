//! TODO

pub mod links;
pub mod pre_auths;
