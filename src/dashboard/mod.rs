//! After sign-in: the Dashboard, my activity, my sessions.

pub mod activity;
pub mod home;
pub mod session_time;
pub mod sessions;
pub mod view;
