//! A piece of work for the thread that writes: a transaction's body, who waits for it, and until when.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::pool::PooledConnection;
use crate::log;
use crate::store::connection::AfterCommit;
use crate::store::error::Error;
use crate::store::measures::{Fault, Measures, Purpose};
use crate::time::Deadline;

/// Whether a piece of work was begun, or given up before that.
#[derive(Debug, Default)]
pub(super) struct State(AtomicU8);

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

    /// Whether it is given up: nothing of it was begun, and nothing will be.
    pub(super) fn give_up(&self) -> bool {
        self.becomes(Self::GIVEN_UP)
    }

    fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::GIVEN_UP
    }
}

/// Work that waits for a commit.
pub(super) trait Work: Send {
    /// Whether nobody wants it any longer.
    fn is_given_up(&self) -> bool;
    /// Whether it may be begun.
    fn begin(&self) -> bool;
    fn deadline(&self) -> Deadline;
    /// Does it, once more if need be; whether it is to be kept.
    fn run(&mut self, pooled: PooledConnection) -> bool;
    /// Says the result.
    fn answer(self: Box<Self>, result: Result<(), Error>);
}

/// See [`Work`]: `T` comes of it.
pub(super) struct Task<T, W> {
    work: W,
    deadline: Deadline,
    state: Arc<State>,
    /// When it was asked for, until it is begun.
    asked: Option<Instant>,
    measures: Arc<Measures>,
    request: Option<Arc<log::Request>>,
    runtime: Option<Handle>,
    done: Result<(T, AfterCommit), Error>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<T, W> Task<T, W> {
    /// Work for the request at hand.
    pub(super) fn new(
        work: W,
        deadline: Deadline,
        measures: &Arc<Measures>,
        answer: oneshot::Sender<Result<T, Error>>,
    ) -> Self {
        Self {
            work,
            deadline,
            state: Arc::default(),
            asked: Some(Instant::now()),
            measures: Arc::clone(measures),
            request: log::at_hand(),
            runtime: Handle::try_current().ok(),
            done: Err(Error::Late),
            answer,
        }
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }
}

impl<T, W, F> Work for Task<T, W>
where
    W: Fn(PooledConnection) -> F + Send,
    F: Future<Output = Result<(T, AfterCommit), Error>>,
    T: Send,
{
    fn is_given_up(&self) -> bool {
        self.state.is_given_up()
    }

    fn begin(&self) -> bool {
        self.state.begin()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn run(&mut self, pooled: PooledConnection) -> bool {
        if let Some(asked) = self.asked.take() {
            self.measures.waited(Purpose::Write, asked.elapsed());
        }
        let _runtime = self.runtime.as_ref().map(Handle::enter);
        let done = catch_unwind(AssertUnwindSafe(|| for_request(self.request.as_ref(), (self.work)(pooled))));
        self.done = done.unwrap_or(Err(Error::TaskDied));
        self.done.is_ok()
    }

    fn answer(self: Box<Self>, result: Result<(), Error>) {
        if result.as_ref().is_err_and(|error| !matches!(error, Error::Late)) {
            self.measures.fault(Fault::Statement);
        }
        let Self { work, done, answer, request, .. } = *self;
        // Who has the answer may be the last to have the database, and leaves the file to others: nothing of this piece
        // of work keeps it any longer.
        drop(work);
        let done = result.and(done).map(|(done, after_commit)| {
            // The thread goes on, whatever comes of it.
            let _ = catch_unwind(AssertUnwindSafe(|| for_request(request.as_ref(), async { after_commit.say() })));
            done
        });
        // Nobody may wait for it any longer.
        let _ = answer.send(done);
    }
}

/// Runs a future on this thread, for the request that asked for it.
fn for_request<F: Future>(request: Option<&Arc<log::Request>>, future: F) -> F::Output {
    match request {
        Some(request) => run_here(log::working_for(Arc::clone(request), future)),
        None => run_here(future),
    }
}

/// Runs a future on this thread: its statements are ready at once. Whatever else it waits for, everybody who writes
/// waits for as well; in debug builds that is a panic, which a test finds.
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
