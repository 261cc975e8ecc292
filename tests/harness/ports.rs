//! Ports of this machine.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// Of the ports that are this process's own, the locks: they go with it, however it ends.
static OWN: Mutex<Vec<File>> = Mutex::new(Vec::new());

fn locks() -> PathBuf {
    std::env::temp_dir().join("connect-idp-test-ports")
}

/// A port that no other test is given as long as this process runs, whether or not something listens on it yet, or still.
/// It lies below those that outgoing connections take.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    fs::create_dir_all(locks()).unwrap();
    // Tests run in processes of their own, side by side: each begins elsewhere.
    let start = u16::try_from(std::process::id() % 1500).unwrap() * 8;
    loop {
        let port = 8_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let lock = File::create(locks().join(port.to_string())).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            OWN.lock().unwrap().push(lock);
            return port;
        }
    }
}

#[test]
fn a_port_is_given_to_one() {
    let port = free_port();
    assert!(File::open(locks().join(port.to_string())).unwrap().try_lock().is_err());
    assert_ne!(free_port(), port);
}
