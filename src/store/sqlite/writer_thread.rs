//! What the thread that writes does: work that waits is done together and committed once. One piece that fails, panics or is
//! late hurts none of the others: what was done with it is done once more, each piece in a savepoint of its own.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use super::connect::{Use, closed, connect};
use super::pool::{IdleConnections, PooledConnection};
use super::work::Work;
use crate::store::error::Error;
use crate::store::held;
use crate::time::{Clock, Timestamp};

/// The most pieces of work that share a commit.
const MOST: usize = 64;
/// Nothing more is begun in a transaction that has taken so long already.
const TOGETHER: Duration = Duration::from_millis(5);

/// How work is ordered.
pub(super) enum Order {
    Work(Box<dyn Work>),
    Stop(oneshot::Sender<()>),
}

/// What the thread works with.
pub(super) struct WriterThread {
    pub(super) queue: Queue,
    pub(super) idle: Arc<IdleConnections>,
    pub(super) file: PathBuf,
    pub(super) clock: Clock,
    pub(super) is_at_work: Arc<AtomicBool>,
}

/// What is ordered, and what of it must be done once more.
pub(super) struct Queue {
    orders: mpsc::Receiver<Order>,
    waiting: VecDeque<Box<dyn Work>>,
    /// How many of those that wait are done each alone: somebody else's lateness took back what they had done.
    alone: usize,
    /// So many are each done in a savepoint, which costs a copy of each page that it changes: one failed a moment ago.
    guarded: usize,
    stopped: Option<oneshot::Sender<()>>,
}

impl Queue {
    pub(super) const fn of(orders: mpsc::Receiver<Order>) -> Self {
        Self { orders, waiting: VecDeque::new(), alone: 0, guarded: 0, stopped: None }
    }

    /// Waits until something comes; `false` when nothing will.
    fn wait(&mut self) -> bool {
        if self.waiting.is_empty()
            && self.stopped.is_none()
            && let Ok(order) = self.orders.recv()
        {
            self.take(order);
        }
        !self.waiting.is_empty()
    }

    /// Whether something is there already.
    fn has_more(&mut self) -> bool {
        if self.waiting.is_empty()
            && self.stopped.is_none()
            && let Ok(order) = self.orders.try_recv()
        {
            self.take(order);
        }
        !self.waiting.is_empty()
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Work(work) => self.waiting.push_back(work),
            Order::Stop(told) => self.stopped = Some(told),
        }
    }

    /// Puts back what was done, before all else.
    fn put_back(&mut self, works: Vec<Box<dyn Work>>) {
        for work in works.into_iter().rev() {
            self.waiting.push_front(work);
        }
    }

    /// Answers those in front that nobody wants any longer, or that are late, so that nothing is begun for them.
    fn pass_over(&mut self, now: Timestamp) {
        while self.has_more()
            && let Some(work) = self.waiting.pop_front_if(|work| work.is_given_up() || work.deadline().is_past(now))
        {
            work.answer(Err(Error::Late));
        }
    }

    /// Says that there will be no more.
    fn end(mut self) {
        while let Ok(order) = self.orders.try_recv() {
            self.take(order);
        }
        answer_all(self.waiting, &Err(closed()));
        if let Some(stopped) = self.stopped {
            let _ = stopped.send(());
        }
    }
}

impl WriterThread {
    pub(super) fn run(mut self) {
        held::watch_this_thread();
        while self.queue.wait() {
            self.is_at_work.store(true, Ordering::Relaxed);
            while self.queue.has_more() {
                self.commit_together();
            }
            self.is_at_work.store(false, Ordering::Relaxed);
        }
        self.idle.close();
        self.queue.end();
    }

    /// Does what waits, and commits it together.
    fn commit_together(&mut self) {
        self.queue.pass_over(self.clock.now());
        if !self.queue.has_more() {
            return;
        }
        if let Err(error) = self.command("BEGIN IMMEDIATE") {
            self.take_back();
            answer_all(self.queue.waiting.pop_front(), &Err(error));
            return;
        }
        let mut kept = Vec::new();
        if self.fill(&mut kept) {
            self.settle(kept);
        } else {
            self.take_back();
            self.queue.put_back(kept);
        }
    }

