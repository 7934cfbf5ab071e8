//! Jaeger, alone or behind the collector.

use super::{Launch, Start, address_variables};
use crate::addresses::{Addresses, Port, url};
use crate::paths;
use crate::process::argument;
use crate::system::System;

/// Jaeger expands variables in its configuration, so it reads the shipped file itself.
pub(super) fn launch(start: &Start<'_>) -> Launch {
    let config = paths::config_dir().join("jaeger/config.yaml");
    let mut command = start.command();
    command.arg(argument("--config=", &config)).envs(variables(start.addresses));
    if start.has(System::Collector) {
        command.envs(address_variables(
            start.addresses,
            [("JAEGER_OTLP_GRPC", Port::JaegerOtlpGrpc), ("JAEGER_OTLP_HTTP", Port::JaegerOtlpHttp)],
        ));
    }
    Launch::new(
        command,
        format!("{}/status", url(start.address(Port::JaegerHealth))),
        url(start.address(Port::JaegerQuery)),
    )
}

/// The variables of the shipped configurations for the addresses that Jaeger listens on, without a collector in front
/// of it, and for the Prometheus that it queries.
pub fn variables(addresses: &Addresses) -> Vec<(&'static str, String)> {
    let metrics = addresses.address(Port::JaegerMetrics);
    let strategies = paths::config_dir().join("jaeger/sampling.json");
    let mut variables = vec![
        ("JAEGER_METRICS_HOST", metrics.ip().to_string()),
        ("JAEGER_METRICS_PORT", metrics.port().to_string()),
        ("JAEGER_PROMETHEUS", url(addresses.address(Port::Prometheus))),
        ("JAEGER_SAMPLING_FILE", strategies.to_string_lossy().into_owned()),
    ];
    variables.extend(address_variables(
        addresses,
        [
            ("JAEGER_OTLP_GRPC", Port::OtlpGrpc),
            ("JAEGER_OTLP_HTTP", Port::OtlpHttp),
            ("JAEGER_QUERY_HTTP", Port::JaegerQuery),
            ("JAEGER_QUERY_GRPC", Port::JaegerQueryGrpc),
            ("JAEGER_HEALTH", Port::JaegerHealth),
            ("JAEGER_SAMPLING", Port::JaegerSampling),
        ],
    ));
    variables
}
