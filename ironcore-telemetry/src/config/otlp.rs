//! How each signal reaches the collector.

use super::resolver::{Given, Origin, Resolver};
use super::setting::Setting;
use super::table::{self, Compression, Signal};
use super::{Config, Protocol, parse};
use crate::error::InitError;
use crate::redact::Secret;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How one signal reaches the collector.
#[derive(Debug, Clone)]
pub(crate) struct Otlp {
    /// With its scheme, `http`, `https` or `unix`. For HTTP with the path of the signal, unless it is a socket.
    pub(crate) endpoint: String,
    pub(crate) protocol: Protocol,
    /// Whether requests are compressed (gzip).
    pub(crate) compressed: bool,
    pub(crate) headers: Vec<(String, Secret<String>)>,
    /// A file with more headers, which may change at any time; [`read_headers`] reads it.
    pub(crate) headers_file: Option<PathBuf>,
    pub(crate) tls: TlsFiles,
    pub(crate) timeout: Duration,
}

/// Files in PEM, for endpoints with TLS. They may change at any time.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsFiles {
    /// The authorities that are trusted in place of those of the system.
    pub(crate) certificate: Option<PathBuf>,
    /// What is shown to a collector that asks who we are, and its key.
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
}

impl TlsFiles {
    /// All files.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.client_certificate, &self.client_key].into_iter().flatten().map(PathBuf::as_path)
    }
}

impl Protocol {
    /// The cargo feature that compiles it in.
    pub(crate) const fn feature(self) -> &'static str {
        match self {
            Self::Grpc => "otlp-grpc",
            Self::HttpProtobuf => "otlp-http",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Grpc => Self::HttpProtobuf,
            Self::HttpProtobuf => Self::Grpc,
        }
    }
}

impl Signal {
    /// The path that is appended to the common endpoint when the protocol is HTTP.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// The path of the method that takes it when the protocol is gRPC.
    pub(crate) const fn service(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }

    /// How to do without OTLP.
    const fn off(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_TRACES_EXPORTER=none",
            Self::Metrics => "OTEL_METRICS_EXPORTER=prometheus or none",
        }
    }
}

pub(super) fn otlp(config: &Config, resolver: &mut Resolver<'_>, signal: Signal) -> Result<Otlp, InitError> {
    let protocol = protocol(config, resolver, signal)?;
    let compression = resolver.read(&table::compression(signal))?;
    Ok(Otlp {
        endpoint: endpoint(config, resolver, signal, protocol)?,
        protocol,
        compressed: compression == Compression::Gzip,
        headers: headers(config, resolver, signal)?,
        headers_file: file(resolver, &table::HEADERS_FILE, |path| read_headers(path).map(drop))?,
        tls: TlsFiles {
            certificate: file(resolver, &table::certificate(signal), can_be_opened)?,
            client_certificate: file(resolver, &table::client_certificate(signal), can_be_opened)?,
            client_key: file(resolver, &table::client_key(signal), can_be_opened)?,
        },
        timeout: timeout(config, resolver, signal)?,
    })
}

/// The headers of a file, in the syntax of `OTEL_EXPORTER_OTLP_HEADERS`; lines count as commas.
///
/// # Errors
/// What is wrong with the file, without anything of what is in it.
pub(crate) fn read_headers(path: &Path) -> Result<Vec<(String, Secret<String>)>, String> {
    /// More than any server takes, in bytes.
    const LIMIT: u64 = 64 << 10;
    let mut text = Secret::new(String::new());
    let file = File::open(path).map_err(unreadable)?;
    let read = file.take(LIMIT + 1).read_to_string(text.expose_mut()).map_err(unreadable)?;
    if u64::try_from(read).is_ok_and(|read| read > LIMIT) {
        return Err("it has more than 64 KiB".to_owned());
    }
    let list = Secret::new(text.expose().replace(['\n', '\r'], ","));
    parse::headers(list.expose()).map_err(|refused| refused.allowed)
}

/// The protocol. One of the environment that is not compiled in gives way to the other one.
fn protocol(config: &Config, resolver: &mut Resolver<'_>, signal: Signal) -> Result<Protocol, InitError> {
    let setting = table::protocol(signal);
    let in_code = |value| Given::Value("Config::protocol", value, Ok(()));
    let (mut protocol, mut origin) = resolver.read_unnoted(&setting, config.protocol.map(in_code))?;
    let (feature, other) = (protocol.feature(), protocol.other());
    if !resolver.has(feature) {
        let missing = || {
            let choice = match origin {
                Origin::Code(method) => format!("{method}(Protocol::{other:?})"),
                Origin::Variable(variable) | Origin::Default(variable) => format!("{variable}={}", other.name()),
                #[cfg(feature = "config-file")]
                Origin::File { .. } => other.name().to_owned(),
            };
            let instead = format!("choose {choice} with the feature `{}`, or set {}", other.feature(), signal.off());
            Resolver::missing(feature, protocol.name(), origin, instead)
        };
        let Some(variable) = resolver.forgiven(&setting, origin).filter(|_| resolver.has(other.feature())) else {
            return Err(missing());
        };
        let allowed = format!("it needs the cargo feature `{feature}` of ironcore-telemetry");
        let used = format!("{} (compiled in)", other.name());
        resolver.forgive(&setting, (variable, protocol.name(), origin), allowed, &used);
        (protocol, origin) = (other, Origin::Default(variable));
    }
    resolver.note_value(&setting, &protocol, origin);
    Ok(protocol)
}

