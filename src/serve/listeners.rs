//! The listeners: bound by ourselves, or bound already and handed over (`activation`). Each takes connections in.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::time::Instant;

use crate::config::{Config, Listen};
use crate::web::client_ip::Peer;

/// Connections that wait to be accepted, at most: the kernel's own bound may be lower.
const BACKLOG: u32 = 1024;
/// Who may open our socket: our user, and its group.
const SOCKET_MODE: u32 = 0o660;
/// How long a start waits for the lock of its socket's folder, which another start holds for a moment.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often it tries.
const LOCK_AGAIN: Duration = Duration::from_millis(50);

/// What was handed over: neither, one or both.
#[derive(Debug, Default)]
pub struct Activation {
    /// In the place of `listen`.
    pub public: Option<Listener>,
    /// In the place of `internal_listen`.
    pub internal: Option<Listener>,
}

/// The two listeners, bound and not yet served.
#[derive(Debug)]
pub struct Listeners {
    /// For browsers.
    pub public: Listener,
    /// For health and metrics.
    pub internal: Listener,
}

impl Listeners {
    /// Takes what was handed over, and binds the places of the configuration for what was not.
    ///
    /// # Errors
    /// When a place is taken or not ours, naming its key.
    pub async fn bind(config: &Config, activation: Activation) -> anyhow::Result<Self> {
        let Activation { public, internal } = activation;
        let public = match public {
            Some(listener) => listener,
            None => bound("listen", &config.listen).await?,
        };
        if config.tls.is_some() && matches!(public, Listener::Unix { .. }) {
            bail!(
                "the socket \"http\" that was handed over is a Unix socket and there is a [tls] section: a proxy on this machine \
                 speaks TLS there, so remove [tls], or let systemd listen on an address (ListenStream=443)"
            );
        }
        let internal = match internal {
            Some(listener) => listener,
            None => bound("internal_listen", &config.internal_listen).await?,
        };
        Ok(Self { public, internal })
    }
}

/// One listener.
#[derive(Debug)]
pub enum Listener {
    /// On an address and a port.
    Tcp(TcpListener),
    /// On a Unix socket; its file, where it is ours. The file stands first, so that it goes first: as long as somebody
    /// listens, no other start puts its own file in that place.
    Unix(Option<SocketFile>, UnixListener),
}

/// One connection that was taken in.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Small answers leave at once; a socket that refuses this is gone already.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Peer::Address(peer)))
            }
            Self::Unix(_, listener) => Ok((Stream::Unix(listener.accept().await?.0), Peer::Socket)),
        }
    }

    /// Where it stands, for the log.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(|address| address.to_string()),
            Self::Unix(_, listener) => listener.local_addr().map(|address| match address.as_pathname() {
                Some(path) => Listen::Unix(path.into()).to_string(),
                None => "a Unix socket without a name".to_owned(),
            }),
        }
        .unwrap_or_else(|error| format!("nowhere ({error})"))
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

async fn bound(key: &str, place: &Listen) -> anyhow::Result<Listener> {
    match place {
        Listen::Tcp(address) => tcp(*address).await.with_context(|| {
            format!("{key} {place} cannot be listened on, choose another address or end what uses it")
        }),
        Listen::Unix(path) => {
            let refusal = || format!("{key} {place} cannot be listened on");
            if let Some(words) = place.obstacle() {
                return Err(anyhow!(words)).with_context(refusal);
            }
            unix(path).await.with_context(refusal)
        }
    }
}

async fn tcp(address: SocketAddr) -> io::Result<Listener> {
    TcpListener::bind(address).await.map(Listener::Tcp)
}

