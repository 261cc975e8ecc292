//! The users of one provider.

pub mod actions;
pub mod confirm;
pub mod import;
pub mod import_job;
pub mod list;
pub mod new;
pub mod selected;
pub(in crate::console) mod temporary;
pub(in crate::console) mod temporary_password_page;
mod upload;
pub mod user;
pub(in crate::console) mod view;
