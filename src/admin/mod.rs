//! The Provider Admin's pages: the users of one provider, its User Activity, its settings and Unified Login.

pub mod activity;
pub mod acts;
pub mod import;
pub mod import_job;
pub mod new_user;
pub mod provider;
pub mod unified_login;
pub mod user;
pub mod users;
mod view;
