//! What any part may count of its own work: series whose labels have a closed list of values, so that each is there
//! from the start at zero, and counting one is an index and an addition. No text is hashed and nothing is allocated for
//! it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::time::Timestamp;

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::histogram::Histogram;

/// A number that goes up and down.
pub type Gauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;

/// The bounds of what takes from a few milliseconds to the time limit of a request, in seconds.
pub const WAITS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// A histogram of waits.
#[must_use]
pub fn waits() -> Histogram {
    Histogram::new(WAITS)
}

/// A whole number as one that a gauge takes.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2^53")]
pub const fn number(whole: i64) -> f64 {
    whole as f64
}

/// A size as one that a gauge takes.
#[must_use]
pub fn size(size: usize) -> f64 {
    number(i64::try_from(size).unwrap_or(i64::MAX))
}

/// An instant as Prometheus writes it: seconds since 1970.
#[must_use]
pub fn seconds(at: Timestamp) -> f64 {
    number(at.0) / 1000.0
}

/// A label whose values are a closed list: an enum without fields, whose variants count from 0.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value.
    const ALL: &'static [Self];

    /// The value as it is written.
    fn word(self) -> &'static str;

    /// Its place among all; smaller than their number.
    fn index(self) -> usize;
}

/// The labels of one series: one [`Label`], two, or a list of the pairs that can be.
pub trait Series: Copy + 'static {
    /// Every series.
    fn all() -> Vec<Self>;

    /// Its place among all; smaller than their number.
    fn index(self) -> usize;

    /// The labels' names and values.
    fn labels(self) -> Vec<(&'static str, &'static str)>;
}

impl<L: Label> Series for L {
    fn all() -> Vec<Self> {
        L::ALL.to_vec()
    }

    fn index(self) -> usize {
        Label::index(self)
    }

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![(L::NAME, self.word())]
    }
}

impl<A: Label, B: Label> Series for (A, B) {
    fn all() -> Vec<Self> {
        A::ALL.iter().flat_map(|a| B::ALL.iter().map(|b| (*a, *b))).collect()
    }

    fn index(self) -> usize {
        self.0.index() * B::ALL.len() + self.1.index()
    }

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![(A::NAME, self.0.word()), (B::NAME, self.1.word())]
    }
}

/// Makes an enum of `words!` a [`Label`] of this name.
macro_rules! label {
    ($name:ident as $label:literal) => {
        impl $crate::measure::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = $name::ALL;

            fn word(self) -> &'static str {
                self.as_str()
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use label;

/// Makes an enum whose variants are the values of a label of this name.
macro_rules! labels {
    ($(#[$doc:meta])* pub enum $name:ident as $label:literal { $($(#[$each:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$each])* $variant),* }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        $crate::measure::label!($name as $label);
    };
}
pub(crate) use labels;

/// One metric for each series, all there from the start. Cheap to clone.
pub struct By<S, M> {
    metrics: Arc<[M]>,
    shown: fn(S) -> bool,
    series: PhantomData<S>,
}

impl<S, M> Clone for By<S, M> {
    fn clone(&self) -> Self {
        Self { metrics: Arc::clone(&self.metrics), shown: self.shown, series: PhantomData }
    }
}

impl<S, M: fmt::Debug> fmt::Debug for By<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.metrics.fmt(f)
    }
}

impl<S: Series, M: Default> Default for By<S, M> {
    fn default() -> Self {
        Self::new(M::default)
    }
}

impl<S: Series, M> By<S, M> {
    /// One of these for each series.
    #[must_use]
    pub fn new(make: impl Fn() -> M) -> Self {
        Self { metrics: S::all().iter().map(|_| make()).collect(), shown: |_| true, series: PhantomData }
    }

    /// The same, of which these series alone are shown: the others cannot be in this process.
    #[must_use]
    pub fn showing(self, shown: fn(S) -> bool) -> Self {
        Self { shown, ..self }
    }

    /// That of one series.
    #[must_use]
    pub fn of(&self, series: S) -> &M {
        &self.metrics[series.index()]
    }
}

impl<S: Series, M: TypedMetric> TypedMetric for By<S, M> {
    const TYPE: MetricType = M::TYPE;
}

impl<S: Series, M: EncodeMetric + TypedMetric> EncodeMetric for By<S, M> {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        for series in S::all().into_iter().filter(|series| (self.shown)(*series)) {
            self.of(series).encode(encoder.encode_family(&Written(series))?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

struct Written<S>(S);

impl<S: Series> EncodeLabelSet for Written<S> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> Result<(), fmt::Error> {
        self.0.labels().into_iter().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    labels! {
        /// Of a test.
        pub enum Color as "color" {
            /// One.
            Red = "red",
            /// Another.
            Blue = "blue",
        }
    }

    labels! {
        /// Of a test.
        pub enum Size as "size" {
            /// One.
            Small = "small",
            /// Another.
            Large = "large",
        }
    }

    #[test]
    fn every_series_is_there_from_the_start_and_each_counts_for_itself() {
        let things = By::<(Color, Size), Counter>::default();
        let mut registry = Registry::default();
        registry.register("things", "Things", things.clone());
        registry.register("reds", "Reds", By::<Color, Counter>::default().showing(|color| color == Color::Red));
        things.of((Color::Red, Size::Large)).inc();
        things.of((Color::Blue, Size::Small)).inc_by(2);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let series = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
        assert_eq!(
            series,
            [
                "things_total{color=\"red\",size=\"small\"} 0",
                "things_total{color=\"red\",size=\"large\"} 1",
                "things_total{color=\"blue\",size=\"small\"} 2",
                "things_total{color=\"blue\",size=\"large\"} 0",
                "reds_total{color=\"red\"} 0",
            ]
        );
    }
}
