//! What is counted, for `/metrics` (the OpenMetrics text format).

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The counters of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sign_ins: Family<SignInLabels, Counter>,
    handoff_refusals: Family<ReasonLabels, Counter>,
    handoff_repeats: Counter,
    throttled: Counter,
    busy: Counter,
    logouts_told: Family<OutcomeLabels, Counter>,
    unrecorded: Counter,
    record_broken: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SignInLabels {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("connect_idp"),
            sign_ins: Family::default(),
            handoff_refusals: Family::default(),
            handoff_repeats: Counter::default(),
            throttled: Counter::default(),
            busy: Counter::default(),
            logouts_told: Family::default(),
            unrecorded: Counter::default(),
            record_broken: Gauge::default(),
        };
        let r = &mut metrics.registry;
        r.register("sign_ins", "Sign-ins by door and outcome", metrics.sign_ins.clone());
        r.register("handoff_refusals", "Refused handoffs by reason", metrics.handoff_refusals.clone());
        r.register(
            "handoff_repeats",
            "Repeats of an assertion beyond the first, which are not recorded",
            metrics.handoff_repeats.clone(),
        );
        r.register("throttled", "Requests answered 429", metrics.throttled.clone());
        r.register("busy", "Requests answered 503", metrics.busy.clone());
        r.register("logouts_told", "Tries to tell a client of a logout, by outcome", metrics.logouts_told.clone());
        r.register("unrecorded", "Timed-out handoffs whose record is still owed", metrics.unrecorded.clone());
        r.register(
            "record_broken",
            "1 while the chain of User Activity does not go on from where it was seen to end, and nothing is sealed",
            metrics.record_broken.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// One try to tell a client of a logout, which ended in `outcome` (`delivered`, `failed`, `given_up`).
    pub fn logout_told(&self, outcome: &'static str) {
        self.logouts_told.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// One sign-in by `method` (`password`, `handoff`) that ended in `outcome` (`success`, `refused`, …).
    pub fn sign_in(&self, method: &'static str, outcome: &'static str) {
        self.sign_ins.get_or_create(&SignInLabels { method, outcome }).inc();
    }

    /// One refused handoff.
    pub fn handoff_refused(&self, reason: &'static str) {
        self.handoff_refusals.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// One more copy of an assertion whose first repeat is recorded.
    pub fn handoff_repeated(&self) {
        self.handoff_repeats.inc();
    }

    /// One answer 429.
    pub fn throttled(&self) {
        self.throttled.inc();
    }

    /// One answer 503.
    pub fn busy(&self) {
        self.busy.inc();
    }

    /// One time-out whose record could not be written at once.
    pub fn unrecorded(&self) {
        self.unrecorded.inc();
    }

    /// Whether the record's chain is found to be another than it was.
    pub fn record_is_broken(&self, is_broken: bool) {
        self.record_broken.set(is_broken.into());
    }

    /// Everything, as OpenMetrics has it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