/// A signal's own endpoint is used as it stands; any other one is the base of the signals' paths.
fn endpoint(
    config: &Config,
    resolver: &mut Resolver<'_>,
    signal: Signal,
    protocol: Protocol,
) -> Result<String, InitError> {
    let setting = table::endpoint(signal, protocol);
    let in_code = config.endpoint.as_ref().map(Secret::expose);
    let in_code = in_code.map(|endpoint| Given::Text("Config::endpoint", endpoint));
    let (given, origin) = resolver.read_unnoted(&setting, in_code)?;
    let is_insecure = insecure(resolver, signal)?;
    let is_socket = given.starts_with("unix:");
    let mut endpoint = match given {
        given if is_socket || given.contains("://") => given,
        bare if is_insecure => format!("http://{bare}"),
        bare => format!("https://{bare}"),
    };
    resolver.note_value(&setting, &endpoint, origin);
    if endpoint.starts_with("https:") && !resolver.has("tls") {
        let instead = "send to a collector on this host (http://) that forwards over TLS".to_owned();
        return Err(Resolver::missing("tls", &endpoint, origin, instead));
    }
    if endpoint.strip_prefix("http://").is_some_and(|rest| !is_loopback(rest)) && !is_insecure {
        resolver.unencrypted(&endpoint);
    }
    let is_own = match origin {
        Origin::Variable(name) => setting.variables.first() == Some(&name),
        #[cfg(feature = "config-file")]
        Origin::File { .. } => true,
        Origin::Code(_) | Origin::Default(_) => false,
    };
    if protocol == Protocol::HttpProtobuf && !is_own && !is_socket {
        endpoint.push_str(signal.path());
    }
    Ok(endpoint)
}

/// Whether it is meant that nothing is encrypted.
fn insecure(resolver: &mut Resolver<'_>, signal: Signal) -> Result<bool, InitError> {
    let setting = table::insecure(signal);
    let (is_insecure, origin) = resolver.read_unnoted(&setting, None)?;
    if !matches!(origin, Origin::Default(_)) {
        resolver.note_value(&setting, &is_insecure, origin);
    }
    Ok(is_insecure)
}

/// Whether what begins with this authority stays on this host.
fn is_loopback(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// A file that is read when it is needed. One that cannot be used now is warned of: it may come later.
fn file(
    resolver: &mut Resolver<'_>,
    setting: &Setting<Option<PathBuf>>,
    check: impl Fn(&Path) -> Result<(), String>,
) -> Result<Option<PathBuf>, InitError> {
    let (path, origin) = resolver.read_unnoted(setting, None)?;
    if let Some(path) = &path {
        if let Err(error) = check(path) {
            let (name, value) = (origin.name(), path.display().to_string());
            let refused = || InitError::invalid(name, value.as_str(), error.as_str());
            resolver.ignore((name, &value), error.as_str(), "the file, once it can be used", refused)?;
        }
        resolver.note_value(setting, &Some(path.clone()), origin);
    }
    Ok(path)
}

fn can_be_opened(path: &Path) -> Result<(), String> {
    File::open(path).map(drop).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreadable(error: std::io::Error) -> String {
    format!("name a file that can be read ({error})")
}

fn headers(
    config: &Config,
    resolver: &mut Resolver<'_>,
    signal: Signal,
) -> Result<Vec<(String, Secret<String>)>, InitError> {
    let in_code = config.headers.as_slice();
    let given = || Given::Value("Config::header", in_code.to_vec(), parse::check_headers(in_code));
    let setting = table::headers(signal);
    let (headers, origin) = resolver.read_unnoted(&setting, (!in_code.is_empty()).then(given))?;
    if !headers.is_empty() {
        resolver.note_value(&setting, &headers, origin);
    }
    Ok(headers)
}

fn timeout(config: &Config, resolver: &mut Resolver<'_>, signal: Signal) -> Result<Duration, InitError> {
    let in_code = config
        .export_timeout
        .map(|value| Given::Value("Config::export_timeout", value, parse::check_milliseconds(value, &table::TIMES)));
    resolver.read_with(&table::export_timeout(signal), in_code)
}
