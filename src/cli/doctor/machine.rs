//! What can be looked at without the database's contents: configuration, certificate, keys folder, database, Redis.

use std::os::unix::fs::MetadataExt as _;

use url::Url;

use super::finding::Finding;
use crate::cache::shared::{PATIENCE, Redis};
use crate::cli::config::warnings;
use crate::config::{self, Config};
use crate::crypto::key_ring::KeyRing;
use crate::crypto::secret::Secret;
use crate::crypto::tls::{self, Pair};
use crate::store::Database;
use crate::time::{Clock, Random, Timestamp};

/// A certificate is renewed in good time: so long before its end somebody is told.
const TELL_DAYS: i64 = 21;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) fn configuration(config: &Config) -> Finding {
    let warnings = warnings(config).join("; ");
    if warnings.is_empty() {
        return Finding::of("configuration", Ok(String::new()));
    }
    Finding::note("configuration", warnings)
}

/// The OpenSSL in this program, and how long it is mended.
pub(super) fn openssl() -> Finding {
    let (version, ends) = tls::openssl();
    let now = Clock::System.now().rfc3339();
    match ends {
        Some(day) if day <= now.as_str() => Finding::note(
            "OpenSSL",
            format!(
                "{version}, whose support ended on {day}: bring this program up to date, a newer version has a newer one"
            ),
        ),
        Some(day) => Finding::of("OpenSSL", Ok(format!("{version}, supported until {day}"))),
        None => Finding::of("OpenSSL", Ok(version.to_owned())),
    }
}

/// Our own certificate, where we have one.
pub(super) fn certificate(config: &Config) -> Option<Finding> {
    const CHECK: &str = "TLS certificate and key";
    let files = config.tls.as_ref()?;
    let host = Url::parse(&config.issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let now = Clock::System.now();
    let found = Pair::read(&files.certificate, &files.key).and_then(|pair| pair.inspect(&host, now.seconds()));
    Some(match found {
        Ok(found) if !found.faults.is_empty() => Finding::of(CHECK, Err(found.faults.join("; "))),
        Ok(found) => {
            let ends = Timestamp::from_seconds(found.ends);
            let left = (ends.0 - now.0) / DAY_MS;
            if left < TELL_DAYS {
                Finding::note(
                    CHECK,
                    format!("it ends in {left} day(s), on {}: renew it, and send the service SIGHUP", ends.rfc3339()),
                )
            } else {
                Finding::of(CHECK, Ok(format!("good until {}", ends.rfc3339())))
            }
        }
        Err(error) => Finding::of(CHECK, Err(format!("{error:#}"))),
    })
}

pub(super) fn keys(config: &Config) -> Result<String, String> {
    use rustix::fs;

    let dir = &config.keys.dir;
    let shown = dir.display();
    let ring = KeyRing::load(dir).map_err(|error| format!("{error:#}"))?;
    let missing =
        || format!("there is no key-encryption key in {shown}: run `connect-idp key init`, or restore the folder");
    let ring = ring.ok_or_else(missing)?;
    let mode = std::fs::metadata(dir).map_err(|error| format!("{shown} cannot be read: {error}"))?.mode();
    // What is mounted read-only has whatever mode its mount has, and nobody writes to it.
    let is_read_only = || fs::statvfs(dir).is_ok_and(|mount| mount.f_flag.contains(fs::StatVfsMountFlags::RDONLY));
    if mode & 0o022 != 0 && !is_read_only() {
        return Err(format!("others may write to {shown} (mode {:o}): run chmod 700 on it", mode & 0o777));
    }
    Ok(format!("{shown}, {} key(s)", ring.fingerprints().len()))
}

pub(super) async fn database(config: &Config) -> Result<String, String> {
    if config.on_sqlite() {
        let file = Database::sqlite_file(&config.database.url).ok_or("database.url is not a SQLite address")?;
        if !file.exists() {
            return Err(format!(
                "there is no database at {}: run `connect-idp migrate`, or check database.url",
                file.display()
            ));
        }
    }
    let settings = config::Database { connections: 1, ..config.database.clone() };
    let db = Database::open(&settings, Clock::System).await.map_err(|error| format!("{error:#}"))?;
    let schema = db.schema().await.map_err(|error| error.to_string());
    db.close().await;
    let schema = schema?;
    if let Some(refusal) = schema.refusal() {
        return Err(refusal);
    }
    Ok(format!("{}, {}", db.engine_name(), schema.notice().unwrap_or_else(|| "schema current".into())))
}

pub(super) async fn redis(settings: &config::Redis) -> Result<String, String> {
    let redis = Redis::new(settings, Secret::random(&Random::System), &Random::System, Clock::System.now());
    let redis = redis.map_err(|error| format!("{error:#}"))?;
    let took = redis.round_trip().await.map_err(|why| {
        format!("{why}: fix it or remove redis.url; until then each replica counts attempts on its own, and nothing else changes")
    })?;
    if took > PATIENCE {
        return Err(format!(
            "{} answers in {} ms, and requests wait {} ms: bring it nearer, or each replica counts attempts on its own",
            redis.address(),
            took.as_millis(),
            PATIENCE.as_millis()
        ));
    }
    Ok(format!("{} answers in {} µs", redis.address(), took.as_micros()))
}
