//! Sockets that are bound and listen already when we start: systemd holds them over a restart, so that nobody is
//! refused meanwhile (`sd_listen_fds(3)`).

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;

use anyhow::{Context as _, bail, ensure};
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use super::listeners::{Activation, Listener};

/// The names of the two, as `FileDescriptorName=` gives them.
const PUBLIC: &str = "http";
const INTERNAL: &str = "internal";
/// What others, neither the owner nor the group, may do to a file.
const RIGHTS_OF_OTHERS: u32 = 0o007;

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
    /// When one is no listening socket, has no name of ours, or is a Unix socket that everybody may open.
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
                    Listener::Unix(None, tokio::net::UnixListener::from_std(socket)?)
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
    listening(&socket)?;
    closed_to_others(&socket)?;
    Ok(Socket::Unix(socket))
}

fn listening(socket: &impl AsFd) -> anyhow::Result<()> {
    ensure!(socket_acceptconn(socket)?, "does not listen: use Accept=no");
    Ok(())
}

/// Who may open a Unix socket is believed about where visitors come from. The mode of its file says who may: systemd
/// gives everybody the right where `SocketMode=` is not written, and an abstract socket has no file.
fn closed_to_others(socket: &UnixListener) -> anyhow::Result<()> {
    let address = socket.local_addr().context("its address cannot be found out")?;
    let Some(path) = address.as_pathname() else {
        bail!(
            "has no file, so everybody on this machine may open it, and would be believed about where visitors come from: let \
             ListenStream= be a path, with SocketMode=0660"
        );
    };
    let found = std::fs::metadata(path).with_context(|| {
        format!(
            "who may open it cannot be found out: its file {} has to be where this program can look at it, with SocketMode=0660",
            path.display()
        )
    })?;
    ensure!(
        found.mode() & RIGHTS_OF_OTHERS == 0,
        "everybody on this machine may open it ({} has the mode {:03o}), and would be believed about where visitors come from: \
         write SocketMode=0660 into its unit, and SocketGroup= with the proxy's group",
        path.display(),
        found.mode() & 0o777
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_socket_that_others_may_open_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let socket = UnixListener::bind(&path).unwrap();
        for mode in [0o666, 0o661, 0o662, 0o664, 0o777] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let why = format!("{:#}", closed_to_others(&socket).unwrap_err());
            assert!(why.contains(&format!("{mode:o}")) && why.contains("SocketMode=0660"), "{why}");
        }
        for mode in [0o660, 0o600, 0o770] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            closed_to_others(&socket).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
        let why = format!("{:#}", closed_to_others(&socket).unwrap_err());
        assert!(why.contains("cannot be found out"), "{why}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_without_a_file_is_refused() {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::SocketAddr;

        let name = format!("connect-idp-test-{}", std::process::id());
        let socket = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        let why = format!("{:#}", closed_to_others(&socket).unwrap_err());
        assert!(why.contains("has no file") && why.contains("SocketMode=0660"), "{why}");
    }
}
