//! Each fault of a collector: what arrives in the end, and for which reason the rest is dropped.

use crate::traffic::{Numbers, Traffic, failed_attempts, hasty, is_grpc, over_both};
use serde_json::Value;
use std::time::{Duration, Instant};
use support::{FaultCollector, Hint, Mode, Request, in_child, wait_for};

/// What has to become of spans that end during a fault which then goes away.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// All are delivered.
    Delivered,
    /// All are dropped for this reason, before the fault goes away.
    Dropped(&'static str),
    /// So many are dropped as `rejected`, the others delivered.
    Rejected(u64),
    /// Delivered or dropped, which the specification leaves open; but counted as what it was.
    Counted,
}

/// The faults over a protocol, with the answers by the OTLP specification ("Failures").
fn faults(grpc: bool) -> Vec<(Mode, Fate)> {
    use Fate::{Counted, Delivered, Dropped, Rejected};
    let mut faults = vec![
        (Mode::Ok, Delivered),
        (Mode::Refuse, Delivered),
        (Mode::Blackhole, Delivered),
        (Mode::Silent, Delivered),
        (Mode::SlowRead(20_000), Delivered),
        (Mode::SlowReply(Duration::from_millis(100)), Delivered),
        (Mode::ResetMidBody, Delivered),
        (Mode::GoAway(0), Delivered),
        (Mode::GoAway(11), Delivered),
        (Mode::AnswerLost, Delivered),
        (Mode::Flaky { probability: 0.7, seed: 1 }, Delivered),
        (Mode::PartialSuccess(0), Delivered),
        (Mode::PartialSuccess(-5), Delivered),
        (Mode::PartialSuccess(7), Rejected(7)),
        (Mode::PartialSuccess(SPANS.cast_signed()), Rejected(SPANS)),
        (Mode::Html, Counted),
        (Mode::Garbage, Counted),
        (Mode::Json, Counted),
        (Mode::HugeReply, Counted),
        (Mode::Limit(4 << 20), Delivered),
        // Less than one span.
        (Mode::Limit(16), Dropped("too_large")),
        (Mode::Grpc(14, Hint::Seconds(-1)), Delivered),
        (Mode::Grpc(14, Hint::Garbage), Delivered),
        (Mode::Grpc(14, Hint::Date(-3_600)), Delivered),
        (Mode::Grpc(14, Hint::Seconds(1)), Delivered),
    ];
    if grpc {
        for code in [1, 4, 10, 11, 14, 15] {
            faults.push((Mode::Grpc(code, Hint::None), Delivered));
        }
        for code in [2, 3, 5, 6, 7, 9, 12, 13, 16] {
            faults.push((Mode::Grpc(code, Hint::None), Dropped("refused")));
        }
        faults.push((Mode::Grpc(8, Hint::Seconds(0)), Delivered));
        faults.push((Mode::Grpc(8, Hint::None), Counted));
        for code in 0..=13 {
            faults.push((Mode::RstStream(code), Delivered));
        }
        // Of a proxy in front of the collector, by the mapping of gRPC.
        for status in [429, 502, 503, 504] {
            faults.push((Mode::Http(status, Hint::None), Delivered));
        }
        for status in [401, 403, 404] {
            faults.push((Mode::Http(status, Hint::None), Dropped("refused")));
        }
    } else {
        for status in [429, 502, 503, 504] {
            faults.push((Mode::Http(status, Hint::None), Delivered));
        }
        for status in [400, 401, 403, 404, 405, 415, 422, 500, 501, 505] {
            faults.push((Mode::Http(status, Hint::None), Dropped("refused")));
        }
        faults.push((Mode::Http(413, Hint::None), Dropped("too_large")));
        faults.push((Mode::RstStream(2), Delivered));
    }
    faults
}

const SPANS: u64 = 24;

#[test]
fn every_fault_leaves_an_exact_ledger_and_the_spans_where_they_belong() {
    over_both(&hasty(in_child!(each_fault)));
}

fn each_fault() -> Value {
    let traffic = Traffic::start();
    let elsewhere = FaultCollector::start();
    let mut faults = faults(is_grpc());
    faults.push((Mode::Redirect(elsewhere.url()), Fate::Counted));
    for (number, (mode, fate)) in faults.into_iter().enumerate() {
        let producers = [1, 2, 8][number % 3];
        let what = format!("{mode:?} with {producers} producers");
        let (before, failures) = (traffic.numbers(), failed_attempts());
        traffic.collector.set(mode);
        traffic.record(usize::try_from(SPANS).unwrap(), producers);
        match fate {
            Fate::Dropped(_) => traffic.wait_until_empty(),
            _ => traffic.wait_for_effect(&before, failures),
        }
        let after = traffic.recover(&what);
        let exported = after.exported - before.exported;
        match fate {
            Fate::Delivered => assert_eq!(exported, SPANS, "{what}: {after:?}"),
            Fate::Dropped(reason) => {
                assert_eq!((exported, after.dropped_since(&before, reason)), (0, SPANS), "{what}: {after:?}");
            }
            Fate::Rejected(rejected) => {
                let dropped = after.dropped_since(&before, "rejected");
                // Each request loses so many, if it has them: usually there is one.
                assert!(dropped >= rejected && exported + dropped == SPANS, "{what}: {after:?}");
            }
            Fate::Counted => {}
        }
    }
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
    let report = traffic.guard.shutdown(support::PATIENCE).to_string();
    for reason in ["refused", "rejected", "too_large"] {
        assert!(report.contains(reason), "no word of {reason} in: {report}");
    }
    Value::Null
}

