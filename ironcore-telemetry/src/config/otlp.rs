//! How each signal reaches the collector.

use super::resolver::{Given, Origin, Resolver};
use super::table::{self, Compression, Signal};
use super::{Config, Protocol, parse};
use crate::error::InitError;
use crate::redact::Secret;
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
    const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
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
    compression(resolver, signal)?;
    Ok(Otlp {
        endpoint: endpoint(config, resolver, signal, protocol)?,
        protocol,
        headers: headers(config, resolver, signal)?,
        timeout: timeout(config, resolver, signal)?,
    })
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

/// Nothing is compressed yet.
fn compression(resolver: &mut Resolver<'_>, signal: Signal) -> Result<(), InitError> {
    let setting = table::compression(signal);
    let (compression, origin) = resolver.read_unnoted(&setting, None)?;
    let origin = match (compression, origin) {
        (Compression::Gzip, Origin::Variable(variable)) => {
            resolver.not_acted_on(variable);
            Origin::Default(variable)
        }
        _ => origin,
    };
    resolver.note_value(&setting, &Compression::None, origin);
    Ok(())
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
    let (mut endpoint, origin) = resolver.read_with_origin(&setting, in_code)?;
    let is_own = match origin {
        Origin::Variable(name) => setting.variables.first() == Some(&name),
        #[cfg(feature = "config-file")]
        Origin::File { .. } => true,
        Origin::Code(_) | Origin::Default(_) => false,
    };
    if protocol == Protocol::HttpProtobuf && !is_own {
        endpoint.push_str(signal.path());
    }
    Ok(endpoint)
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
