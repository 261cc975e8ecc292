//! What the machine says of this process, read at each scrape. Where there is no `/proc`, nothing is said.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::measure::{number, seconds};
use crate::time::Timestamp;

/// This process.
#[derive(Debug)]
pub(super) struct Process {
    started_at: Option<f64>,
}

impl Process {
    /// What its start is reckoned from.
    pub(super) fn new(now: Timestamp) -> Self {
        let stat = Stat::read();
        // Not from /proc/stat, which a sandbox may hide.
        let up = clock_gettime(ClockId::Boottime);
        let age = stat.map(|stat| number(up.tv_sec) + number(up.tv_nsec) / 1e9 - stat.started);
        Self { started_at: age.map(|age| seconds(now) - age) }
    }
}

/// The numbers of `/proc/self/stat`, in seconds and bytes.
struct Stat {
    cpu: f64,
    threads: f64,
    /// Since the machine's own start.
    started: f64,
    virtual_memory: f64,
    resident_memory: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// Fields are counted from the one after the program's name, which may hold anything (proc(5): that is field 3).
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = f64::from(u32::try_from(clock_ticks_per_second()).ok()?);
        let page = f64::from(u32::try_from(page_size()).ok()?);
        Some(Self {
            cpu: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            started: field(22)? / ticks,
            virtual_memory: field(23)?,
            resident_memory: field(24)? * page,
        })
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(stat) = Stat::read() else { return Ok(()) };
        let cpu = encoder.encode_descriptor(
            "process_cpu_seconds",
            "Processor time that was used",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(stat.cpu).encode(cpu)?;
        let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        let open = open.and_then(|open| u32::try_from(open).ok()).map(f64::from);
        let most = getrlimit(Resource::Nofile).current.and_then(|most| i64::try_from(most).ok()).map(number);
        for (name, help, value) in [
            ("process_open_fds", "Files and connections that are open", open),
            ("process_max_fds", "As many may be open", most),
            ("process_virtual_memory_bytes", "Addresses that are in use", Some(stat.virtual_memory)),
            ("process_resident_memory_bytes", "Memory that is in use", Some(stat.resident_memory)),
            ("process_start_time_seconds", "When the process began", self.started_at),
            ("process_threads", "Threads that there are", Some(stat.threads)),
        ] {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_any_name_is_read() {
        let numbers = (3..=52).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        let stat = Stat::parse(&format!("7 (a) b) c) {numbers}")).unwrap();
        assert!((stat.threads - 20.0).abs() < f64::EPSILON && (stat.virtual_memory - 23.0).abs() < f64::EPSILON);
        assert!(Stat::parse("7 (a) S 1 2").is_none() && Stat::parse("").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_began_a_moment_ago_and_uses_memory() {
        use crate::time::Clock;
        let now = Clock::System.now();
        let started = Process::new(now).started_at.unwrap();
        let age = seconds(now) - started;
        assert!((-1.0..3600.0).contains(&age), "{age}");
        assert!(Stat::read().unwrap().resident_memory > 1e6);
    }
}
