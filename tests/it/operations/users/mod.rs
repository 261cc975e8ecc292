//! What is done to users, where it takes more than a page.

mod email;
mod invitation;
