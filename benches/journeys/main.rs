//! Whole journeys on the real program: `cargo bench --bench journeys`. The method and the columns are in
//! benches/README.md.
//!
//! The server is a process of its own on a core of its own; load comes from this process, on the others. [`site`] and
//! [`journeys`] are what is asked, [`load`] is how, [`measure`] puts them together; [`report`] is what comes of it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark is a program that prints, and stops at what it cannot do"
)]

mod bare;
mod chart;
mod compare;
mod database;
mod filled;
#[path = "../filling/mod.rs"]
mod filling;
mod http;
mod journeys;
mod load;
mod machine;
mod markdown;
mod measure;
mod options;
mod peer;
#[path = "../../tests/harness/ports.rs"]
mod ports;
mod progress;
mod raw;
mod refusals;
mod relay;
mod report;
mod sender;
mod service;
mod site;

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use connect_idp::crypto::jws::Algorithm;

use database::Engine;
use filled::Filled;
use machine::{Cores, Facts, load_average};
use measure::{Subject, count};
use options::{Options, Place};
use progress::Progress;
use relay::{Counts, Relay};
use report::{Report, SCHEMA, Settings, SiteReport};
use sender::Sender;
use service::Service;
use site::Site;

/// What all measurements share.
struct Bench {
    options: Options,
    cores: Cores,
    raw: BTreeMap<String, f64>,
    progress: Progress,
    filled: Option<Filled>,
}

