//! Direct login.

mod rules;
