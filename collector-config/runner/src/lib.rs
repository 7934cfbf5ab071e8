//! Runs the monitoring systems around the service from the configuration of `collector-config/`, on the usual ports or on free
//! ones. The collector, Jaeger, `VictoriaLogs`, vmalert, Prometheus, Alertmanager and the node exporter are built
//! natively from their Go modules; Postgres, Redis and the other exporters are packages of the operating system.
//!
//! `cargo stack` runs them in the foreground. `cargo demo` and the tests use the same code, so the tests cover what a
//! user starts.
//!
//! ```no_run
//! use std::time::Duration;
//! use stack::{Options, Stack, query::{Jaeger, wait_until}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stack = Stack::start(&Options::free_ports("my_test"))?;
//! // … run a service that exports to stack.otlp_grpc_url() …
//! let jaeger = Jaeger::new(stack.jaeger_url());
//! let trace = wait_until(Duration::from_secs(10), Duration::from_millis(100), "the trace in Jaeger", || {
//!     jaeger.trace("4bf92f3577b34da6a3ce929d0e0e4736")
//! })?;
//! println!("{}", trace.tree());
//! # Ok(())
//! # }
//! ```
//!
//! | module | question |
//! |---|---|
//! | [`Stack`], [`System`] | how do I start Jaeger, Prometheus, …? |
//! | [`addresses`] | on which ports? |
//! | [`query`], [`trace`], [`otlp`] | which telemetry did they receive? |
//! | [`inbox`] | what did Alertmanager send? |
//! | [`receiver`] | what exactly did the exporter send? (in this process, without Jaeger) |
//! | [`service`] | how do I run the example wallet service? |
//! | [`native`], [`packaged`] | where do the binaries come from? |
//! | [`paths`], [`run_folder`], [`process`] | where are the files of a run, how does a child process start and stop? |
//! | [`interrupt`], [`terminal`] | what does a signal do, and a closed output? |
//!
//! Processes are found by the pid that was recorded when they were started, never by name. Linux is the tested
//! platform: a process is identified through `/proc`.

#![expect(
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "an unpublished crate"
)]

pub mod addresses;
pub mod inbox;
pub mod interrupt;
pub mod native;
pub mod otlp;
pub mod packaged;
pub mod paths;
pub mod process;
pub mod query;
pub mod receiver;
pub mod run_folder;
pub mod service;
pub mod terminal;
pub mod trace;

mod launch;
mod options;
mod process_tree;
mod run_config;
mod stack;
mod system;

pub use addresses::{Port, Ports};
pub use anyhow::{Error, Result};
pub use launch::{collector_variables, jaeger_variables};
pub use options::{Options, Pace};
pub use stack::Stack;
pub use system::System;
