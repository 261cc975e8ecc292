//! What clients were told, and so must stay true whatever fails after it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::dice::Dice;

/// As many of those that were there at a check are looked at again at each later one.
const KEPT: usize = 40;
/// An app asks for new tokens of one sign-in less often than it may.
const PAUSE: Duration = Duration::from_millis(1200);

/// A sign-in of an app without a secret: its refresh token changes with each use.
#[derive(Clone, Debug)]
pub struct Family {
    pub token: String,
    /// How often it was replaced.
    pub generation: u32,
    pub used: Instant,
}

/// See the head of this file. What somebody uses is taken out meanwhile, so that each line has one owner.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Cookies whose sign-in was acknowledged since the last check, and some of those before.
    new_sessions: Vec<String>,
    kept_sessions: Vec<String>,
    families: Vec<Family>,
    /// Cookies whose logout was acknowledged.
    pub ended: Vec<String>,
    /// Handoffs whose first and second step were acknowledged since the last check.
    pub begun: BTreeSet<String>,
    pub completed: BTreeSet<String>,
    /// Whose password nobody guesses at, and who was told that the account is locked: the first come first.
    pub unguessed: VecDeque<String>,
    pub locked: VecDeque<String>,
    /// All sign-ins and all guesses that were acknowledged, ever.
    pub sign_ins: usize,
    pub guesses: usize,
}

impl Ledger {
    /// Nothing yet, and whose passwords will be guessed at.
    pub fn of(unguessed: impl Iterator<Item = String>) -> Self {
        Self { unguessed: unguessed.collect(), ..Self::default() }
    }

    pub fn signed_in(&mut self, session: String) {
        self.sign_ins += 1;
        self.new_sessions.push(session);
    }

    pub fn take_session(&mut self, dice: &mut Dice) -> Option<String> {
        let sessions = if self.new_sessions.is_empty() { &mut self.kept_sessions } else { &mut self.new_sessions };
        (!sessions.is_empty()).then(|| sessions.swap_remove(dice.below(sessions.len())))
    }

    pub fn put_session(&mut self, session: String) {
        self.new_sessions.push(session);
    }

    pub fn take_family(&mut self) -> Option<Family> {
        let free = self.families.iter().position(|family| family.used.elapsed() > PAUSE)?;
        Some(self.families.swap_remove(free))
    }

    /// The first ones are kept: they live through the most.
    pub fn put_family(&mut self, family: Family) {
        if self.families.len() < KEPT {
            self.families.push(family);
        }
    }

    pub fn families(&self) -> usize {
        self.families.len()
    }

    /// Every session there is, for a check; those that are asked for at the next one too stay.
    pub fn sessions(&mut self, dice: &mut Dice) -> Vec<String> {
        let all: Vec<String> = self.kept_sessions.drain(..).chain(self.new_sessions.drain(..)).collect();
        self.kept_sessions.clone_from(&all);
        while self.kept_sessions.len() > KEPT {
            self.kept_sessions.swap_remove(dice.below(self.kept_sessions.len()));
        }
        all
    }

    /// Those who have been locked the longest, where there are many: for a check, which unlocks them.
    pub fn long_locked(&mut self) -> Vec<String> {
        let many = self.locked.len().saturating_sub(KEPT);
        // What locked them was a guess.
        self.guesses += many;
        self.locked.drain(..many).collect()
    }

    /// Some of those that are dead; the others are forgotten.
    pub fn ended(&mut self, dice: &mut Dice) -> Vec<String> {
        while self.ended.len() > KEPT {
            self.ended.swap_remove(dice.below(self.ended.len()));
        }
        self.ended.clone()
    }
}
