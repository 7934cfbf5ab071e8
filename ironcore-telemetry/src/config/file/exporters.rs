//! Processors, readers and exporters of the schema.

use super::fault::Fault;
use super::model::{Values, encoded};
use super::section::{Entry, Section};
use crate::config::table::TIMES;

/// The variables of a signal's exporter.
struct Signal {
    exporter: &'static str,
    protocol: &'static str,
    endpoint: &'static str,
    headers: &'static str,
    timeout: &'static str,
    compression: &'static str,
    insecure: &'static str,
    /// Each key of `tls` with its variable.
    tls_files: [(&'static str, &'static str); 3],
    path: &'static str,
}

const TRACES: Signal = Signal {
    exporter: "OTEL_TRACES_EXPORTER",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    headers: "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    timeout: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    compression: "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    insecure: "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
    tls_files: [
        ("ca_file", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
        ("cert_file", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE"),
        ("key_file", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"),
    ],
    path: "/v1/traces",
};

const METRICS: Signal = Signal {
    exporter: "OTEL_METRICS_EXPORTER",
    protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    headers: "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    timeout: "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
    compression: "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
    insecure: "OTEL_EXPORTER_OTLP_METRICS_INSECURE",
    tls_files: [
        ("ca_file", "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE"),
        ("cert_file", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE"),
        ("key_file", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY"),
    ],
    path: "/v1/metrics",
};

/// Default of an export's time limit in milliseconds, of the whole and of the exporter.
const EXPORT_TIMEOUT: u64 = 30_000;
const EXPORTER_TIMEOUT: u64 = 10_000;

pub(super) fn span_processor(entry: &Entry<'_>, values: &mut Values) -> Result<(), Fault> {
    let mut section = entry.section()?;
    let batch = section.take("batch");
    section.finish()?;
    let batch = batch.ok_or_else(|| entry.fault("use batch"))?;
    let line = batch.line();
    let mut section = batch.section()?;
    for (variable, key, default) in [
        ("OTEL_BSP_SCHEDULE_DELAY", "schedule_delay", 5_000),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "max_queue_size", 2_048),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "max_export_batch_size", 512),
    ] {
        values.set_number(variable, section.take(key).as_ref(), (default, line))?;
    }
    let limit = section.take("export_timeout").map_or(Ok(Some(EXPORT_TIMEOUT)), |entry| entry.time_limit())?;
    let exporter = section.take("exporter").ok_or_else(|| batch.fault("an exporter is missing"))?;
    section.finish()?;
    values.set(TRACES.exporter, "otlp", exporter.line());
    otlp(&exporter, &TRACES, limit, values, |_| Ok(()))
}

/// Reads a reader; the name of its exporter.
pub(super) fn metric_reader(entry: &Entry<'_>, values: &mut Values) -> Result<&'static str, Fault> {
    let mut section = entry.section()?;
    let (periodic, pull) = (section.take("periodic"), section.take("pull"));
    section.finish()?;
    let line = entry.line();
    match (periodic, pull) {
        (Some(reader), None) => {
            let mut section = reader.section()?;
            let interval = section.take("interval");
            values.set_number("OTEL_METRIC_EXPORT_INTERVAL", interval.as_ref(), (60_000, line))?;
            let limit = section.take("timeout").map_or(Ok(Some(EXPORT_TIMEOUT)), |entry| entry.time_limit())?;
            let exporter = section.take("exporter").ok_or_else(|| reader.fault("an exporter is missing"))?;
            refuse_reader_settings(&mut section)?;
            section.finish()?;
            let timeout = limit.unwrap_or(*TIMES.end()).to_string();
            values.set("OTEL_METRIC_EXPORT_TIMEOUT", timeout, line);
            otlp_for_metrics(&exporter, limit, values)?;
            Ok("otlp")
        }
        (None, Some(reader)) => {
            let mut section = reader.section()?;
            let exporter = section.take("exporter").ok_or_else(|| reader.fault("an exporter is missing"))?;
            refuse_reader_settings(&mut section)?;
            section.finish()?;
            prometheus(&exporter, values)?;
            Ok("prometheus")
        }
        _ => Err(entry.fault("use either periodic or pull")),
    }
}

fn otlp_for_metrics(exporter: &Entry<'_>, limit: Option<u64>, values: &mut Values) -> Result<(), Fault> {
    let (mut temporality, mut aggregation) = (None, None);
    otlp(exporter, &METRICS, limit, values, |section| {
        temporality = section.take("temporality_preference");
        aggregation = section.take("default_histogram_aggregation");
        Ok(())
    })?;
    if let Some(temporality) = temporality {
        let preference = match temporality.text()? {
            "low_memory" => "lowmemory",
            preference @ ("cumulative" | "delta") => preference,
            _ => return Err(temporality.fault("use cumulative, delta or low_memory")),
        };
        values.set("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference, temporality.line());
    }
    if let Some(aggregation) = aggregation {
        let variable = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
        values.set(variable, aggregation.text()?, aggregation.line());
    }
    Ok(())
}

fn refuse_reader_settings(section: &mut Section<'_>) -> Result<(), Fault> {
    section.refuse("producers", "it is not supported")?;
    section.refuse("cardinality_limits", "it is not supported")
}

fn prometheus(entry: &Entry<'_>, values: &mut Values) -> Result<(), Fault> {
    let mut section = entry.section()?;
    let exporter = section.take_or_null("prometheus/development");
    section.finish()?;
    let exporter = exporter.ok_or_else(|| entry.fault("use prometheus/development"))?;
    let mut section = exporter.section()?;
    for (variable, key) in [("OTEL_EXPORTER_PROMETHEUS_HOST", "host"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "port")] {
        if let Some(value) = section.take(key) {
            values.set(variable, value.text()?, value.line());
        }
    }
    for key in ["scope_info_enabled", "resource_constant_labels"] {
        section.refuse(key, "it is not supported")?;
    }
    for (key, only) in
        [("target_info_enabled/development", "true"), ("translation_strategy", "underscore_escaping_with_suffixes")]
    {
        section.take(key).map_or(Ok(()), |entry| entry.require(only))?;
    }
    section.finish()
}

pub(super) fn log_processor(entry: &Entry<'_>) -> Result<(), Fault> {
    let (kind, _) = entry.choice()?;
    let mut section = entry.section()?;
    let processor = match kind {
        // Each line is written at once.
        "simple" => section.take("simple"),
        "batch" => return Err(entry.fault("use simple with console: log lines are written at once")),
        _ => None,
    };
    section.finish()?;
    let processor = processor.ok_or_else(|| entry.fault("use simple"))?;
    let mut section = processor.section()?;
    let exporter = section.take("exporter").ok_or_else(|| processor.fault("an exporter is missing"))?;
    section.finish()?;
    let mut section = exporter.section()?;
    let console = section.take_or_null("console");
    if let Some((kind, _)) = exporter.choice().ok().filter(|_| console.is_none()) {
        return Err(exporter.fault(&format!("{kind} is not supported for log lines; use console")));
    }
    section.finish()?;
    console.map_or(Ok(()), |console| console.require_no_settings())
}

/// An exporter over OTLP. `more` takes the keys that only this signal has.
fn otlp<'a>(
    entry: &Entry<'a>,
    signal: &Signal,
    limit: Option<u64>,
    values: &mut Values,
    more: impl FnOnce(&mut Section<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut section = entry.section()?;
    let (grpc, http) = (section.take_or_null("otlp_grpc"), section.take_or_null("otlp_http"));
    if let Some((kind, _)) = entry.choice().ok().filter(|_| grpc.is_none() && http.is_none()) {
        return Err(entry.fault(&format!("{kind} is not supported; use otlp_grpc or otlp_http")));
    }
    section.finish()?;
    let (exporter, protocol, endpoint) = match (grpc, http) {
        (Some(exporter), None) => (exporter, "grpc", "http://localhost:4317".to_owned()),
        (None, Some(exporter)) => (exporter, "http/protobuf", format!("http://localhost:4318{}", signal.path)),
        _ => return Err(entry.fault("use either otlp_grpc or otlp_http")),
    };
    let line = exporter.line();
    let mut section = exporter.section()?;
    values.set(signal.protocol, protocol, line);
    match section.take("endpoint") {
        Some(given) => values.set(signal.endpoint, given.text()?, given.line()),
        None => values.set(signal.endpoint, endpoint, line),
    }
    if let Some(section) = section.take("tls") {
        tls(&section, signal, protocol, values)?;
    }
    headers(&mut section, signal, line, values)?;
    if let Some(compression) = section.take("compression") {
        match compression.text()? {
            name @ ("none" | "gzip") => values.set(signal.compression, name, compression.line()),
            _ => return Err(compression.fault("use none or gzip")),
        }
    }
    if protocol == "http/protobuf" {
        section.take("encoding").map_or(Ok(()), |encoding| encoding.require("protobuf"))?;
    }
    section.refuse("max_request_size", "it is not supported")?;
    section.refuse("max_response_size", "it is not supported")?;
    let timeout = section.take("timeout");
    let own = timeout.as_ref().map_or(Ok(Some(EXPORTER_TIMEOUT)), Entry::time_limit)?;
    // The shorter one of the two limits counts; without any it is the longest that the setting has.
    let milliseconds = own.into_iter().chain(limit).min().unwrap_or(*TIMES.end());
    values.set(signal.timeout, milliseconds.to_string(), timeout.as_ref().map_or(line, Entry::line));
    more(&mut section)?;
    section.finish()
}

fn tls(entry: &Entry<'_>, signal: &Signal, protocol: &str, values: &mut Values) -> Result<(), Fault> {
    let mut section = entry.section()?;
    for (key, variable) in signal.tls_files {
        if let Some(file) = section.take(key) {
            values.set(variable, file.text()?, file.line());
        }
    }
    if protocol == "grpc"
        && let Some(insecure) = section.take("insecure")
    {
        values.set(signal.insecure, insecure.boolean()?.to_string(), insecure.line());
    }
    section.finish()
}

/// The headers; those with a name of their own win over the list.
fn headers(section: &mut Section<'_>, signal: &Signal, line: usize, values: &mut Values) -> Result<(), Fault> {
    let mut list = match section.take("headers_list") {
        Some(list) => list.text()?.split(',').map(ToOwned::to_owned).collect(),
        None => Vec::new(),
    };
    if let Some(headers) = section.take("headers") {
        for header in headers.list()? {
            let mut pair = header.section()?;
            let (name, value) = (pair.take("name"), pair.take("value"));
            pair.finish()?;
            let name = name.ok_or_else(|| header.fault("a name is missing"))?;
            let name = encoded(name.text()?);
            let is_other =
                |pair: &String| pair.split('=').next().is_none_or(|key| !key.trim().eq_ignore_ascii_case(&name));
            list.retain(is_other);
            if let Some(value) = value {
                list.push(format!("{name}={}", encoded(value.text()?)));
            }
        }
    }
    if !list.is_empty() {
        values.set(signal.headers, list.join(","), line);
    }
    Ok(())
}
