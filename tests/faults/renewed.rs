//! A certificate that is renewed is served without a restart, and what is broken in its place changes nothing: as renewal
//! hooks, log rotation and terminals that close leave it.

use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use openssl::hash::MessageDigest;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::certificates::Certificates;
use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, eventually};

fn fingerprint(certificate: &X509) -> Vec<u8> {
    certificate.digest(MessageDigest::sha256()).unwrap().to_vec()
}

fn in_file(file: &Path) -> Vec<u8> {
    fingerprint(&X509::from_pem(&fs::read(file).unwrap()).unwrap())
}

/// The certificate that whoever comes now is shown.
async fn shown(service: &Service) -> Vec<u8> {
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let ssl = connector.build().configure().unwrap().verify_hostname(false).into_ssl("localhost").unwrap();
    let stream = TcpStream::connect(service.address.trim_start_matches("http://")).await.unwrap();
    let mut stream = SslStream::new(ssl, stream).unwrap();
    Pin::new(&mut stream).connect().await.unwrap();
    fingerprint(&stream.ssl().peer_certificate().unwrap())
}

/// Puts the files of one pair in place of another's.
fn replace(pair: &Certificates, by: &Certificates) {
    fs::copy(&by.key, &pair.key).unwrap();
    fs::copy(&by.certificate, &pair.certificate).unwrap();
}

on_engines! { a_renewed_certificate_is_served_without_a_restart: sqlite }
async fn a_renewed_certificate_is_served_without_a_restart(engine: Engine) {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [pair, second, third] = folders.each_ref().map(|folder| Certificates::make(folder.path()));
    let settings =
        format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", pair.certificate.display(), pair.key.display());
    let setup = Setup::empty(engine, CHEAP, &settings).await;
    let mut service = setup.serve().await;
    let first = in_file(&pair.certificate);
    assert_eq!(shown(&service).await, first);

    for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::QUIT] {
        service.send(signal);
    }
    // Half of a pair: a hook that was broken off.
    fs::copy(&second.certificate, &pair.certificate).unwrap();
    service.send(Signal::HUP);
    let ten = Duration::from_secs(10);
    eventually("the broken pair is said", ten, async || service.said().contains("the certificate stays as it was"))
        .await;
    assert_eq!(shown(&service).await, first);
    assert!(service.runs(), "a signal ended it");

    replace(&pair, &second);
    service.send(Signal::HUP);
    let new = in_file(&second.certificate);
    eventually("the new certificate is shown after SIGHUP", ten, async || shown(&service).await == new).await;

    replace(&pair, &third);
    let new = in_file(&third.certificate);
    let a_look = Duration::from_secs(45);
    eventually("the next one is shown without a signal", a_look, async || shown(&service).await == new).await;
}
