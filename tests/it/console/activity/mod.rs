//! User Activity on the administration pages.

mod chart;
mod records;
mod reference;
