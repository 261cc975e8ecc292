//! What every client needs: the service, a browser, and the address that the client will have.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Browser, Kind, Options};
use crate::needs::named;
use crate::ports::free_port;
use crate::program::Program;
use crate::service::{SECRET, Service};

pub struct Stage {
    // The browser goes first: it would only see the others go.
    pub browser: Browser,
    pub service: Service,
    /// Where the client is to listen.
    pub app: Place,
}

/// An origin on this machine.
pub struct Place {
    pub origin: String,
    pub port: u16,
}

impl Place {
    /// Without TLS, as an app is while it is written.
    pub fn plain() -> Self {
        Self::of("http")
    }

    pub fn secure() -> Self {
        Self::of("https")
    }

    // Not localhost, which is the service's: cookies do not know ports.
    fn of(scheme: &str) -> Self {
        let port = free_port();
        Self { origin: format!("{scheme}://127.0.0.1:{port}"), port }
    }
}

/// The folder with the clients' packages; without one they are left out.
pub fn packages(client: &str) -> Option<PathBuf> {
    Some(named("CONNECT_IDP_TEST_CLIENTS")?.join(client))
}

impl Stage {
    /// With a client at this place; `None` when something is missing, which was then said.
    pub async fn with(app: Place, client: impl FnOnce(&str) -> String) -> Option<Self> {
        let programs = Kind::Chromium.programs()?;
        let service = Service::start(&client(&app.origin)).await;
        let options = Options { any_certificate: true, ..Options::default() };
        let browser = Browser::start(Kind::Chromium, &programs, options, &service.issuer).await;
        Some(Self { browser, service, app })
    }

    /// With a client that has a secret, and the callback and the home page that the apps of docs/relying-party.md have.
    pub async fn with_app(auth_method: &str) -> Option<Self> {
        let client = |origin: &str| {
            format!(
                "client_id = \"portal\"\nclient_secret = \"{SECRET}\"\nclient_name = \"Care Portal\"\n\
                 redirect_uris = [\"{origin}/callback\"]\npost_logout_redirect_uris = [\"{origin}/\", \"{origin}/signed-out\"]\n\
                 grant_types = [\"authorization_code\", \"refresh_token\"]\n\
                 token_endpoint_auth_method = \"{auth_method}\"\nscope = \"openid profile email provider\"\n"
            )
        };
        Self::with(Place::plain(), client).await
    }

    /// With a client that has a secret and this callback, and what else its table says.
    pub async fn with_client(callback: &str, more: &str) -> Option<Self> {
        let client = |origin: &str| {
            format!(
                "client_id = \"portal\"\nclient_secret = \"{SECRET}\"\nclient_name = \"Care Portal\"\n\
                 redirect_uris = [\"{origin}{callback}\"]\npost_logout_redirect_uris = [\"{origin}/\"]\n\
                 grant_types = [\"authorization_code\", \"refresh_token\"]\nscope = \"openid profile email provider\"\n{more}"
            )
        };
        Self::with(Place::plain(), client).await
    }

    /// Starts the client, which is told who it is, where, and whom to trust.
    pub async fn run(&self, name: &str, command: Command) -> Program {
        Program::start(name, self.told(command), self.service.folder.path(), self.app.port).await
    }

    /// Runs a command of the client's that must succeed, told the same.
    pub async fn run_to_its_end(&self, command: Command) {
        let mut command = self.told(command);
        let done = tokio::task::spawn_blocking(move || (command.output().unwrap(), command)).await.unwrap();
        let (output, command) = done;
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn told(&self, mut command: Command) -> Command {
        let authority = &self.service.certificates.authority;
        command
            .env("ISSUER", &self.service.issuer)
            .env("CLIENT_ID", "portal")
            .env("CLIENT_SECRET", SECRET)
            .env("APP_URL", &self.app.origin)
            // Whom to trust: in Node, in Python's requests, in OpenSSL.
            .env("NODE_EXTRA_CA_CERTS", authority)
            .env("REQUESTS_CA_BUNDLE", authority)
            .env("SSL_CERT_FILE", authority);
        command
    }
}
