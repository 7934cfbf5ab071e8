//! The idioms of `tracing` inside of operations and requests: what is spawned, recorded and logged stays in the trace.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use ironcore_telemetry as telemetry;
use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use support::{Receiver, Span, in_child, multi_thread, shutdown, start};
use telemetry::testing::Capture;
use telemetry::{Config, HttpTelemetryLayer};
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// What the idioms spawn: an operation with a `tracing` span in it.
#[telemetry::instrument_business(wallet, name = "work")]
async fn work() {
    tokio::task::yield_now().await;
    tracing::info_span!("deep").in_scope(|| tracing::info!("inside"));
}

fn blocking_work() {
    tokio::runtime::Handle::current().block_on(work());
}

/// A library that spawns by itself, as many do.
fn spawned_by_a_library() -> tokio::task::JoinHandle<()> {
    tokio::spawn(work().instrument(tracing::Span::current()))
}

macro_rules! idioms {
    ($($name:ident => $body:expr,)+) => {
        /// The name of each idiom, and the idiom in an operation of that name.
        const IDIOMS: &[&str] = &[$(stringify!($name)),+];

        $(
            #[telemetry::instrument_business(domain = "idiom")]
            async fn $name() {
                $body
            }
        )+

        async fn run(idiom: &str) {
            match idiom {
                $(stringify!($name) => $name().await,)+
                _ => unreachable!("{idiom}"),
            }
        }
    };
}

idioms! {
    spawn_in_current_span => tokio::spawn(work().in_current_span()).await.unwrap(),
    spawn_or_current => tokio::spawn(work().instrument(tracing::Span::none().or_current())).await.unwrap(),
    spawn_in_a_child => tokio::spawn(async { work().await }.instrument(tracing::Span::current())).await.unwrap(),
    blocking_in_scope => {
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(blocking_work)).await.unwrap();
    },
    thread_entered => {
        let (span, runtime) = (tracing::Span::current(), tokio::runtime::Handle::current());
        let thread = std::thread::spawn(move || {
            let _entered = span.enter();
            runtime.block_on(work());
        });
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    },
    join_set => {
        let mut tasks = JoinSet::new();
        tasks.spawn(work().in_current_span());
        while tasks.join_next().await.is_some() {}
    },
    by_a_library => spawned_by_a_library().await.unwrap(),
    two_hops => {
        let outer = async { tokio::spawn(work().in_current_span()).await.unwrap() };
        tokio::spawn(outer.in_current_span()).await.unwrap();
    },
    context_of_the_span => {
        let context = tracing::Span::current().context();
        tokio::spawn(opentelemetry::trace::FutureExt::with_context(work(), context)).await.unwrap();
    },
    below_a_filtered_span => {
        async { tokio::spawn(work().in_current_span()).await.unwrap() }.instrument(tracing::trace_span!("filtered")).await;
    },
    sent_through_a_channel => {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let worker = tokio::spawn(async move {
            let span: tracing::Span = receiver.recv().await.unwrap();
            work().instrument(span).await;
        });
        sender.send(tracing::Span::current()).await.unwrap();
        worker.await.unwrap();
    },
    saved_context_spawn => telemetry::saved_context::spawn(work()).await.unwrap(),
    saved_context_blocking => telemetry::saved_context::spawn_blocking(blocking_work).await.unwrap(),
    twice => {
        let span = tracing::Span::current();
        span.in_scope(|| ());
        work().instrument(span.clone()).await;
        drop(span);
    },
}

/// Every idiom, under an outer `tracing` span, so that a span which falls back to the registry is found there.
fn every_idiom() -> Value {
    let guard = start();
    multi_thread().block_on(async {
        for idiom in IDIOMS {
            run(idiom).instrument(tracing::info_span!("outer")).await;
        }
    });
    json!({ "lost": shutdown(&guard) })
}

