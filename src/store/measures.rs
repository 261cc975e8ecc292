//! What is counted of our dealings with the database.

use std::time::Duration;

use crate::measure::{By, Counter, Histogram, labels, waits};

labels! {
    /// What a connection is for.
    pub enum Purpose as "purpose" {
        /// To read.
        Read = "read",
        /// To write.
        Write = "write",
    }
}

labels! {
    /// What went wrong with the database.
    pub enum Fault as "fault" {
        /// No connection could be had.
        Unreachable = "unreachable",
        /// A connection was cut.
        Cut = "cut",
        /// A statement was refused or kept waiting too long, also one that was tried again.
        Statement = "statement",
        /// The deadline came before the commit.
        Late = "late",
        /// Nothing was answered at all.
        Silent = "silent",
    }
}

/// The counts of one database.
#[derive(Debug)]
pub struct Measures {
    /// How long a connection was waited for.
    pub wait: By<Purpose, Histogram>,
    /// What went wrong.
    pub faults: By<Fault, Counter>,
}

impl Default for Measures {
    fn default() -> Self {
        Self { wait: By::new(waits), faults: By::default() }
    }
}

impl Measures {
    pub(super) fn waited(&self, purpose: Purpose, wait: Duration) {
        self.wait.of(purpose).observe(wait.as_secs_f64());
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.faults.of(fault).inc();
    }
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Somebody has them.
    pub in_use: usize,
    /// They wait for somebody.
    pub idle: usize,
    /// As many there may be.
    pub most: usize,
}
