//! Which traces are recorded: by limits and by places in code, and as the back end tells.

use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use support::{Child, Receiver, Report, assert_sample, in_child, shutdown, shutdown_at_once, start, wait_for};
use telemetry::opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
use telemetry::opentelemetry::{Context, global};
use telemetry::{Config, Sampling};

/// Whether its trace is recorded.
#[telemetry::instrument_business]
fn create_wallet() -> bool {
    is_recorded()
}

#[telemetry::instrument_business]
fn quote_swap() -> bool {
    is_recorded()
}

fn is_recorded() -> bool {
    Context::map_current(|context| context.span().span_context().is_sampled())
}

/// How many of these calls have returned `true`.
fn count(calls: usize, call: impl Fn() -> bool) -> usize {
    (0..calls).filter(|_| call()).count()
}

#[test]
fn a_rate_limits_the_traces_of_all_kinds_of_spans_and_no_count() {
    let child = in_child!(|| {
        // One in a thousand seconds: the bucket holds one.
        let config = Config::new("tests").sampling(Sampling::PerSecond(0.001)).sampling_for("swap", Sampling::Always);
        let guard = telemetry::init_with(config).unwrap();
        let theirs = || global::tracer_provider().tracer("user").start("theirs").span_context().is_sampled();
        let by_tracing = || tracing::info_span!("by_tracing").in_scope(is_recorded);
        let recorded = count(50, create_wallet) + count(50, theirs) + count(50, by_tracing);
        let swaps = count(50, quote_swap);
        let page = telemetry::scrape::render();
        json!({ "recorded": recorded, "swaps": swaps, "page": page, "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    assert_eq!((&report.result["recorded"], &report.result["swaps"]), (&json!(1), &json!(50)));
    let calls = r#"business_operations_total{domain="wallet",operation="create",outcome="ok"}"#;
    assert_sample(report.page(), calls, 50);
    let mut names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    names.sort_unstable();
    assert_eq!((names.len(), names[50].as_str()), (51, "wallet.create"));
    assert!(names[..50].iter().all(|name| name == "swap.quote"), "{names:?}");
}

#[test]
fn a_trace_that_begins_elsewhere_is_not_decided_again_inside_of_it() {
    let child = in_child!(|| {
        let config = Config::new("tests").sampling(Sampling::Never).sampling_for("swap", Sampling::Always);
        let guard = telemetry::init_with(config).unwrap();
        let tracer = global::tracer_provider().tracer("user");
        let request = Context::new().with_span(tracer.start("GET /swaps"));
        let inside = {
            let _current = request.attach();
            quote_swap()
        };
        let outside = quote_swap();
        shutdown_at_once(&guard);
        json!([inside, outside])
    });
    assert_eq!(child.run().result, json!([false, true]));
}

/// Serves an answer that depends on the number of the question.
fn back_end(answer: fn(usize) -> (&'static str, &'static str)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (question, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            assert_eq!(lines.next().as_deref(), Some("GET /sampling?service=tests HTTP/1.1"));
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let (status, body) = answer(question);
            // Whoever has asked may be gone.
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    endpoint
}

/// A child whose sampling is told by this endpoint, ten times a second. Nobody receives its spans.
fn told_by(child: Child, endpoint: &str, initial: &str) -> Child {
    let argument = format!("endpoint={endpoint},pollingIntervalMs=100,initialSamplingRate={initial}");
    child
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote")
        .env("OTEL_TRACES_SAMPLER_ARG", &argument)
}

/// The lines about sampling, each with its level and text.
fn lines_about_sampling(report: &Report) -> Vec<(String, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let own = report.log().into_iter().filter(|line| line["target"] == "ironcore_telemetry");
    let about = own.filter(|line| text(line, "message").starts_with("the back end"));
    about.map(|line| (text(&line, "level"), text(&line, "sampling") + &text(&line, "error"))).collect()
}

#[test]
fn what_the_back_end_has_told_holds_through_its_outage_which_is_said_once() {
    fn answer(question: usize) -> (&'static str, &'static str) {
        const WALLETS: &str = r#"{"strategyType":0,"probabilisticSampling":{"samplingRate":0},"operationSampling":{
            "defaultSamplingProbability":0,"defaultLowerBoundTracesPerSecond":0,
            "perOperationStrategies":[{"operation":"wallet.create","probabilisticSampling":{"samplingRate":1}}]}}"#;
        const ALL: &str = r#"{"strategyType":0,"probabilisticSampling":{"samplingRate":1}}"#;
        match question {
            0 => ("200 OK", WALLETS),
            1..4 => ("503 Service Unavailable", ALL),
            _ => ("200 OK", ALL),
        }
    }
    let child = in_child!(|| {
        let guard = start();
        assert!(!create_wallet(), "before the first answer");
        wait_for("the first answer", || create_wallet().then_some(()));
        wait_for("the end of the outage", || {
            assert!(create_wallet(), "it was told");
            quote_swap().then_some(())
        });
        let page = telemetry::scrape::render();
        json!({ "page": page, "lost": shutdown(&guard) })
    });
    let report = told_by(child, &back_end(answer), "0").run();
    assert_sample(report.page(), r#"telemetry_degraded{component="sampling"}"#, 0);
    let expected = [
        ("INFO", "by operation (1), 0 of the others, at least 0 per second of each"),
        ("WARN", "the answer is 503"),
        ("INFO", "1 of all traces"),
    ];
    assert_eq!(lines_about_sampling(&report), expected.map(|(level, text)| (level.to_owned(), text.to_owned())));
}

#[test]
fn a_back_end_that_is_not_there_leaves_the_initial_rate_in_force() {
    let child = in_child!(|| {
        let guard = start();
        let degraded = r#"telemetry_degraded{component="sampling"} 1"#;
        wait_for("the outage", || telemetry::scrape::render().contains(degraded).then_some(()));
        json!({ "recorded": count(100, create_wallet), "lost": shutdown(&guard) })
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (initial, recorded) in [("1", 100), ("0", 0)] {
        let report = told_by(child.clone(), &format!("http://{closed}"), initial).run();
        assert_eq!(report.result["recorded"], json!(recorded));
        let lines = lines_about_sampling(&report);
        assert!(lines.len() == 1 && lines[0].1.contains(&closed.to_string()), "{lines:?}");
    }
}