#[test]
fn what_an_operation_spawns_is_in_its_trace_below_it() {
    let child = in_child!(every_idiom);
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let spans = receiver.spans();
    for idiom in IDIOMS {
        let operation = named(&spans, &format!("idiom.{idiom}"));
        let below = |name: &str, parent: &Span| {
            let found =
                spans.iter().find(|span| span.name == name && span.parent_span_id.as_ref() == Some(&parent.span_id));
            found.unwrap_or_else(|| panic!("{idiom}: no {name} below {}", parent.name)).clone()
        };
        let work = below("wallet.work", &operation);
        assert_eq!(work.trace_id, operation.trace_id, "{idiom}");
        let deep = below("deep", &work);
        let line = report.log().into_iter().find(|line| line["span_id"] == deep.span_id.as_str());
        let line = line.unwrap_or_else(|| panic!("{idiom}: no line of {}", deep.name));
        assert_eq!((&line["trace_id"], &line["operation"]), (&json!(operation.trace_id), &json!("wallet.work")));
    }
    // One trace each: outer, operation, work, deep; and no span stands for the idiom itself.
    assert_eq!(spans.len(), 4 * IDIOMS.len(), "{:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
}

#[test]
fn what_a_request_handler_spawns_is_in_the_trace_of_the_request() {
    let child = in_child!(|| {
        let guard = start();
        let handler = async || {
            let span = tracing::Span::current();
            tokio::task::spawn_blocking(move || span.in_scope(|| tracing::info!("blocking"))).await.unwrap();
            tokio::spawn(work().in_current_span()).await.unwrap();
            "done"
        };
        multi_thread().block_on(async {
            let router = Router::new().route("/spawns", get(handler)).layer(HttpTelemetryLayer::new());
            router.oneshot(Request::get("/spawns").body(Body::empty()).unwrap()).await.unwrap();
        });
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let spans = receiver.spans();
    let (request, work) = (named(&spans, "GET /spawns"), named(&spans, "wallet.work"));
    assert_eq!((work.parent_span_id.as_ref(), &work.trace_id), (Some(&request.span_id), &request.trace_id));
    let line = report.log().into_iter().find(|line| line["message"] == "blocking").unwrap();
    assert_eq!(line["span_id"], json!(request.span_id));
}

#[test]
fn what_an_unsampled_operation_spawns_keeps_its_trace_id_and_makes_no_span() {
    let child = in_child!(every_idiom);
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).env("OTEL_TRACES_SAMPLER", "always_off").run();
    assert!(receiver.spans().is_empty());
    let lines: Vec<_> = report.log().into_iter().filter(|line| line["message"] == "inside").collect();
    assert_eq!(lines.len(), IDIOMS.len());
    for line in lines {
        assert!(line["trace_id"].is_string() && line["sampled"] == false, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_sees_the_spans_the_metrics_and_the_lines_of_what_is_spawned() {
    for idiom in IDIOMS {
        let capture = Capture::new();
        capture.run_async(run(idiom)).await;
        capture.assert_operation("wallet.work", "ok");
        let spans = capture.spans();
        let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        let operation = span(&format!("idiom.{idiom}"));
        assert_eq!(span("wallet.work").trace_id, operation.trace_id, "{idiom}");
        if !["below_a_filtered_span", "context_of_the_span"].contains(idiom) {
            capture.assert_tree(&format!("idiom.{idiom}\n  wallet.work\n    deep"));
        }
        // The context alone does not name a subscriber.
        let has_line = capture.log_lines().iter().any(|line| line.contains("inside"));
        assert_eq!(has_line, *idiom != "context_of_the_span", "{idiom}");
    }
}

#[test]
fn the_current_span_outside_of_operations_is_that_of_tracing() {
    let capture = Capture::new();
    capture.run(|| {
        assert!(tracing::Span::current().is_none());
        let span = tracing::info_span!("plain");
        let _entered = span.enter();
        assert_eq!(tracing::Span::current().id(), span.id());
    });
    assert_eq!(capture.spans().len(), 1);
}

#[test]
fn a_span_that_is_only_looked_at_is_freed_and_ends_nothing() {
    #[telemetry::instrument_business]
    fn look_at_wallet() {
        for _ in 0..1_000 {
            tracing::dispatcher::get_default(|dispatch| assert!(dispatch.current_span().id().is_some()));
            let span = tracing::Span::current();
            assert_eq!(span.metadata().map(tracing::Metadata::name), Some("wallet.look_at"));
        }
    }
    let capture = Capture::new();
    capture.run(look_at_wallet);
    capture.assert_operation("wallet.look_at", "ok");
    assert_eq!(capture.spans().len(), 1);
}

/// An error with a source.
#[derive(Debug)]
struct Refused(fmt::Error);

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("refused by the bank")
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[tracing::instrument(err)]
fn withdraw() -> Result<(), Refused> {
    Err(Refused(fmt::Error))
}

#[tracing::instrument]
fn deposit() {
    tracing::error!(error = &Refused(fmt::Error) as &dyn Error, "cannot deposit");
}

#[telemetry::instrument_business]
fn handle_payment() {
    let _ = withdraw();
    deposit();
    tracing::error!("in the operation itself");
    tracing::error!(amount = 7);
}

#[test]
fn an_error_marks_the_tracing_span_it_is_logged_in_and_not_the_operation() {
    let child = in_child!(|| {
        let guard = start();
        handle_payment();
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let _ = child.exporting_to(&receiver).run();
    let spans = receiver.spans();
    for (name, status, events) in [
        ("withdraw", "error", &["exception"][..]),
        ("deposit", "error", &["exception"]),
        ("payment.handle", "unset", &["in the operation itself", "tracing_idioms"]),
    ] {
        let span = named(&spans, name);
        assert_eq!(
            (span.status, span.events.as_slice()),
            (status, &events.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
            "{name}"
        );
    }
}

#[test]
fn an_error_is_logged_with_its_whole_chain_of_sources() {
    let capture = Capture::new();
    capture.run(deposit);
    let line: Value = serde_json::from_str(&capture.log_lines()[0]).unwrap();
    assert_eq!(line["error"], format!("refused by the bank: {}", fmt::Error));
}

#[test]
fn attributes_and_events_that_are_known_late_land_on_the_operation() {
    #[telemetry::instrument_business]
    fn settle_payment() {
        tracing::info_span!("query").in_scope(|| {
            tracing::info_span!("retry").in_scope(|| {
                telemetry::set_attribute("payment.id", &7_u64);
                telemetry::add_event("settled", &[("bank", &"first"), ("attempt", &2)]);
            });
        });
        // Keys of the library itself stay as they are.
        telemetry::set_attribute("ironcore.outcome", "forged");
        telemetry::set_attribute("error.type", "forged");
    }
    let capture = Capture::new();
    capture.run(settle_payment);
    capture.assert_operation("payment.settle", "ok");
    let spans = capture.spans();
    let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(span("payment.settle").attribute("payment.id"), Some("7"));
    assert_eq!(span("payment.settle").events, ["settled"]);
    assert!(span("query").attributes.iter().chain(&span("retry").attributes).all(|(key, _)| key != "payment.id"));
    assert!(span("retry").events.is_empty());
    capture.assert_absent("forged");
    // Nothing to set them on: nothing happens, and a `tracing` span does not take them.
    let capture = Capture::new();
    capture.run(|| {
        tracing::info_span!("alone").in_scope(|| {
            telemetry::set_attribute("payment.id", &7);
            telemetry::add_event("alone", &[]);
        });
    });
    let alone = &capture.spans()[0];
    assert!(alone.attribute("payment.id").is_none() && alone.events.is_empty(), "{alone:?}");
}

#[test]
fn a_declared_field_that_is_recorded_late_lands_on_the_operation_and_never_on_an_outer_span() {
    #[telemetry::instrument_business(fields(payment.id = id))]
    fn find_payment(id: u64) {
        tracing::Span::current().record("payment.id", 8_u64);
        tracing::Span::current().record("undeclared", "x");
    }
    let capture = Capture::new();
    capture.run(|| {
        let outer =
            tracing::info_span!("outer", payment.id = tracing::field::Empty, undeclared = tracing::field::Empty);
        outer.in_scope(|| find_payment(7));
    });
    let spans = capture.spans();
    let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let values: Vec<_> = span("payment.find").attributes.iter().filter(|(key, _)| key == "payment.id").collect();
    assert_eq!(values, [&("payment.id".to_owned(), "8".to_owned())]);
    assert!(span("outer").attributes.iter().all(|(key, _)| key != "payment.id" && key != "undeclared"));
}

#[test]
fn lines_have_the_fields_of_the_spans_around_them() {
    let capture = Capture::new();
    capture.run(|| {
        let outer =
            tracing::info_span!("outer", user = 7, chain = "outer", level = "reserved", late = tracing::field::Empty);
        let _outer = outer.enter();
        outer.record("late", true);
        let _inner = tracing::info_span!("inner", chain = "inner").entered();
        tracing::info!(user = 8, "line");
    });
    let line: Value = serde_json::from_str(&capture.log_lines()[0]).unwrap();
    assert_eq!(
        (&line["user"], &line["chain"], &line["field.level"], &line["late"], &line["level"]),
        (&json!(8), &json!("inner"), &json!("reserved"), &json!(true), &json!("INFO"))
    );
    assert_eq!(capture.log_lines()[0].matches("\"user\"").count(), 1);
}

#[test]
fn the_fields_of_spans_are_bounded_and_can_be_left_out_of_lines() {
    let capture = Capture::new();
    let long = "x".repeat(10_000);
    capture.run(|| {
        let _a = tracing::info_span!("a", a = long).entered();
        let _b = tracing::info_span!("b", b = long).entered();
        let _c = tracing::info_span!("c", c = long).entered();
        tracing::info!("line");
    });
    assert!(capture.log_lines()[0].len() < 20_000, "{}", capture.log_lines()[0].len());
    let child = in_child!(|| {
        let guard = telemetry::init_with(Config::new("tests").log_span_fields(false)).unwrap();
        tracing::info_span!("outer", user = 7).in_scope(|| tracing::info!("line"));
        support::shutdown_at_once(&guard);
        Value::Null
    });
    let line = child.run().log().into_iter().find(|line| line["message"] == "line").unwrap();
    assert!(line.get("user").is_none(), "{line}");
}

#[test]
fn a_line_with_an_explicit_parent_belongs_to_that_span() {
    let capture = Capture::new();
    capture.run(|| {
        let span = tracing::info_span!("elsewhere", job = 7);
        tracing::error!(parent: &span, "told");
        drop(span);
        tracing::error!(parent: None, "alone");
    });
    let lines: Vec<Value> = capture.log_lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let span = &capture.spans()[0];
    assert_eq!((&lines[0]["span_id"], &lines[0]["job"]), (&json!(span.span_id), &json!(7)));
    assert_eq!((span.is_error, span.events.as_slice()), (true, &["told".to_owned()][..]));
}

#[test]
fn records_of_the_log_crate_keep_their_key_values() {
    let child = in_child!(|| {
        let guard = start();
        let _around = tracing::info_span!("around", amount = 6, around = true).entered();
        log::info!(amount = 7, refused = true, asset = "eth", level = "forged", list:? = ["a"]; "by the log crate");
        support::shutdown_at_once(&guard);
        Value::Null
    });
    let report = child.run();
    let text = report.lines.iter().find(|line| line.contains("by the log crate")).unwrap();
    assert_eq!(text.matches("\"amount\"").count(), 1, "{text}");
    let line: Value = serde_json::from_str(text).unwrap();
    assert_eq!(line["around"], json!(true));
    assert_eq!(
        (&line["amount"], &line["refused"], &line["asset"], &line["field.level"], &line["list"], &line["level"]),
        (&json!(7), &json!(true), &json!("eth"), &json!("forged"), &json!(r#"["a"]"#), &json!("INFO"))
    );
}

#[test]
fn a_filter_for_one_crate_does_not_silence_operations_and_requests() {
    #[telemetry::instrument_business(err = |_| (telemetry::OutcomeClass::Rejected, "no"))]
    fn refuse_payment() -> Result<(), String> {
        Err("no".to_owned())
    }
    let child = in_child!(|| {
        let guard = start();
        let _ = refuse_payment();
        let router = Router::new().layer(HttpTelemetryLayer::new());
        let answered = router.oneshot(Request::get("/").body(Body::empty()).unwrap());
        multi_thread().block_on(answered).unwrap();
        support::shutdown_at_once(&guard);
        Value::Null
    });
    let targets = |filter: &str| {
        let report = in_child_with(&child, filter);
        let report = report.into_iter().filter(|line| line["level"] == "INFO");
        report.map(|line| line["target"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(targets("my_app=debug"), ["ironcore_telemetry", "business", "http_access"]);
    assert_eq!(targets("my_app=debug,business=off"), ["ironcore_telemetry", "http_access"]);
    assert!(targets("warn").is_empty());
}

fn in_child_with(child: &support::Child, filter: &str) -> Vec<Value> {
    child.clone().env("RUST_LOG", filter).run().log()
}

#[test]
fn a_panic_is_one_error_line_with_its_place_and_trace_and_an_exception_of_the_span() {
    #[telemetry::instrument_business]
    fn break_wallet() {
        panic!("out of {}", "coins");
    }
    let child = in_child!(|| {
        let guard = start();
        let old_hook_was_called =
            std::thread::Builder::new().name("miner".to_owned()).spawn(break_wallet).unwrap().join().is_err();
        json!({ "lost": shutdown(&guard), "panicked": old_hook_was_called })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let span = named(&receiver.spans(), "wallet.break");
    let lines: Vec<_> = report.log().into_iter().filter(|line| line["target"] == "panic").collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(
        (&line["level"], &line["message"], &line["thread"], &line["span_id"], &line["operation"]),
        (&json!("ERROR"), &json!("out of coins"), &json!("miner"), &json!(span.span_id), &json!("wallet.break"))
    );
    assert!(line["location"].as_str().unwrap().contains("tracing_idioms.rs:"), "{line}");
    assert_eq!((span.events.as_slice(), span.status), (&["exception".to_owned()][..], "error"));
    assert!(report.stderr.contains("out of coins"), "the hook of before prints to stderr");
}

#[test]
fn the_panic_hook_can_be_left_as_it_is() {
    let child = in_child!(|| {
        let guard = telemetry::init_with(Config::new("tests").panic_hook(false)).unwrap();
        assert!(std::panic::catch_unwind(|| panic!("quietly")).is_err());
        support::shutdown_at_once(&guard);
        Value::Null
    });
    assert!(child.run().log().iter().all(|line| line["target"] != "panic"));
}

#[test]
fn the_context_of_an_operation_is_that_of_its_current_span() {
    #[telemetry::instrument_business]
    fn compare_wallet() -> (String, String) {
        let of_tracing = tracing::Span::current().context();
        let current = opentelemetry::Context::current();
        let id = |context: &opentelemetry::Context| context.span().span_context().span_id().to_string();
        (id(&of_tracing), id(&current))
    }
    let (of_tracing, current) = Capture::new().run(compare_wallet);
    assert_eq!(of_tracing, current);
}

#[test]
fn the_filter_of_the_trace_alone_decides_about_spans_of_the_trace() {
    let child = in_child!(|| {
        let guard = start();
        tracing::info_span!("kept").in_scope(|| tracing::debug_span!("refused").in_scope(|| ()));
        json!({ "lost": shutdown(&guard) })
    });
    for (variable, value) in
        [("RUST_LOG", "off"), ("RUST_LOG", "warn"), ("RUST_LOG", "trace"), ("OTEL_LOGS_EXPORTER", "none")]
    {
        let receiver = Receiver::start().unwrap();
        let _ = child.clone().exporting_to(&receiver).env(variable, value).run();
        let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
        assert_eq!(names, ["kept"], "{variable}={value}");
    }
    let receiver = Receiver::start().unwrap();
    let _ = child.exporting_to(&receiver).env("RUST_LOG", "off").env("IRONCORE_TRACE_FILTER", "debug").run();
    assert_eq!(receiver.spans().len(), 2);
}

#[test]
fn the_id_of_the_current_span_is_a_parent_while_the_operation_runs_and_harmless_after_it() {
    #[telemetry::instrument_business]
    fn split_wallet() -> Option<tracing::span::Id> {
        let parent = tracing::Span::current().id();
        // As rayon's users pass it on.
        std::thread::scope(|scope| {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            let parent = parent.clone();
            scope.spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    tracing::info_span!(parent: parent, "part").in_scope(|| ());
                });
            });
        });
        parent
    }
    let capture = Capture::new();
    capture.run(|| {
        let gone = split_wallet();
        split_wallet();
        tracing::info_span!(parent: gone.clone(), "late").in_scope(|| ());
        tracing::error!(parent: gone, "late");
    });
    assert_eq!(capture.tree().matches("wallet.split\n  part\n").count(), 2, "{}", capture.tree());
}

#[test]
fn what_is_done_to_the_current_span_is_done_to_the_operation() {
    #[telemetry::instrument_business]
    fn link_wallet() {
        let span = tracing::Span::current();
        span.add_event("seen", vec![]);
        let other = tracing::info_span!("other");
        span.add_link(other.context().span().span_context().clone());
        assert!(span.set_parent(opentelemetry::Context::new()).is_err(), "it has begun below its parent");
        assert_eq!(span, tracing::Span::current());
    }
    let capture = Capture::new();
    capture.run(link_wallet);
    let spans = capture.spans();
    let operation = spans.iter().find(|span| span.name == "wallet.link").unwrap();
    let other = spans.iter().find(|span| span.name == "other").unwrap();
    assert_eq!(operation.events, ["seen"]);
    assert_eq!(operation.links, [(other.trace_id.clone(), other.span_id.clone())]);
    assert_eq!(spans.len(), 2);
}

#[test]
fn asking_for_the_current_span_in_a_field_leaves_the_filters_as_they_decided() {
    #[telemetry::instrument_business]
    fn ask_wallet() {
        tracing::debug!(id = ?tracing::Span::current().id(), "filtered from the lines");
        tracing::debug_span!("refused", id = ?tracing::Span::current().id()).in_scope(|| ());
        tracing::info!(id = ?tracing::Span::current().id(), "a line");
    }
    let child = in_child!(|| {
        let verbose = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
        let guard = telemetry::init_with(Config::new("tests").layer(verbose)).unwrap();
        ask_wallet();
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let messages: Vec<_> = report
        .log()
        .into_iter()
        .filter(|line| line["target"] == "tracing_idioms")
        .map(|line| line["message"].clone())
        .collect();
    assert_eq!(messages, ["a line"]);
    assert_eq!(receiver.spans().len(), 1);
}

#[test]
fn a_span_that_the_trace_refuses_keeps_its_fields_and_carries_the_operation() {
    #[telemetry::instrument_business]
    async fn query_wallet() {
        let query = async {
            tracing::Span::current().record("rows", 5);
            tracing::info!("done");
            tokio::spawn(work().in_current_span()).await.unwrap();
        };
        query.instrument(tracing::debug_span!("query", rows = tracing::field::Empty)).await;
    }
    let child = in_child!(|| {
        let guard = start();
        multi_thread().block_on(query_wallet());
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).env("RUST_LOG", "debug,hyper=off,h2=off,tonic=off,tower=off").run();
    let line = report.log().into_iter().find(|line| line["message"] == "done").unwrap();
    assert_eq!(line["rows"], json!(5));
    let spans = receiver.spans();
    assert_eq!(named(&spans, "wallet.work").parent_span_id, Some(named(&spans, "wallet.query").span_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracing_span_around_an_operation_that_spawns_ends_in_a_capture() {
    let capture = Capture::new();
    capture.run_async(run("join_set").instrument(tracing::Span::none())).await;
    let around = capture.run(|| tracing::info_span!("around"));
    capture.run_async(run("join_set").instrument(around)).await;
    assert!(capture.tree().contains("around\n  idiom.join_set\n    wallet.work\n      deep\n"), "{}", capture.tree());
}

#[test]
fn a_line_and_its_operation_belong_together() {
    #[telemetry::instrument_business]
    fn take_wallet() -> tracing::Span {
        tracing::Span::current()
    }
    #[telemetry::instrument_business]
    fn serve_wallet(taken: &tracing::Span) {
        taken.in_scope(|| tracing::info!("inside"));
        tracing::info!(parent: taken, "explicit");
        tracing::info!(parent: None, "root");
        tracing::info!("own");
    }
    let capture = Capture::new();
    capture.run(|| serve_wallet(&take_wallet()));
    let lines: Vec<Value> = capture.log_lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap();
    for (message, operation) in [
        ("inside", json!("wallet.take")),
        ("explicit", json!("wallet.take")),
        ("root", Value::Null),
        ("own", json!("wallet.serve")),
    ] {
        assert_eq!(line(message)["operation"], operation, "{message}");
    }
    assert!(line("root").get("trace_id").is_none());
}

#[test]
fn a_value_that_panics_when_it_is_formatted_costs_no_more_than_itself() {
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("begun")?;
            panic!("in Debug");
        }
    }
    let child = in_child!(|| {
        let guard = start();
        tracing::warn!(broken = ?Broken, after = 7, "a line");
        support::shutdown_at_once(&guard);
        Value::Null
    });
    let line = child.run().log().into_iter().find(|line| line["message"] == "a line").unwrap();
    assert_eq!((&line["broken"], &line["after"]), (&json!("begun<panicked>"), &json!(7)));
}

fn named(spans: &[Span], name: &str) -> Span {
    let found = spans.iter().find(|span| span.name == name);
    found
        .unwrap_or_else(|| panic!("no {name} among {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>()))
        .clone()
}
