//! The users of one provider.

pub mod acts;
pub mod import;
pub mod import_job;
pub mod list;
pub mod new;
pub(in crate::console) mod password_slip;
pub(in crate::console) mod temporary;
mod upload;
pub mod user;
mod view;
