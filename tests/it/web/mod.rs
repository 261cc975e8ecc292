//! What a browser needs, and what every request has.

mod flash;
mod headers;
mod health;
mod page;
mod request_line;
