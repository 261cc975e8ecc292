//! Sockets that are bound and listen already when we start: systemd holds them over a restart, so that nobody is refused
//! meanwhile (`sd_listen_fds(3)`).

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use anyhow::{Context as _, ensure};
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use super::listeners::{Activation, Listener};

/// The names of the two, as `FileDescriptorName=` gives them.
const PUBLIC: &str = "http";
const INTERNAL: &str = "internal";

/// A socket as it was handed over.
#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What was handed over, before there is a runtime to serve it.
#[derive(Debug, Default)]
pub struct Handed {
    sockets: Vec<(String, Socket)>,
}

impl Handed {
    /// Takes them out of the environment: call it while the process has one thread.
    ///
    /// # Errors
    /// When one is no listening socket, or has no name of ours.
    pub fn take() -> anyhow::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self::of(&mut ListenFd::from_env(), &names)
    }

    fn of(handed: &mut ListenFd, names: &str) -> anyhow::Result<Self> {
        let mut names: Vec<&str> = names.split(':').filter(|name| !name.is_empty()).collect();
        if names.is_empty() && handed.len() == 1 {
            // Who hands one over and gives no name means the site.
            names.push(PUBLIC);
        }
        let count = handed.len();
        ensure!(
            count == 0 || names.len() == count,
            "{count} sockets were handed over with {} names: each needs FileDescriptorName={PUBLIC} or {INTERNAL}",
            names.len()
        );
        let mut sockets: Vec<(String, Socket)> = Vec::new();
        for (at, name) in names.into_iter().enumerate().take(count) {
            ensure!(
                matches!(name, PUBLIC | INTERNAL),
                "a socket named {name:?} was handed over: FileDescriptorName= has to be {PUBLIC} or {INTERNAL}"
            );
            ensure!(
                sockets.iter().all(|(other, _)| other != name),
                "two sockets named {name:?} were handed over: one ListenStream= for each name"
            );
            let socket = taken(handed, at).with_context(|| format!("the socket {name:?} that was handed over"))?;
            sockets.push((name.to_owned(), socket));
        }
        Ok(Self { sockets })
    }

    /// Makes listeners of them, within the runtime.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn listeners(self) -> anyhow::Result<Activation> {
        let mut activation = Activation::default();
        for (name, socket) in self.sockets {
            let listener = match socket {
                Socket::Tcp(socket) => {
                    socket.set_nonblocking(true)?;
                    Listener::Tcp(socket.try_into()?)
                }
                Socket::Unix(socket) => {
                    socket.set_nonblocking(true)?;
                    // Its file belongs to whoever made it.
                    Listener::Unix(socket.try_into()?, None)
                }
            };
            let place = if name == PUBLIC { &mut activation.public } else { &mut activation.internal };
            *place = Some(listener);
        }
        Ok(activation)
    }
}

/// The socket at this place.
fn taken(handed: &mut ListenFd, at: usize) -> anyhow::Result<Socket> {
    if let Ok(Some(socket)) = handed.take_tcp_listener(at) {
        return listening(&socket).map(|()| Socket::Tcp(socket));
    }
    let socket = handed.take_unix_listener(at).context("is neither TCP nor a Unix stream: use ListenStream=")?;
    let socket = socket.context("is not there")?;
    listening(&socket).map(|()| Socket::Unix(socket))
}

fn listening(socket: &impl AsFd) -> anyhow::Result<()> {
    ensure!(socket_acceptconn(socket)?, "does not listen: use Accept=no");
    Ok(())
}
