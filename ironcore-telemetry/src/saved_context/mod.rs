//! Keeps the trace of a request where its work goes on elsewhere: later, in a job of a queue or an outbox table; or at
//! once, on another task or thread.
//!
//! ```
//! use ironcore_telemetry::saved_context::SavedContext;
//!
//! // The request that creates the job saves its context in a text column of the job …
//! let kept: String = SavedContext::current().to_string();
//!
//! // … and the worker continues it. The first attempt is a part of the request's trace. A later one may come after hours, so
//! // it is a trace of its own with a link to the request's.
//! let saved: SavedContext = kept.parse()?;
//! saved.attempt(1).call("outbox.publish", || { /* … */ });
//! # Ok::<(), ironcore_telemetry::saved_context::SavedContextError>(())
//! ```
//!
//! [`spawn`], [`spawn_blocking`], [`InContext`] and [`Carried`] take the current context along within the process.

mod job;
mod task;

pub use job::{Attempt, AttemptFuture, SavedContext, SavedContextError};
pub use task::{Carried, InContext, spawn, spawn_blocking};
