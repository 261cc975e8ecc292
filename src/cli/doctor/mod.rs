//! `doctor`: what is wrong and how to mend it, one line a check.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use super::activity_chain::{Anchors, OlderVersion};
use super::console::{Format, Output, Row, harmless};
use super::{Console, Ended};
use crate::app::{App, Opening};
use crate::cache::proxies::{NOTE_COUNTS, Unread};
use crate::cache::shared::{PATIENCE, Redis};
use crate::config::{self, Config};
use crate::crypto::jws::Algorithm;
use crate::crypto::key_ring::KeyRing;
use crate::crypto::secret::Secret;
use crate::crypto::tls;
use crate::model::issuer::TrustedIssuer;
use crate::model::signing_key::{State, successor_due};
use crate::operations::issuers::read_keys;
use crate::operations::signing_keys::{self, Listed};
use crate::operations::verify_activity::{Terms, verify_end};
use crate::store::{self, Database, invariants};
use crate::time::{Clock, Random, Timestamp};

/// A replica whose clock is further off than this is wrong about deadlines (security.md, *Faults*).
const CLOCK_TOLERANCE_MS: u64 = 2000;

/// `serve` announces a successor within a minute of its date; after an hour something is wrong.
const OVERDUE: Duration = Duration::from_hours(1);

/// What `doctor` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp doctor\n\nExit status: 0 all is well, 1 something is wrong.")]
pub(super) struct Args {
    #[command(flatten)]
    anchors: Anchors,
    #[command(flatten)]
    older_version: OlderVersion,
    #[command(flatten)]
    output: Output,
}

/// What one check found: `Err` says what is wrong and how to mend it.
type Finding = (String, Result<String, String>);

pub(super) async fn run(args: &Args, config: Config, console: &mut Console) -> anyhow::Result<Ended> {
    let terms = Terms { anchors: args.anchors.read()?, ..args.older_version.terms()? };
    let findings = examine(config, &terms).await;
    match args.output.format {
        Format::Text => {
            for (check, found) in &findings {
                let (mark, detail) = match found {
                    Ok(detail) => ("ok   ", detail),
                    Err(cure) => ("WRONG", cure),
                };
                let colon = if detail.is_empty() { "" } else { ": " };
                console.say(format_args!("{mark}  {}{colon}{}", harmless(check), harmless(detail)))?;
            }
        }
        Format::Json => {
            let row = |(check, found): &Finding| {
                let detail = found.as_ref().unwrap_or_else(|cure| cure);
                Row::default().with("check", check.as_str()).with("ok", found.is_ok()).with("detail", detail.as_str())
            };
            console.rows(Format::Json, &findings.iter().map(row).collect::<Vec<_>>())?;
        }
    }
    Ok(if findings.iter().all(|(_, found)| found.is_ok()) { Ended::Done } else { Ended::Refused })
}

async fn examine(config: Config, terms: &Terms) -> Vec<Finding> {
    let warnings = super::config::warnings(&config).join("; ");
    let mut findings = vec![("configuration".to_owned(), Ok(warnings))];
    if let Some(files) = &config.tls {
        let usable = tls::acceptor(&files.certificate, &files.key);
        findings.push(("TLS certificate and key".into(), usable.map(|_| String::new()).map_err(|e| format!("{e:#}"))));
    }
    let keys = keys(&config);
    let database = database(&config).await;
    let both = keys.is_ok() && database.is_ok();
    findings.push(("keys folder".into(), keys));
    findings.push(("database".into(), database));
    if let Some(settings) = &config.redis {
        findings.push(("redis".into(), redis(settings).await));
    }
    if both {
        match App::open(config, Opening::Existing).await {
            Ok(app) => {
                findings.push(("the keys belong to the database".into(), Ok(String::new())));
                examine_contents(&app, terms, &mut findings).await;
                app.db.close().await;
            }
            Err(error) => findings.push(("opening the service's parts".into(), Err(format!("{error:#}")))),
        }
    }
    findings
}

fn keys(config: &Config) -> Result<String, String> {
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

async fn database(config: &Config) -> Result<String, String> {
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

async fn redis(settings: &config::Redis) -> Result<String, String> {
    let redis = Redis::new(settings, Secret::random(&Random::System), &Random::System, Clock::System.now());
    let redis = redis.map_err(|error| format!("{error:#}"))?;
    let took = redis.round_trip().await.map_err(|why| {
        format!("{why}: mend it or remove redis.url; until then each replica counts tries by itself, and nothing else changes")
    })?;
    if took > PATIENCE {
        return Err(format!(
            "{} answers in {} ms, and requests wait {} ms: bring it nearer, or each replica counts tries by itself",
            redis.address(),
            took.as_millis(),
            PATIENCE.as_millis()
        ));
    }
    Ok(format!("{} answers in {} µs", redis.address(), took.as_micros()))
}

async fn examine_contents(app: &App, terms: &Terms, findings: &mut Vec<Finding>) {
    findings.push(("clock".into(), clock(app).await));
    findings.push(("trusted proxies".into(), proxies(app).await));
    match our_keys(app).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(("signing keys".into(), Err(error.to_string()))),
    }
    match trusted_issuers(app).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(("trusted issuers".into(), Err(error.to_string()))),
    }
    let record = record(app, terms).await.unwrap_or_else(|error| Err(error.to_string()));
    findings.push(("the end of the record".into(), record));
    match violations(app).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(("invariants".into(), Err(error.to_string()))),
    }
}

