//! The cells that threads write to, and the handles on them.

use super::exemplar::{Exemplars, Ids, Moment, nanos};
use super::sync::AtomicU64;
use super::sync::Ordering::Relaxed;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// Words a cache line holds.
const WORDS: usize = 8;

/// A cache line of its own, so that threads of different shards never write to the same one.
#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; WORDS]);

/// Cells of one series: for each shard `words` words, rounded up to whole lines.
pub(super) struct Cells {
    lines: Box<[Line]>,
    lines_per_shard: usize,
}

impl Cells {
    /// Cells for the life of the process. Label sets are closed, so there is a bounded number of them.
    pub(super) fn leak(words: usize) -> &'static Self {
        let lines_per_shard = words.div_ceil(WORDS);
        let lines = (0..lines_per_shard * shards()).map(|_| Line::default()).collect();
        Box::leak(Box::new(Self { lines, lines_per_shard }))
    }

    /// Adds to a word of a shard; wraps around at 2⁶⁴.
    #[inline]
    fn add(&self, Shard(shard): Shard, word: usize, amount: u64) {
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

/// A power of two, so that a thread's shard is found by a mask.
fn shards() -> usize {
    static SHARDS: OnceLock<usize> = OnceLock::new();
    *SHARDS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(64))
}

/// Where a thread writes. Looked up once for all that one event counts.
#[derive(Clone, Copy)]
pub(crate) struct Shard(usize);

impl Shard {
    /// The calling thread's. Threads are dealt out in turn; two threads of one shard stay correct, only slower.
    #[inline]
    pub(crate) fn here() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = NEXT.fetch_add(1, Relaxed) & (shards() - 1);
        }
        Self(SHARD.try_with(|shard| *shard).unwrap_or(0))
    }
}

/// A number that only rises.
#[derive(Clone, Copy)]
pub(crate) struct Counter {
    pub(super) cells: &'static Cells,
    pub(super) exemplars: &'static Exemplars,
}

impl Counter {
    /// Counts `amount` more.
    pub(crate) fn add(self, amount: u64) {
        self.add_at(Shard::here(), amount);
    }

    /// The same for a thread that has looked up its shard.
    #[inline]
    pub(crate) fn add_at(self, shard: Shard, amount: u64) {
        self.cells.add(shard, 0, amount);
    }

    /// What was counted so far, by all threads.
    #[cfg(test)]
    pub(crate) fn value(self) -> u64 {
        self.cells.sum(0)
    }
}

/// A number that rises and falls.
#[derive(Clone, Copy)]
pub(crate) struct Gauge(pub(super) &'static Cells);

impl Gauge {
    /// Adds `amount`, which may be negative.
    pub(crate) fn add(self, amount: i64) {
        self.add_at(Shard::here(), amount);
    }

    /// The same for a thread that has looked up its shard.
    #[inline]
    pub(crate) fn add_at(self, shard: Shard, amount: i64) {
        self.0.add(shard, 0, amount.cast_unsigned());
    }
}

/// The distribution of durations.
#[derive(Clone, Copy)]
pub(crate) struct Durations {
    pub(super) cells: &'static Cells,
    pub(super) exemplars: &'static Exemplars,
    pub(super) bounds: &'static [u64],
}

impl Durations {
    /// Words that a histogram of these bounds takes: a bucket a bound, one above them, and the sum.
    pub(super) const fn words(bounds: &[u64]) -> usize {
        bounds.len() + 2
    }

    /// Records one duration; counts as 2⁶³ ns (292 years) when it is longer.
    #[inline]
    fn record(self, shard: Shard, duration: Duration) -> Place {
        let nanos = nanos(duration).min(1 << 63);
        let bucket = self.bounds.iter().take_while(|bound| nanos > **bound).count();
        self.cells.add(shard, bucket, 1);
        self.cells.add(shard, self.bounds.len() + 1, nanos);
        Place { bucket, nanos }
    }
}

#[cfg(test)]
impl Durations {
    /// Records a duration that no span was measured in.
    pub(crate) fn observe(self, duration: Duration) {
        self.record(Shard::here(), duration);
    }
}

/// Where a duration was recorded.
struct Place {
    bucket: usize,
    nanos: u64,
}

/// What the ended calls of one kind are counted by.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) count: Counter,
    pub(crate) duration: Durations,
}

impl Ended {
    /// Records one call. With the ids of a sampled span it may become the example of its bucket and of the counter.
    #[inline]
    pub(crate) fn record(self, shard: Shard, duration: Duration, sampled: Option<Ids>, now: Instant) {
        self.count.add_at(shard, 1);
        let Place { bucket, nanos } = self.duration.record(shard, duration);
        if let Some(ids) = sampled {
            let now = Moment::of(now);
            self.count.exemplars.offer(0, ids, 1, now);
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
    fn totals_are_exact_with_sixteen_threads() {
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
        assert_eq!(gauge.0.sum(0), 0);
    }

    #[test]
    fn a_duration_on_a_bound_belongs_to_its_bucket() {
        let bounds: &[u64] = &[10, 20];
        let (cells, exemplars) = (Cells::leak(Durations::words(bounds)), Exemplars::leak(bounds.len() + 1));
        let durations = Durations { cells, exemplars, bounds };
        for nanos in [0, 10, 11, 20, 21, 1_000] {
            durations.record(Shard::here(), Duration::from_nanos(nanos));
        }
        assert_eq!([0, 1, 2, 3].map(|word| durations.cells.sum(word)), [2, 2, 2, 1_062]);
    }
}

#[cfg(all(test, ironcore_loom))]
mod loom_tests {
    use super::super::sync::bounded;
    use super::*;
    use loom::thread;

    #[test]
    fn a_reader_beside_two_writers_never_sees_too_much_and_in_the_end_all() {
        bounded(|| {
            let counter = Counter { cells: Cells::leak(1), exemplars: Exemplars::leak(1) };
            let writers = [0, 1].map(|shard| thread::spawn(move || counter.add_at(Shard(shard % shards()), 1)));
            let (first, second) = (counter.cells.sum(0), counter.cells.sum(0));
            assert!(first <= second && second <= 2, "{first} {second}");
            for writer in writers {
                writer.join().unwrap();
            }
            assert_eq!(counter.cells.sum(0), 2);
        });
    }
}
