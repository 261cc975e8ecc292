//! Where a listener stands: an address with a port, or a Unix socket.

use std::fmt;
use std::fs::FileType;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// As many bytes the path of a Unix socket may have (unix(7): `sun_path`, without the NUL at its end).
const MAX_SOCKET_PATH: usize = 107;

const SCHEME: &str = "unix:";

/// Where a listener stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A text that names no place.
#[derive(Debug, thiserror::Error)]
pub enum NotAPlace {
    /// Neither form.
    #[error("{0:?} is neither an address with a port nor unix: and the path of a socket")]
    Neither(String),
    /// The path begins at no root, or ends at no file.
    #[error("{0:?} does not name a file by its whole path: write unix:/run/connect-idp/http.sock")]
    NotWhole(String),
    /// The kernel takes no such path.
    #[error("{0:?} is {1} bytes long, and the path of a socket may have {MAX_SOCKET_PATH}: choose a shorter one")]
    Long(String, usize),
}

impl Listen {
    /// The path of the socket, where it is one.
    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// Whether every address of the machine is listened on.
    pub fn is_everywhere(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.ip().is_unspecified())
    }

    /// What stands in the way of a socket at this path, as far as looking shows: words that follow the key and its
    /// value.
    pub fn obstacle(&self) -> Option<String> {
        let path = self.socket()?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        match std::fs::metadata(folder) {
            Ok(found) if !found.is_dir() => return Some(format!("{} is not a folder", folder.display())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let words = "is not there: make it, or let systemd make it (RuntimeDirectory=)";
                return Some(format!("the folder {} {words}", folder.display()));
            }
            Err(error) => return Some(format!("the folder {} cannot be looked into: {error}", folder.display())),
        }
        // A link is not followed: what it leads to is somebody else's.
        let kind = std::fs::symlink_metadata(path).ok()?.file_type();
        let words = "is there already and is not a socket: it is left alone, so choose another name, or remove it";
        (!FileType::is_socket(&kind)).then(|| words.to_owned())
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl FromStr for Listen {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let Some(path) = text.strip_prefix(SCHEME) else {
            return text.parse().map(Self::Tcp).map_err(|_| NotAPlace::Neither(text.to_owned()));
        };
        let is_whole = path.starts_with('/')
            && !path.ends_with('/')
            && !path.ends_with("/.")
            && !path.chars().any(char::is_control)
            && Path::new(path).file_name().is_some();
        if !is_whole {
            return Err(NotAPlace::NotWhole(text.to_owned()));
        }
        if path.len() > MAX_SOCKET_PATH {
            return Err(NotAPlace::Long(text.to_owned(), path.len()));
        }
        Ok(Self::Unix(path.into()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{SCHEME}{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_or_a_whole_path() {
        let longest = format!("unix:/{}", "x".repeat(MAX_SOCKET_PATH - 1));
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/connect-idp/http.sock", &longest] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for (text, words) in [
            ("localhost:8080", "neither an address with a port"),
            ("127.0.0.1", "neither an address with a port"),
            ("/run/http.sock", "neither an address with a port"),
            ("unix:http.sock", "whole path"),
            ("unix:", "whole path"),
            ("unix:/", "whole path"),
            ("unix:/run/", "whole path"),
            ("unix:/run/..", "whole path"),
            ("unix:/run/a\0b", "whole path"),
            (&format!("{longest}x"), "108 bytes"),
        ] {
            let why = text.parse::<Listen>().unwrap_err().to_string();
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn what_stands_in_the_way_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Listen::Unix(folder.path().join(name));
        assert_eq!(at("http.sock").obstacle(), None);
        std::fs::write(folder.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink(folder.path().join("nothing"), folder.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        for (name, words) in [
            ("nowhere/http.sock", "is not there"),
            ("file/http.sock", "is not a folder"),
            ("file", "not a socket"),
            ("link", "not a socket"),
        ] {
            let why = at(name).obstacle().unwrap();
            assert!(why.contains(words), "{name}: {why}");
        }
        assert_eq!(at("socket").obstacle(), None, "whether anybody listens is found out at the start");
    }
}
