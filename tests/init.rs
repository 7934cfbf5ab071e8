//! `init` and its guard: on every kind of runtime, with bad settings, beside others, without a collector.

use std::net::TcpListener;
use support::{Probe, Receiver, sample};

fn probe(scenario: &str) -> Probe {
    Probe::new(env!("CARGO_BIN_EXE_probe"), scenario)
}

/// All hundred operations of a scenario arrive, and its shutdown says so long before its limit of an hour.
fn delivers_everything(scenario: &str, protocol: &str) {
    let receiver = Receiver::start().unwrap();
    let report = probe(scenario).exporting_to(&receiver).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol).run();
    assert!(report.succeeded, "{report:?}");
    assert_eq!(report.result["shutdown"]["Ok"], serde_json::Value::Null, "{report:?}");
    assert!(report.result["shutdown"].get("Ok").is_some(), "{report:?}");
    let ids: std::collections::HashSet<_> = receiver.spans().into_iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn spans_arrive_over_grpc_without_a_runtime() {
    delivers_everything("without_runtime", "grpc");
}

#[test]
fn spans_arrive_over_grpc_from_a_current_thread_runtime() {
    delivers_everything("current_thread", "grpc");
}

#[test]
fn spans_arrive_over_grpc_from_a_task_of_the_only_worker() {
    delivers_everything("single_worker_task", "grpc");
}

#[test]
fn spans_arrive_over_grpc_from_a_multi_thread_runtime() {
    delivers_everything("multi_thread", "grpc");
}

#[test]
fn spans_arrive_over_http_without_a_runtime() {
    delivers_everything("without_runtime", "http/protobuf");
}

#[test]
fn spans_arrive_over_http_from_a_current_thread_runtime() {
    delivers_everything("current_thread", "http/protobuf");
}

#[test]
fn a_second_init_says_what_to_do_and_leaves_the_first_alone() {
    let receiver = Receiver::start().unwrap();
    let report = probe("twice").exporting_to(&receiver).run();
    for call in ["second", "after_shutdown"] {
        let error = report.result[call].as_str().unwrap();
        assert!(error.contains("already initialised") && error.contains("once, in main"), "{error}");
    }
    assert_eq!(receiver.spans().len(), 1);
}

#[test]
fn of_64_threads_that_race_exactly_one_starts_telemetry() {
    let report = probe("race").run();
    assert_eq!(
        (report.result["started"].as_u64(), report.result["refused"].as_u64()),
        (Some(1), Some(63)),
        "{report:?}"
    );
}

#[test]
fn a_foreign_subscriber_is_an_error_that_says_what_to_do_and_nothing_is_left_behind() {
    let report = probe("foreign_subscriber").run();
    let error = report.result["error"].as_str().unwrap();
    assert!(error.contains("another tracing subscriber") && error.contains("remove"), "{error}");
    assert_eq!(report.result["threads_left"], 0);
}

#[test]
fn a_bad_variable_names_itself_and_what_is_allowed() {
    for (name, value, allowed) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", "http://host:port"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_traceidratio"),
        ("RUST_LOG", "info,,=x=", "directives"),
        ("IRONCORE_TRACE_FILTER", "my_crate=loud", "directives"),
    ] {
        let report = probe("init").env(name, value).run();
        let error = report.result["error"].as_str().unwrap_or_else(|| panic!("{report:?}"));
        assert!(error.starts_with(name) && error.contains(value) && error.contains(allowed), "{error}");
    }
}

#[test]
fn a_taken_metrics_port_names_the_address_and_the_ways_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let report = probe("init").env("OTEL_EXPORTER_PROMETHEUS_PORT", &port).run();
    let error = report.result["error"].as_str().unwrap();
    for part in [port.as_str(), "OTEL_EXPORTER_PROMETHEUS_PORT", "scrape::router"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_absent_collector_does_not_fail_init_and_shutdown_tells_the_loss() {
    let report = probe("init").env("PROBE_SHUTDOWN_MS", "500").run();
    let error = report.result["shutdown"]["Err"].as_str().unwrap_or_else(|| panic!("{report:?}"));
    assert!(error.starts_with("1 spans were not delivered within 500ms"), "{error}");
    // It has used its time: the collector could have come.
    assert!(report.result["shutdown_ms"].as_u64().unwrap() >= 500);
}

/// A collector that accepts connections and never answers, and a process that would wait for an hour for its answer.
fn of_a_silent_collector(scenario: &str) -> (TcpListener, Probe) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let probe =
        probe(scenario).env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000");
    (silent, probe)
}

