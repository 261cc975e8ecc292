//! The way to the one thread that writes to SQLite. What waits for it shares a commit, and so one sync of the disk.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connect::closed;
use super::pool::{IdleConnections, PooledConnection};
use super::work::Task;
use super::writer_thread::{Order, Queue, WriterThread};
use crate::store::connection::AfterCommit;
use crate::store::error::Error;
use crate::store::measures::Measures;
use crate::store::patience::SILENCE;
use crate::store::sqlite_files::InUse;
use crate::time::{Clock, Deadline};

/// How work is handed to the thread. Dropped, it waits until what was handed over is done and the file is left.
#[derive(Debug)]
pub(super) struct Writer {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    is_at_work: Arc<AtomicBool>,
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

impl Writer {
    /// Starts the thread on a connection; `in_use` is held as long as it runs.
    pub(super) fn start(connection: Connection, file: &Path, clock: Clock, in_use: Arc<InUse>) -> anyhow::Result<Self> {
        let (orders, taken) = mpsc::channel();
        let idle = Arc::new(IdleConnections::with(connection, in_use));
        let is_at_work = Arc::new(AtomicBool::new(false));
        let (file, queue) = (file.to_owned(), Queue::of(taken));
        let writer = WriterThread { queue, idle, file, clock, is_at_work: Arc::clone(&is_at_work) };
        let thread = thread::Builder::new().name("sqlite-writer".into()).spawn(move || writer.run());
        let thread = thread.context("the thread that writes to the database cannot be started")?;
        Ok(Self { orders: Some(orders), thread: Some(thread), is_at_work })
    }

    /// Whether it has the connection that writes.
    pub(super) fn is_at_work(&self) -> bool {
        self.is_at_work.load(Ordering::Relaxed)
    }

    fn order(&self, order: Order) -> Result<(), Error> {
        self.orders.as_ref().ok_or_else(closed)?.send(order).map_err(|_| closed())
    }

    /// Has work done in a transaction, and waits for its commit. Begun, it goes on when nobody waits for it any longer.
    /// Its body may run twice, and waits for nothing but the connection it gets.
    pub(super) async fn write<T, W, F>(&self, deadline: Deadline, measures: &Arc<Measures>, work: W) -> Result<T, Error>
    where
        W: Fn(PooledConnection) -> F + Send + 'static,
        F: Future<Output = Result<(T, AfterCommit), Error>>,
        T: Send + 'static,
    {
        let (answer, mut answered) = oneshot::channel();
        let task = Task::new(work, deadline, measures, answer);
        let state = task.state();
        self.order(Order::Work(Box::new(task)))?;
        let answer = match timeout(deadline.left(), &mut answered).await {
            Ok(answer) => answer,
            // Others still keep the writer: nothing of this was begun, and nothing will be.
            Err(_) if state.give_up() => return Err(Error::Late),
            Err(_) => timeout(SILENCE, answered).await.map_err(|_| Error::Silent)?,
        };
        // What was ordered while the thread came to its end is dropped unanswered, and nothing of it was begun.
        answer.unwrap_or_else(|_| Err(closed()))
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