async fn clock(app: &App) -> Result<String, String> {
    let before = app.clock.now().0;
    let Some(theirs) = app.db.clock().await.map_err(|error| error.to_string())? else {
        return Ok("the database has the machine's own".into());
    };
    let ours = i64::midpoint(before, app.clock.now().0);
    let off = theirs.abs_diff(ours);
    if off > CLOCK_TOLERANCE_MS {
        return Err(format!("it is {off} ms off the database's: set both by NTP, 30-second deadlines depend on it"));
    }
    Ok(format!("{off} ms off the database's"))
}

/// What a service noted of its proxies, whichever replica it was.
async fn proxies(app: &App) -> Result<String, String> {
    let noted = async {
        let mut conn = app.db.read().await?;
        store::settings::get(&mut conn, store::settings::UNREAD_HOP).await
    };
    let noted = noted.await.map_err(|error| error.to_string())?;
    let Some(unread) = noted.and_then(|text| serde_json::from_str::<Unread>(&text).ok()) else {
        return Ok(String::new());
    };
    let at = Timestamp(unread.at_ms);
    if at.after(NOTE_COUNTS) <= app.clock.now() {
        return Ok(format!("the last client that could not be read was named on {}", at.rfc3339()));
    }
    Err(format!(
        "the proxy {} named a client on {} that cannot be read as an address ({}): such visitors share the proxy's own \
         address in the record and in the throttle; let it write X-Forwarded-For as nginx or HAProxy do",
        unread.proxy,
        at.rfc3339(),
        unread.hop
    ))
}

async fn our_keys(app: &App) -> Result<Vec<Finding>, store::Error> {
    let now = app.clock.now();
    let keys = signing_keys::list(app, now).await?;
    if keys.is_empty() {
        return Ok(vec![("signing keys".into(), Ok("none yet: `serve` makes the first".into()))]);
    }
    let one = |keys: &[Listed]| (format!("{} signing key", keys[0].key.alg), our_key(app, keys, now));
    Ok(keys.chunk_by(|a, b| a.key.alg == b.key.alg).map(one).collect())
}

/// What is to be said of one algorithm's keys, oldest first.
fn our_key(app: &App, keys: &[Listed], now: Timestamp) -> Result<String, String> {
    let name = &keys[0].key.alg;
    let alg: Algorithm = name.parse().map_err(|()| format!("{name} is no algorithm of ours"))?;
    let in_state = |state| keys.iter().find(|listed| listed.state == state);
    let Some(signing) = in_state(State::Signing) else {
        return Err(format!("none may sign: run `connect-idp key rotate --alg {name} --at-once`"));
    };
    for listed in keys.iter().filter(|listed| listed.state.may_sign()) {
        signing_keys::open(app, alg, &listed.key)?;
    }
    let kid = &signing.key.kid;
    if let Some(next) = in_state(State::Announced) {
        return Ok(format!("{kid} signs until {}, then {}", Timestamp(next.key.signs_from).rfc3339(), next.key.kid));
    }
    let settings = &app.config.keys;
    let due = successor_due(&signing.key.dates(), settings.lasts(), settings.announce());
    if due.after(OVERDUE) <= now {
        return Err(format!(
            "the successor of {kid} was due on {}: see that `serve` runs, or run `connect-idp key rotate --alg {name}`",
            due.rfc3339()
        ));
    }
    Ok(format!("{kid} signs, its successor is announced on {}", due.rfc3339()))
}

async fn trusted_issuers(app: &App) -> Result<Vec<Finding>, store::Error> {
    let issuers = store::issuers::list(&mut app.db.read().await?).await?;
    let mut findings = Vec::with_capacity(issuers.len());
    for issuer in issuers {
        let found = if issuer.enabled { issuer_keys(app, &issuer).await } else { Ok("switched off".into()) };
        findings.push((format!("keys of {}", issuer.issuer), found));
    }
    Ok(findings)
}

async fn issuer_keys(app: &App, issuer: &TrustedIssuer) -> Result<String, String> {
    let jwks = match (&issuer.jwks, &issuer.jwks_uri) {
        (Some(jwks), _) => jwks.clone(),
        (None, Some(address)) => {
            let fetched = app.outbound.get(address).await;
            fetched.map_err(|error| format!("{address} does not give them, ask the issuer to mend it: {error:#}"))?
        }
        (None, None) => return Err("there are none: give it keys with `connect-idp issuer set`".into()),
    };
    let keys = read_keys(&jwks, &app.config)?;
    let mut said: Vec<String> = keys.names().into_iter().map(|(kid, alg)| format!("{kid} ({alg})")).collect();
    said.extend(keys.skipped().iter().map(|why| format!("not used: {why}")));
    Ok(said.join(", "))
}

/// As many of the newest records are proven; `activity verify` proves all.
const PROVEN: i64 = 10_000;

async fn record(app: &App, terms: &Terms) -> Result<Result<String, String>, store::Error> {
    let verified = verify_end(app, PROVEN, terms.clone()).await?;
    Ok(match verified.fault {
        Some(fault) => {
            Err(format!("{}: run `connect-idp activity verify`, and keep a copy of the database", fault.words()))
        }
        None => Ok(format!("{} record(s) as they were written, up to number {}", verified.records, verified.last)),
    })
}

async fn violations(app: &App) -> Result<Vec<Finding>, store::Error> {
    let counted = invariants::violations(&mut app.db.read().await?, app.clock.now()).await?;
    let cure = |count| {
        format!("{count} row(s) break it: keep a copy of the database and ask for support before changing anything")
    };
    let finding =
        |(name, count): (&str, i64)| (name.to_owned(), if count == 0 { Ok(String::new()) } else { Err(cure(count)) });
    Ok(counted.into_iter().map(finding).collect())
}