#[test]
fn init_and_shutdown_end_while_the_collector_is_still_silent() {
    let (silent, probe) = of_a_silent_collector("init");
    let report = probe.env("PROBE_SHUTDOWN_MS", "500").run();
    assert!(report.result["shutdown"]["Err"].is_string(), "{report:?}");
    drop(silent);
}

#[test]
fn spans_wait_for_a_collector_that_comes_later() {
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let reserved = refusing.local_addr().unwrap();
    let later = std::thread::spawn(move || {
        let probe = probe("without_runtime").env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{reserved}"));
        probe.env("OTEL_BSP_SCHEDULE_DELAY", "1").run()
    });
    // The first attempt fails: its connection is closed.
    drop(refusing.accept().unwrap());
    drop(refusing);
    let receiver = Receiver::start_on(reserved).unwrap();
    let report = later.join().unwrap();
    assert!(report.result["shutdown"].get("Ok").is_some(), "{report:?}");
    assert_eq!(receiver.spans().len(), 100);
}

#[test]
fn disabled_telemetry_has_no_thread_no_socket_and_no_line() {
    let report = probe("disabled").env("OTEL_SDK_DISABLED", "true").run();
    assert_eq!((&report.result["new_threads"], &report.result["new_sockets"]), (&0.into(), &0.into()));
    assert!(report.lines.is_empty(), "{report:?}");
}

#[test]
fn the_kill_switch_works_whatever_else_is_set() {
    let report = probe("disabled")
        .env("OTEL_SDK_DISABLED", "true")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317")
        .env("OTEL_PROPAGATORS", "xray")
        .run();
    assert_eq!(report.result["new_threads"], 0, "{report:?}");
}

#[test]
fn disabled_telemetry_records_no_request_and_no_operation() {
    let report = probe("disabled_layer").env("OTEL_SDK_DISABLED", "true").run();
    assert_eq!(report.page(), "", "{report:?}");
}

#[test]
fn no_stranger_decides_what_is_sampled() {
    let report = probe("hostile_sampling")
        .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0")
        .run();
    let ended = "telemetry_ended_total{signal=\"traces\"}";
    let strangers = report.result["strangers"].as_str().unwrap();
    assert!(strangers.contains("} 1000"), "{strangers}");
    assert!(sample(strangers, ended).abs() < f64::EPSILON, "{strangers}");
    // The sampler follows a parent: only whose word counts has changed.
    assert!((sample(report.page(), ended) - 1.0).abs() < f64::EPSILON, "{report:?}");
}

#[test]
fn baggage_comes_from_friends_only_and_leaves_only_where_it_is_sent() {
    let report = probe("baggage").env("OTEL_PROPAGATORS", "tracecontext,baggage").run();
    // A stranger's, a friend's.
    assert_eq!(report.result["arrived"], serde_json::json!(["", "tenant=7"]));
    // Not unless asked, when asked, and never to others.
    assert_eq!(report.result["left"], serde_json::json!(["", "tenant=7", ""]));
}

