//! What a process leaves in the spool, and its next start.

use ironcore_telemetry::{self as telemetry, Config, Ledger, TelemetryGuard};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;
use support::{Child, FaultCollector, PATIENCE, Receiver, assert_sample, in_child, wait_for};

#[telemetry::instrument_business]
fn create_wallet() {}

/// A folder of its own, deleted at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("spool-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn of(&self, child: Child) -> Child {
        child.env("IRONCORE_SPOOL_DIR", self.0.to_str().unwrap()).env("RUST_LOG", "ironcore_telemetry=error")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start() -> TelemetryGuard {
    telemetry::init_with(Config::new("tests")).unwrap()
}

fn traces(guard: &TelemetryGuard) -> Ledger {
    guard.ledger().signal("traces").unwrap().clone()
}

fn until_all_are_spooled(guard: &TelemetryGuard) {
    wait_for("the spool", || {
        let ledger = traces(guard);
        (ledger.queued() == ledger.spooled()).then_some(())
    });
}

/// A hundred operations that no collector takes, then a wait for the kill.
fn works_until_it_is_killed() -> Value {
    let guard = start();
    (0..100).for_each(|_| create_wallet());
    until_all_are_spooled(&guard);
    assert_sample(&telemetry::scrape::render(), "telemetry_at_risk{signal=\"traces\"}", 0);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready").and_then(|()| stdout.flush()).unwrap();
    loop {
        std::thread::park();
    }
}

/// One operation, and everything that earlier processes have left.
fn delivers() -> Value {
    let guard = start();
    create_wallet();
    wait_for("what was left", || {
        let page = telemetry::scrape::render();
        let is_there = page.contains("telemetry_recovered_total{signal=\"traces\",result=\"exported\"} 100\n");
        is_there.then_some(())
    });
    json!(guard.shutdown(PATIENCE).to_string())
}

#[test]
fn the_next_start_delivers_what_a_killed_process_has_left() {
    let killed = in_child!(works_until_it_is_killed);
    let next = in_child!(delivers);
    let folder = Folder::new("killed");
    let status = folder.of(killed).run_until_signal(Signal::KILL);
    assert_eq!(status.signal(), Some(9));

    let receiver = Receiver::start().unwrap();
    let report = folder.of(next.clone()).exporting_to(&receiver).run();
    assert_eq!(report.result, "traces: 1 ended, 1 exported");
    let spans = receiver.spans();
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), 101);
}

#[test]
fn what_a_shutdown_leaves_is_in_its_report_and_the_next_start_delivers_it() {
    let first = in_child!(|| {
        let guard = start();
        (0..100).for_each(|_| create_wallet());
        until_all_are_spooled(&guard);
        json!(guard.shutdown(Duration::from_secs(5)).to_string())
    });
    let next = in_child!(delivers);
    let folder = Folder::new("shutdown");
    let report = folder.of(first).run();
    let report = report.result.as_str().unwrap();
    let expected = "traces: 100 ended, 0 exported, 100 queued (100 in the spool); last failure: ";
    assert!(report.starts_with(expected), "{report}");

    let collector = FaultCollector::start();
    let child = folder.of(next).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    assert_eq!(child.run().result, "traces: 1 ended, 1 exported");
    assert_eq!(collector.distinct(), 101);
}

#[test]
fn a_spool_that_cannot_be_used_changes_nothing_but_the_safety() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        wait_for("the gauge", || {
            let page = telemetry::scrape::render();
            page.contains("telemetry_degraded{component=\"spool\"} 1\n").then_some(())
        });
        json!(guard.shutdown(PATIENCE).to_string())
    });
    let folder = Folder::new("unusable");
    fs::write(folder.0.join("traces"), "a file in its place").unwrap();
    let receiver = Receiver::start().unwrap();
    let report = folder.of(child).exporting_to(&receiver).run();
    assert_eq!(report.result, "traces: 1 ended, 1 exported");
    let lines = report.log();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line["message"].as_str().unwrap().starts_with("the spool cannot be written"), "{line}");
    assert_eq!(line["folder"], folder.0.to_str().unwrap());
}

#[test]
fn a_service_that_is_killed_in_traffic_again_and_again_loses_only_what_was_at_risk() {
    let busy = in_child!(|| {
        let guard = start();
        let mut stdout = std::io::stdout();
        for round in 0_u64.. {
            (0..20).for_each(|_| create_wallet());
            if round == 10 {
                writeln!(stdout, "ready").and_then(|()| stdout.flush()).unwrap();
            }
            until_all_are_spooled(&guard);
        }
        json!(null)
    });
    let last = in_child!(|| {
        let guard = start();
        let folder = PathBuf::from(std::env::var("IRONCORE_SPOOL_DIR").unwrap());
        wait_for("an empty spool", || {
            let files = fs::read_dir(folder.join("traces/0")).ok()?;
            (files.count() == 1).then_some(())
        });
        json!(guard.shutdown(PATIENCE).to_string())
    });
    let folder = Folder::new("traffic");
    let receiver = Receiver::start().unwrap();
    let mut safe = 0;
    for round in 0..6_u64 {
        // The collector is there every other time.
        let child = folder.of(busy.clone()).env("OTEL_BSP_SCHEDULE_DELAY", "20");
        let child = if round % 2 == 0 { child } else { child.exporting_to(&receiver) };
        let status = child.run_until_signal(Signal::KILL);
        assert_eq!(status.signal(), Some(9));
        // Ten rounds were safe before it said that it was ready.
        safe += 10 * 20;
    }
    let report = folder.of(last).exporting_to(&receiver).run();
    assert_eq!(report.result, "traces: 0 ended, 0 exported");
    let spans = receiver.spans();
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert!(ids.len() >= safe, "{} of {safe}", ids.len());
}
