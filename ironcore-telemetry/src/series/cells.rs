//! The cells that threads write to, and the handles to them.

use super::exemplar::{COUNTER_SLOT, Exemplars, Moment, SpanIds, nanos};
use super::native::Native;
use super::sync::AtomicU64;
use super::sync::Ordering::Relaxed;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// `u64` words in a cache line.
const WORDS: usize = 8;
/// The only word of a counter and of a gauge.
pub(super) const VALUE: usize = 0;
/// Longer durations count as this one (292 years).
const LONGEST_NANOS: u64 = 1 << 63;

/// One cache line, aligned so that threads of different shards never write to the same one.
#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; WORDS]);

/// The cells of one series: `words` words per shard, rounded up to whole cache lines.
pub(super) struct Cells {
    lines: Box<[Line]>,
    lines_per_shard: usize,
    /// Of a histogram, once a scraper has asked for native ones.
    pub(super) native: OnceLock<Box<Native>>,
}

impl Cells {
    /// Cells that live as long as the process. Label sets are bounded, so the number of cells is bounded too.
    pub(super) fn leak(words: usize) -> &'static Self {
        Box::leak(Box::new(Self::new(words, shards())))
    }

    /// Cells with at most this many shards.
    pub(super) fn new(words: usize, limit: usize) -> Self {
        let lines_per_shard = words.div_ceil(WORDS);
        let lines = (0..lines_per_shard * shards().min(limit)).map(|_| Line::default()).collect();
        Self { lines, lines_per_shard, native: OnceLock::new() }
    }

    /// Adds to one word of a shard; wraps around at 2⁶⁴.
    #[inline]
    pub(super) fn add(&self, Shard(shard): Shard, word: usize, amount: u64) {
        let line = shard * self.lines_per_shard + word / WORDS;
        if let Some(cell) = self.lines.get(line).and_then(|line| line.0.get(word % WORDS)) {
            cell.fetch_add(amount, Relaxed);
        }
    }

    /// The sum of a word over all shards.
    pub(super) fn sum(&self, word: usize) -> u64 {
        let of_shard = |shard: &[Line]| {
            let cell = shard.get(word / WORDS).and_then(|line| line.0.get(word % WORDS));
            cell.map_or(0, |cell| cell.load(Relaxed))
        };
        self.lines.chunks(self.lines_per_shard).fold(0, |sum, shard| sum.wrapping_add(of_shard(shard)))
    }
}

/// The number of shards: a power of two, so that a mask maps a thread to its shard.
fn shards() -> usize {
    static SHARDS: OnceLock<usize> = OnceLock::new();
    *SHARDS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(64))
}

/// The part of all cells that a thread writes to. Looked up once for an event that updates several series.
#[derive(Clone, Copy)]
pub(crate) struct Shard(usize);

impl Shard {
    /// The calling thread's shard. Shards are assigned round-robin; threads that share one are slower, but correct.
    #[inline]
    pub(crate) fn here() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = NEXT.fetch_add(1, Relaxed) & (shards() - 1);
        }
        Self(SHARD.try_with(|shard| *shard).unwrap_or(0))
    }

    /// The first one, for what is counted once.
    pub(super) const fn first() -> Self {
        Self(0)
    }

    /// The thread's shard of cells that have at most this many, a power of two.
    pub(super) const fn within(self, limit: usize) -> Self {
        Self(self.0 & (limit - 1))
    }
}

/// A sum that only rises.
#[derive(Clone, Copy)]
pub(crate) struct Counter {
    pub(super) cells: &'static Cells,
    pub(super) exemplars: &'static Exemplars,
}

impl Counter {
    /// Adds `amount`.
    pub(crate) fn add(self, amount: u64) {
        self.add_at(Shard::here(), amount);
    }

    /// As [`add`](Self::add), for a thread that has already looked up its shard.
    #[inline]
    pub(crate) fn add_at(self, shard: Shard, amount: u64) {
        self.cells.add(shard, VALUE, amount);
    }

    /// The sum over all threads.
    pub(crate) fn value(self) -> u64 {
        self.cells.sum(VALUE)
    }
}

