//! Random programs of nested operations on a multi-thread runtime: counters, histograms and spans agree exactly with
//! the endings that took place, in-flight returns to zero, and no id reaches another task.

use ironcore_telemetry as telemetry;
use opentelemetry::trace::TraceContextExt;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use telemetry::testing::Capture;

/// How an operation of a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Ok,
    Rejected,
    Failed,
    Cancelled,
    Panicked,
}

/// An operation, the operations that it calls, and how it ends.
#[derive(Clone, Debug)]
struct Program {
    inner: Vec<Program>,
    ending: Ending,
}

/// The endings that took place, counted apart from the telemetry.
type Done = Arc<Mutex<BTreeMap<Ending, i64>>>;

#[derive(Debug)]
enum Refusal {
    Rejected,
    Failed,
}

impl telemetry::Outcome for Refusal {
    fn class(&self) -> telemetry::OutcomeClass {
        match self {
            Self::Rejected => telemetry::OutcomeClass::Rejected,
            Self::Failed => telemetry::OutcomeClass::Failed,
        }
    }
}

#[telemetry::instrument_business(swap)]
async fn node(program: Program, done: Done, waits: Arc<AtomicBool>) -> Result<(), Refusal> {
    for inner in program.inner {
        run(inner, Arc::clone(&done)).await;
    }
    tokio::task::yield_now().await;
    *done.lock().unwrap().entry(program.ending).or_default() += 1;
    match program.ending {
        Ending::Ok => Ok(()),
        Ending::Rejected => Err(Refusal::Rejected),
        Ending::Failed => Err(Refusal::Failed),
        Ending::Cancelled => {
            waits.store(true, Ordering::Release);
            std::future::pending().await
        }
        Ending::Panicked => std::panic::panic_any("planned"),
    }
}

/// Runs a program to its end without ending the caller: a panic is caught, and a future that never ends is dropped.
fn run(program: Program, done: Done) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let waits = Arc::new(AtomicBool::new(false));
        let mut node = Box::pin(node(program, done, Arc::clone(&waits)));
        std::future::poll_fn(move |task| {
            let poll = || node.as_mut().poll(task);
            let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll));
            let ended = polled.map_or(true, |poll| poll.is_ready()) || waits.load(Ordering::Acquire);
            if ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    })
}

fn programs() -> impl Strategy<Value = Program> {
    let ending = prop_oneof![
        4 => Just(Ending::Ok),
        2 => Just(Ending::Rejected),
        2 => Just(Ending::Failed),
        1 => Just(Ending::Cancelled),
        1 => Just(Ending::Panicked),
    ];
    let leaf = ending.clone().prop_map(|ending| Program { inner: Vec::new(), ending });
    leaf.prop_recursive(4, 24, 4, move |inner| {
        (prop::collection::vec(inner, 0..4), ending.clone()).prop_map(|(inner, ending)| Program { inner, ending })
    })
}

/// Keeps the messages of planned panics out of the output.
fn hide_planned_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"planned") {
                default(info);
            }
        }));
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

#[test]
fn ten_thousand_operations_are_counted_exactly_as_they_ended() {
    hide_planned_panics();
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    let operations = Cell::new(0);
    let strategy = prop::collection::vec(programs(), 20..40);
    let outcome = TestRunner::new(config).run(&strategy, |programs| {
        operations.set(operations.get() + run_and_compare(programs)?);
        Ok(())
    });
    outcome.unwrap();
    assert!(operations.get() >= 10_000, "{} operations", operations.get());
}

/// Runs programs concurrently and compares their endings with the telemetry; returns the number of operations.
fn run_and_compare(programs: Vec<Program>) -> Result<i64, TestCaseError> {
    let (capture, done) = (Arc::new(Capture::new()), Done::default());
    runtime().block_on(async {
        let tasks = programs.into_iter().map(|program| {
            let (capture, done) = (Arc::clone(&capture), Arc::clone(&done));
            tokio::spawn(async move { capture.run_async(run(program, done)).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    let done = done.lock().unwrap();
    for (ending, outcome) in [
        (Ending::Ok, "ok"),
        (Ending::Rejected, "rejected"),
        (Ending::Failed, "failed"),
        (Ending::Cancelled, "cancelled"),
        (Ending::Panicked, "panicked"),
    ] {
        let expected = done.get(&ending).copied().unwrap_or_default();
        let labels = [("domain", "swap"), ("operation", "node"), ("outcome", outcome)];
        prop_assert_eq!(capture.value("business_operations_total", &labels), expected, "{}", outcome);
        prop_assert_eq!(capture.value("business_operation_duration_seconds", &labels), expected, "{}", outcome);
        let spans = capture.spans();
        let spans = spans.iter().filter(|span| span.attribute("ironcore.outcome") == Some(outcome)).count();
        prop_assert_eq!(i64::try_from(spans).unwrap(), expected, "{}", outcome);
    }
    prop_assert_eq!(capture.value("business_operations_in_flight", &[]), 0);
    let spans = capture.spans();
    for span in &spans {
        if let Some(parent) = &span.parent_id {
            let parent = spans.iter().find(|other| other.span_id == *parent);
            prop_assert!(parent.is_some_and(|parent| parent.trace_id == span.trace_id));
        }
    }
    Ok(done.values().sum())
}

#[telemetry::instrument_business(user)]
async fn neighbour(hops: usize) -> bool {
    let ids = || opentelemetry::Context::map_current(|context| context.span().span_context().span_id());
    let own = ids();
    for _ in 0..hops {
        tokio::task::yield_now().await;
        if ids() != own {
            return false;
        }
    }
    own != opentelemetry::SpanId::INVALID
}

#[test]
fn ids_never_reach_a_neighbour_among_ten_thousand_interleaved_tasks() {
    let capture = Arc::new(Capture::new());
    runtime().block_on(async {
        let tasks = (0..10_000).map(|task| {
            let capture = Arc::clone(&capture);
            tokio::spawn(async move { capture.run_async(neighbour(task % 7 + 1)).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            assert!(task.await.unwrap(), "a task saw the ids of another");
        }
    });
    let spans = capture.spans();
    let traces: std::collections::HashSet<_> = spans.iter().map(|span| &span.trace_id).collect();
    assert_eq!((spans.len(), traces.len()), (10_000, 10_000));
    assert!(spans.iter().all(|span| span.parent_id.is_none()));
}

#[tokio::test]
async fn join_select_spawn_and_blocking_threads_keep_parentage() {
    let capture = Capture::new();
    capture
        .run_async(async {
            async {
                let (first, second) = tokio::join!(neighbour(3), neighbour(5));
                assert!(first && second);
                tokio::select! {
                    inside = neighbour(2) => assert!(inside),
                    () = std::future::pending() => {}
                }
                let context = opentelemetry::Context::current();
                let on_thread = tokio::task::spawn_blocking(move || {
                    let _current = context.attach();
                    blocking_user();
                });
                on_thread.await.unwrap();
            }
            .await;
        })
        .await;
    // No span was active: each is a root of its own.
    assert_eq!(capture.spans().iter().filter(|span| span.parent_id.is_none()).count(), 4);
}

#[telemetry::instrument_business]
fn blocking_user() {}
