//! After the door: the Dashboard, my activity, my sessions.

pub mod activity;
pub mod home;
pub mod sessions;
pub mod view;