#[test]
fn spans_arrive_when_the_collector_comes_after_the_service() {
    over_both(&hasty(in_child!(|| {
        let traffic = Traffic::start_in(Mode::Refuse);
        traffic.record(500, 2);
        wait_for("a failed attempt", || (failed_attempts() > 0.0).then_some(()));
        let numbers = traffic.recover("a late collector");
        assert_eq!((numbers.exported, traffic.collector.duplicates()), (500, 0));
        Value::Null
    })));
}

/// With the time-outs that a service has: the connection is given up long before the kernel does so, after 15 minutes.
#[test]
fn a_connection_that_falls_silent_is_replaced() {
    over_both(&in_child!(|| {
        let traffic = Traffic::start();
        traffic.record(10, 1);
        traffic.wait_until_empty();
        traffic.collector.set(Mode::Silent);
        let begin = Instant::now();
        let connections = traffic.collector.connections();
        traffic.record(1_000, 2);
        traffic.wait_until_empty();
        let taken = begin.elapsed();
        // Meant are 15 seconds; the machine may be busy.
        assert!(taken < Duration::from_secs(40), "after {taken:?}");
        assert!(traffic.collector.connections() > connections);
        assert_eq!(traffic.assert_exact("silence").exported, 1_010);
        Value::Null
    }));
}

#[test]
fn an_outage_ends_with_the_return_of_the_collector_and_not_with_a_long_pause() {
    over_both(&in_child!(|| {
        let traffic = Traffic::start();
        traffic.record(100, 1);
        traffic.wait_until_empty();
        traffic.collector.set(Mode::Refuse);
        let down = Instant::now();
        while down.elapsed() < Duration::from_secs(8) {
            traffic.record(100, 1);
            std::thread::sleep(Duration::from_millis(100));
        }
        traffic.collector.set(Mode::Ok);
        let back = Instant::now();
        let arrived = traffic.collector.distinct();
        traffic.collector.wait_for(arrived + 1);
        let waited = back.elapsed();
        // Meant are two seconds. Doubling pauses from half a second on would take seven.
        assert!(waited < Duration::from_secs(5), "the first spans came {waited:?} after the collector");
        let numbers = traffic.recover("an outage");
        assert_eq!(numbers.lost(), 0, "{numbers:?}");
        Value::Null
    }));
}

/// The requests that came while the collector asked for three seconds, and were counted for seven.
fn requests_while_throttled() -> Vec<Request> {
    let traffic = Traffic::start();
    traffic.collector.set(Mode::Grpc(14, Hint::Seconds(3)));
    traffic.record(5_000, 2);
    traffic.collector.wait_for_requests(1);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(7) {
        // There is nothing to wait for: what is tested is that nothing comes.
        std::thread::sleep(Duration::from_millis(100));
    }
    let requests = traffic.collector.requests();
    assert_eq!(traffic.recover("throttling").exported, 5_000);
    requests
}

#[test]
fn a_collector_that_asks_for_time_is_given_it() {
    let one_at_a_time = in_child!(|| {
        let requests = requests_while_throttled();
        for pair in requests.windows(2) {
            let pause = pair[1].at - pair[0].at;
            assert!(pause >= Duration::from_millis(2_900), "asked again after {pause:?}");
        }
        assert!(requests.len() >= 2, "never asked again");
        Value::Null
    });
    let many_at_a_time = in_child!(|| {
        // The ten batches may leave at once, before the first answer; then all of them wait.
        let requests = requests_while_throttled();
        assert!(requests.len() <= 3 * 16, "{} requests", requests.len());
        Value::Null
    });
    std::thread::scope(|scope| {
        scope.spawn(|| over_both(&one_at_a_time.env("IRONCORE_EXPORT_CONCURRENCY", "1")));
        over_both(&many_at_a_time);
    });
}

#[test]
fn a_pause_that_is_asked_for_is_limited_and_shutdown_does_not_wait_for_it() {
    let child = in_child!(|| {
        let hint = match std::env::var("HINT").unwrap().as_str() {
            "date" => Hint::Date(86_400),
            seconds => Hint::Seconds(seconds.parse().unwrap()),
        };
        let traffic = Traffic::start();
        traffic.collector.set(Mode::Grpc(14, hint));
        traffic.record(10, 1);
        traffic.collector.wait_for_requests(1);
        let begin = Instant::now();
        let report = traffic.guard.shutdown(Duration::from_secs(1));
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
        let numbers = traffic.assert_exact("a long pause");
        assert_eq!(numbers.dropped_since(&Numbers::default(), "deadline"), 10, "{report}");
        Value::Null
    });
    std::thread::scope(|scope| {
        for hint in ["1000000000000", "9223372036854775807", "date"] {
            let child = child.clone().env("HINT", hint).env("OTEL_BSP_SCHEDULE_DELAY", "10");
            scope.spawn(move || over_both(&child));
        }
    });
}
