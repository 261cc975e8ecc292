//! Direct login.

mod remembered;
mod rules;