    /// Does what waits, each after the other, and keeps what is done; `false` when the transaction is over.
    fn fill(&mut self, kept: &mut Vec<Box<dyn Work>>) -> bool {
        let until = self.clock.now().after(TOGETHER);
        let most = if self.queue.alone == 0 { MOST } else { 1 };
        self.queue.alone = self.queue.alone.saturating_sub(1);
        while kept.len() < most && self.clock.now() <= until && self.queue.has_more() {
            let Some(work) = self.queue.waiting.pop_front() else { break };
            if !work.begin() || work.deadline().is_past(self.clock.now()) {
                work.answer(Err(Error::Late));
            } else if !self.add(work, kept) {
                return false;
            }
        }
        true
    }

    /// Commits, or begins again without what is late by now.
    fn settle(&mut self, kept: Vec<Box<dyn Work>>) {
        let now = self.clock.now();
        let (late, in_time): (Vec<_>, Vec<_>) = kept.into_iter().partition(|work| work.deadline().is_past(now));
        if !late.is_empty() || in_time.is_empty() {
            self.take_back();
            answer_all(late, &Err(Error::Late));
            self.queue.alone = in_time.len();
            self.queue.put_back(in_time);
            return;
        }
        let result = self.command("COMMIT");
        if result.is_err() {
            self.take_back();
        }
        answer_all(in_time, &result);
    }

    /// Does one piece of work, and keeps it or takes it back; `false` when all of the transaction went with it.
    fn add(&mut self, mut work: Box<dyn Work>, kept: &mut Vec<Box<dyn Work>>) -> bool {
        // The first needs no savepoint: when it fails, there is nothing else to keep.
        let is_guarded = self.queue.guarded > 0 && !kept.is_empty();
        self.queue.guarded = self.queue.guarded.saturating_sub(1);
        let begun = if is_guarded { self.command("SAVEPOINT one") } else { Ok(()) };
        let pooled = match begun.and_then(|()| self.connection()) {
            Ok(pooled) => pooled,
            Err(error) => {
                work.answer(Err(error));
                return false;
            }
        };
        let keep = work.run(pooled);
        let settled = match (keep, is_guarded) {
            // A full disk: SQLite took everything back automatically.
            _ if self.is_over() => Err(Error::Unavailable("the transaction was rolled back".into())),
            (true, false) => Ok(()),
            (true, true) => self.command("RELEASE one"),
            // The transaction ends with it; the next one begins another.
            (false, false) => {
                if !kept.is_empty() {
                    self.queue.guarded = MOST;
                }
                self.command("ROLLBACK")
            }
            (false, true) => self.command("ROLLBACK TO one").and_then(|()| self.command("RELEASE one")),
        };
        let stands = settled.is_ok() && (keep || is_guarded);
        match (keep, settled) {
            (true, Ok(())) => kept.push(work),
            (true, settled) => work.answer(settled),
            // It says itself why it failed.
            (false, _) => work.answer(Ok(())),
        }
        stands
    }

    /// Rolls back what is open. A connection that does not let itself be rolled back is given up.
    fn take_back(&self) {
        if !self.is_over() && self.command("ROLLBACK").is_err() {
            self.idle.close();
        }
    }

    /// The connection; it comes back when the work is done, whatever came of it.
    fn connection(&self) -> Result<PooledConnection, Error> {
        let connection = match self.idle.take() {
            Some(connection) => connection,
            None => connect(&self.file, Use::Write)?,
        };
        Ok(PooledConnection::new(connection, Arc::clone(&self.idle), None))
    }

    /// Whether no transaction is open any more.
    fn is_over(&self) -> bool {
        self.connection().is_ok_and(|pooled| pooled.connection().is_autocommit())
    }

    /// A connection that is of no use any more, as one to a file that was replaced, is given up.
    fn command(&self, sql: &str) -> Result<(), Error> {
        let done = self.connection()?.command(sql);
        if done.as_ref().is_err_and(Error::ends_connection) {
            self.idle.close();
        }
        done
    }
}

fn answer_all(works: impl IntoIterator<Item = Box<dyn Work>>, result: &Result<(), Error>) {
    for work in works {
        work.answer(result.clone());
    }
}
