//! A way to PostgreSQL that can hang or break: what a failing network or a hung server looks like from the service.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Way {
    /// What the service sends.
    requests: bool,
    /// What PostgreSQL answers.
    replies: bool,
    /// Connections made before this number are broken, as are new ones while `refused`.
    broken_before: usize,
    refused: bool,
    /// Connections made before this number hang for good, whatever the others do.
    lost_before: usize,
    /// How long whatever passes is under way.
    delay: Duration,
}

/// When everything stops automatically.
#[derive(Clone, Copy, Debug)]
pub enum Trap {
    /// This statement is held back.
    Before(&'static str),
    /// The COMMIT of the transaction with this statement reaches PostgreSQL; nothing comes back.
    CommitOf(&'static str),
}

#[derive(Clone)]
pub struct Proxy {
    /// The service's database, by this way.
    pub url: String,
    way: watch::Sender<Way>,
    trap: Arc<Mutex<Option<Trap>>>,
    made: Arc<Mutex<usize>>,
}

impl Proxy {
    /// A way to the database of this address; everything passes.
    pub async fn start(database: &str) -> Self {
        let (scheme, rest) = database.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap();
        let (user, target) = authority.rsplit_once('@').map_or(("", authority), |(user, target)| (user, target));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let way = watch::Sender::new(Way { requests: true, replies: true, ..Way::default() });
        // Unencrypted, so that a trap can read along.
        let url = format!("{scheme}://{user}@{here}/{path}?sslmode=disable");
        let proxy = Self { url, way, trap: Arc::default(), made: Arc::default() };
        let target = if target.contains(':') { target.to_owned() } else { format!("{target}:5432") };
        tokio::spawn(proxy.clone().accept(listener, target));
        proxy
    }

    async fn accept(self, listener: TcpListener, target: String) {
        loop {
            let (service, _) = listener.accept().await.unwrap();
            if self.way.borrow().refused {
                continue;
            }
            // Nobody listens there: whoever came is sent away.
            let Ok(database) = TcpStream::connect(&target).await else { continue };
            let number = *self.lock_made();
            *self.lock_made() += 1;
            let ((from_service, to_service), (from_database, to_database)) =
                (service.into_split(), database.into_split());
            tokio::spawn(self.clone().requests(number, from_service, to_database));
            tokio::spawn(self.clone().replies(number, from_database, to_service));
        }
    }

    async fn requests(self, number: usize, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut way, mut buffer, mut in_trap) = (self.way.subscribe(), vec![0; 64 * 1024], false);
        while let Some(count) = read(&mut way, number, &mut from, &mut buffer).await {
            let sent = &buffer[..count];
            let holds = |text: &str| sent.windows(text.len()).any(|part| part == text.as_bytes());
            let trap = *self.trap.lock().unwrap();
            match trap {
                Some(Trap::Before(text)) if holds(text) => self.stop(),
                Some(Trap::CommitOf(text)) => {
                    in_trap |= holds(text);
                    if in_trap && holds("COMMIT") {
                        self.trap.lock().unwrap().take();
                        self.way.send_modify(|way| way.replies = false);
                    }
                }
                Some(Trap::Before(_)) | None => {}
            }
            if !passes(&mut way, number, |way| way.requests).await || to.write_all(sent).await.is_err() {
                break;
            }
        }
    }

    async fn replies(self, number: usize, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut way, mut buffer) = (self.way.subscribe(), vec![0; 64 * 1024]);
        while let Some(count) = read(&mut way, number, &mut from, &mut buffer).await {
            if !passes(&mut way, number, |way| way.replies).await || to.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    }

    /// From here on nothing passes; new connections hang too.
    pub fn stop(&self) {
        self.trap.lock().unwrap().take();
        self.way.send_modify(|way| (way.requests, way.replies) = (false, false));
    }

    /// Stops when it comes to that.
    pub fn stop_at(&self, trap: Trap) {
        *self.trap.lock().unwrap() = Some(trap);
    }

    pub fn is_stopped(&self) -> bool {
        !self.way.borrow().replies
    }

    /// Breaks every connection and refuses new ones, as a server that died.
    pub fn cut(&self) {
        let made = *self.lock_made();
        self.way.send_modify(|way| (way.broken_before, way.refused) = (made, true));
    }

    /// What was held back passes, and everything after it.
    pub fn resume(&self) {
        self.way.send_modify(|way| (way.requests, way.replies, way.refused) = (true, true, false));
    }

    /// From here on everything takes so long, each way.
    pub fn slow_down(&self, delay: Duration) {
        self.way.send_modify(|way| way.delay = delay);
    }

    /// New connections work; those there were hang for good, as after a failover that nobody announced.
    pub fn fail_over(&self) {
        let made = *self.lock_made();
        self.way.send_modify(|way| way.lost_before = made);
        self.resume();
    }

    fn lock_made(&self) -> MutexGuard<'_, usize> {
        self.made.lock().unwrap()
    }
}

/// What comes next; `None` when either side closed the connection or it was broken.
async fn read(
    way: &mut watch::Receiver<Way>,
    number: usize,
    from: &mut OwnedReadHalf,
    buffer: &mut [u8],
) -> Option<usize> {
    tokio::select! {
        count = from.read(buffer) => count.ok().filter(|count| *count > 0),
        _ = way.wait_for(|way| number < way.broken_before) => None,
    }
}

/// Waits until it may pass; `false` when the connection was broken instead.
async fn passes(way: &mut watch::Receiver<Way>, number: usize, open: impl Fn(&Way) -> bool) -> bool {
    let found = way.wait_for(|way| number < way.broken_before || (open(way) && number >= way.lost_before)).await;
    let delay = found.ok().filter(|way| number >= way.broken_before).map(|way| way.delay);
    match delay {
        Some(delay) if !delay.is_zero() => sleep(delay).await,
        Some(_) => {}
        None => return false,
    }
    true
}
