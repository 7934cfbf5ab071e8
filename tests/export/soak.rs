//! Millions of spans on their way to a collector: nothing is lost and nothing grows. For the deep tier, which builds it
//! with optimisation.

use crate::traffic::{GRPC, HTTP, Numbers, create_wallet};
use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use support::{FaultCollector, Mode, PATIENCE, in_child, start};

/// How often the process is looked at.
const SAMPLES: usize = 20;
const SPANS: usize = 10_000_000;
/// So many spans may wait before the producers do: half of the queue.
const MOST_WAITING: u64 = 32_768;

/// What a process holds.
struct Sample {
    memory: usize,
    threads: usize,
    descriptors: usize,
}

impl Sample {
    fn now() -> Self {
        let entries = |folder| fs::read_dir(folder).expect("Linux").count();
        let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        Self {
            memory: pages.expect("a number"),
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
        }
    }

    fn json(&self) -> Value {
        json!({ "memory": self.memory, "threads": self.threads, "descriptors": self.descriptors })
    }
}

fn produce() -> Value {
    let spans: usize = std::env::var("SPANS").unwrap().parse().unwrap();
    let guard = start();
    let ledger = || Numbers::of(&guard.ledger());
    let samples: Vec<_> = (0..SAMPLES)
        .map(|_| {
            for number in 0..spans / SAMPLES {
                create_wallet();
                if number % 1_000 == 0 {
                    // Pressure back to the producer is the test's, not the library's.
                    while ledger().queued > MOST_WAITING {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            }
            Sample::now().json()
        })
        .collect();
    let numbers = Numbers::of(&guard.shutdown(PATIENCE));
    json!({ "samples": samples, "ended": numbers.ended, "exported": numbers.exported, "lost": numbers.lost() })
}

/// Asserts that the second half of the run needed no more than the first, after its beginning.
fn assert_flat(samples: &[Value], key: &str, tolerance: f64) {
    let most = |range: std::ops::Range<usize>| {
        samples[range].iter().map(|sample| sample[key].as_f64().unwrap()).fold(0.0, f64::max)
    };
    let (first, second) = (most(SAMPLES / 10..SAMPLES / 2), most(SAMPLES / 2..SAMPLES));
    assert!(second <= first * tolerance, "{key}: {first}, then {second}: {samples:?}");
}

#[test]
#[ignore = "deep tier: minutes, and only meaningful with optimisation"]
fn ten_million_spans_arrive_and_memory_threads_and_descriptors_stay() {
    let child = in_child!(produce).env("SPANS", &SPANS.to_string()).env("RUST_LOG", "off");
    for protocol in [GRPC, HTTP] {
        let collector = FaultCollector::start();
        let child = child.clone().env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
        let report = child.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol).run();
        let samples = report.result["samples"].as_array().unwrap();
        assert_eq!(report.result["lost"], 0, "{protocol}: {}", report.result);
        assert_eq!(report.result["exported"], json!(collector.distinct()), "{protocol}: {}", report.result);
        assert_flat(samples, "memory", 1.05);
        assert_flat(samples, "threads", 1.0);
        assert_flat(samples, "descriptors", 1.0);
    }
}

#[test]
#[ignore = "deep tier: minutes"]
fn a_hundred_restarts_of_the_collector_cost_no_span_and_nothing_grows() {
    let child = in_child!(|| {
        let guard = start();
        let samples: Vec<_> = (0..SAMPLES)
            .map(|_| {
                for _ in 0..1_500 {
                    create_wallet();
                    std::thread::sleep(Duration::from_millis(2));
                }
                Sample::now().json()
            })
            .collect();
        let numbers = Numbers::of(&guard.shutdown(PATIENCE));
        let page = telemetry::scrape::render();
        json!({ "samples": samples, "exported": numbers.exported, "lost": numbers.lost(), "page": page })
    });
    for protocol in [GRPC, HTTP] {
        let collector = FaultCollector::start();
        let child = child.clone().env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
        let child = child.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol).env("RUST_LOG", "off");
        let running = std::thread::spawn(move || child.run());
        for _ in 0..100 {
            collector.set(Mode::Refuse);
            std::thread::sleep(Duration::from_millis(200));
            collector.set(Mode::Ok);
            std::thread::sleep(Duration::from_millis(400));
        }
        let report = running.join().unwrap();
        assert_eq!(report.result["lost"], 0, "{protocol}: {}", report.result);
        assert_eq!(report.result["exported"], json!(collector.distinct()), "{protocol}: {}", report.result);
        let samples = report.result["samples"].as_array().unwrap();
        assert_flat(samples, "threads", 1.0);
        // A connection more or less.
        assert_flat(samples, "descriptors", 1.3);
    }
}