#[test]
fn what_ends_after_the_shutdown_is_counted_as_lost() {
    let receiver = Receiver::start().unwrap();
    let report = probe("late_spans").exporting_to(&receiver).run();
    for (series, value) in [
        (r#"telemetry_ended_total{signal="traces"}"#, 11.0),
        (r#"telemetry_exported_total{signal="traces"}"#, 1.0),
        (r#"telemetry_dropped_total{signal="traces",reason="after_shutdown"}"#, 10.0),
    ] {
        assert!((sample(report.page(), series) - value).abs() < f64::EPSILON, "{series}");
    }
}

#[test]
fn a_shutdown_without_a_limit_ends_when_everything_is_delivered() {
    let receiver = Receiver::start().unwrap();
    let report = probe("longest_shutdown").exporting_to(&receiver).run();
    assert_eq!(report.result["ok"], true, "{report:?}");
}

#[test]
fn a_collector_that_refuses_costs_the_batch_at_once_and_is_said_once() {
    // Speaks HTTP, knows no path: every export is answered with 404, which OTLP forbids to try again.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            use std::io::{Read, Write};
            let _ = stream.read(&mut [0; 8_192]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let report = probe("idle")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_BSP_SCHEDULE_DELAY", "1")
        .env("PROBE_IDLE_MS", "1000")
        .run();
    assert!(report.result["shutdown"].get("Ok").is_some(), "nothing is left to lose: {report:?}");
    let warnings: Vec<_> = report.log().into_iter().filter(|line| line["level"] == "WARN").collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0]["error"].as_str().unwrap().contains("404"), "{warnings:?}");
}

#[test]
fn a_dropped_guard_still_delivers() {
    let receiver = Receiver::start().unwrap();
    let report = probe("dropped_guard").exporting_to(&receiver).run();
    assert!(report.succeeded, "{report:?}");
    assert_eq!(receiver.spans().len(), 1);
}

#[test]
fn a_dropped_guard_gives_up_while_the_collector_is_silent_and_says_what_was_lost() {
    let (silent, probe) = of_a_silent_collector("dropped_guard");
    let report = probe.run();
    drop(silent);
    let last = report.log().pop().unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["error"].as_str().unwrap().contains("1 spans were not delivered"), "{last}");
}

#[test]
fn an_idle_service_exports_nothing_even_when_everything_is_logged() {
    let receiver = Receiver::start().unwrap();
    let report = probe("idle")
        .exporting_to(&receiver)
        .env("RUST_LOG", "trace")
        .env("IRONCORE_TRACE_FILTER", "trace")
        .env("OTEL_METRICS_EXPORTER", "prometheus,otlp")
        // As many pushes and wake-ups as a minute has at the default intervals.
        .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("PROBE_IDLE_MS", "3000")
        .run();
    assert!(report.succeeded, "{report:?}");
    let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["wallet.create"]);
    let after_start = report.log().into_iter().skip_while(|line| line["message"] != "telemetry started");
    let foreign =
        after_start.filter(|line| line["target"] != "ironcore_telemetry" && line["target"] != "business").count();
    assert_eq!(foreign, 0, "{:?}", report.lines);
}

#[test]
fn every_span_carries_who_made_it() {
    let receiver = Receiver::start().unwrap();
    let report = probe("without_runtime")
        .exporting_to(&receiver)
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,team=wallet")
        .run();
    assert!(report.succeeded, "{report:?}");
    let span = receiver.spans().pop().unwrap();
    let value = |key: &str| {
        let found = span.resource.iter().find(|(name, _)| name == key);
        found.unwrap_or_else(|| panic!("no {key} in {:?}", span.resource)).1.clone()
    };
    assert_eq!(value("service.name"), "probe");
    assert_eq!(value("service.version"), "1.0.0");
    assert_eq!(value("deployment.environment.name"), "staging");
    assert_eq!(value("team"), "wallet");
    assert_eq!(value("telemetry.sdk.language"), "rust");
    assert!(!value("host.name").is_empty() && value("process.pid").parse::<u32>().is_ok());
    assert_eq!(value("service.instance.id").len(), 36);
}

#[test]
fn metrics_go_out_over_otlp_on_request_ours_and_the_users() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start().unwrap();
        let report = probe("instruments")
            .exporting_to(&receiver)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_METRICS_EXPORTER", "otlp")
            .run();
        assert!(report.result["shutdown"].get("Ok").is_some(), "{report:?}");
        let names: Vec<_> = receiver.metrics().into_iter().map(|metric| metric.name).collect();
        for name in
            ["orders", "checkout.duration", "business_operations", "business_operation_duration", "telemetry_queued"]
        {
            assert!(names.iter().any(|known| known == name), "{protocol}: no {name} in {names:?}");
        }
    }
}

#[test]
fn the_ledger_balances_on_the_page() {
    let receiver = Receiver::start().unwrap();
    let report = probe("init").exporting_to(&receiver).run();
    let page = report.page();
    assert!((sample(page, r#"telemetry_ended_total{signal="traces"}"#) - 1.0).abs() < f64::EPSILON);
    let queued = sample(page, r#"telemetry_queued{signal="traces"}"#);
    let exported = sample(page, r#"telemetry_exported_total{signal="traces"}"#);
    assert!((queued + exported - 1.0).abs() < f64::EPSILON, "{page}");
}
