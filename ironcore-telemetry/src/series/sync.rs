//! The atomics of the series: those of std, or under `--cfg ironcore_loom` those of loom, which explores all
//! interleavings.

#[cfg(ironcore_loom)]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(ironcore_loom))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// Explores the interleavings of a scenario's threads with at most two preemptions: more have found nothing else and
/// take hours.
#[cfg(all(test, ironcore_loom))]
pub(super) fn explore(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(scenario);
}
