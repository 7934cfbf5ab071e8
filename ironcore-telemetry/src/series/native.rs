//! The buckets of native histograms: eight for each power of two (schema 3), from 122 µs to 128 s, so that a quantile is
//! within 5 %. They take memory and time only once a scraper, or the push of exponential histograms, has asked for them.

use super::cells::{Cells, Shard};
use std::sync::LazyLock;

/// The schema: each bucket is wider than the one before by a factor of 2 to the power of one eighth.
pub(crate) const SCHEMA: i32 = 3;
/// Observations up to this many seconds are in the zero bucket.
pub(crate) const ZERO_THRESHOLD: f64 = 1.0 / 8_192.0;
/// The index of the first bucket, which begins at [`ZERO_THRESHOLD`].
const FIRST_INDEX: i32 = -13 * 8 + 1;
const BUCKETS: usize = 160;
/// The index of the bucket whose upper bound is infinite.
const ABOVE_INDEX: i32 = 1_024 * 8 + 1;
/// Each shard has the zero bucket, the buckets, and the one above all bounds.
const WORDS: usize = BUCKETS + 2;
/// There are at most this many shards: one has 1.3 KiB.
pub(super) const SHARDS: usize = 8;

/// The upper bounds of the zero bucket and of the buckets, in nanoseconds. Observations are whole nanoseconds.
static BOUNDS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let bounds = (0..=BUCKETS).map(|bucket| {
        let eighths = u32::try_from(bucket).map_or(0.0, f64::from);
        nanos(ZERO_THRESHOLD * (eighths / 8.0).exp2())
    });
    bounds.collect()
});

/// Seconds as whole nanoseconds, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds are between 122 µs and 128 s")]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// The word of an observation.
fn word(nanos: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < nanos)
}

/// The cells of one histogram.
pub(super) struct Native(Cells);

impl Native {
    /// Cells that hold what the histogram has counted so far. Of these observations only the bucket with bounds is
    /// known: they are counted in the middle of it.
    pub(super) fn new(bounds: &[u64], counts: impl Iterator<Item = u64>) -> Self {
        let native = Self(Cells::new(WORDS, SHARDS));
        for (bucket, count) in counts.enumerate().filter(|(_, count)| *count > 0) {
            let above = bucket.checked_sub(1).and_then(|before| bounds.get(before)).copied().unwrap_or(0);
            let below = bounds.get(bucket).copied().unwrap_or(above.saturating_mul(2));
            native.0.add(Shard::first(), word(above.midpoint(below)), count);
        }
        native
    }

    /// Counts one observation. Cold, so that it costs calls nothing while no scraper has asked for it.
    #[cold]
    pub(super) fn count(&self, shard: Shard, nanos: u64) {
        self.0.add(shard.within(SHARDS), word(nanos), 1);
    }

    pub(super) fn read(&self) -> Buckets {
        Buckets { counts: (0..WORDS).map(|word| self.0.sum(word)).collect() }
    }
}

/// The reading of a native histogram.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Buckets {
    counts: Vec<u64>,
}

impl Buckets {
    /// Observations of at most [`ZERO_THRESHOLD`].
    pub(crate) fn zero(&self) -> u64 {
        self.counts.first().copied().unwrap_or_default()
    }

    /// All observations.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().fold(0, |total, count| total.wrapping_add(*count))
    }

    /// The buckets that have observations, by their index.
    pub(crate) fn positive(&self) -> impl Iterator<Item = (i32, u64)> {
        let counts = self.counts.iter().skip(1).enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(bucket, count)| match i32::try_from(bucket) {
            Ok(bucket) if bucket < i32::try_from(BUCKETS).unwrap_or(0) => (FIRST_INDEX + bucket, *count),
            _ => (ABOVE_INDEX, *count),
        })
    }

    /// The same by the index of OTLP, by which a bucket begins where it ends by the one of Prometheus. OTLP has no bucket
    /// without an upper bound: what is above all bounds is in the first bucket behind them.
    pub(crate) fn exponential(&self) -> impl Iterator<Item = (i32, u64)> {
        let last = FIRST_INDEX + i32::try_from(BUCKETS).unwrap_or(0);
        self.positive().map(move |(index, count)| (index.min(last) - 1, count))
    }

    /// What was counted since an earlier reading.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let before = before.counts.iter().copied().chain(std::iter::repeat(0));
        Self { counts: self.counts.iter().zip(before).map(|(now, before)| now.wrapping_sub(before)).collect() }
    }
}

