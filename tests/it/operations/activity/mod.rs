//! User Activity: what is written, and what proves it.

mod chain;
mod records;
