//! Shared by the behaviour tests: scenarios in child processes, an OTLP receiver in this one, `/metrics` pages.

mod child;
mod collector;
mod exposition;
mod instruments;
mod page;
mod scene;

pub use child::{Child, Report, stall_stdout};
pub use collector::{FaultCollector, Hint, Mode, Request, SpanId};
pub use exposition::{Exposition, Family, Sample};
pub use instruments::record_instruments;
pub use page::{assert_golden, assert_sample, is, page_at, sample};
pub use scene::{
    PATIENCE, Scene, current_thread, multi_thread, serve, shutdown, shutdown_at_once, shutdown_within, span_named,
    start, start_recording, wait_for,
};
pub use stack::otlp::Span;
pub use stack::receiver::Receiver;

/// The section "Use it with what you have" of the README: its code must compile, and run where it can.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
