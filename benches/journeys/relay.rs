//! Stands between the service and PostgreSQL while one journey after the other is counted, and reads along: commands,
//! the rows they wrote, commits, and how often the service waited for an answer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde::{Deserialize, Serialize};

/// What the database had to do, for each journey where it is divided so.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// How often the service waited for an answer of PostgreSQL.
    pub round_trips: Option<f64>,
    /// Commands, `BEGIN` and `COMMIT` too.
    pub statements: Option<f64>,
    pub commits: Option<f64>,
    /// Rows inserted, updated or deleted.
    pub rows: Option<f64>,
    /// Bytes of the write-ahead log.
    pub wal_bytes: Option<f64>,
}

#[derive(Default)]
struct Seen {
    round_trips: AtomicU64,
    statements: AtomicU64,
    commits: AtomicU64,
    rows: AtomicU64,
}

/// The relay. Connections end with those who made them.
pub struct Relay {
    /// The database's address by way of this.
    pub url: String,
    seen: Arc<Seen>,
}

impl Relay {
    pub fn to(database: &str) -> Self {
        let mut url = url::Url::parse(database).unwrap();
        let target = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        // What is encrypted cannot be counted.
        url.query_pairs_mut().append_pair("sslmode", "disable");
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect((target.0.as_str(), target.1)).unwrap();
                connect(client, server, &shared);
            }
        });
        Self { url: url.into(), seen }
    }

    /// So far.
    pub fn counts(&self) -> [u64; 4] {
        let Seen { round_trips, statements, commits, rows } = &*self.seen;
        [round_trips, statements, commits, rows].map(|count| count.load(Ordering::Relaxed))
    }
}

fn connect(client: TcpStream, server: TcpStream, seen: &Arc<Seen>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let answered = Arc::new(AtomicBool::new(true));
    let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let (asks, was_answered) = (Arc::clone(seen), Arc::clone(&answered));
    thread::spawn(move || {
        copy(client, to_server, |_| {
            // The first bytes after an answer begin another round.
            if was_answered.swap(false, Ordering::Relaxed) {
                asks.round_trips.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    let (seen, mut messages) = (Arc::clone(seen), Messages::default());
    thread::spawn(move || {
        copy(server, to_client, |bytes| {
            answered.store(true, Ordering::Relaxed);
            messages.read(bytes, |kind, body| note(&seen, kind, body));
        });
    });
}

/// A command that is complete says what it did: `INSERT 0 1`, `COMMIT`.
fn note(seen: &Seen, kind: u8, body: &[u8]) {
    if kind != b'C' {
        return;
    }
    let tag = String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body));
    let rows = tag.rsplit_once(' ').and_then(|(_, count)| count.parse().ok());
    seen.statements.fetch_add(1, Ordering::Relaxed);
    match tag.split(' ').next() {
        Some("COMMIT") => drop(seen.commits.fetch_add(1, Ordering::Relaxed)),
        Some("INSERT" | "UPDATE" | "DELETE") => drop(seen.rows.fetch_add(rows.unwrap_or(0), Ordering::Relaxed)),
        _ => {}
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut part = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut part) {
        look(&part[..read]);
        if to.write_all(&part[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// PostgreSQL's messages: a letter, a length, a body; in pieces as they come.
#[derive(Default)]
struct Messages(Vec<u8>);

impl Messages {
    fn read(&mut self, bytes: &[u8], mut each: impl FnMut(u8, &[u8])) {
        self.0.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(&[kind, a, b, c, d]) = self.0.get(at..at + 5).and_then(|head| head.first_chunk()) {
            let end = at + 1 + usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap();
            let Some(body) = self.0.get(at + 5..end) else { break };
            each(kind, body);
            at = end;
        }
        self.0.drain(..at);
    }
}
