//! How each signal reaches the collector.

use super::resolver::{Given, Origin, Resolver};
use super::table::{self, Signal};
use super::{Config, Protocol, parse};
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
    resolver.read(&table::compression(signal))?;
    Ok(Otlp {
        endpoint: endpoint(config, resolver, signal, protocol)?,
        protocol,
        headers: headers(config, resolver, signal)?,
        timeout: timeout(config, resolver, signal)?,
    })
}

fn protocol(config: &Config, resolver: &mut Resolver<'_>, signal: Signal) -> Result<Protocol, InitError> {
    let in_code = |value| Given::Value { method: "Config::protocol", value, check: Ok(()) };
    let (protocol, origin) = resolver.read_with_origin(&table::protocol(signal), config.protocol.map(in_code))?;
    resolver.require(protocol.feature(), protocol.name(), origin, || {
        let other = protocol.other();
        let choice = match origin {
            Origin::Code(method) => format!("{method}(Protocol::{other:?})"),
            Origin::Variable(variable) | Origin::Default(variable) => format!("{variable}={}", other.name()),
        };
        format!("choose {choice} with the feature `{}`, or set {}", other.feature(), signal.off())
    })?;
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
    let in_code = in_code.map(|endpoint| Given::Text(Origin::Code("Config::endpoint"), endpoint));
    let (mut endpoint, origin) = resolver.read_with_origin(&setting, in_code)?;
    let is_own = matches!(origin, Origin::Variable(name) if setting.variables.first() == Some(&name));
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
    let setting = table::headers(signal);
    let in_code = config.headers.as_slice();
    match (in_code, resolver.variable(&setting)) {
        ([], None) => Ok(Vec::new()),
        ([], Some(_)) => resolver.read(&setting),
        (_, None) => {
            let (value, check) = (in_code.to_vec(), parse::check_headers(in_code));
            resolver.read_with(&setting, Some(Given::Value { method: "Config::header", value, check }))
        }
        // The exporter reads the variable by itself and would send both.
        (_, Some((name, _))) => {
            Err(InitError::invalid(name, MASK, "use either the variable or Config::header, not both"))
        }
    }
}

fn timeout(config: &Config, resolver: &mut Resolver<'_>, signal: Signal) -> Result<Duration, InitError> {
    let in_code = config.export_timeout.map(|value| {
        let check = parse::check_milliseconds(value, &table::TIMES);
        Given::Value { method: "Config::export_timeout", value, check }
    });
    resolver.read_with(&table::export_timeout(signal), in_code)
}
