//! Direct login: the form, the sign-in, the Update Password page, changing the password, and logging out (L1 to L11).

pub mod change_password;
pub mod forgot_password;
pub mod form;
pub mod logout;
pub mod reset;
pub mod update_password;
pub mod verify_email;
