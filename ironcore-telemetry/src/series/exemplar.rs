//! One recent example of each bucket of a histogram, and of each counter: which trace to look at.

use super::sync::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// The trace and the span that a value was measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) trace: u128,
    pub(crate) span: u64,
}

/// One measured value and where it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exemplar {
    pub(crate) ids: Ids,
    /// Of a duration in nanoseconds; of a counter what it was raised by.
    pub(crate) value: u64,
    pub(crate) at: SystemTime,
}

/// A slot for each bucket, and one for a counter. Writers take a slot at most once a second, without waiting for each other or for readers.
pub(crate) struct Exemplars(Box<[Slot]>);

/// A sequence lock: odd while a writer is at it. A reader that saw the number change looks again.
#[derive(Default)]
struct Slot {
    version: AtomicU64,
    /// As a [`Moment`]; zero while the slot is empty.
    at: AtomicU64,
    value: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    span: AtomicU64,
}

/// What a reader saw of a slot.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Nothing was written yet.
    Empty,
    Seen(Exemplar),
    /// A writer was at it.
    Busy,
}

/// How often a reader looks at a slot that is being written before it leaves it out.
const LOOKS: usize = 8;

impl Exemplars {
    /// Slots for the life of the process, as the cells beside them.
    pub(super) fn leak(slots: usize) -> &'static Self {
        Box::leak(Box::new(Self::new(slots)))
    }

    pub(super) fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| Slot::default()).collect())
    }

    /// Offers an example for a bucket; kept unless the bucket had one within the last second.
    pub(super) fn offer(&self, bucket: usize, ids: Ids, value: u64, Moment(at): Moment) {
        if let Some(slot) = self.0.get(bucket) {
            slot.offer(ids, value, at);
        }
    }

    /// The examples that there are.
    pub(super) fn read(&self) -> Vec<Exemplar> {
        self.0.iter().filter_map(Slot::read).collect()
    }
}

impl Slot {
    fn offer(&self, ids: Ids, value: u64, at: u64) {
        // Before the time: whoever has written one since changes the number.
        let version = self.version.load(Ordering::Acquire);
        let last = self.at.load(Ordering::Relaxed);
        if last != 0 && at.saturating_sub(last) < 1_000_000_000 {
            return;
        }
        let is_free = version.is_multiple_of(2);
        let taken = self.version.compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed);
        if !is_free || taken.is_err() {
            // Another thread has just offered one: that will do.
            return;
        }
        // Release: whoever sees one of these sees the odd number too.
        self.at.store(at, Ordering::Release);
        self.value.store(value, Ordering::Release);
        self.trace_high.store(high(ids.trace), Ordering::Release);
        self.trace_low.store(low(ids.trace), Ordering::Release);
        self.span.store(ids.span, Ordering::Release);
        self.version.store(version + 2, Ordering::Release);
    }

    fn read(&self) -> Option<Exemplar> {
        let seen = (0..LOOKS).map(|_| self.look()).find(|seen| *seen != Look::Busy);
        if let Some(Look::Seen(exemplar)) = seen { Some(exemplar) } else { None }
    }

    fn look(&self) -> Look {
        let before = self.version.load(Ordering::Acquire);
        // Acquire: none of these is read after the second look at the number.
        let at = self.at.load(Ordering::Acquire);
        let value = self.value.load(Ordering::Acquire);
        let (high, low) = (self.trace_high.load(Ordering::Acquire), self.trace_low.load(Ordering::Acquire));
        let span = self.span.load(Ordering::Acquire);
        if !before.is_multiple_of(2) || self.version.load(Ordering::Relaxed) != before {
            return Look::Busy;
        }
        let Some(at) = at.checked_sub(1) else {
            return Look::Empty;
        };
        let ids = Ids { trace: u128::from(high) << 64 | u128::from(low), span };
        let at = anchor().1 + Duration::from_nanos(at);
        Look::Seen(Exemplar { ids, value, at })
    }
}

fn high(trace: u128) -> u64 {
    u64::try_from(trace >> 64).unwrap_or_default()
}

fn low(trace: u128) -> u64 {
    u64::try_from(trace & u128::from(u64::MAX)).unwrap_or_default()
}

/// One moment on both clocks, so that a monotonic reading can be told as a date.
fn anchor() -> &'static (Instant, SystemTime) {
    static ANCHOR: OnceLock<(Instant, SystemTime)> = OnceLock::new();
    ANCHOR.get_or_init(|| (Instant::now(), SystemTime::now()))
}

/// Nanoseconds since [`anchor`], plus one.
#[derive(Clone, Copy)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn of(now: Instant) -> Self {
        Self(nanos(now.saturating_duration_since(anchor().0)).saturating_add(1))
    }
}

/// A duration in nanoseconds; 584 years when it is longer.
#[inline]
pub(super) fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(duration.subsec_nanos().into())
}

#[cfg(all(test, not(ironcore_loom)))]
mod tests {
    use super::*;

    const FIRST: Ids = Ids { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 7 };
    const SECOND: Ids = Ids { trace: 1, span: 2 };

    #[test]
    fn an_empty_slot_has_no_example() {
        assert_eq!(Exemplars::new(3).read(), []);
    }

    #[test]
    fn an_example_is_kept_for_a_second_and_then_replaced() {
        let exemplars = Exemplars::new(1);
        let start = Instant::now();
        exemplars.offer(0, FIRST, 5, Moment::of(start));
        exemplars.offer(0, SECOND, 6, Moment::of(start + Duration::from_millis(999)));
        assert_eq!(exemplars.read().iter().map(|kept| (kept.ids, kept.value)).collect::<Vec<_>>(), [(FIRST, 5)]);
        exemplars.offer(0, SECOND, 6, Moment::of(start + Duration::from_millis(1_001)));
        assert_eq!(exemplars.read()[0].ids, SECOND);
    }

    #[test]
    fn the_moment_is_told_as_a_date() {
        let exemplars = Exemplars::new(1);
        let before = SystemTime::now();
        exemplars.offer(0, FIRST, 5, Moment::of(Instant::now()));
        let (at, after) = (exemplars.read()[0].at, SystemTime::now());
        // A second of tolerance: the wall clock may be set while this runs.
        let tolerance = Duration::from_secs(1);
        assert!(before - tolerance <= at && at <= after + tolerance, "{before:?} {at:?} {after:?}");
    }
}

#[cfg(all(test, ironcore_loom))]
mod loom_tests {
    use super::super::sync::bounded;
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn a_reader_never_sees_half_of_one_example_and_half_of_another() {
        bounded(|| {
            let slot = Arc::new(Slot::default());
            let writers = [1_u64, 2].map(|number| {
                let slot = Arc::clone(&slot);
                let ids = Ids { trace: u128::from(number) << 64 | u128::from(number), span: number };
                // So far apart that neither keeps the other out.
                thread::spawn(move || slot.offer(ids, number, number * 2_000_000_000))
            });
            if let Look::Seen(seen) = slot.look() {
                let number = seen.ids.span;
                assert!((1..=2).contains(&number));
                assert_eq!((seen.value, seen.ids.trace), (number, u128::from(number) << 64 | u128::from(number)));
            }
            for writer in writers {
                writer.join().unwrap();
            }
            assert!(matches!(slot.look(), Look::Seen(_)));
        });
    }
}
