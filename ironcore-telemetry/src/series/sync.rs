//! The atomics of the series: those of std, or under `--cfg ironcore_loom` those of loom, which tries every order.

#[cfg(ironcore_loom)]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(ironcore_loom))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// Tries every order of what the threads of a model do, with at most two switches away from a thread that could go on:
/// more find nothing that these do not, and take for ever.
#[cfg(all(test, ironcore_loom))]
pub(super) fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}
