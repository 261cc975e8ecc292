//! Our part of each trace, to a collector (OTLP over HTTP, in JSON). Spans wait in a queue that has an end: a collector
//! that is slow, full or gone loses spans, and no request ever waits for it.

mod spans;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::{Notify, watch};
use url::Url;

pub use self::spans::Ended;
use self::spans::Source;
use crate::config::Config;

/// As many requests wait to be told of; the next is left out.
pub const MAX_WAITING: usize = 2048;
/// As many are told of at once.
const BATCH: usize = 512;
/// So often those that wait are told of, however few.
const EVERY: Duration = Duration::from_secs(5);
/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits for the last ones to be told of.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);

/// The collector, and what waits for it.
#[derive(Debug)]
pub struct Collector {
    client: reqwest::Client,
    address: Url,
    headers: HeaderMap,
    source: Source,
    waiting: Mutex<VecDeque<Ended>>,
    enough: Notify,
    lost: AtomicU64,
}

impl Collector {
    /// The collector of a configuration; `None` where it has none.
    ///
    /// # Errors
    /// When the section cannot be read.
    pub fn new(config: &Config) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(otlp) = &config.otlp else { return Ok(None) };
        let mut headers: HeaderMap = otlp.pairs().context("otlp.headers cannot be read")?.into_iter().collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let client = super::builder(config)?.timeout(TIMEOUT).build()?;
        let address = otlp.address().context("otlp.endpoint is not an address")?;
        let source = Source::of(config);
        let (waiting, enough, lost) = (Mutex::default(), Notify::new(), AtomicU64::new(0));
        Ok(Some(Arc::new(Self { client, address, headers, source, waiting, enough, lost })))
    }

    /// Remembers a request that ended, if there is room. It never waits.
    pub fn add(&self, ended: Ended) {
        let mut waiting = self.lock();
        if waiting.len() >= MAX_WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(ended);
        if waiting.len() >= BATCH {
            self.enough.notify_one();
        }
    }

    /// Tells of what waits now and then, until it is to stop.
    async fn run(&self, mut stopped: watch::Receiver<bool>) {
        let mut is_reached = true;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.enough.notified() => {}
                _ = stopped.changed() => return,
            }
            // A stop waits for the end of this, which is bounded as each request is: what was taken out is not dropped.
            match self.tell().await {
                Ok(false) => {}
                Ok(true) => {
                    let lost = self.lost.swap(0, Ordering::Relaxed);
                    if !is_reached {
                        tracing::info!("{} takes traces again; {lost} requests are missing in them", self.address);
                    } else if lost > 0 {
                        tracing::warn!("{} is too slow: {lost} requests are missing in its traces", self.address);
                    }
                    is_reached = true;
                }
                Err(error) => {
                    if is_reached {
                        tracing::warn!(
                            "{} takes no traces, and they are left out until it does: {error:#}",
                            self.address
                        );
                    }
                    is_reached = false;
                }
            }
        }
    }

    /// Tells of all that waits: whether there was anything.
    ///
    /// # Errors
    /// Why the collector did not take it: what it was told last is lost.
    pub async fn tell(&self) -> anyhow::Result<bool> {
        let mut was_any = false;
        loop {
            let batch: Vec<Ended> = {
                let mut waiting = self.lock();
                let count = waiting.len().min(BATCH);
                waiting.drain(..count).collect()
            };
            if batch.is_empty() {
                return Ok(was_any);
            }
            was_any = true;
            if let Err(error) = self.send(&batch).await {
                self.lost.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
                return Err(error);
            }
        }
    }

    async fn send(&self, batch: &[Ended]) -> anyhow::Result<()> {
        let body = self.source.export(batch).to_string();
        let request = self.client.post(self.address.clone()).headers(self.headers.clone()).body(body);
        let response = request.send().await.map_err(reqwest::Error::without_url).context("no answer")?;
        ensure!(response.status().is_success(), "answered {}", response.status());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Ended>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the collector, if there is one, until it is to stop.
pub async fn run(collector: Option<Arc<Collector>>, stopped: watch::Receiver<bool>) {
    if let Some(collector) = collector {
        collector.run(stopped).await;
    }
}

/// Tells it of what is left when all else has stopped.
pub async fn finish(collector: Option<&Collector>) {
    let Some(collector) = collector else { return };
    match tokio::time::timeout(LAST_TIMEOUT, collector.tell()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!("{} did not take the last traces: {error:#}", collector.address),
        Err(_) => tracing::warn!("{} did not take the last traces in time", collector.address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Otlp;
    use crate::log::tests::request;

    #[tokio::test]
    async fn what_waits_has_an_end_and_nobody_waits_for_it() {
        // Nobody listens there.
        let otlp = Some(Otlp { endpoint: "http://127.0.0.1:9".into(), headers: None });
        let collector = Collector::new(&Config { otlp, ..Config::default() }).unwrap().unwrap();
        let one = Arc::new(request("GET", "/login"));
        for _ in 0..MAX_WAITING + 10 {
            collector.add(Ended { request: Arc::clone(&one), status: 200, took: Duration::from_millis(1) });
        }
        assert_eq!((collector.lock().len(), collector.lost.load(Ordering::Relaxed)), (MAX_WAITING, 10));
        assert!(collector.tell().await.is_err());
        let lost = u64::try_from(BATCH).unwrap() + 10;
        assert_eq!((collector.lock().len(), collector.lost.load(Ordering::Relaxed)), (MAX_WAITING - BATCH, lost));
    }
}
