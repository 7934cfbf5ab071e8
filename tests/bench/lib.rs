//! Benches that measure this library beside other crates. They are a workspace of their own, so that neither the gate
//! nor `cargo test` builds those crates; `tests/check deep` runs them. From this folder:
//!
//! - `cargo bench --bench comparison`: instructions and allocations of an operation and of a request.
//! - `cargo bench --bench delivery`: CPU time and rate from the end of a span to the collector.
//! - `cargo bench --bench throughput`: requests per second of a service under load.
