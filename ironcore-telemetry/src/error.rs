//! What can go wrong while telemetry starts and stops. In between nothing in this library returns an error.

use std::time::Duration;

/// The cause behind an error, kept opaque so that no foreign type becomes part of this crate's interface.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why [`init`](crate::init) refused to start telemetry. Nothing is left installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// Telemetry was started before in this process.
    #[error(
        "telemetry is already initialised in this process; call init once, in main, and keep its guard \
         (tests that need their own: one process each)"
    )]
    AlreadyInitialized,

    /// Another `tracing` subscriber is the global default.
    #[error(
        "another tracing subscriber is already set; remove the other `…init()` or `set_global_default(…)` call \
         (often tracing_subscriber::fmt::init()): ironcore-telemetry installs the log and span layers itself"
    )]
    ForeignSubscriber,

    /// A setting, from code or from the environment, has a value that cannot be used.
    #[error("{name}={value:?} is not usable: {allowed}")]
    InvalidSetting {
        /// The variable, or the `Config` method, that holds the value.
        name: &'static str,
        /// The value as given; `[REDACTED]` where it may hold a secret.
        value: String,
        /// What is allowed.
        allowed: String,
    },

    /// A setting asks for a capability that this build does not have.
    #[error("{name}={value:?} needs the cargo feature `{feature}` of ironcore-telemetry: add it in Cargo.toml")]
    MissingFeature {
        /// The variable, or the `Config` method, that holds the value.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The cargo feature that brings the capability.
        feature: &'static str,
    },

    /// The listener of the `/metrics` page could not be opened.
    #[error(
        "cannot serve /metrics on {address}: {cause}; choose another port with OTEL_EXPORTER_PROMETHEUS_PORT \
         (0 takes a free one), or turn the listener off with Config::metrics_listener(None) and mount \
         telemetry::scrape::router() on your own router"
    )]
    MetricsListener {
        /// The address that was asked for.
        address: String,
        /// Why it could not be opened.
        #[source]
        cause: std::io::Error,
    },

    /// The background thread could not be started.
    #[error(
        "cannot start the telemetry thread: {cause}; check the limits on threads and open files (ulimit -u, ulimit -n)"
    )]
    Thread {
        /// Why it could not be started.
        #[source]
        cause: std::io::Error,
    },

    /// An exporter could not be built.
    #[error("cannot build the OTLP exporter for {endpoint}: {cause}")]
    Exporter {
        /// The endpoint it was built for.
        endpoint: String,
        /// Why it could not be built.
        #[source]
        cause: Cause,
    },
}

impl InitError {
    pub(crate) fn invalid(name: &'static str, value: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::InvalidSetting { name, value: value.into(), allowed: allowed.into() }
    }
}

/// What [`TelemetryGuard::shutdown`](crate::TelemetryGuard::shutdown) could not deliver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The collector did not take everything before the deadline.
    #[error(
        "{spans_lost} spans were not delivered within {timeout:?}{}; is the collector at the configured endpoint running?",
        last_failure.as_deref().map(|why| format!(" (last failure: {why})")).unwrap_or_default()
    )]
    Undelivered {
        /// Spans that were still queued or in flight when the time was up.
        spans_lost: u64,
        /// The time that was allowed.
        timeout: Duration,
        /// What the last attempt to deliver ended with, if one failed.
        last_failure: Option<String>,
    },

    /// The last metrics could not be pushed over OTLP; the `/metrics` page was not affected.
    #[error("the last metrics were not delivered over OTLP: {reason}")]
    MetricsUndelivered {
        /// What the attempt ended with.
        reason: String,
    },
}

/// A pattern for a layer that can never match: of a host (`propagate_to`) or of a gRPC method (`methods`).
#[cfg(any(feature = "http", feature = "grpc"))]
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not usable: {allowed}")]
#[non_exhaustive]
pub struct InvalidPattern {
    /// The pattern as given.
    pub pattern: String,
    /// The allowed forms.
    pub allowed: &'static str,
}

#[cfg(any(feature = "http", feature = "grpc"))]
impl InvalidPattern {
    pub(crate) fn new(pattern: &str, allowed: &'static str) -> Self {
        Self { pattern: pattern.to_owned(), allowed }
    }
}

/// The message: a `main` that returns the error prints its `Debug`.
#[cfg(any(feature = "http", feature = "grpc"))]
impl std::fmt::Debug for InvalidPattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}
