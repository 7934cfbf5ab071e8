//! What arrives at a collector that fails, and what the ledger says of the rest: exactly, to the span.
//!
//! Telemetry, its producers and the collector are in one child process, so that a scenario can change the collector's
//! mode; see `tests/support/collector`.

#[path = "export/faults.rs"]
mod faults;
#[path = "export/limits.rs"]
mod limits;
#[path = "export/network.rs"]
mod network;
#[path = "export/schedules.rs"]
mod schedules;
#[path = "export/shutdown.rs"]
mod shutdown;
#[path = "export/soak.rs"]
mod soak;
#[path = "export/traffic.rs"]
mod traffic;
