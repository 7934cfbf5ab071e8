//! Errors of starting and stopping telemetry, and of building a layer. Between `init` and `shutdown` nothing that
//! records returns an error.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The underlying error of a transport, boxed so that no type of another crate becomes part of this crate's interface.
type Source = Box<dyn Error + Send + Sync>;

/// Why [`init`](crate::init) refused to start telemetry. Nothing is left installed.
///
/// `Debug` prints the message and its sources, because that is what `main() -> Result<(), Box<dyn Error>>` prints.
#[derive(thiserror::Error)]
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
         (often tracing_subscriber::fmt::init()), and pass your layers to Config::layer, or your subscriber to \
         telemetry::init_on"
    )]
    ForeignSubscriber,

    /// A setting, from code or from the environment, has a value that cannot be used.
    #[error("{name}={value:?} is not usable: {allowed}")]
    #[non_exhaustive]
    InvalidSetting {
        /// The variable, or the `Config` method, that holds the value.
        name: &'static str,
        /// The value as given; `[REDACTED]` where it may hold a secret.
        value: String,
        /// What is allowed.
        allowed: String,
    },

    /// A setting, or the default of one, needs a cargo feature that is not compiled in.
    #[error(
        "{name}={value:?}{} needs the cargo feature `{feature}` of ironcore-telemetry: enable it in Cargo.toml, or {instead}",
        if *is_default { " (the default)" } else { "" }
    )]
    #[non_exhaustive]
    MissingFeature {
        /// The variable, or the `Config` method, of the setting.
        name: &'static str,
        /// The value in force.
        value: String,
        /// Whether the value is the default, so that neither code nor the environment has set it.
        is_default: bool,
        /// The cargo feature that has to be enabled.
        feature: &'static str,
        /// The way out without that feature.
        instead: String,
    },

    /// The listener of the `/metrics` page could not be opened.
    #[error(
        "cannot serve /metrics on {address}; choose another port with OTEL_EXPORTER_PROMETHEUS_PORT \
         (0 takes a free one), or turn the listener off with Config::metrics_listener(None) and mount \
         telemetry::scrape::router() on your own router"
    )]
    #[non_exhaustive]
    MetricsListener {
        /// The configured address.
        address: String,
        /// Why it could not be opened.
        source: std::io::Error,
    },

    /// The telemetry thread could not be started.
    #[error("cannot start the telemetry thread; check the limits on threads and open files (ulimit -u, ulimit -n)")]
    #[non_exhaustive]
    Thread {
        /// Why it could not be started.
        source: std::io::Error,
    },

    /// An exporter could not be built.
    #[error("cannot build the OTLP exporter for {endpoint}")]
    #[non_exhaustive]
    Exporter {
        /// The endpoint that it would have sent to.
        endpoint: String,
        /// Why it could not be built.
        source: Source,
    },
}

impl InitError {
    pub(crate) fn invalid(name: &'static str, value: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::InvalidSetting { name, value: value.into(), allowed: allowed.into() }
    }
}

impl fmt::Debug for InitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_sources(self, formatter)
    }
}

/// What [`TelemetryGuard::shutdown`](crate::TelemetryGuard::shutdown) could not deliver: spans, metrics, or both.
///
/// `Debug` prints the message, because that is what `main() -> Result<(), Box<dyn Error>>` prints.
pub struct ShutdownError {
    timeout: Duration,
    spans: Option<UndeliveredSpans>,
    metrics: Option<String>,
}

/// Spans that were still queued or in flight when the time was up.
pub(crate) struct UndeliveredSpans {
    pub(crate) count: u64,
    /// How the last failed export ended; `None` when none failed.
    pub(crate) last_failure: Option<String>,
}

impl ShutdownError {
    /// The error for what was not delivered within `timeout`: spans, and the reason why the last metrics were not.
    ///
    /// # Errors
    /// Spans or metrics were lost.
    pub(crate) fn check(
        timeout: Duration,
        spans: Option<UndeliveredSpans>,
        metrics: Option<String>,
    ) -> Result<(), Self> {
        if spans.is_none() && metrics.is_none() { Ok(()) } else { Err(Self { timeout, spans, metrics }) }
    }

    /// Spans that were still queued or in flight when the time was up.
    #[must_use]
    pub fn spans_lost(&self) -> u64 {
        self.spans.as_ref().map_or(0, |spans| spans.count)
    }

    /// Whether the last metrics could not be pushed over OTLP. The `/metrics` page is not affected.
    #[must_use]
    pub const fn metrics_lost(&self) -> bool {
        self.metrics.is_some()
    }

    /// How the last failed export of spans ended; if none failed, why the last metrics were lost. `None` if spans were
    /// lost only because the time was up.
    #[must_use]
    pub fn last_failure(&self) -> Option<&str> {
        let of_spans = self.spans.as_ref().and_then(|spans| spans.last_failure.as_deref());
        of_spans.or(self.metrics.as_deref())
    }

    /// The time that was allowed.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl Error for ShutdownError {}

impl fmt::Display for ShutdownError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(UndeliveredSpans { count, last_failure }) = &self.spans {
            write!(formatter, "{count} spans were not delivered within {:?}", self.timeout)?;
            if let Some(failure) = last_failure {
                write!(formatter, " (last failure: {failure})")?;
            }
        }
        if let Some(failure) = &self.metrics {
            let separator = if self.spans.is_some() { ", and " } else { "" };
            write!(formatter, "{separator}the last metrics were not delivered over OTLP: {failure}")?;
        }
        formatter.write_str("; is the collector at the configured endpoint running?")
    }
}