/// A value that rises and falls.
#[derive(Clone, Copy)]
pub(crate) struct Gauge(pub(super) &'static Cells);

impl Gauge {
    /// Adds `amount`, which may be negative.
    pub(crate) fn add(self, amount: i64) {
        self.add_at(Shard::here(), amount);
    }

    /// As [`add`](Self::add), for a thread that has already looked up its shard.
    #[inline]
    pub(crate) fn add_at(self, shard: Shard, amount: i64) {
        self.0.add(shard, VALUE, amount.cast_unsigned());
    }

    /// The sum over all threads.
    pub(crate) fn value(self) -> i64 {
        self.0.sum(VALUE).cast_signed()
    }
}

/// A histogram of durations.
#[derive(Clone, Copy)]
pub(crate) struct Durations {
    pub(super) cells: &'static Cells,
    pub(super) exemplars: &'static Exemplars,
    pub(super) bounds: &'static [u64],
}

impl Durations {
    /// The number of buckets: one per bound, and one for longer durations. They are the first words of a shard.
    #[inline]
    pub(super) const fn buckets(bounds: &[u64]) -> usize {
        bounds.len() + 1
    }

    /// The word of the sum, which follows the buckets.
    #[inline]
    pub(super) const fn sum_word(bounds: &[u64]) -> usize {
        Self::buckets(bounds)
    }

    /// The number of words per shard: the buckets and the sum.
    pub(super) const fn words(bounds: &[u64]) -> usize {
        Self::sum_word(bounds) + 1
    }

    /// Adds one duration to its bucket and to the sum.
    #[inline]
    fn observe_at(self, shard: Shard, duration: Duration) -> Observed {
        let nanos = nanos(duration).min(LONGEST_NANOS);
        let bucket = self.bounds.iter().take_while(|bound| nanos > **bound).count();
        self.cells.add(shard, bucket, 1);
        self.cells.add(shard, Self::sum_word(self.bounds), nanos);
        if let Some(native) = self.cells.native.get() {
            native.count(shard, nanos);
        }
        Observed { bucket, nanos }
    }
}

#[cfg(test)]
impl Durations {
    /// Adds one duration, without an exemplar.
    pub(crate) fn observe(self, duration: Duration) {
        self.observe_at(Shard::here(), duration);
    }
}

/// A duration as its histogram holds it.
struct Observed {
    bucket: usize,
    nanos: u64,
}

/// The counter and the histogram of calls that ended with the same labels.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) count: Counter,
    pub(crate) duration: Durations,
}

impl Ended {
    /// Counts one call and its duration. With the ids of a sampled span it may become the exemplar of its bucket and of
    /// the counter.
    #[inline]
    pub(crate) fn observe(self, shard: Shard, duration: Duration, sampled: Option<SpanIds>, now: Instant) {
        self.count.add_at(shard, 1);
        let Observed { bucket, nanos } = self.duration.observe_at(shard, duration);
        if let Some(ids) = sampled {
            let now = Moment::of(now);
            self.count.exemplars.offer(COUNTER_SLOT, ids, 1, now);
            self.duration.exemplars.offer(bucket, ids, nanos, now);
        }
    }
}

#[cfg(all(test, not(ironcore_loom)))]
mod tests {
    use super::*;

    fn counter() -> Counter {
        Counter { cells: Cells::leak(1), exemplars: Exemplars::leak(1) }
    }

    #[test]
    fn sums_over_sixteen_threads_are_exact() {
        let counter = counter();
        let gauge = Gauge(Cells::leak(1));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        counter.add(1);
                        gauge.add(3);
                        gauge.add(-3);
                    }
                });
            }
        });
        assert_eq!(counter.value(), 160_000);
        assert_eq!(gauge.0.sum(VALUE), 0);
    }

    #[test]
    fn the_upper_bound_of_a_bucket_is_inclusive() {
        let bounds: &[u64] = &[10, 20];
        let (cells, exemplars) = (Cells::leak(Durations::words(bounds)), Exemplars::leak(Durations::buckets(bounds)));
        let durations = Durations { cells, exemplars, bounds };
        for nanos in [0, 10, 11, 20, 21, 1_000] {
            durations.observe(Duration::from_nanos(nanos));
        }
        assert_eq!([0, 1, 2, 3].map(|word| durations.cells.sum(word)), [2, 2, 2, 1_062]);
    }
}

#[cfg(all(test, ironcore_loom))]
mod loom_tests {
    use super::super::sync::explore;
    use super::*;
    use loom::thread;

    #[test]
    fn a_concurrent_reader_never_sees_more_than_two_writers_add_and_finally_sees_all() {
        explore(|| {
            let counter = Counter { cells: Cells::leak(1), exemplars: Exemplars::leak(1) };
            let writers = [0, 1].map(|shard| thread::spawn(move || counter.add_at(Shard(shard % shards()), 1)));
            let (first, second) = (counter.cells.sum(VALUE), counter.cells.sum(VALUE));
            assert!(first <= second && second <= 2, "{first} {second}");
            for writer in writers {
                writer.join().unwrap();
            }
            assert_eq!(counter.cells.sum(VALUE), 2);
        });
    }
}
