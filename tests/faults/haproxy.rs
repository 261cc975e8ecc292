//! HAProxy, before replicas or before servers of PostgreSQL.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::ports::free_port;
use crate::servers::{Server, command};
use crate::setup::Service;

/// Where HAProxy says whether it sends requests to all replicas.
pub const ALL: &str = "/all";

/// Tries nothing twice.
pub const NO_RETRY: &str = " retries 0\n";
/// A request that did not reach a replica goes to another one; one that did and was not answered is asked again where
/// it may be: by GET.
pub const RETRY: &str = " retries 3\n option redispatch 1\n retry-on conn-failure empty-response\n \
                         http-request disable-l7-retry unless METH_GET\n";

/// Before replicas, each request to the next; it asks each five times a second whether it is ready.
pub async fn before_replicas(program: &Path, folder: &Path, replicas: &[&Service], retry: &str) -> Server {
    let (port, count) = (free_port(), replicas.len());
    let mut settings = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n timeout check 3s\n\
         listen connect\n bind 127.0.0.1:{port}\n balance roundrobin\n{retry} monitor-uri {ALL}\n\
         monitor fail if {{ nbsrv lt {count} }}\n option httpchk GET /health/ready\n\
         default-server check inter 200ms fall 1 rise 1\n"
    );
    for (number, replica) in replicas.iter().enumerate() {
        let address = replica.address.trim_start_matches("http://");
        let internal = replica.internal("");
        let internal = internal.rsplit(':').next().unwrap();
        writeln!(settings, " server replica{number} {address} port {internal}").unwrap();
    }
    start(program, folder, port, &settings).await
}

/// Before two servers of PostgreSQL: it asks each five times a second whether it is the one that writes, and ends every
/// connection to one that is not any more.
pub async fn before_databases(program: &Path, folder: &Path, servers: [u16; 2]) -> Server {
    let port = free_port();
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let message = |kind: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        hex(&[kind, &length, body].concat())
    };
    // Protocol 3.0: who asks, of which database; then whether it only follows; then good-bye.
    let hello = message(b"", b"\x00\x03\x00\x00user\0postgres\0database\0postgres\0\0");
    let question = message(b"Q", b"SELECT pg_is_in_recovery()\0");
    let ready = message(b"Z", b"I");
    let no = message(b"D", b"\x00\x01\x00\x00\x00\x01f");
    let farewell = message(b"X", b"");
    let mut settings = format!(
        "defaults\n mode tcp\n timeout connect 1s\n timeout client 10m\n timeout server 10m\n timeout check 1s\n\
         listen postgresql\n bind 127.0.0.1:{port}\n option tcp-check\n tcp-check connect\n\
         tcp-check send-binary {hello}\n tcp-check expect binary {ready}\n tcp-check send-binary {question}\n\
         tcp-check expect binary {no}\n tcp-check send-binary {farewell}\n\
         default-server check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions\n"
    );
    for server in servers {
        writeln!(settings, " server at{server} 127.0.0.1:{server}").unwrap();
    }
    start(program, folder, port, &settings).await
}

async fn start(program: &Path, folder: &Path, port: u16, settings: &str) -> Server {
    let file = folder.join(format!("haproxy-{port}.cfg"));
    fs::write(&file, settings).unwrap();
    let mut haproxy = command(program, folder);
    haproxy.arg("-db").arg("-f").arg(file);
    Server::start(haproxy, folder, port).await
}
