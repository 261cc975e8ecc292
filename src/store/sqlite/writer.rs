//! The one thread that writes to SQLite. What waits for it shares a commit, and so one sync of the disk: each piece of work
//! in a savepoint of its own, each answered after the commit. One that fails, panics or is late hurts none of the others.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::connect::{Use, connect};
use super::lent::{Home, Lent};
use crate::log;
use crate::store::SILENCE;
use crate::store::error::Error;
use crate::store::measures::{Measures, Purpose};
use crate::store::sqlite_files::InUse;
use crate::time::{Clock, Deadline};

/// So many share a commit.
const MOST: usize = 64;
/// Nothing more is begun in a transaction that has taken so long already.
const TOGETHER: Duration = Duration::from_millis(5);

/// How work is handed to the thread. Dropped, it waits until what was handed over is done and the file is left.
#[derive(Debug)]
pub(super) struct Writer {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends when nobody can order anything any more.
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // That it panicked was said by the panic.
            let _ = thread.join();
        }
    }
}

enum Order {
    Work(Box<dyn Work>),
    Stop(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the thread on a connection; `in_use` is held as long as it runs.
    pub(super) fn start(connection: Connection, file: &Path, clock: Clock, in_use: Arc<InUse>) -> anyhow::Result<Self> {
        let (orders, taken) = mpsc::channel();
        let queue = Queue { orders: taken, again: VecDeque::new(), stopped: None };
        let desk = Desk { queue, home: Arc::default(), file: file.to_owned(), clock };
        desk.home.put(connection);
        let work = move || {
            desk.run();
            drop(in_use);
        };
        let thread = thread::Builder::new().name("sqlite-writer".into()).spawn(work);
        let thread = thread.context("the thread that writes to the database cannot be started")?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    fn order(&self, order: Order) -> Result<(), Error> {
        let closed = || Error::Unavailable("the database was closed".into());
        self.orders.as_ref().ok_or_else(closed)?.send(order).map_err(|_| closed())
    }

    /// Has work done in a transaction, and waits for its commit. Begun, it goes on when nobody waits for it any longer. Its
    /// body may run twice, and waits for nothing but the connection it gets.
    pub(super) async fn write<T, W, F>(&self, deadline: Deadline, measures: &Arc<Measures>, work: W) -> Result<T, Error>
    where
        W: Fn(Lent) -> F + Send + 'static,
        F: Future<Output = Result<T, Error>>,
        T: Send + 'static,
    {
        let (answer, mut answered) = oneshot::channel();
        let state = Arc::new(State::default());
        let task = Task {
            work,
            deadline,
            state: Arc::clone(&state),
            asked: Instant::now(),
            measures: Arc::clone(measures),
            request: log::at_hand(),
            runtime: Handle::try_current().ok(),
            done: Err(Error::Late),
            answer,
        };
        self.order(Order::Work(Box::new(task)))?;
        let answer = match timeout(deadline.left(), &mut answered).await {
            Ok(answer) => answer,
            // Others still keep the writer: nothing of this was begun, and nothing will be.
            Err(_) if state.give_up() => return Err(Error::Late),
            Err(_) => timeout(SILENCE, answered).await.map_err(|_| Error::Silent)?,
        };
        answer.unwrap_or(Err(Error::TaskDied))
    }

    /// Ends the thread once what was handed to it is done.
    pub(super) async fn stop(&self) {
        let (stopped, wait) = oneshot::channel();
        if self.order(Order::Stop(stopped)).is_ok() {
            // It says so by going away, too.
            let _ = wait.await;
        }
    }
}

/// Whether a piece of work was begun, or given up before that.
#[derive(Debug, Default)]
struct State(AtomicU8);

impl State {
    const WAITS: u8 = 0;
    const BEGUN: u8 = 1;
    const GIVEN_UP: u8 = 2;

    fn becomes(&self, new: u8) -> bool {
        match self.0.compare_exchange(Self::WAITS, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(old) => old == new,
        }
    }

    /// Whether it may be begun, for the first time or again.
    fn begin(&self) -> bool {
        self.becomes(Self::BEGUN)
    }

    fn give_up(&self) -> bool {
        self.becomes(Self::GIVEN_UP)
    }
}

/// Work that waits for a commit.
trait Work: Send {
    /// Whether it is wanted still.
    fn begin(&self) -> bool;
    fn deadline(&self) -> Deadline;
    /// Does it, once more if need be; whether it is to be kept.
    fn run(&mut self, lent: Lent) -> bool;
    /// Says what came of it.
    fn answer(self: Box<Self>, fate: Result<(), Error>);
}

struct Task<T, W> {
    work: W,
    deadline: Deadline,
    state: Arc<State>,
    asked: Instant,
    measures: Arc<Measures>,
    request: Option<Arc<log::Request>>,
    runtime: Option<Handle>,
    done: Result<T, Error>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<T, W, F> Work for Task<T, W>
where
    W: Fn(Lent) -> F + Send,
    F: Future<Output = Result<T, Error>>,
    T: Send,
{
    fn begin(&self) -> bool {
        self.state.begin()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn run(&mut self, lent: Lent) -> bool {
        self.measures.waited(Purpose::Write, self.asked.elapsed());
        let _runtime = self.runtime.as_ref().map(Handle::enter);
        let done = catch_unwind(AssertUnwindSafe(|| match &self.request {
            Some(request) => run_here(log::working_for(Arc::clone(request), (self.work)(lent))),
            None => run_here((self.work)(lent)),
        }));
        self.done = done.unwrap_or(Err(Error::TaskDied));
        self.done.is_ok()
    }

    fn answer(self: Box<Self>, fate: Result<(), Error>) {
        // Nobody may wait for it any longer.
        let _ = self.answer.send(fate.and(self.done));
    }
}

/// Runs a future on this thread: its statements are ready at once. Whatever else it waits for, everybody who writes waits
/// for as well; in debug builds that is a panic, which a test finds.
fn run_here<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return done;
    }
    debug_assert!(false, "a transaction waits for something else than its database");
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

/// What the thread works with.
struct Desk {
    queue: Queue,
    home: Arc<Home>,
    file: PathBuf,
    clock: Clock,
}

/// What is ordered, and what of it was begun and must be done once more.
struct Queue {
    orders: mpsc::Receiver<Order>,
    again: VecDeque<Box<dyn Work>>,
    stopped: Option<oneshot::Sender<()>>,
}

impl Queue {
    /// What comes next, if it is there already.
    fn next(&mut self) -> Option<Box<dyn Work>> {
        if self.again.is_empty()
            && self.stopped.is_none()
            && let Ok(order) = self.orders.try_recv()
        {
            self.take(order);
        }
        self.again.pop_front()
    }

    /// Waits until something comes; `false` when nothing will.
    fn wait(&mut self) -> bool {
        if self.again.is_empty()
            && self.stopped.is_none()
            && let Ok(order) = self.orders.recv()
        {
            self.take(order);
        }
        !self.again.is_empty()
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Work(work) => self.again.push_back(work),
            Order::Stop(told) => self.stopped = Some(told),
        }
    }
}

impl Desk {
    fn run(mut self) {
        while self.queue.wait() {
            self.commit_together();
        }
        self.home.close();
        if let Some(stopped) = self.queue.stopped {
            let _ = stopped.send(());
        }
    }

    /// What is to be done next, unless it is late or given up.
    fn next(&mut self) -> Option<Box<dyn Work>> {
        loop {
            let work = self.queue.next()?;
            if work.begin() && !work.deadline().is_past(self.clock.now()) {
                return Some(work);
            }
            work.answer(Err(Error::Late));
        }
    }

    /// Does what waits, and commits it together.
    fn commit_together(&mut self) {
        let mut kept = Vec::new();
        match self.simple("BEGIN IMMEDIATE").and_then(|()| self.fill(&mut kept)) {
            Ok(()) => self.settle(kept),
            // All of the transaction is gone (a full disk, a broken one), or stands we do not know how.
            Err(error) => {
                let _ = self.simple("ROLLBACK");
                if kept.is_empty() {
                    kept.extend(self.queue.again.pop_front());
                }
                answer_all(kept, &Err(error));
            }
        }
    }

    /// Does what waits, each after the other, and keeps what is done.
    fn fill(&mut self, kept: &mut Vec<Box<dyn Work>>) -> Result<(), Error> {
        let until = self.clock.now().after(TOGETHER);
        while kept.len() < MOST
            && self.clock.now() <= until
            && let Some(work) = self.next()
        {
            self.add(work, kept)?;
        }
        Ok(())
    }

    /// Commits, or begins anew without what is late by now.
    fn settle(&mut self, kept: Vec<Box<dyn Work>>) {
        let now = self.clock.now();
        let (late, in_time): (Vec<_>, Vec<_>) = kept.into_iter().partition(|work| work.deadline().is_past(now));
        if !late.is_empty() || in_time.is_empty() {
            let _ = self.simple("ROLLBACK");
            answer_all(late, &Err(Error::Late));
            for work in in_time.into_iter().rev() {
                self.queue.again.push_front(work);
            }
            return;
        }
        let fate = self.simple("COMMIT");
        if fate.is_err() {
            let _ = self.simple("ROLLBACK");
        }
        answer_all(in_time, &fate);
    }

    /// Does one piece of work, and keeps it or takes it back. An error takes all of the transaction with it.
    fn add(&self, mut work: Box<dyn Work>, kept: &mut Vec<Box<dyn Work>>) -> Result<(), Error> {
        // The first needs no savepoint: when it fails, there is nothing else to keep.
        let is_first = kept.is_empty();
        let begun = if is_first { Ok(()) } else { self.simple("SAVEPOINT one") };
        let lent = match begun.and_then(|()| self.lend()) {
            Ok(lent) => lent,
            Err(error) => {
                work.answer(Err(error.clone()));
                return Err(error);
            }
        };
        let keep = work.run(lent);
        let settled = match (keep, is_first) {
            // A full disk, a panic in the midst of a statement: SQLite took everything back by itself.
            _ if self.is_over() => Err(Error::Unavailable("the transaction was rolled back".into())),
            (true, true) => Ok(()),
            (true, false) => self.simple("RELEASE one"),
            (false, true) => self.simple("ROLLBACK; BEGIN IMMEDIATE"),
            (false, false) => self.simple("ROLLBACK TO one; RELEASE one"),
        };
        match (keep, &settled) {
            (true, Ok(())) => kept.push(work),
            (true, Err(_)) => work.answer(settled.clone()),
            // It says itself why it failed.
            (false, _) => work.answer(Ok(())),
        }
        settled
    }

    /// The connection; it comes back when the work is done, whatever came of it.
    fn lend(&self) -> Result<Lent, Error> {
        let connection = match self.home.take() {
            Some(connection) => connection,
            None => connect(&self.file, Use::Write)?,
        };
        Ok(Lent::new(connection, Arc::clone(&self.home), None))
    }

    /// Whether no transaction is open any more.
    fn is_over(&self) -> bool {
        self.lend().is_ok_and(|lent| lent.connection().is_autocommit())
    }

    fn simple(&self, sql: &str) -> Result<(), Error> {
        self.lend()?.simple(sql)
    }
}

fn answer_all(works: Vec<Box<dyn Work>>, fate: &Result<(), Error>) {
    for work in works {
        work.answer(fate.clone());
    }
}
