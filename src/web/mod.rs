//! What a browser needs: pages, cookies, proof of a session, and the layers around every request.

pub mod answered;
pub mod assets;
pub mod body;
pub mod client_ip;
pub mod cookies;
pub mod csrf;
pub mod download;
pub mod error;
pub mod fields;
pub mod form;
pub mod headers;
pub mod health;
pub mod ids;
pub mod layers;
pub mod oauth_error;
pub mod page;
pub mod problem;
pub mod return_to;
pub mod session;
pub mod session_list;
pub mod shares;
pub mod sign_in_words;
pub mod signed_out;
pub mod unread;
pub mod user_agent;