async fn unix(path: &Path) -> anyhow::Result<Listener> {
    // Two that start at once could each take the other's socket for one that was left behind. The lock goes with its
    // handle.
    let folder = locked(path.parent().unwrap_or(path)).await?;
    remove_left_behind(path).await?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path).context("its file cannot be made")?;
    // Nobody gets in between: it listens when its file has its mode.
    std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).context("its file's mode cannot be set")?;
    let file = SocketFile::at(path)?;
    let listener = socket.listen(BACKLOG)?;
    drop(folder);
    Ok(Listener::Unix(Some(file), listener))
}

/// A handle of this folder that holds its lock. Whoever may read the folder may hold it too, and as long as they like:
/// it is waited for, and not for ever.
async fn locked(folder: &Path) -> anyhow::Result<OwnedFd> {
    let handle = open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .context("its folder cannot be opened")?;
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(handle),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => tokio::time::sleep(LOCK_AGAIN).await,
            Err(Errno::WOULDBLOCK) => bail!(
                "another program has kept the folder {} locked for {} s: end it (lslocks lists who holds locks), and let nobody \
                 else read the folder (RuntimeDirectoryMode=0750)",
                folder.display(),
                LOCK_WAIT.as_secs()
            ),
            Err(error) => return Err(error).context("its folder cannot be locked"),
        }
    }
}

/// Removes the file of a socket on which nobody listens any more: its program was killed.
async fn remove_left_behind(path: &Path) -> anyhow::Result<()> {
    match UnixStream::connect(path).await.map_err(|error| (error.kind(), error)) {
        Ok(_) => bail!("somebody listens there already: end what uses it, or choose another name"),
        Err((io::ErrorKind::NotFound, _)) => Ok(()),
        Err((io::ErrorKind::ConnectionRefused, _)) => {
            std::fs::remove_file(path).context("the file that was left there cannot be removed")
        }
        Err((_, error)) => Err(error).context("whether somebody listens there cannot be found out"),
    }
}

/// The file of our own socket: removed when this is dropped, unless it is another one by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // Who cannot remove it leaves it to the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Which file it is, whatever its name.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listen_at(path: &Path) -> anyhow::Result<Listener> {
        bound("listen", &Listen::Unix(path.into())).await
    }

    #[tokio::test]
    async fn a_socket_is_for_its_user_and_group_and_goes_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let listener = listen_at(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        assert_eq!(listener.place(), format!("unix:{}", path.display()));
        let why = format!("{:#}", listen_at(&path).await.unwrap_err());
        assert!(why.starts_with("listen unix:/") && why.contains("listens there already"), "{why}");
        UnixStream::connect(&path).await.expect("a second start takes nothing away");
        drop(listener);
        assert!(!path.exists());
    }

    /// A program that was killed left it; what is no socket is somebody else's.
    #[tokio::test]
    async fn only_a_socket_that_was_left_behind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listener = listen_at(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "somebody's").unwrap();
        drop(listener);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's", "it was not ours to remove");
        let why = format!("{:#}", listen_at(&path).await.unwrap_err());
        assert!(why.contains("not a socket"), "{why}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's");
    }

    /// Anybody who may read the folder may hold its lock.
    #[tokio::test(start_paused = true)]
    async fn a_locked_folder_holds_no_start_up_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let held = std::fs::File::open(folder.path()).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        let started = Instant::now();
        let why = format!("{:#}", listen_at(&path).await.unwrap_err());
        assert!(why.contains(&format!("the folder {} locked", folder.path().display())), "{why}");
        assert!((LOCK_WAIT..LOCK_WAIT * 2).contains(&started.elapsed()), "{:?}", started.elapsed());

        let release = async {
            tokio::time::sleep(LOCK_WAIT / 2).await;
            drop(held);
        };
        let (listener, ()) = tokio::join!(listen_at(&path), release);
        listener.unwrap();
    }

    #[test]
    fn of_many_that_start_at_once_one_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let listener = runtime.block_on(listen_at(&path));
                    (listener, runtime)
                })
            })
            .collect();
        let started: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
        assert_eq!(started.iter().filter(|(listener, _)| listener.is_ok()).count(), 1);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
    }
}
