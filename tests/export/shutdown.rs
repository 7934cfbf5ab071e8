//! `shutdown` and `flush` end by their limit, whatever the collector does and wherever they are called.

use crate::traffic::{GRPC, HTTP, Numbers, Traffic, hasty, over_both, timed};
use ironcore_telemetry as telemetry;
use serde_json::Value;
use std::time::{Duration, Instant};
use support::{Child, Hint, Mode, current_thread, in_child};

/// The limit of a shutdown here.
const LIMIT: Duration = Duration::from_millis(1_500);
/// What a busy machine may need beyond a limit; a shutdown that hangs needs more.
const SLACK: Duration = Duration::from_secs(20);
const SPANS: u64 = 50;

/// What the collector does during the shutdown, by name.
const FAULTS: [&str; 6] = ["absent", "blackhole", "silent", "refuses", "slow", "flaky"];
/// Where the shutdown is called.
const PLACES: [&str; 7] = ["plain", "current_thread", "one_worker", "four_workers", "async", "drop", "eight_callers"];

fn fault(name: &str) -> Mode {
    match name {
        "absent" => Mode::Refuse,
        "blackhole" => Mode::Blackhole,
        "silent" => Mode::Silent,
        "refuses" => Mode::Grpc(7, Hint::None),
        "slow" => Mode::SlowReply(Duration::from_millis(700)),
        "flaky" => Mode::Flaky { probability: 0.7, seed: 7 },
        _ => unreachable!("{name}"),
    }
}

/// Calls `shutdown` in a place; returns the report, which all callers must have got, and the longest time.
fn shut_down_in(place: &str, traffic: &Traffic) -> (telemetry::Report, Duration) {
    let shut_down = || timed(|| traffic.guard.shutdown(LIMIT));
    let workers =
        |count| tokio::runtime::Builder::new_multi_thread().worker_threads(count).enable_all().build().unwrap();
    match place {
        "plain" => shut_down(),
        "current_thread" => current_thread().block_on(async { shut_down() }),
        "one_worker" => workers(1).block_on(async { shut_down() }),
        "four_workers" => workers(4).block_on(async { shut_down() }),
        "async" => {
            let begin = Instant::now();
            (current_thread().block_on(traffic.guard.shutdown_async(LIMIT)), begin.elapsed())
        }
        "drop" => {
            struct AtTheEnd<F: FnMut()>(F);
            impl<F: FnMut()> Drop for AtTheEnd<F> {
                fn drop(&mut self) {
                    (self.0)();
                }
            }
            let mut result = None;
            drop(AtTheEnd(|| result = Some(shut_down())));
            result.unwrap()
        }
        "eight_callers" => std::thread::scope(|scope| {
            let callers: Vec<_> = (0..8).map(|_| scope.spawn(shut_down)).collect();
            let results: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
            let numbers: Vec<_> = results.iter().map(|(report, _)| Numbers::of(report)).collect();
            assert!(numbers.iter().all(|each| *each == numbers[0]), "{numbers:?}");
            let texts: Vec<_> = results.iter().map(|(report, _)| report.to_string()).collect();
            assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
            results.into_iter().max_by_key(|(_, elapsed)| *elapsed).unwrap()
        }),
        _ => unreachable!("{place}"),
    }
}

fn scenario() -> Value {
    let variable = |name: &str| std::env::var(name).unwrap();
    let (name, place) = (variable("FAULT"), variable("PLACE"));
    let what = format!("{name}, {place}");
    // It has worked before, so the shutdown uses its limit.
    let traffic = Traffic::start();
    traffic.record(10, 1);
    traffic.wait_until_empty();
    traffic.collector.set(fault(&name));
    traffic.record(usize::try_from(SPANS).unwrap(), 2);
    let (report, elapsed) = shut_down_in(&place, &traffic);
    assert!(elapsed < LIMIT + SLACK, "{what}: {elapsed:?}");
    let numbers = traffic.assert_no_more_than_received(&what);
    assert_eq!(Numbers::of(&report), numbers, "{what}");
    assert_eq!(numbers.queued, 0, "{what}: {numbers:?}");
    match name.as_str() {
        "absent" | "blackhole" => {
            assert_eq!(numbers.dropped_since(&Numbers::default(), "deadline"), SPANS, "{what}: {report}");
        }
        "refuses" => assert_eq!(numbers.dropped_since(&Numbers::default(), "refused"), SPANS, "{what}: {report}"),
        _ => {}
    }
    if !report.is_complete() {
        let lost = numbers.lost().to_string();
        assert!(report.to_string().contains(&lost), "{what}: {report}");
    }
    // A span that ends after the shutdown is counted.
    traffic.record(1, 1);
    let later = traffic.numbers();
    assert_eq!(later.dropped_since(&numbers, "after_shutdown"), 1, "{what}: {later:?}");
    // Another one returns at once, with the same report or one with the late span.
    let (again, elapsed) = timed(|| traffic.guard.shutdown(Duration::from_hours(1)));
    assert!(elapsed < SLACK, "{what}: {elapsed:?}");
    assert!(Numbers::of(&again).exported == numbers.exported, "{what}: {again}");
    Value::Null
}

