//! Bounds in bytes, of requests and of what waits, and the number of requests in flight.

use crate::traffic::{HTTP, Numbers, Traffic, over_both, timed};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{Child, Mode, PATIENCE, in_child};

/// What collectors accept when nothing is configured.
const USUAL_LIMIT: usize = 4 << 20;

/// The attributes of the spans of 1 MB and of 5 MB here; 64 are the default.
fn with_many_attributes(child: Child) -> Child {
    child.env("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1000")
}

#[test]
fn spans_with_a_long_value_each_arrive_in_requests_below_the_usual_limit() {
    over_both(&in_child!(|| {
        let traffic = Traffic::start_in(Mode::Limit(USUAL_LIMIT));
        for _ in 0..2_000 {
            traffic.record_large(1);
        }
        let _ = traffic.guard.flush(PATIENCE);
        let numbers = traffic.assert_exact("long values");
        assert_eq!((numbers.exported, numbers.lost()), (2_000, 0), "{numbers:?}");
        assert!(traffic.collector.requests().iter().all(|request| request.taken), "a request was above the limit");
        Value::Null
    }));
}

#[test]
fn a_batch_above_the_limit_of_a_collector_is_split_until_it_passes() {
    over_both(&in_child!(|| {
        let traffic = Traffic::start_in(Mode::Limit(100_000));
        for _ in 0..300 {
            traffic.record_large(1);
        }
        let _ = traffic.guard.flush(PATIENCE);
        let numbers = traffic.assert_exact("a small limit");
        assert_eq!((numbers.exported, numbers.lost()), (300, 0), "{numbers:?}");
        assert!(traffic.collector.requests().iter().any(|request| !request.taken), "no request was above the limit");
        Value::Null
    }));
}

#[test]
fn a_span_that_no_collector_takes_is_dropped_alone_and_nothing_waits_behind_it() {
    let child = in_child!(|| {
        let traffic = Traffic::start_in(Mode::Limit(USUAL_LIMIT));
        traffic.record(1_000, 2);
        traffic.record_large(640);
        traffic.record(999, 2);
        let _ = traffic.guard.flush(PATIENCE);
        let numbers = traffic.assert_exact("a span of 5 MB");
        assert_eq!((numbers.exported, numbers.lost()), (1_999, 1), "{numbers:?}");
        assert_eq!(numbers.dropped_since(&Numbers::default(), "too_large"), 1, "{numbers:?}");
        Value::Null
    });
    over_both(&with_many_attributes(child));
}

#[test]
fn a_collector_that_once_took_less_does_not_make_larger_spans_too_large() {
    over_both(
        &in_child!(|| {
            let traffic = Traffic::start_in(Mode::Limit(16));
            traffic.record(100, 2);
            traffic.wait_until_empty();
            traffic.collector.set(Mode::Limit(USUAL_LIMIT));
            // Half a megabyte: what the library's own limits allow.
            traffic.record_large(60);
            let numbers = traffic.recover("a limit that is gone");
            assert_eq!((numbers.exported, numbers.lost()), (1, 100), "{numbers:?}");
            Value::Null
        })
        .env("OTEL_BSP_SCHEDULE_DELAY", "10"),
    );
}

/// The memory of this process in bytes, now and at most, by the kernel.
fn memory(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the line");
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<usize>().ok()).expect("a number") << 10
}

#[test]
fn what_waits_for_an_absent_collector_is_bounded_in_bytes() {
    let child = in_child!(|| {
        let traffic = Traffic::start_in(Mode::Refuse);
        let before = memory("VmRSS");
        for _ in 0..150 {
            traffic.record_large(128);
        }
        let grown = memory("VmHWM") - before;
        let numbers = traffic.assert_exact("an absent collector");
        let dropped = numbers.dropped_since(&Numbers::default(), "queue_bytes");
        assert!(dropped > 130 && dropped == numbers.lost(), "{numbers:?}");
        // The bound is 16 MiB, and 150 MiB have ended; the rest is the allocator's.
        assert!(grown < 64 << 20, "{} MiB for a queue of 16 MiB", grown >> 20);
        traffic.recover("an absent collector");
        let grown = memory("VmHWM") - before;
        assert!(grown < 96 << 20, "{} MiB after the export", grown >> 20);
        Value::Null
    });
    over_both(&with_many_attributes(child).env("IRONCORE_QUEUE_BYTES", "16777216"));
}

#[test]
fn a_full_queue_is_counted_and_what_it_holds_arrives() {
    over_both(
        &in_child!(|| {
            let traffic = Traffic::start_in(Mode::Refuse);
            traffic.record(3_000, 8);
            let full = traffic.assert_exact("a full queue");
            assert_eq!(
                (full.queued, full.dropped_since(&Numbers::default(), "queue_full")),
                (1_000, 2_000),
                "{full:?}"
            );
            assert_eq!(traffic.recover("a full queue").exported, 1_000);
            Value::Null
        })
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "1000"),
    );
}

/// Spans a second that a collector takes which needs 100 ms for each request, once the exporter has got going.
fn throughput(batches: usize) -> Value {
    let traffic = Traffic::start_in(Mode::SlowReply(Duration::from_millis(100)));
    traffic.record(batches * BATCH, 2);
    let _ = traffic.guard.flush(PATIENCE);
    let numbers = traffic.assert_exact("a slow collector");
    assert_eq!(numbers.lost(), 0, "{numbers:?}");
    let requests = traffic.collector.requests();
    let later = &requests[requests.len() / 2..];
    let spans: usize = later.iter().skip(1).map(|request| request.spans).sum();
    let time: Duration = later.last().unwrap().at - later[0].at;
    // Requests that arrive at once are one answer later than the first.
    json!(f64::from(u32::try_from(spans).unwrap()) / time.max(Duration::from_millis(1)).as_secs_f64())
}

const BATCH: usize = 32;

#[test]
fn requests_in_flight_multiply_what_a_slow_collector_takes() {
    let one = in_child!(|| throughput(20)).env("IRONCORE_EXPORT_CONCURRENCY", "1");
    let many = in_child!(|| throughput(320));
    std::thread::scope(|scope| {
        for protocol in [crate::traffic::GRPC, HTTP] {
            let run = |child: &Child| {
                let child = child.clone().env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &BATCH.to_string());
                let report = child.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol).run();
                report.result.as_f64().unwrap()
            };
            let (one, many) = (one.clone(), many.clone());
            scope.spawn(move || {
                let (one, many) = (run(&one), run(&many));
                assert!(many >= 8.0 * one, "{protocol}: {one:.0} spans/s one at a time, {many:.0} at once");
            });
        }
    });
}

#[test]
fn ending_a_span_never_waits_for_the_collector() {
    // A lower bound on the time that waiting would take, not an upper one on the time that it takes.
    over_both(&in_child!(|| {
        let traffic = Traffic::start_in(Mode::Blackhole);
        let ((), elapsed) = timed(|| traffic.record(100_000, 2));
        assert!(elapsed < Duration::from_mins(1), "{elapsed:?}");
        let begin = Instant::now();
        let _ = traffic.guard.shutdown(Duration::ZERO);
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        traffic.assert_exact("a black hole");
        Value::Null
    }));
}
