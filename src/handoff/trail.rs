//! What the verifier looked at, step by step: nothing at all for the service, which stops at the first fault; every
//! step to the last one for `handoff explain`, so that it says what the verifier does and nothing else.

use crate::model::refusal::Refusal;

/// How a step stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Good,
    /// It does not.
    Wrong(Refusal),
    /// What it looks at was not to be had.
    Skipped,
}

/// One step, for people.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was looked at.
    pub name: &'static str,
    /// How it stood.
    pub outcome: Outcome,
    /// What was found, and where it is wrong what it must be; why it was skipped.
    pub detail: String,
}

impl Step {
    /// What the people who build the sender do about it, where it does not hold.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self.outcome {
            // A hint that names the unit says what to do; a clock is another fault.
            Outcome::Wrong(_) if self.detail.contains("milliseconds?") => "",
            Outcome::Wrong(refusal) => refusal.senders_cure(),
            Outcome::Good | Outcome::Skipped => "",
        }
    }
}

/// Collects steps, or nothing at all.
#[derive(Debug, Default)]
pub struct Trail {
    steps: Option<Vec<Step>>,
    first: Option<Refusal>,
}

impl Trail {
    /// A trail that collects, and goes on after what is wrong.
    #[must_use]
    pub const fn kept() -> Self {
        Self { steps: Some(Vec::new()), first: None }
    }

    /// The first step that does not hold: what the service would answer.
    #[must_use]
    pub const fn first_wrong(&self) -> Option<Refusal> {
        self.first
    }

    /// The steps so far.
    #[must_use]
    pub fn into_steps(self) -> Vec<Step> {
        self.steps.unwrap_or_default()
    }

    /// A step that must hold. A trail that is kept goes on where it does not.
    ///
    /// # Errors
    /// The refusal, when it does not and nobody keeps the trail.
    pub fn check(
        &mut self,
        name: &'static str,
        holds: bool,
        refusal: Refusal,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        let Some(steps) = &mut self.steps else {
            return if holds { Ok(()) } else { Err(refusal) };
        };
        let outcome = if holds { Outcome::Good } else { Outcome::Wrong(refusal) };
        steps.push(Step { name, outcome, detail: detail() });
        if !holds {
            self.first = self.first.or(Some(refusal));
        }
        Ok(())
    }

    /// Steps that cannot be checked, since what they look at is not to be had.
    pub fn skip(&mut self, names: &[&'static str], why: &str) {
        if let Some(steps) = &mut self.steps {
            let skipped = |name: &&'static str| Step { name, outcome: Outcome::Skipped, detail: why.to_owned() };
            steps.extend(names.iter().map(skipped));
        }
    }
}
