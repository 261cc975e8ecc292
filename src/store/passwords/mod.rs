//! What a password hangs on while there is none.

pub mod links;
pub mod pre_auths;
