//! The collector, between the service and the storage in Jaeger and `VictoriaLogs`, or Loki.

use super::{Launch, Start, address_variables};
use crate::addresses::{Addresses, Port, url};
use crate::options::Pace;
use crate::paths;
use crate::process::argument;
use crate::system::System;

/// Without it the file reader records a line as read before the queue has stored it on disk, and a crash loses the
/// lines in between.
const SYNCHRONOUS_LOG_READER: &str = "--feature-gates=stanza.synchronousLogEmitter";

/// The collector expands variables in its configuration, so it reads the shipped layers themselves.
pub(super) fn launch(start: &Start<'_>) -> Launch {
    let folder = paths::config_dir().join("collector");
    let mut command = start.command();
    let mut layers = vec!["base.yaml", "backends.yaml"];
    if start.has(System::VictoriaLogs) || start.has(System::Loki) {
        layers.push("logs.yaml");
        command.arg(SYNCHRONOUS_LOG_READER);
    }
    for layer in layers {
        command.arg(argument("--config=", &folder.join(layer)));
    }
    command
        .envs(variables(start.addresses))
        .env("COLLECTOR_STORAGE", start.folder.join("collector"))
        .env("COLLECTOR_LOG_FILES", start.folder.join("*.jsonl"))
        // A user who tries the stack wants to see every request.
        .env("COLLECTOR_SAMPLE_PERCENT", "100");
    if !start.has(System::VictoriaLogs) && start.has(System::Loki) {
        command.env("COLLECTOR_LOGS_ENDPOINT", format!("{}/otlp", url(start.address(Port::Loki))));
    }
    if start.options.pace == Pace::Quick {
        command.env("COLLECTOR_DECISION_WAIT", "1s");
    }
    command.envs(start.options.collector.iter().cloned());
    Launch::new(command, url(start.address(Port::CollectorHealth)), url(start.address(Port::OtlpGrpc)))
}

/// The variables of the shipped configuration for the addresses that the collector listens on and sends to.
pub fn variables(addresses: &Addresses) -> Vec<(&'static str, String)> {
    let metrics = addresses.address(Port::CollectorMetrics);
    let mut variables = vec![
        ("COLLECTOR_METRICS_HOST", metrics.ip().to_string()),
        ("COLLECTOR_METRICS_PORT", metrics.port().to_string()),
        ("COLLECTOR_LOGS_ENDPOINT", format!("{}/insert/opentelemetry", url(addresses.address(Port::VictoriaLogs)))),
    ];
    variables.extend(address_variables(
        addresses,
        [
            ("COLLECTOR_OTLP_GRPC", Port::OtlpGrpc),
            ("COLLECTOR_OTLP_HTTP", Port::OtlpHttp),
            ("COLLECTOR_HEALTH", Port::CollectorHealth),
            ("COLLECTOR_SPAN_METRICS", Port::CollectorSpanMetrics),
            ("JAEGER_OTLP_GRPC", Port::JaegerOtlpGrpc),
        ],
    ));
    variables
}
