//! Ids of traces and spans.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static RANDOM: RefCell<SmallRng> = RefCell::new(seeded());
    /// The trace of the span that the SDK is starting for this library.
    static STARTING: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// A random id of a trace.
#[inline]
pub(super) fn random_trace() -> TraceId {
    RANDOM.with_borrow_mut(|random| TraceId::from(random.random::<u128>()))
}

/// A random id of a span.
#[inline]
pub(super) fn random_span() -> SpanId {
    RANDOM.with_borrow_mut(|random| SpanId::from(random.random::<u64>()))
}

/// Runs code in which the SDK starts a span of this trace. The sampler has decided that it is recorded, and is not asked
/// again.
#[inline]
pub(super) fn starting<R>(trace: TraceId, start: impl FnOnce() -> R) -> R {
    struct Reset;

    impl Drop for Reset {
        fn drop(&mut self) {
            STARTING.set(None);
        }
    }

    STARTING.set(Some(trace));
    // Also where the SDK has not asked for it: it does not after its shutdown.
    let _reset = Reset;
    start()
}

/// Whether the SDK is starting a span for which the sampler has decided.
#[inline]
pub(super) fn is_starting() -> bool {
    STARTING.get().is_some()
}

/// Random ids; a span that is starting is of the trace for which the sampler has decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct PresetIds;

impl IdGenerator for PresetIds {
    fn new_trace_id(&self) -> TraceId {
        STARTING.get().unwrap_or_else(random_trace)
    }

    fn new_span_id(&self) -> SpanId {
        random_span()
    }
}

fn seeded() -> SmallRng {
    // Without the random numbers of the system, those that the standard library takes for its maps.
    SmallRng::try_from_os_rng().unwrap_or_else(|_| SmallRng::seed_from_u64(RandomState::new().hash_one(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_of_the_starting_span_is_given_until_it_has_started() {
        let trace = random_trace();
        starting(trace, || {
            assert!(is_starting());
            assert_eq!(PresetIds.new_trace_id(), trace);
            assert_ne!(PresetIds.new_span_id(), PresetIds.new_span_id());
        });
        assert!(!is_starting());
        assert_ne!(PresetIds.new_trace_id(), trace);
    }

    #[test]
    fn it_is_given_to_no_other_span_after_a_panic() {
        let panicked = std::panic::catch_unwind(|| starting(random_trace(), || panic!("while it starts")));
        assert!(panicked.is_err() && !is_starting());
    }
}
