//! What a browser needs, and what every request has.

mod flash;
mod headers;
mod health;
mod request_line;
