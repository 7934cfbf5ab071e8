//! Errors of starting telemetry and of building a layer. After `init` nothing that records returns an error, and
//! neither does the shutdown.

use std::error::Error;
use std::fmt;

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
}
