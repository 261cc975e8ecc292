//! The machine: its cores, who runs on which, the CPU time of processes, and what else a report should say of it.

use std::fs;
use std::io;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// One core for the server, the others for whoever asks it (and its database).
pub struct Cores {
    server: CpuSet,
    load: CpuSet,
    /// How many the load has.
    pub load_count: usize,
    /// The server has its core to itself.
    pub apart: bool,
}

impl Cores {
    pub fn of_this_machine() -> Self {
        let all = sched_getaffinity(None).unwrap();
        let mut list: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        let set = |cores: &[usize]| {
            let mut set = CpuSet::new();
            for core in cores {
                set.set(*core);
            }
            set
        };
        let (server, apart) = (list[list.len() - 1], list.len() > 1);
        if apart {
            list.pop();
        }
        Self { server: set(&[server]), load: set(&list), load_count: list.len(), apart }
    }

    /// From here on this thread, and those it starts, leave the server's core alone.
    pub fn pin_load(&self) {
        sched_setaffinity(None, &self.load).unwrap();
    }

    /// Does work on the server's core.
    pub fn on_the_servers<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let pinned = || {
            sched_setaffinity(None, &self.server).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(pinned).join().unwrap())
    }

    /// Starts a program on the server's core: whatever it starts stays there.
    pub fn start(&self, command: &mut Command) -> Process {
        Process(self.on_the_servers(|| command.spawn().unwrap()))
    }

    /// Keeps other processes off the server's core, where that is allowed.
    pub fn keep_off(&self, processes: &[i32]) -> io::Result<()> {
        for process in processes {
            // One that has ended meanwhile is off it too.
            match sched_setaffinity(Pid::from_raw(*process), &self.load) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A child process. Dropped, it is stopped.
pub struct Process(Child);

impl Process {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn cpu(&self) -> Duration {
        cpu_of(self.id()).unwrap()
    }

    /// Resident memory.
    pub fn memory_mib(&self) -> f64 {
        number(&format!("/proc/{}/status", self.id()), "VmRSS:") / 1024.0
    }

    /// Bytes that went to a disk, or will.
    pub fn written(&self) -> f64 {
        number(&format!("/proc/{}/io", self.id()), "write_bytes:")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// User and system time of a process so far, those of its threads that have ended too.
pub fn cpu_of(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    // Linux counts in hundredths of a second, whatever the machine.
    Some(Duration::from_millis(ticks * 10))
}

/// What a report says of where it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
    /// The server had a core to itself.
    pub pinned: bool,
    /// Load averages (1, 5, 15 minutes) when the run began and when it ended: other work makes every figure worse.
    pub load_before: String,
    pub load_after: String,
    /// RFC 3339.
    pub at: String,
}

impl Facts {
    pub fn now(cores: &Cores) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap();
        let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        Self {
            processor: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned()),
            cores: cores.load_count + usize::from(cores.apart),
            memory_gib: number("/proc/meminfo", "MemTotal:") / 1024.0 / 1024.0,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim().to_owned(),
            pinned: cores.apart,
            load_before: load_average(),
            load_after: String::new(),
            at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }
}

pub fn load_average() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The number of a line that begins so.
fn number(file: &str, label: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(label)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

pub fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}