fn main() -> ExitCode {
    if bare::is_child() {
        bare::serve();
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    if options.list {
        print!("{}", markdown::list());
        return ExitCode::SUCCESS;
    }
    let before = options.compare.as_ref().map(|file| -> Report {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    });
    let report = run(options.out.clone(), options);
    if let Some(before) = before {
        println!("{}", compare::markdown(&before, &report));
    }
    for failure in report.failures() {
        println!("FAILED {failure}");
    }
    if report.failures().next().is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// All of it, printed and written down.
fn run(out: Option<std::path::PathBuf>, options: Options) -> Report {
    let cores = Cores::of_this_machine();
    let mut machine = Facts::now(&cores);
    cores.pin_load();
    let engines = engines(&options);
    let with_peer = options.wants(Place::Peer);
    let journeys = options.journeys();
    let standard = journeys.iter().filter(|journey| journey.standard).count();
    let steps = options.steps() * (journeys.len() * engines.len() + standard * usize::from(with_peer));
    let raw = raw::measure(&cores);
    let filled = options.full.then(|| {
        let server = std::env::var("CONNECT_IDP_TEST_POSTGRES");
        let server =
            server.expect("--full needs CONNECT_IDP_TEST_POSTGRES, a superuser's address: PostgreSQL makes the rows");
        Filled::make(&server, &options, &site::password_hash())
    });
    let bench = Bench { progress: Progress::new(steps), options, cores, raw, filled };
    let mut sites = Vec::new();
    let mut algorithm = Algorithm::Rs256;
    for engine in &engines {
        let (report, its) = bench.engine(engine);
        algorithm = its;
        sites.push(report);
    }
    if with_peer {
        match bench.peer(algorithm) {
            Ok(report) => sites.push(report),
            Err(why) => eprintln!("{} is left out: {why}", peer::NAME),
        }
    }
    bench.progress.end();
    machine.load_after = load_average();
    let settings = Settings {
        seconds: bench.options.seconds,
        runs: bench.options.runs(),
        clients: load::CLIENTS,
        filled: bench.filled.as_ref().map(Filled::numbers),
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let report = Report { schema: SCHEMA, version, machine, settings, raw_us: bench.raw, sites };
    let folder = out.unwrap_or_else(|| peer::target().join("journeys"));
    fs::create_dir_all(&folder).unwrap();
    let text = markdown::of(&report);
    fs::write(folder.join("report.markdown"), &text).unwrap();
    fs::write(folder.join("report.json"), serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
    let pictures = chart::draw(&report, &folder);
    println!("{text}\nIn {}: report.markdown, report.json and {pictures} pictures.", folder.display());
    report
}

/// SQLite; PostgreSQL where a variable names one.
fn engines(options: &Options) -> Vec<Engine> {
    let mut engines = Vec::new();
    if options.wants(Place::Sqlite) {
        engines.push(Engine::Sqlite);
    }
    if options.wants(Place::Postgres) {
        match std::env::var("CONNECT_IDP_TEST_POSTGRES") {
            Ok(server) => engines.push(Engine::Postgres(server)),
            Err(_) => {
                eprintln!("PostgreSQL is left out: set CONNECT_IDP_TEST_POSTGRES to a superuser's address of one");
            }
        }
    }
    engines
}

impl Bench {
    /// The program on one database; and what it signs access tokens in JWT form with.
    fn engine(&self, engine: &Engine) -> (SiteReport, Algorithm) {
        self.progress.of(engine.name());
        let sender = Arc::new(Sender::new(Algorithm::Es256));
        let template = self.filled.as_ref().and_then(Filled::template);
        let mut made = None;
        let service = Service::new(&self.options.program, |folder| made.insert(engine.create(folder, template)).url());
        let database = made.unwrap();
        service.prepare();
        if let Some(filled) = &self.filled {
            filled.copy(engine, &service);
        }
        service.apply(&site::seed(&sender));
        let counts = self.counts(&service, &database, &sender);
        let process = service.serve(&self.cores, &service.database);
        let site = Site::discover(service.port, Some(sender));
        let idle_mib = process.memory_mib();
        let subject = self.subject(&site, &process, Some(&database));
        let measured = self.options.journeys();
        let mut journeys: Vec<_> = measured
            .iter()
            .zip(counts)
            .map(|(journey, counts)| match counts {
                Ok(counts) => subject.measure(journey, counts),
                Err(why) => report::JourneyReport { failure: Some(why), ..subject.measure(journey, Counts::default()) },
            })
            .collect();
        let refusals = self.refusals(&site, &mut journeys);
        let report = SiteReport {
            name: engine.name().to_owned(),
            facts: database.facts(),
            idle_mib,
            loaded_mib: process.memory_mib(),
            journeys,
            refusals,
        };
        (report, site.access_token_algorithm.unwrap_or(Algorithm::Rs256))
    }

    fn counts(
        &self,
        service: &Service,
        database: &database::Database,
        sender: &Arc<Sender>,
    ) -> Vec<Result<Counts, String>> {
        let relay = matches!(database, database::Database::Postgres { .. }).then(|| Relay::to(&service.database));
        let _process = service.serve(&self.cores, relay.as_ref().map_or(&service.database, |relay| &relay.url));
        let site = Site::discover(service.port, Some(Arc::clone(sender)));
        self.progress.begin("what each journey asks of the database");
        // What the service does after a start is no journey's.
        thread::sleep(Duration::from_secs(2));
        self.options.journeys().iter().map(|journey| count(&site, journey, database, relay.as_ref())).collect()
    }

    /// Where sign-ins by password are measured.
    fn refusals(&self, site: &Site, journeys: &mut [report::JourneyReport]) -> Vec<refusals::Refused> {
        let Some(login) = journeys.iter_mut().find(|journey| journey.raw.as_deref() == Some(raw::HASH)) else {
            return Vec::new();
        };
        self.progress.begin("refused logins");
        let rounds = if self.options.quick { 20 } else { 120 };
        refusals::measure(site, rounds, self.raw[raw::HASH]).unwrap_or_else(|why| {
            login.failure.get_or_insert(why);
            Vec::new()
        })
    }

    fn peer(&self, algorithm: Algorithm) -> Result<SiteReport, String> {
        self.progress.of(peer::NAME);
        let (process, port) = peer::start(&self.cores, algorithm)?;
        let site = Site::discover(port, None);
        let idle_mib = process.memory_mib();
        let subject = self.subject(&site, &process, None);
        let standard = self.options.journeys().into_iter().filter(|journey| journey.standard);
        let journeys = standard.map(|journey| subject.measure(&journey, Counts::default())).collect();
        let (name, facts, loaded_mib) = (peer::NAME.to_owned(), peer::facts(), process.memory_mib());
        Ok(SiteReport { name, facts, idle_mib, loaded_mib, journeys, refusals: Vec::new() })
    }

    fn subject<'a>(
        &'a self,
        site: &'a Site,
        process: &'a machine::Process,
        database: Option<&'a database::Database>,
    ) -> Subject<'a> {
        let Self { options, cores, raw, progress, filled: _ } = self;
        Subject { site, process, database, cores, options, raw, progress }
    }
}