#[cfg(all(test, not(ironcore_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(nanos: u64) -> Option<i32> {
        let native = Native::new(&[], std::iter::empty());
        native.count(Shard::first(), nanos);
        let buckets = native.read();
        assert_eq!(buckets.total(), 1);
        buckets.positive().next().map(|(index, _)| index)
    }

    #[test]
    fn a_bucket_ends_at_a_power_of_two_to_an_eighth_of_its_index() {
        for (nanos, expected) in [
            (0, None),
            (122_070, None),
            (122_071, Some(-103)),
            (1_000_000_000, Some(0)),
            (1_000_000_001, Some(1)),
            (1_090_507_732, Some(1)),
            (1_090_507_733, Some(2)),
            (2_000_000_000, Some(8)),
            (128_000_000_000, Some(56)),
            (128_000_000_001, Some(8_193)),
            (u64::MAX, Some(8_193)),
        ] {
            assert_eq!(index(nanos), expected, "{nanos}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_is_in_its_bucket_by_the_definitions_of_prometheus_and_of_otlp(nanos in any_nanos()) {
            let native = Native::new(&[], std::iter::empty());
            native.count(Shard::first(), nanos);
            let buckets = native.read();
            let (seconds, base) = (crate::series::seconds(nanos), f64::from(SCHEMA).exp2().recip().exp2());
            let (prometheus, otlp) = (buckets.positive().next(), buckets.exponential().next());
            if seconds <= ZERO_THRESHOLD {
                prop_assert_eq!((buckets.zero(), prometheus, otlp), (1, None, None));
            } else if nanos <= 128_000_000_000 {
                let ((by_prometheus, _), (by_otlp, _)) = (prometheus.unwrap(), otlp.unwrap());
                // Bounds are powers of a root, which a float only comes near to.
                let is_in = |above: i32, to: i32| {
                    base.powi(above) < seconds * (1.0 + 1e-12) && seconds <= base.powi(to) * (1.0 + 1e-12)
                };
                prop_assert!(is_in(by_prometheus - 1, by_prometheus), "{seconds} in {by_prometheus}");
                prop_assert!(is_in(by_otlp, by_otlp + 1), "{seconds} in {by_otlp}");
                prop_assert_eq!(buckets.zero(), 0);
            } else {
                prop_assert_eq!((prometheus, otlp), (Some((ABOVE_INDEX, 1)), Some((56, 1))));
            }
        }
    }

    /// Durations of every magnitude, and those at powers of two.
    fn any_nanos() -> impl Strategy<Value = u64> {
        let magnitude = (0_u32..64, any::<u64>()).prop_map(|(bits, nanos)| nanos >> bits);
        let at_a_bound =
            (0_u32..8, -1_i64..=1).prop_map(|(power, off)| (1_000_000_000_u64 << power).saturating_add_signed(off));
        prop_oneof![magnitude, at_a_bound, Just(122_070), Just(122_071)]
    }

    #[test]
    fn a_change_is_what_was_counted_in_between() {
        let native = Native::new(&[], std::iter::empty());
        native.count(Shard::first(), 1_000_000_000);
        let before = native.read();
        native.count(Shard::first(), 1_000_000_000);
        native.count(Shard::first(), 0);
        let change = native.read().since(&before);
        assert_eq!((change.total(), change.zero()), (2, 1));
        assert_eq!(change.positive().collect::<Vec<_>>(), [(0, 1)]);
        assert_eq!(change.exponential().collect::<Vec<_>>(), [(-1, 1)]);
    }

    #[test]
    fn what_was_counted_before_is_in_the_middle_of_its_bucket() {
        let native = Native::new(&[1_000_000_000, 3_000_000_000], [2, 3, 4].into_iter());
        let buckets = native.read();
        assert_eq!(buckets.total(), 9);
        // 0.5 s, 2 s, and twice the last half.
        assert_eq!(buckets.positive().collect::<Vec<_>>(), [(-8, 2), (8, 3), (18, 4)]);
    }
}
