//! What the operator sets.

mod reload;
