//! The context of a request where its work goes on elsewhere: later, in a job of a queue or an outbox row; or at once, on
//! another task or thread.
//!
//! ```
//! use ironcore_telemetry::saved_context::SavedContext;
//!
//! // The request that makes the job keeps where it comes from, in a text column beside it …
//! let kept: String = SavedContext::current().to_string();
//!
//! // … and the worker goes on from there. The first attempt is a part of the request's trace; a later one is a trace of
//! // its own with a link to it, as it may come hours later, and again and again.
//! let saved: SavedContext = kept.parse()?;
//! saved.attempt(1).call("outbox.publish", || { /* … */ });
//! # Ok::<(), ironcore_telemetry::saved_context::SavedContextError>(())
//! ```
//!
//! [`spawn`], [`spawn_blocking`], [`InContext`] and [`Carried`] take the current context along inside of the process.

mod job;
mod task;

pub use job::{Attempt, AttemptFuture, SavedContext, SavedContextError};
pub use task::{Carried, InContext, spawn, spawn_blocking};
