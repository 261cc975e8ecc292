//! The administration pages.

mod activity;
mod agency_users;
mod clients;
mod confirm;
mod form_revisions;
mod home;
pub mod import;
mod import_job;
mod import_slips;
mod kept_forms;
mod keys;
mod long_lists;
mod matrix;
pub mod operator;
mod provider;
mod selected;
mod user_list;
mod users;
