//! Every metric, span attribute and log field name that this library emits, with unit, help text and labels.
//!
//! This file is the source: dashboards, rules and tests are compared with it.

use crate::series::{Kind, Metric};

/// Instrumentation scope of the spans that this library makes.
pub(crate) const SCOPE: &str = "ironcore-telemetry";
/// The schema of the attributes: the newest release of the semantic conventions. [`attribute::RPC_STATUS`] is ahead of
/// it: renamed after 1.44.0. A reader that moves spans to a later schema renames only the old name.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Value of a label whose own value is outside the label's bounded set.
pub(crate) const OTHER: &str = "_OTHER";
/// Value of `route` for a request that no route matched.
pub(crate) const UNMATCHED: &str = "_unmatched";

/// Bucket bounds of durations in nanoseconds: 5 ms to 10 s, with each latency objective of the API as a bound, so
/// that the share of requests within an objective is exact.
pub(crate) const DURATION_BOUNDS: &[u64] = &[
    5_000_000,
    10_000_000,
    15_000_000,
    20_000_000,
    30_000_000,
    50_000_000,
    80_000_000,
    100_000_000,
    120_000_000,
    150_000_000,
    200_000_000,
    300_000_000,
    500_000_000,
    800_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Requests that the HTTP server layer has seen to their end.
pub(crate) static HTTP_REQUESTS: Metric = Metric {
    name: "http_requests_total",
    help: "HTTP requests that ended, by method, route template and status code (499: the caller went away first).",
    kind: Kind::Counter,
    labels: &["method", "route", "status"],
    bounded: &["method", "route", "status"],
};

/// Time from the arrival of a request to the end of its response.
pub(crate) static HTTP_REQUEST_DURATION: Metric = Metric {
    name: "http_request_duration_seconds",
    help: "Time from the arrival of an HTTP request to the end of its response's body, in seconds.",
    kind: Kind::Durations(DURATION_BOUNDS),
    labels: &["method", "route", "status"],
    bounded: &[],
};

/// Requests that have arrived and not ended.
pub(crate) static HTTP_REQUESTS_IN_FLIGHT: Metric = Metric {
    name: "http_requests_in_flight",
    help: "HTTP requests that have arrived and whose response's body has not ended yet.",
    kind: Kind::Gauge,
    labels: &["method", "route"],
    bounded: &[],
};

/// Bytes that callers have sent.
pub(crate) static HTTP_REQUEST_BODY: Metric = Metric {
    name: "http_request_body_bytes_total",
    help: "Bytes of the bodies of HTTP requests that the service has read.",
    kind: Kind::Counter,
    labels: &["method", "route"],
    bounded: &[],
};

/// Bytes that were sent to callers.
pub(crate) static HTTP_RESPONSE_BODY: Metric = Metric {
    name: "http_response_body_bytes_total",
    help: "Bytes of the bodies of HTTP responses that were handed to the server to send.",
    kind: Kind::Counter,
    labels: &["method", "route"],
    bounded: &[],
};

/// Requests that the HTTP client layer has seen to their end.
pub(crate) static HTTP_CLIENT_REQUESTS: Metric = Metric {
    name: "http_client_requests_total",
    help: "HTTP requests sent that ended, by peer and status code (error: no complete response; cancelled: dropped by the service before the response).",
    kind: Kind::Counter,
    labels: &["peer", "method", "status"],
    bounded: &["peer", "method", "status"],
};

/// Time from the sending of a request to the end of its response.
pub(crate) static HTTP_CLIENT_REQUEST_DURATION: Metric = Metric {
    name: "http_client_request_duration_seconds",
    help: "Time from the sending of an HTTP request to the end of its response's body, in seconds.",
    kind: Kind::Durations(DURATION_BOUNDS),
    labels: &["peer", "method", "status"],
    bounded: &[],
};

/// Requests that were sent and have not ended.
pub(crate) static HTTP_CLIENT_REQUESTS_IN_FLIGHT: Metric = Metric {
    name: "http_client_requests_in_flight",
    help: "HTTP requests that were sent and whose response's body has not ended yet.",
    kind: Kind::Gauge,
    labels: &["peer", "method"],
    bounded: &[],
};

/// Calls that the gRPC server layer has seen to their end.
pub(crate) static GRPC_REQUESTS: Metric = Metric {
    name: "grpc_requests_total",
    help: "gRPC calls that ended, by service, method and status code (CANCELLED also when the caller went away first).",
    kind: Kind::Counter,
    labels: &["rpc_service", "method", "code"],
    bounded: &["method"],
};

/// Time from the arrival of a call to its status.
pub(crate) static GRPC_REQUEST_DURATION: Metric = Metric {
    name: "grpc_request_duration_seconds",
    help: "Time from the arrival of a gRPC call to the status at the end of its stream, in seconds.",
    kind: Kind::Durations(DURATION_BOUNDS),
    labels: &["rpc_service", "method", "code"],
    bounded: &[],
};

/// Calls that have arrived and not ended.
pub(crate) static GRPC_REQUESTS_IN_FLIGHT: Metric = Metric {
    name: "grpc_requests_in_flight",
    help: "gRPC calls that have arrived and whose stream has not ended yet.",
    kind: Kind::Gauge,
    labels: &["rpc_service", "method"],
    bounded: &[],
};

/// Messages of calls that were received and sent.
pub(crate) static GRPC_MESSAGES: Metric = Metric {
    name: "grpc_messages_total",
    help: "Messages of gRPC calls, by direction (received, sent), as seen from the service.",
    kind: Kind::Counter,
    labels: &["rpc_service", "method", "direction"],
    bounded: &[],
};

/// Calls that the gRPC client layer has seen to their end.
pub(crate) static GRPC_CLIENT_REQUESTS: Metric = Metric {
    name: "grpc_client_requests_total",
    help: "gRPC calls sent that ended, by peer, service, method and status code.",
    kind: Kind::Counter,
    labels: &["peer", "rpc_service", "method", "code"],
    bounded: &["peer", "method"],
};

/// Time from the sending of a call to its status.
pub(crate) static GRPC_CLIENT_REQUEST_DURATION: Metric = Metric {
    name: "grpc_client_request_duration_seconds",
    help: "Time from the sending of a gRPC call to the status at the end of its stream, in seconds.",
    kind: Kind::Durations(DURATION_BOUNDS),
    labels: &["peer", "rpc_service", "method", "code"],
    bounded: &[],
};

/// Calls that were sent and have not ended.
pub(crate) static GRPC_CLIENT_REQUESTS_IN_FLIGHT: Metric = Metric {
    name: "grpc_client_requests_in_flight",
    help: "gRPC calls that were sent and whose stream has not ended yet.",
    kind: Kind::Gauge,
    labels: &["peer", "rpc_service", "method"],
    bounded: &[],
};

/// Messages of calls that were received and sent.
pub(crate) static GRPC_CLIENT_MESSAGES: Metric = Metric {
    name: "grpc_client_messages_total",
    help: "Messages of gRPC calls that the service makes, by direction (received, sent).",
    kind: Kind::Counter,
    labels: &["peer", "rpc_service", "method", "direction"],
    bounded: &[],
};

/// Ended business operations.
pub(crate) static BUSINESS_OPERATIONS: Metric = Metric {
    name: "business_operations_total",
    help: "Business operations that ended, by outcome (ok, rejected, failed, cancelled, panicked) and code.",
    kind: Kind::Counter,
    labels: &["domain", "operation", "outcome", "code"],
    bounded: &["code"],
};

/// Duration of business operations.
pub(crate) static BUSINESS_OPERATION_DURATION: Metric = Metric {
    name: "business_operation_duration_seconds",
    help: "Duration of business operations, in seconds.",
    kind: Kind::Durations(DURATION_BOUNDS),
    labels: &["domain", "operation", "outcome"],
    bounded: &[],
};

/// Business operations that have begun and not ended.
pub(crate) static BUSINESS_OPERATIONS_IN_FLIGHT: Metric = Metric {
    name: "business_operations_in_flight",
    help: "Business operations that have begun and not ended yet.",
    kind: Kind::Gauge,
    labels: &["domain", "operation"],
    bounded: &[],
};

/// Items that were offered for export.
pub(crate) static TELEMETRY_ENDED: Metric = Metric {
    name: "telemetry_ended_total",
    help: "Telemetry items that were ready for export.",
    kind: Kind::Counter,
    labels: &["signal"],
    bounded: &[],
};

/// Items that the collector acknowledged.
pub(crate) static TELEMETRY_EXPORTED: Metric = Metric {
    name: "telemetry_exported_total",
    help: "Telemetry items that the collector acknowledged.",
    kind: Kind::Counter,
    labels: &["signal"],
    bounded: &[],
};

/// Items that were lost.
pub(crate) static TELEMETRY_DROPPED: Metric = Metric {
    name: "telemetry_dropped_total",
    help: "Telemetry items that were lost, by reason.",
    kind: Kind::Counter,
    labels: &["signal", "reason"],
    bounded: &[],
};

/// Attempts to export that failed.
pub(crate) static TELEMETRY_EXPORT_FAILURES: Metric = Metric {
    name: "telemetry_export_failures_total",
    help: "Attempts to deliver a batch that failed; what can be sent again is kept.",
    kind: Kind::Counter,
    labels: &["signal"],
    bounded: &[],
};

/// Items that wait for export.
pub(crate) static TELEMETRY_QUEUED: Metric = Metric {
    name: "telemetry_queued",
    help: "Telemetry items that wait for export or for the collector's acknowledgement.",
    kind: Kind::Gauge,
    labels: &["signal"],
    bounded: &[],
};

/// The memory of what waits for export.
pub(crate) static TELEMETRY_QUEUED_BYTES: Metric = Metric {
    name: "telemetry_queued_bytes",
    help: "Bytes of the telemetry items that wait for export or for the collector's acknowledgement.",
    kind: Kind::Gauge,
    labels: &["signal"],
    bounded: &[],
};

/// The most items that can wait for export.
pub(crate) static TELEMETRY_QUEUE_CAPACITY: Metric = Metric {
    name: "telemetry_queue_capacity",
    help: "The most telemetry items that the queue holds; further ones are dropped (queue_full).",
    kind: Kind::Gauge,
    labels: &["signal"],
    bounded: &[],
};

/// The most bytes that can wait for export.
pub(crate) static TELEMETRY_QUEUE_CAPACITY_BYTES: Metric = Metric {
    name: "telemetry_queue_capacity_bytes",
    help: "The most bytes that the queue holds; further items are dropped (queue_bytes).",
    kind: Kind::Gauge,
    labels: &["signal"],
    bounded: &[],
};

/// What a killed process would lose.
pub(crate) static TELEMETRY_AT_RISK: Metric = Metric {
    name: "telemetry_at_risk",
    help: "Telemetry items that wait for export and are not in the spool: lost if the process is killed.",
    kind: Kind::Gauge,
    labels: &["signal"],
    bounded: &[],
};

/// Items that an earlier process has left in the spool.
pub(crate) static TELEMETRY_RECOVERED: Metric = Metric {
    name: "telemetry_recovered_total",
    help: "Telemetry items that an earlier process has left in the spool, by result (exported, dropped). They may have been delivered before.",
    kind: Kind::Counter,
    labels: &["signal", "result"],
    bounded: &[],
};

/// Parts of telemetry that do not work.
pub(crate) static TELEMETRY_DEGRADED: Metric = Metric {
    name: "telemetry_degraded",
    help: "Whether a part of telemetry does not work (1) or does (0), by component (metrics_listener: the port of /metrics is taken; metric_callbacks: callbacks of instruments are late, and their last values are served; sampling: the back end does not tell how to sample; spool: it is full or cannot be written).",
    kind: Kind::Gauge,
    labels: &["component"],
    bounded: &[],
};

/// The component that gives the values of observable instruments.
pub(crate) const METRIC_CALLBACKS: &str = "metric_callbacks";

/// The component that serves `/metrics`.
#[cfg(feature = "prometheus")]
pub(crate) const METRICS_LISTENER: &str = "metrics_listener";

/// The component that asks the back end how to sample.
#[cfg(feature = "jaeger-sampling")]
pub(crate) const SAMPLING: &str = "sampling";

/// The component that keeps what waits for export on disk.
#[cfg(all(unix, feature = "spool"))]
pub(crate) const SPOOL: &str = "spool";

/// Secrets that were masked.
pub(crate) static TELEMETRY_SCRUBBED: Metric = Metric {
    name: "telemetry_scrubbed_total",
    help: "Secrets that were masked before telemetry left the process, by signal and by kind of secret.",
    kind: Kind::Counter,
    labels: &["signal", "kind"],
    bounded: &[],
};

/// Label values that were outside their set.
pub(crate) static TELEMETRY_LABEL_OVERFLOW: Metric = Metric {
    name: "telemetry_label_overflow_total",
    help: "Events that were counted under the label value _OTHER, because their own value is outside the label's bounded set.",
    kind: Kind::Counter,
    labels: &["metric", "label"],
    bounded: &[],
};

/// OpenTelemetry instruments that are not on the page.
pub(crate) static TELEMETRY_INSTRUMENTS_DROPPED: Metric = Metric {
    name: "telemetry_instruments_dropped_total",
    help: "OpenTelemetry instruments that are left out of /metrics because another one has their name there, by reason.",
    kind: Kind::Counter,
    labels: &["reason"],
    bounded: &[],
};

/// All metrics of this library.
pub(crate) static ALL: &[&Metric] = &[
    &HTTP_REQUESTS,
    &HTTP_REQUEST_DURATION,
    &HTTP_REQUESTS_IN_FLIGHT,
    &HTTP_REQUEST_BODY,
    &HTTP_RESPONSE_BODY,
    &HTTP_CLIENT_REQUESTS,
    &HTTP_CLIENT_REQUEST_DURATION,
    &HTTP_CLIENT_REQUESTS_IN_FLIGHT,
    &GRPC_REQUESTS,
    &GRPC_REQUEST_DURATION,
    &GRPC_REQUESTS_IN_FLIGHT,
    &GRPC_MESSAGES,
    &GRPC_CLIENT_REQUESTS,
    &GRPC_CLIENT_REQUEST_DURATION,
    &GRPC_CLIENT_REQUESTS_IN_FLIGHT,
    &GRPC_CLIENT_MESSAGES,
    &BUSINESS_OPERATIONS,
    &BUSINESS_OPERATION_DURATION,
    &BUSINESS_OPERATIONS_IN_FLIGHT,
    &TELEMETRY_ENDED,
    &TELEMETRY_EXPORTED,
    &TELEMETRY_DROPPED,
    &TELEMETRY_EXPORT_FAILURES,
    &TELEMETRY_QUEUED,
    &TELEMETRY_QUEUED_BYTES,
    &TELEMETRY_QUEUE_CAPACITY,
    &TELEMETRY_QUEUE_CAPACITY_BYTES,
    &TELEMETRY_AT_RISK,
    &TELEMETRY_RECOVERED,
    &TELEMETRY_DEGRADED,
    &TELEMETRY_SCRUBBED,
    &TELEMETRY_LABEL_OVERFLOW,
    &TELEMETRY_INSTRUMENTS_DROPPED,
];

/// Span attributes. Those that begin with `ironcore.` are ours, the others of OpenTelemetry's semantic conventions;
/// README's table "Attributes" says where we differ from them.
pub(crate) mod attribute {
    pub(crate) const DOMAIN: &str = "ironcore.domain";
    pub(crate) const OPERATION: &str = "ironcore.operation";
    pub(crate) const OUTCOME: &str = "ironcore.outcome";
    /// Which attempt of a job it is, from 1 on.
    pub(crate) const ATTEMPT: &str = "ironcore.attempt";
    /// Seconds since a job was put into its queue.
    pub(crate) const AGE: &str = "ironcore.age_seconds";
    pub(crate) const CODE_FUNCTION: &str = "code.function.name";
    pub(crate) const ERROR_TYPE: &str = "error.type";
    pub(crate) const EXCEPTION_MESSAGE: &str = "exception.message";
    pub(crate) const EXCEPTION_TYPE: &str = "exception.type";
    pub(crate) const HTTP_METHOD: &str = "http.request.method";
    pub(crate) const HTTP_ROUTE: &str = "http.route";
    pub(crate) const HTTP_STATUS: &str = "http.response.status_code";
    pub(crate) const PROTOCOL_VERSION: &str = "network.protocol.version";
    pub(crate) const URL_SCHEME: &str = "url.scheme";
    pub(crate) const PEER_NAME: &str = "service.peer.name";
    pub(crate) const RESEND_COUNT: &str = "http.request.resend_count";
    pub(crate) const RPC_METHOD: &str = "rpc.method";
    pub(crate) const RPC_STATUS: &str = "rpc.status_code";
    pub(crate) const RPC_SYSTEM: &str = "rpc.system.name";
    pub(crate) const SERVER_ADDRESS: &str = "server.address";
    pub(crate) const SERVER_PORT: &str = "server.port";
    pub(crate) const USER_AGENT: &str = "user_agent.original";
}

/// The attribute of each scope in a request that holds the request's number: from 1 on, in the order in which an instance
/// (`service.instance.id`) makes them. With a spool only; a request that is delivered twice keeps its number.
pub(crate) const REQUEST_NUMBER: &str = "ironcore.request.number";

/// The name of a span's event that holds an error.
pub(crate) const EXCEPTION: &str = "exception";

/// Whether the library sets span attributes of this name itself.
pub(crate) fn is_own_attribute(key: &str) -> bool {
    use attribute::{CODE_FUNCTION, ERROR_TYPE, PEER_NAME, PROTOCOL_VERSION, USER_AGENT};
    let families = ["ironcore.", "http.", "rpc.", "url.", "server.", "exception."];
    let single = [CODE_FUNCTION, ERROR_TYPE, PROTOCOL_VERSION, PEER_NAME, USER_AGENT];
    key.is_empty() || families.iter().any(|family| key.starts_with(family)) || single.contains(&key)
}

/// Whether the library itself sets this attribute, to one of a closed set of values: of the program, or of a protocol.
pub(crate) fn is_closed_attribute(key: &str) -> bool {
    use attribute::{
        ATTEMPT, CODE_FUNCTION, DOMAIN, ERROR_TYPE, HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS, OPERATION, OUTCOME,
        PEER_NAME, PROTOCOL_VERSION, RPC_METHOD, RPC_STATUS, RPC_SYSTEM, SERVER_ADDRESS, SERVER_PORT, URL_SCHEME,
    };
    matches!(
        key,
        ATTEMPT
            | CODE_FUNCTION
            | DOMAIN
            | ERROR_TYPE
            | HTTP_METHOD
            | HTTP_ROUTE
            | HTTP_STATUS
            | OPERATION
            | OUTCOME
            | PEER_NAME
            | PROTOCOL_VERSION
            | RPC_METHOD
            | RPC_STATUS
            | RPC_SYSTEM
            | SERVER_ADDRESS
            | SERVER_PORT
            | URL_SCHEME
    )
}

/// Keys of a log line that belong to the library; an event's field of the same name is written as `field.<key>`.
pub(crate) const RESERVED_LOG_KEYS: &[&str] =
    &["timestamp", "level", "target", "message", "trace_id", "span_id", "sampled", "service", "operation", "truncated"];

/// The targets of the lines that operations and requests log at their end.
pub(crate) const CLOSING_LINES: &[&str] = &["business", "http_access", "grpc_access"];

/// The target of the line about a panic.
pub(crate) const PANIC_TARGET: &str = "panic";

/// Whether a field holds the source location of a record of the `log` crate.
pub(crate) fn is_origin_of_log_record(field: &str) -> bool {
    matches!(field, "log.target" | "log.module_path" | "log.file" | "log.line")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashSet};

    #[test]
    fn no_name_is_claimed_twice() {
        let names: HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn counters_end_in_total_and_durations_in_seconds() {
        for metric in ALL {
            match metric.kind {
                Kind::Counter => assert!(metric.name.ends_with("_total"), "{}", metric.name),
                Kind::Durations(_) => assert!(metric.name.ends_with("_seconds"), "{}", metric.name),
                Kind::Gauge => assert!(!metric.name.ends_with("_total"), "{}", metric.name),
            }
        }
    }

    #[test]
    fn names_and_labels_are_valid_in_prometheus() {
        let valid = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        for metric in ALL {
            assert!(valid(metric.name), "{}", metric.name);
            for label in metric.labels {
                assert!(valid(label) && *label != "le", "{} {label}", metric.name);
            }
        }
    }

    #[test]
    fn every_metric_is_documented_with_its_labels() {
        let readme = include_str!("../../README.md");
        for metric in ALL {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let row = format!("| `{}` | {} |", metric.name, labels.join(", "));
            assert!(readme.contains(&row), "README.md has no row {row}");
        }
    }

    #[test]
    fn the_readme_has_a_row_for_every_attribute_and_none_for_another() {
        let (_, code) = include_str!("names.rs").split_once("pub(crate) mod attribute {").unwrap();
        let (code, _) = code.split_once("\n}").unwrap();
        let recorded: BTreeSet<_> =
            code.lines().filter_map(|line| line.split_once(": &str = \"")?.1.strip_suffix("\";")).collect();
        let (_, section) = include_str!("../../README.md").split_once("\n## Attributes\n").unwrap();
        let table = section.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
        let documented: Vec<_> = table.filter_map(|row| row.split('`').next()).collect();
        let rows: BTreeSet<_> = documented.iter().copied().collect();
        assert_eq!(rows.len(), documented.len(), "an attribute stands twice in README's table");
        assert_eq!(rows, recorded);
        assert!(section.contains(SCHEMA_URL), "README.md does not name {SCHEMA_URL}");
    }

    #[test]
    fn duration_bounds_rise_and_hold_every_latency_objective() {
        assert!(DURATION_BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
        for objective_ms in [15, 50, 80, 30, 100, 150, 20, 120, 200, 300, 500, 800] {
            assert!(DURATION_BOUNDS.contains(&(objective_ms * 1_000_000)), "{objective_ms} ms");
        }
    }
}