#[test]
fn a_shutdown_ends_by_its_limit_in_every_place_and_fault() {
    let child = hasty(in_child!(scenario));
    let mut cells: Vec<_> = FAULTS.iter().flat_map(|fault| PLACES.map(|place| (*fault, place, GRPC))).collect();
    cells.extend(FAULTS.iter().map(|fault| (*fault, "current_thread", HTTP)));
    run_all(cells.into_iter().map(|(fault, place, protocol)| {
        child.clone().env("FAULT", fault).env("PLACE", place).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    }));
}

/// Runs them in groups: they mostly wait, but the machine is small.
fn run_all(children: impl Iterator<Item = Child>) {
    let children: Vec<_> = children.collect();
    for group in children.chunks(12) {
        std::thread::scope(|scope| {
            for child in group {
                scope.spawn(|| child.run());
            }
        });
    }
}

#[test]
fn a_shutdown_gives_up_soon_when_nothing_ever_listened() {
    over_both(&in_child!(|| {
        let traffic = Traffic::start_in(Mode::Refuse);
        traffic.record(10, 1);
        let limit = Duration::from_mins(1);
        let (report, elapsed) = timed(|| traffic.guard.shutdown(limit));
        // Meant is half a second.
        assert!(elapsed < limit / 3, "{elapsed:?}");
        let numbers = traffic.assert_exact("nothing listens");
        assert_eq!(numbers.dropped_since(&Numbers::default(), "deadline"), 10, "{report}");
        Value::Null
    }));
}

#[test]
fn a_shutdown_uses_its_limit_when_the_collector_has_been_there() {
    over_both(&hasty(in_child!(|| {
        let traffic = Traffic::start();
        traffic.record(10, 1);
        traffic.wait_until_empty();
        traffic.collector.set(Mode::Refuse);
        traffic.record(10, 1);
        // It comes back in time.
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_secs(2));
                traffic.collector.set(Mode::Ok);
            });
            traffic.guard.shutdown(support::PATIENCE)
        });
        assert!(report.is_complete(), "{report}");
        assert_eq!(traffic.assert_exact("a short outage").exported, 20);
        Value::Null
    })));
}

#[test]
fn a_flush_delivers_what_has_ended_and_the_service_goes_on() {
    over_both(
        &in_child!(|| {
            let traffic = Traffic::start();
            for round in 1..=3 {
                traffic.record(100, 2);
                let report = traffic.guard.flush(support::PATIENCE);
                assert!(report.is_complete(), "{report}");
                assert_eq!(traffic.assert_exact("a flush").exported, 100 * round);
            }
            Value::Null
        })
        // Longer than the test may take: only the flush sends.
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    );
}

#[test]
fn a_flush_ends_by_its_limit_and_loses_nothing() {
    over_both(
        &in_child!(|| {
            let traffic = Traffic::start_in(Mode::Blackhole);
            traffic.record(100, 2);
            let (report, elapsed) = timed(|| traffic.guard.flush(Duration::from_millis(300)));
            assert!(elapsed < SLACK, "{elapsed:?}");
            assert!(!report.is_complete(), "{report}");
            assert_eq!(Numbers::of(&report).queued, 100, "{report}");
            let numbers = traffic.recover("after a flush in vain");
            assert_eq!((numbers.exported, numbers.lost()), (100, 0), "{numbers:?}");
            Value::Null
        })
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
    );
}

#[test]
fn the_report_of_a_shutdown_says_what_was_lost_before() {
    over_both(&hasty(in_child!(|| {
        let traffic = Traffic::start_in(Mode::Grpc(7, Hint::None));
        traffic.record(30, 1);
        traffic.wait_until_empty();
        traffic.collector.set(Mode::Ok);
        traffic.record(12, 1);
        let report = traffic.guard.shutdown(support::PATIENCE);
        let text = report.to_string();
        assert!(!report.is_complete() && text.contains("30") && text.contains("refused"), "{text}");
        assert_eq!(traffic.assert_exact("refused before").exported, 12);
        Value::Null
    })));
}
