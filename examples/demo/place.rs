//! Where everything is: the ports and the folder.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The listeners, bound and not yet served, and the origins behind them. Each site has a host of its own, because
/// cookies ignore ports.
#[derive(Debug)]
pub struct Addresses {
    pub public: TcpListener,
    pub internal: TcpListener,
    pub therap: TcpListener,
    pub stranger: TcpListener,
    pub portal_listener: TcpListener,
    /// Therap Connect.
    pub issuer: String,
    /// The stand-in for Therap Services.
    pub therap_services: String,
    /// Pages that nobody registered.
    pub foreign: String,
    /// The relying party.
    pub portal: String,
}

impl Addresses {
    pub fn bind(port: u16, therap_port: u16, portal_port: u16) -> anyhow::Result<Self> {
        let public = bind_localhost(port)?;
        let therap = bind(Ipv4Addr::LOCALHOST, therap_port, "--therap-port")?;
        let internal = bind(Ipv4Addr::LOCALHOST, 0, "")?;
        // Not every system answers to the whole of 127/8; another port is another origin as well.
        let stranger = bind(Ipv4Addr::new(127, 0, 0, 2), 0, "").or_else(|_| bind(Ipv4Addr::LOCALHOST, 0, ""))?;
        let portal_listener = bind(Ipv4Addr::new(127, 0, 0, 3), portal_port, "--portal-port")
            .or_else(|_| bind(Ipv4Addr::LOCALHOST, portal_port, "--portal-port"))?;
        Ok(Self {
            issuer: format!("http://localhost:{}", public.local_addr()?.port()),
            therap_services: format!("http://{}", therap.local_addr()?),
            foreign: format!("http://{}", stranger.local_addr()?),
            portal: format!("http://{}", portal_listener.local_addr()?),
            public,
            internal,
            therap,
            stranger,
            portal_listener,
        })
    }
}

/// A port of `localhost` by both of its addresses: browsers try `[::1]` first, and would find another program there.
fn bind_localhost(port: u16) -> anyhow::Result<TcpListener> {
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        let bound = bind(Ipv4Addr::LOCALHOST, port, "--port")?;
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, bound.local_addr()?.port()));
        match TcpListener::bind(six) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && port == 0 => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(taken(port, "--port")),
            Ok(_) | Err(_) => return Ok(bound),
        }
    }
    bail!("no port is free on both addresses of localhost: name one with --port")
}

fn bind(host: Ipv4Addr, port: u16, option: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((host, port));
    TcpListener::bind(address).map_err(|error| {
        if error.kind() == ErrorKind::AddrInUse {
            taken(port, option)
        } else {
            anyhow::Error::new(error).context(format!("{address} cannot be listened on"))
        }
    })
}

fn taken(port: u16, option: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "port {port} is taken by another program: stop that one, or choose another with {option} (0 takes any free one)"
    )
}

/// The folder of everything that is written.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Folder {
    pub fn open(named: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = named else {
            let temporary = tempfile::Builder::new().prefix("connect-idp-demo.").tempdir()?;
            return Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) });
        };
        let shown = path.display();
        std::fs::create_dir_all(path).with_context(|| format!("the folder {shown} cannot be made"))?;
        let path = path.canonicalize().with_context(|| format!("the folder {shown} cannot be used"))?;
        Ok(Self { path, temporary: None })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub const fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// A file's full name as text.
    pub fn file(&self, name: &str) -> anyhow::Result<String> {
        let path = self.path.join(name);
        path.to_str()
            .map(str::to_owned)
            .with_context(|| format!("{} is not UTF-8: name another folder", path.display()))
    }

    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let file = self.file(name)?;
        std::fs::write(&file, text).with_context(|| format!("{file} cannot be written"))?;
        Ok(file)
    }
}
