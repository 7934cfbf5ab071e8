use super::{Launch, Start, System};
use crate::{addresses::Port, paths, process::argument, stack::url};

/// Jaeger expands variables in its configuration, so it reads the shipped file itself.
pub(super) fn launch(start: &Start<'_>) -> Launch {
    let behind_collector = start.has(System::Collector);
    let (grpc, http) = if behind_collector {
        (Port::JaegerOtlpGrpc, Port::JaegerOtlpHttp)
    } else {
        (Port::OtlpGrpc, Port::OtlpHttp)
    };
    let metrics = start.address(Port::JaegerMetrics);
    let folder = paths::config_dir().join("jaeger");
    let mut command = start.command();
    command
        .arg(argument("--config=", &folder.join("config.yaml")))
        .env("JAEGER_OTLP_GRPC", start.address(grpc).to_string())
        .env("JAEGER_OTLP_HTTP", start.address(http).to_string())
        .env(
            "JAEGER_QUERY_HTTP",
            start.address(Port::JaegerQuery).to_string(),
        )
        .env(
            "JAEGER_QUERY_GRPC",
            start.address(Port::JaegerQueryGrpc).to_string(),
        )
        .env(
            "JAEGER_HEALTH",
            start.address(Port::JaegerHealth).to_string(),
        )
        .env("JAEGER_METRICS_HOST", metrics.ip().to_string())
        .env("JAEGER_METRICS_PORT", metrics.port().to_string())
        .env(
            "JAEGER_SAMPLING",
            start.address(Port::JaegerSampling).to_string(),
        )
        .env("JAEGER_SAMPLING_FILE", folder.join("sampling.json"))
        .env("JAEGER_PROMETHEUS", url(start.address(Port::Prometheus)));
    Launch {
        command,
        health: format!("{}/status", url(start.address(Port::JaegerHealth))),
        url: url(start.address(Port::JaegerQuery)),
    }
}
