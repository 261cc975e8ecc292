//! A certificate authority of a test's own, and the certificate of this machine's loopback names that it signed.

use std::fs;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

/// PEM files.
pub struct Certificates {
    /// Whom to trust.
    pub authority: PathBuf,
    /// Of `localhost` and `127.0.0.1`.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    pub fn make(folder: &Path) -> Self {
        let (authority_key, key) = (new_key(), new_key());
        let mut builder = begin("The tests' own authority", &authority_key);
        let name = named("The tests' own authority");
        builder.set_issuer_name(&name.build()).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().build().unwrap()).unwrap();
        builder.sign(&authority_key, MessageDigest::sha256()).unwrap();
        let authority = builder.build();

        let mut builder = begin("localhost", &key);
        builder.set_issuer_name(authority.subject_name()).unwrap();
        let names = SubjectAlternativeName::new()
            .dns("localhost")
            .ip("127.0.0.1")
            .build(&builder.x509v3_context(Some(&authority), None))
            .unwrap();
        builder.append_extension(names).unwrap();
        builder.append_extension(ExtendedKeyUsage::new().server_auth().build().unwrap()).unwrap();
        builder.sign(&authority_key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build();

        let write = |name: &str, pem: Vec<u8>| {
            let file = folder.join(name);
            fs::write(&file, pem).unwrap();
            file
        };
        Self {
            authority: write("authority.pem", authority.to_pem().unwrap()),
            certificate: write("certificate.pem", certificate.to_pem().unwrap()),
            key: write("key.pem", key.private_key_to_pem_pkcs8().unwrap()),
        }
    }
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn named(name: &str) -> X509NameBuilder {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder
}

/// What both have; good for a day.
fn begin(name: &str, key: &PKey<Private>) -> X509Builder {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&named(name).build()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder
}
