//! What is everybody's own.

mod home;