impl fmt::Debug for ShutdownError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_sources(self, formatter)
    }
}

/// The message, then each underlying error on a line of its own.
fn with_sources(error: &dyn Error, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(formatter, "{error}")?;
    let sources = std::iter::successors(error.source(), |source| (*source).source());
    for source in sources {
        write!(formatter, "\n  caused by: {source}")?;
    }
    Ok(())
}

/// A pattern for a layer that can never match: of a host (`propagate_to`), of a gRPC method (`methods`) or of a route
/// (`routes`).
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
impl fmt::Debug for InvalidPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn undelivered(count: u64, last_failure: Option<&str>) -> UndeliveredSpans {
        UndeliveredSpans { count, last_failure: last_failure.map(str::to_owned) }
    }

    fn lost(spans: impl Into<Option<UndeliveredSpans>>, metrics: Option<&str>) -> ShutdownError {
        ShutdownError::check(Duration::from_millis(500), spans.into(), metrics.map(str::to_owned)).unwrap_err()
    }

    #[test]
    fn an_error_that_main_returns_is_printed_as_its_message_and_sources() {
        let source = io::Error::new(io::ErrorKind::AddrInUse, "Address already in use");
        let error = InitError::MetricsListener { address: "127.0.0.1:9464".to_owned(), source };
        let printed = format!("{:?}", Box::<dyn Error>::from(error));
        assert!(printed.starts_with("cannot serve /metrics on 127.0.0.1:9464; choose another port"), "{printed}");
        assert!(printed.ends_with("\n  caused by: Address already in use"), "{printed}");
    }

    #[test]
    fn debug_follows_the_sources_to_the_first_error() {
        #[derive(Debug, thiserror::Error)]
        #[error("the handshake failed")]
        struct Handshake(#[source] io::Error);

        let source = Box::new(Handshake(io::Error::other("connection reset")));
        let error = InitError::Exporter { endpoint: "http://h:1".to_owned(), source };
        let expected = "cannot build the OTLP exporter for http://h:1\
                        \n  caused by: the handshake failed\n  caused by: connection reset";
        assert_eq!(format!("{error:?}"), expected);
    }

    #[test]
    fn an_underlying_error_is_the_source_and_not_in_the_message() {
        let source = || io::Error::other("the underlying error");
        for error in [
            InitError::MetricsListener { address: "127.0.0.1:9464".to_owned(), source: source() },
            InitError::Thread { source: source() },
            InitError::Exporter { endpoint: "http://h:1".to_owned(), source: source().into() },
        ] {
            assert_eq!(error.source().unwrap().to_string(), "the underlying error");
            assert!(!error.to_string().contains("the underlying error"), "{error}");
        }
        let error = InitError::invalid("OTEL_TRACES_SAMPLER", "sometimes", "use one of always_on, always_off");
        assert!(error.source().is_none());
        assert_eq!(format!("{error:?}"), error.to_string());
    }

    #[test]
    fn a_missing_feature_names_the_feature_and_the_way_out_without_it() {
        let error = |is_default| InitError::MissingFeature {
            name: "OTEL_LOGS_EXPORTER",
            value: "console".to_owned(),
            is_default,
            feature: "json-logs",
            instead: "set OTEL_LOGS_EXPORTER=none".to_owned(),
        };
        let rest = "needs the cargo feature `json-logs` of ironcore-telemetry: enable it in Cargo.toml, or set \
                    OTEL_LOGS_EXPORTER=none";
        assert_eq!(error(false).to_string(), format!("OTEL_LOGS_EXPORTER=\"console\" {rest}"));
        assert_eq!(error(true).to_string(), format!("OTEL_LOGS_EXPORTER=\"console\" (the default) {rest}"));
    }

    #[test]
    fn a_shutdown_without_a_loss_is_ok() {
        assert!(ShutdownError::check(Duration::from_millis(500), None, None).is_ok());
    }

    #[test]
    fn lost_spans_are_counted_and_their_last_failure_is_named() {
        let error = lost(undelivered(1, None), None);
        let expected = "1 spans were not delivered within 500ms; is the collector at the configured endpoint running?";
        assert_eq!(error.to_string(), expected);
        assert_eq!((error.spans_lost(), error.metrics_lost(), error.last_failure()), (1, false, None));
        assert_eq!(error.timeout(), Duration::from_millis(500));
        let error = lost(undelivered(7, Some("HTTP status 404")), None);
        assert!(error.to_string().contains("within 500ms (last failure: HTTP status 404);"), "{error}");
        assert_eq!(error.last_failure(), Some("HTTP status 404"));
    }

    #[test]
    fn lost_metrics_are_reported_with_the_reason() {
        let error = lost(None::<UndeliveredSpans>, Some("gRPC code Unavailable"));
        let expected = "the last metrics were not delivered over OTLP: gRPC code Unavailable";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!((error.spans_lost(), error.metrics_lost()), (0, true));
        assert_eq!(error.last_failure(), Some("gRPC code Unavailable"));
    }

    #[test]
    fn spans_and_metrics_that_are_both_lost_are_both_reported() {
        let error = lost(undelivered(3, Some("gRPC code Unavailable")), Some("the time was up"));
        let expected = "3 spans were not delivered within 500ms (last failure: gRPC code Unavailable), and the last \
                        metrics were not delivered over OTLP: the time was up; is the collector at the configured \
                        endpoint running?";
        assert_eq!(error.to_string(), expected);
        assert_eq!(format!("{error:?}"), expected);
        assert_eq!((error.spans_lost(), error.metrics_lost()), (3, true));
        assert_eq!(error.last_failure(), Some("gRPC code Unavailable"));
    }
}
