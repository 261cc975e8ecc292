//! How far a run has come: a bar on a terminal, a line for each journey elsewhere.

use std::cell::Cell;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress {
    bar: Option<ProgressBar>,
    steps: u64,
    done: Cell<u64>,
    site: Cell<&'static str>,
}

impl Progress {
    pub fn new(steps: usize) -> Self {
        const TEMPLATE: &str = "[{bar:30}] {percent}% {eta} left  {msg}";
        let steps = u64::try_from(steps).unwrap();
        let bar = std::io::stderr()
            .is_terminal()
            .then(|| ProgressBar::new(steps).with_style(ProgressStyle::with_template(TEMPLATE).unwrap()));
        Self { bar, steps, done: Cell::new(0), site: Cell::new("") }
    }

    /// What is measured from here on.
    pub fn of(&self, site: &'static str) {
        self.site.set(site);
    }

    pub fn begin(&self, what: &str) {
        let site = self.site.get();
        match &self.bar {
            Some(bar) => bar.set_message(format!("{site}: {what}")),
            None => eprintln!("{:>3} % {site}: {what}", 100 * self.done.get() / self.steps.max(1)),
        }
    }

    pub fn step(&self) {
        self.done.set(self.done.get() + 1);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
