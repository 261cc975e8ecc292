//! The other provider of benches/peer, which the same journeys are measured on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use connect_idp::crypto::jws::Algorithm;

use crate::machine::{Cores, Process};
use crate::ports::free_port;
use crate::service::wait_for;
use crate::site::{REDIRECT, SECRET};

pub const NAME: &str = "node oidc-provider";

/// Started on the server's core, and its port; or why it is left out.
pub fn start(cores: &Cores, algorithm: Algorithm) -> Result<(Process, u16), String> {
    let folder = prepare()?;
    let port = free_port();
    let mut node = Command::new("node");
    node.current_dir(folder).env("NODE_ENV", "production").stdout(Stdio::null()).stderr(Stdio::null());
    let process = cores.start(node.args(["server.mjs", &port.to_string(), SECRET, REDIRECT, algorithm.name()]));
    wait_for(port, "/.well-known/openid-configuration");
    Ok((process, port))
}

/// Which versions are compared with.
pub fn facts() -> String {
    let node = Command::new("node").arg("--version").output().map(|said| said.stdout).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_str(include_str!("../peer/package.json")).unwrap();
    format!(
        "oidc-provider {}, its in-memory adapter, node {}",
        package["dependencies"]["oidc-provider"].as_str().unwrap(),
        String::from_utf8_lossy(&node).trim()
    )
}

/// Its packages, as the lock has them, in target/tools/peer.
fn prepare() -> Result<PathBuf, String> {
    if Command::new("node").arg("--version").output().is_err() {
        return Err("node is not installed".to_owned());
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer");
    let to = target().join("tools/peer");
    fs::create_dir_all(&to).unwrap();
    let lock = "package-lock.json";
    let is_prepared =
        fs::read(to.join(lock)).ok() == fs::read(from.join(lock)).ok() && to.join("node_modules/jose").exists();
    for file in ["package.json", lock, "server.mjs"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    if !is_prepared {
        eprintln!("installing the packages of benches/peer");
        let flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
        let status = Command::new("npm").current_dir(&to).args(flags).stdout(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err("npm ci failed".to_owned());
        }
    }
    Ok(to)
}

/// Cargo's folder of what it builds.
pub fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}
