//! What people read wherever they type a password.

/// What a locked account reads, whichever lock it is (L5).
pub const LOCKED: &str = "Your account has been locked. Please contact your agency administrator.";
/// What every other refusal reads (L3).
pub const INVALID: &str = "Invalid Credentials";
/// What overload reads.
pub const BUSY: &str = "Therap Connect is busy right now. Please try again in a few seconds.";

/// What somebody reads whose network tries too often.
#[must_use]
pub fn too_often(seconds: u64) -> String {
    format!("Too many sign-ins from your network. Please try again in {seconds} seconds.")
}
