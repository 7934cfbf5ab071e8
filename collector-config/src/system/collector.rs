use super::{Launch, Start, System};
use crate::{
    addresses::Port,
    paths,
    process::argument,
    stack::{Pace, url},
};

/// The collector expands variables in its configuration, so it reads the shipped layers themselves.
pub(super) fn launch(start: &Start<'_>) -> Launch {
    let folder = paths::config_dir().join("collector");
    let storage = start.folder.join("collector");
    let metrics = start.address(Port::CollectorMetrics);
    let health = start.address(Port::CollectorHealth);
    let mut layers = vec!["base.yaml", "backends.yaml"];
    if start.has(System::Loki) {
        layers.push("logs.yaml");
    }
    let mut command = start.command();
    for layer in layers {
        command.arg(argument("--config=", &folder.join(layer)));
    }
    command
        .env(
            "COLLECTOR_OTLP_GRPC",
            start.address(Port::OtlpGrpc).to_string(),
        )
        .env(
            "COLLECTOR_OTLP_HTTP",
            start.address(Port::OtlpHttp).to_string(),
        )
        .env("COLLECTOR_HEALTH", health.to_string())
        .env("COLLECTOR_METRICS_HOST", metrics.ip().to_string())
        .env("COLLECTOR_METRICS_PORT", metrics.port().to_string())
        .env(
            "COLLECTOR_SPAN_METRICS",
            start.address(Port::CollectorSpanMetrics).to_string(),
        )
        .env("COLLECTOR_STORAGE", storage)
        .env("COLLECTOR_LOG_FILES", start.folder.join("*.jsonl"))
        .env(
            "JAEGER_OTLP_GRPC",
            start.address(Port::JaegerOtlpGrpc).to_string(),
        )
        .env(
            "LOKI_OTLP",
            format!("{}/otlp", url(start.address(Port::Loki))),
        )
        // Whoever tries the stack wants to see each request, and soon.
        .env("COLLECTOR_SAMPLE_PERCENT", "100");
    if start.options.pace == Pace::Quick {
        command.env("COLLECTOR_DECISION_WAIT", "1s");
    }
    command.envs(
        start
            .options
            .collector
            .iter()
            .map(|(name, value)| (name, value)),
    );
    Launch {
        command,
        health: url(health),
        url: url(start.address(Port::OtlpGrpc)),
    }
}
