//! The atomics of the series: those of std, or under `--cfg ironcore_loom` those of loom, which tries every order.

#[cfg(ironcore_loom)]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(ironcore_loom))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering};
