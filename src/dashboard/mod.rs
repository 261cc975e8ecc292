//! After sign-in: the Dashboard, my activity, my sessions.

pub mod activity;
pub mod home;
pub mod sessions;
pub mod view;
