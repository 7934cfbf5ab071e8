//! How each signal reaches the collector: the OTLP variables, common and per signal.

use super::source::{NOT_IN_CODE, Source, milliseconds, one_of, pairs};
use super::{Config, Protocol};
use crate::error::InitError;
use crate::redact::{MASK, Secret};
use std::time::Duration;

/// How one signal reaches the collector.
#[derive(Debug, Clone)]
pub(crate) struct Otlp {
    /// For HTTP with the path of the signal.
    pub(crate) endpoint: String,
    pub(crate) protocol: Protocol,
    pub(crate) headers: Vec<(String, Secret<String>)>,
    pub(crate) timeout: Duration,
}

/// The names of one signal's variables.
pub(super) struct Signal {
    endpoint: [&'static str; 2],
    protocol: [&'static str; 2],
    headers: [&'static str; 2],
    timeout: [&'static str; 2],
    compression: [&'static str; 2],
    path: &'static str,
}

pub(super) const TRACES: Signal = Signal {
    endpoint: ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
    protocol: ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
    headers: ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
    timeout: ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
    compression: ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
    path: "/v1/traces",
};

pub(super) const METRICS: Signal = Signal {
    endpoint: ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
    protocol: ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
    headers: ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
    timeout: ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
    compression: ["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
    path: "/v1/metrics",
};

const PROTOCOLS: &[(&str, Protocol)] = &[("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];

impl Protocol {
    /// Its name in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }

    /// The cargo feature that it needs, when this build lacks it.
    const fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Grpc if !cfg!(feature = "otlp-grpc") => Some("otlp-grpc"),
            Self::HttpProtobuf if !cfg!(feature = "otlp-http") => Some("otlp-http"),
            Self::Grpc | Self::HttpProtobuf => None,
        }
    }
}

pub(super) fn otlp(config: &Config, source: &mut Source<'_>, signal: &Signal) -> Result<Otlp, InitError> {
    let default = if cfg!(feature = "otlp-grpc") { Protocol::Grpc } else { Protocol::HttpProtobuf };
    let code = config.protocol.map(|protocol| ("Config::protocol", protocol.name().to_owned()));
    let protocol = source.pick("protocol", code, &signal.protocol, default.name(), |value| one_of(PROTOCOLS, value))?;
    if let Some(feature) = protocol.missing_feature() {
        let [_, name] = signal.protocol;
        return Err(InitError::MissingFeature { name, value: protocol.name().to_owned(), feature });
    }
    let (default, path) = match protocol {
        Protocol::Grpc => ("http://localhost:4317", ""),
        Protocol::HttpProtobuf => ("http://localhost:4318", signal.path),
    };
    let code = config.endpoint.clone().map(|endpoint| ("Config::endpoint", endpoint.expose().clone()));
    source.pick("compression", NOT_IN_CODE, &signal.compression, "none", |value| one_of(&[("none", ())], value))?;
    let [own_endpoint, _] = signal.endpoint;
    // A signal's own endpoint is taken as it stands; the common one is the base of the signals' paths.
    let verbatim = code.is_none() && source.variable(&[own_endpoint]).is_some();
    let mut endpoint = source.pick("endpoint", code, &signal.endpoint, default, endpoint)?;
    if !verbatim {
        endpoint.push_str(path);
    }
    let timeout = config.export_timeout.map(|time| ("Config::export_timeout", time.as_millis().to_string()));
    Ok(Otlp {
        endpoint,
        protocol,
        headers: headers(config, source, signal)?,
        timeout: source.pick("export_timeout_ms", timeout, &signal.timeout, "10000", |value| milliseconds(value, 1))?,
    })
}

fn endpoint(value: &str) -> Result<String, String> {
    let rest = value.strip_prefix("http://").ok_or(
        "use http://host:port; TLS (https://) is not supported yet: send to a collector on this host and let it \
         speak TLS onwards",
    )?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let usable = !authority.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c == '?' || c == '#');
    if authority.contains('@') {
        return Err("give no user name or password in it; use OTEL_EXPORTER_OTLP_HEADERS for credentials".to_owned());
    }
    let port_fits =
        authority.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']') || port.parse::<u16>().is_ok());
    let usable = usable && port_fits;
    usable
        .then(|| value.trim_end_matches('/').to_owned())
        .ok_or_else(|| "use http://host:port, as in http://127.0.0.1:4317".to_owned())
}

fn headers(
    config: &Config,
    source: &mut Source<'_>,
    signal: &Signal,
) -> Result<Vec<(String, Secret<String>)>, InitError> {
    let variable = source.variable(&signal.headers);
    let (name, origin, headers) = match (config.headers.as_slice(), variable) {
        ([], None) => return Ok(Vec::new()),
        ([], Some((name, list))) => {
            // The list may hold a credential: it is never shown.
            let headers = pairs(&list).ok_or_else(|| InitError::invalid(name, MASK, HEADERS_ALLOWED))?;
            let headers = headers.into_iter().map(|(key, value)| (key, Secret::new(value)));
            (name, name, headers.collect())
        }
        (headers, None) => ("Config::header", "code", headers.to_vec()),
        // The exporter reads the variable by itself and would send both.
        (_, Some((name, _))) => {
            let allowed = "use either the variable or Config::header, not both";
            return Err(InitError::invalid(name, MASK, allowed));
        }
    };
    let valid_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let valid_value = |value: &str| value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !headers.iter().all(|(key, value)| valid_name(key) && valid_value(value.expose())) {
        return Err(InitError::invalid(name, MASK, HEADERS_ALLOWED));
    }
    source.note_secret("headers", origin);
    Ok(headers)
}

const HEADERS_ALLOWED: &str =
    "use name=value pairs with commas between them; names of letters, digits, - and _, values of printable ASCII";
