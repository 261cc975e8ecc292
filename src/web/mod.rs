//! What a browser needs: pages, cookies, proof of a session, and the layers around every request.

pub mod activity_page;
pub mod admin;
pub mod assets;
pub mod client_ip;
pub mod cookies;
pub mod csrf;
pub mod download;
pub mod error;
pub mod fields;
pub mod form;
pub mod headers;
pub mod health;
pub mod layers;
pub mod oauth_error;
pub mod page;
pub mod params;
pub mod password_slip;
pub mod provider_form;
pub mod records;
pub mod return_to;
pub mod session;
pub mod sign_ins_chart;
pub mod signed_out;
pub mod steps;
pub mod upload;
pub mod user_agent;
