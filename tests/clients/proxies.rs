//! Debian's nginx, HAProxy and Apache httpd in front of the service, speaking HTTP/2, compressing, and adding to
//! `X-Forwarded-For`, as whoever runs them sets them up.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::model::header_text::ascii;
use connect_idp::time::Clock;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jws::{ES256, JwsSigner as _};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, COOKIE, ETAG, IF_MATCH, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::people::AMINA;
use crate::harness::{Browser, Kind, Options};
use crate::needs::named;
use crate::ports::free_port;
use crate::program::Program;
use crate::service::{SECRET, Service};

const SENDER: &str = "https://secure.example.net";
/// Where the person sits whose requests come by [`Front::web`].
const DESK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_nginx_everything_is_as_without_it() {
    behind("nginx", "CONNECT_IDP_TEST_NGINX", |nginx, folder| {
        let mut command = Command::new(nginx);
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        command.args(["-e", "stderr", "-g", "daemon off;"]);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_haproxy_everything_is_as_without_it() {
    behind("haproxy", "CONNECT_IDP_TEST_HAPROXY", |haproxy, folder| {
        let mut command = Command::new(haproxy);
        command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_apache_everything_is_as_without_it() {
    behind("apache", "CONNECT_IDP_TEST_APACHE", |apache, folder| {
        let mut command = Command::new(apache);
        // Started by root, its workers are somebody else, who must come to the folder.
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
            command.args(["-D", "ROOT"]);
        }
        command.arg("-f").arg(folder.join("apache.conf")).args(["-D", "FOREGROUND"]);
        command
    })
    .await;
}

/// A service behind a proxy, and who comes by it.
struct Front {
    // The browser goes first: it would only see the others go.
    browser: Browser,
    /// Another person's, from [`DESK`].
    web: Client,
    sender: Jwk,
    _proxy: Program,
    service: Service,
}

async fn behind(name: &str, variable: &str, command: impl FnOnce(&Path, &Path) -> Command) {
    let (Some(program), Some(chromium)) = (named(variable), Kind::Chromium.programs()) else { return };
    let port = free_port();
    let sender = Jwk::generate_ec_key(EcCurve::P256).unwrap();
    let service = Service::behind(port, &seed(&sender)).await;
    let command = command(&program, &configure(name, &service, port));
    let proxy = Program::start(name, command, service.folder.path(), port).await;
    let options = Options { any_certificate: true, ..Options::default() };
    let browser = Browser::start(Kind::Chromium, &chromium, options, &service.issuer).await;
    let web = service.web().local_address(IpAddr::from(DESK)).build().unwrap();
    let front = Front { browser, web, sender, _proxy: proxy, service };

    front.a_person_signs_in_by_http_2().await;
    let session = front.a_handoff_comes_from_where_the_person_is().await;
    front.a_program_edits_what_it_read_compressed().await;
    front.cookies_may_be_large(&session).await;
}

/// A program that may edit users, and who may send people.
fn seed(sender: &Jwk) -> String {
    let mut key = sender.to_public_key().unwrap();
    key.set_key_id("proxies");
    key.set_algorithm("ES256");
    format!(
        "client_id = \"robot\"\nclient_secret = \"{SECRET}\"\ngrant_types = [\"client_credentials\"]\n\
         scope = \"users.read users.write\"\n\
         [[trusted_issuer]]\nissuer = \"{SENDER}\"\ndisplay_name = \"Sender\"\norigins = [\"{SENDER}\"]\n\
         jwks = '{{\"keys\":[{key}]}}'\n"
    )
}

/// The folder with the proxy's configuration of this test.
fn configure(name: &str, service: &Service, port: u16) -> std::path::PathBuf {
    let folder = service.folder.path();
    let (certificate, key) = (&service.certificates.certificate, &service.certificates.key);
    let both = folder.join("both.pem");
    fs::write(&both, [certificate, key].map(|file| fs::read(file).unwrap()).concat()).unwrap();
    let of_the_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/proxies");
    for file in fs::read_dir(of_the_repository).unwrap().map(|entry| entry.unwrap().path()) {
        let stem = file.file_stem().unwrap();
        if stem == name {
            let text = fs::read_to_string(&file).unwrap();
            let text = text
                .replace("$FOLDER", folder.to_str().unwrap())
                .replace("$PORT", &port.to_string())
                .replace("$SERVICE", &service.port.to_string())
                .replace("$CERTIFICATE", certificate.to_str().unwrap())
                .replace("$KEY", key.to_str().unwrap())
                .replace("$BOTH", both.to_str().unwrap());
            fs::write(folder.join(file.file_name().unwrap()), text).unwrap();
        }
    }
    folder.to_owned()
}

impl Front {
    /// So does who has many cookies of other programs on this host, as Chromium sends them.
    async fn a_person_signs_in_by_http_2(&self) {
        self.browser.open("/login").await;
        self.browser.run("for (const n of '123456') document.cookie = `other${n}=${'x'.repeat(4000)}`").await;
        self.browser.sign_in(&AMINA).await;
        let protocol = self.browser.run("return performance.getEntriesByType('navigation')[0].nextHopProtocol").await;
        assert_eq!(protocol, "h2");
        self.browser.log_out().await;
        self.browser.is_out().await;
    }

    /// From the sender's page to the Dashboard; who claims to come from elsewhere is not believed. The session's
    /// cookie.
    async fn a_handoff_comes_from_where_the_person_is(&self) -> String {
        let issuer = &self.service.issuer;
        let lie = |request: RequestBuilder| {
            request.header("X-Forwarded-For", "203.0.113.9").header("Forwarded", "for=203.0.113.9").send()
        };
        let form = [("assertion", self.assertion())];
        let post = self.web.post(format!("{issuer}/unified-login")).header(ORIGIN, SENDER).form(&form);
        let posted = lie(post).await.unwrap();
        assert_eq!(posted.status(), StatusCode::SEE_OTHER);
        let next = ascii(&posted.headers()[LOCATION]).unwrap();
        let complete = self.web.get(format!("{issuer}{next}")).header(COOKIE, cookie(&posted, "handoff-"));
        let completed = lie(complete).await.unwrap();
        assert_eq!(completed.status(), StatusCode::SEE_OTHER);
        let session = cookie(&completed, "connect-session");
        assert_eq!(self.dashboard(&session).await.status(), StatusCode::OK);

        let activity = self.service.activity();
        let handoff = activity.iter().find(|record| record["login_type"] == "Unified Login");
        let handoff = handoff.unwrap_or_else(|| panic!("no handoff: {activity:#?}"));
        assert_eq!(handoff["outcome"], "success");
        assert_eq!(handoff["address"], DESK.to_string());
        session
    }

    /// Clicked now.
    fn assertion(&self) -> String {
        let now = Clock::System.now().seconds();
        let claims = json!({
            "iss": SENDER, "aud": self.service.issuer, "sub": "sub-of-amina", "provider_code": AMINA.provider,
            "login_name": AMINA.login_name, "iat": now, "exp": now + 30, "jti": "proxies-0123456789-0123456789",
        });
        let header = r#"{"typ":"therap-handoff+jwt","alg":"ES256","kid":"proxies"}"#;
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = ES256.signer_from_jwk(&self.sender).unwrap().sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    async fn dashboard(&self, cookie: &str) -> Response {
        self.web.get(format!("{}/", self.service.issuer)).header(COOKIE, cookie).send().await.unwrap()
    }

    /// The revision that a compressed answer names, whatever the proxy made of it, may be written over once.
    async fn a_program_edits_what_it_read_compressed(&self) {
        let form = [("grant_type", "client_credentials")];
        let token = self.web.post(format!("{}/oauth2/token", self.service.issuer)).basic_auth("robot", Some(SECRET));
        let token: Value = token.form(&form).send().await.unwrap().json().await.unwrap();
        let token = token["access_token"].as_str().unwrap_or_else(|| panic!("no token: {token}"));
        let user = format!("{}/api/v1/providers/{}/users/{}", self.service.issuer, AMINA.provider, self.service.sub());

        let read = self.web.get(&user).bearer_auth(token).header(ACCEPT_ENCODING, "gzip").send().await.unwrap();
        assert_eq!(read.status(), StatusCode::OK);
        assert_eq!(read.headers()[CONTENT_ENCODING], "gzip");
        let etag = read.headers()[ETAG].clone();
        let mut answers = Vec::new();
        for name in ["Amina Diallo-Sow", "Somebody Else"] {
            let edit = self.web.patch(&user).bearer_auth(token).header(ACCEPT_ENCODING, "gzip");
            let edit = edit.header(IF_MATCH, etag.clone()).json(&json!({ "name": name }));
            answers.push(edit.send().await.unwrap().status());
        }
        assert_eq!(answers, [StatusCode::OK, StatusCode::PRECONDITION_FAILED], "{etag:?}");
    }

    /// Up to the service's own bound, and what is larger it refuses on its own, not by a connection that breaks.
    async fn cookies_may_be_large(&self, session: &str) {
        for (bytes, status) in [(24_000, StatusCode::OK), (40_000, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)] {
            let answer = self.dashboard(&format!("other={}; {session}", "x".repeat(bytes))).await;
            assert_eq!(answer.status(), status, "{bytes}");
        }
        assert_eq!(self.dashboard(session).await.status(), StatusCode::OK);
    }
}

/// A cookie of this answer, as the browser sends it back.
fn cookie(answer: &Response, prefix: &str) -> String {
    let set = answer.headers().get_all(SET_COOKIE).iter().map(|value| ascii(value).unwrap());
    let pair = set.filter_map(|cookie| cookie.split(';').next()).find(|pair| pair.contains(prefix));
    pair.unwrap_or_else(|| panic!("no cookie {prefix}: {answer:?}")).to_owned()
}
