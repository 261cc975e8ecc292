//! Ports of this machine.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// One below those that outgoing connections take, so that it stays free until it is listened on, and between two
/// starts.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests run in processes of their own, side by side: each begins elsewhere.
    let start = u16::try_from(std::process::id() % 1500).unwrap() * 8;
    loop {
        let port = 8_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
