//! Exemplars: one recent trace for each bucket of a histogram and for each counter.

use super::sync::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

/// The ids of the trace and of the span in which a value was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanIds {
    pub(crate) trace: u128,
    pub(crate) span: u64,
}

/// One measured value with its span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exemplar {
    pub(crate) ids: SpanIds,
    /// The duration in nanoseconds, or the amount that was added to the counter.
    pub(crate) value: u64,
    pub(crate) at: SystemTime,
}

/// One slot per bucket of a histogram, or one for a counter. A slot is written at most once a second. Writers wait
/// neither for each other nor for readers.
pub(crate) struct Exemplars(Box<[Slot]>);

/// A sequence lock: `version` is odd while a writer is active. A reader that sees it change reads again.
#[derive(Default)]
struct Slot {
    version: AtomicU64,
    /// A [`Moment`]; zero while the slot is empty.
    at: AtomicU64,
    value: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    span: AtomicU64,
}

/// Whether readings leave exemplars out.
static OMITTED: AtomicBool = AtomicBool::new(false);

/// Leaves exemplars out of all readings from here on.
pub(crate) fn omit_exemplars() {
    OMITTED.store(true, Ordering::Relaxed);
}

/// The result of one attempt to read a slot.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// The slot was never written.
    Empty,
    Seen(Exemplar),
    /// A writer was active.
    Busy,
}

/// Attempts to read a slot that is being written, before the reader skips it.
const LOOKS: usize = 8;
/// An exemplar is replaced once it is older than this.
const MIN_AGE_NANOS: u64 = 1_000_000_000;
/// The slot of a counter; a histogram has one per bucket.
pub(super) const COUNTER_SLOT: usize = 0;

impl Exemplars {
    /// Slots that live as long as the process, like the cells of their series.
    pub(super) fn leak(slots: usize) -> &'static Self {
        Box::leak(Box::new(Self::new(slots)))
    }

    pub(super) fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| Slot::default()).collect())
    }

    /// Offers an exemplar for a slot, which keeps it unless it took one within the last second.
    #[inline]
    pub(super) fn offer(&self, slot: usize, ids: SpanIds, value: u64, Moment(at): Moment) {
        if let Some(slot) = self.0.get(slot) {
            slot.offer(ids, value, at);
        }
    }

    /// The exemplars of all slots that have one; none where they are [omitted](omit_exemplars).
    pub(super) fn read(&self) -> Vec<Exemplar> {
        if OMITTED.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.0.iter().filter_map(Slot::read).collect()
    }
}

impl Slot {
    #[inline]
    fn offer(&self, ids: SpanIds, value: u64, at: u64) {
        // Loaded before `at`: a write in between changes the version, and the exchange below fails.
        let version = self.version.load(Ordering::Acquire);
        let last = self.at.load(Ordering::Relaxed);
        if last != 0 && at.saturating_sub(last) < MIN_AGE_NANOS {
            return;
        }
        let is_free = version.is_multiple_of(2);
        let taken = self.version.compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed);
        if !is_free || taken.is_err() {
            // Another thread is writing its exemplar, which is just as recent.
            return;
        }
        // Release: a reader that sees one of these values sees the odd version too.
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
        // Acquire: none of these loads moves behind the second load of the version.
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
        let ids = SpanIds { trace: u128::from(high) << 64 | u128::from(low), span };
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

/// One moment on both clocks, to convert monotonic times to dates.
#[inline]
fn anchor() -> &'static (Instant, SystemTime) {
    static ANCHOR: OnceLock<(Instant, SystemTime)> = OnceLock::new();
    ANCHOR.get_or_init(|| (Instant::now(), SystemTime::now()))
}

/// Nanoseconds since [`anchor`], plus one: never zero, which marks an empty slot.
#[derive(Clone, Copy)]
pub(super) struct Moment(u64);

impl Moment {
    #[inline]
    pub(super) fn of(now: Instant) -> Self {
        Self(nanos(now.saturating_duration_since(anchor().0)).saturating_add(1))
    }
}

/// A duration in nanoseconds, at most `u64::MAX` (584 years).
#[inline]
pub(super) fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(duration.subsec_nanos().into())
}

#[cfg(all(test, not(ironcore_loom)))]
mod tests {
    use super::*;

    const FIRST: SpanIds = SpanIds { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 7 };
    const SECOND: SpanIds = SpanIds { trace: 1, span: 2 };

    #[test]
    fn an_empty_slot_has_no_exemplar() {
        assert_eq!(Exemplars::new(3).read(), []);
    }

    #[test]
    fn an_exemplar_is_kept_for_a_second_and_then_replaced() {
        let exemplars = Exemplars::new(1);
        let start = Instant::now();
        exemplars.offer(0, FIRST, 5, Moment::of(start));
        exemplars.offer(0, SECOND, 6, Moment::of(start + Duration::from_millis(999)));
        assert_eq!(exemplars.read().iter().map(|kept| (kept.ids, kept.value)).collect::<Vec<_>>(), [(FIRST, 5)]);
        exemplars.offer(0, SECOND, 6, Moment::of(start + Duration::from_millis(1_001)));
        assert_eq!(exemplars.read()[0].ids, SECOND);
    }

    #[test]
    fn the_time_of_an_exemplar_is_a_date() {
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
    use super::super::sync::explore;
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn a_reader_never_sees_a_mix_of_two_exemplars() {
        explore(|| {
            let slot = Arc::new(Slot::default());
            let writers = [1_u64, 2].map(|number| {
                let slot = Arc::clone(&slot);
                let ids = SpanIds { trace: u128::from(number) << 64 | u128::from(number), span: number };
                // More than a second apart, so that neither is too recent for the other.
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
