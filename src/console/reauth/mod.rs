//! The password typed again, before what cannot be undone.

pub(in crate::console) mod again;
pub mod confirm;
