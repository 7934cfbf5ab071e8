//! The end of a process that does not shut telemetry down itself.

use ironcore_telemetry::{self as telemetry, Config};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;
use support::{Child, Receiver, in_child};

#[telemetry::instrument_business]
fn create_wallet() {}

/// A hundred operations, then a wait for whatever comes.
fn works_until_it_is_ended(config: Config) -> Value {
    let _guard = telemetry::init_with(config).unwrap();
    (0..100).for_each(|_| create_wallet());
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready").and_then(|()| stdout.flush()).unwrap();
    loop {
        std::thread::park();
    }
}

fn on_terminate() -> Config {
    Config::new("tests").on_terminate(Duration::from_mins(1))
}

fn slowly(child: Child) -> Child {
    // Nothing is sent before the end.
    child.env("OTEL_BSP_SCHEDULE_DELAY", "3600000").env("RUST_LOG", "off")
}

#[test]
fn sigterm_and_sigint_deliver_what_is_queued_and_still_end_the_process_by_the_signal() {
    let child = slowly(in_child!(|| works_until_it_is_ended(on_terminate())));
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let receiver = Receiver::start().unwrap();
        let status = child.clone().exporting_to(&receiver).run_until_signal(signal);
        assert_eq!(status.signal(), Some(number), "{status}");
        assert_eq!(receiver.spans().len(), 100);
    }
}

#[test]
fn without_the_setting_a_signal_ends_the_process_as_if_telemetry_were_not_there() {
    let child = slowly(in_child!(|| works_until_it_is_ended(Config::new("tests"))));
    let receiver = Receiver::start().unwrap();
    let status = child.exporting_to(&receiver).run_until_signal(Signal::TERM);
    assert_eq!(status.signal(), Some(15));
    assert_eq!(receiver.spans().len(), 0);
}

#[test]
fn a_flush_delivers_and_the_process_goes_on() {
    let child = slowly(in_child!(|| {
        let guard = telemetry::init_with(Config::new("tests")).unwrap();
        let mut reports = Vec::new();
        for _ in 0..3 {
            (0..10).for_each(|_| create_wallet());
            reports.push(guard.flush(Duration::from_mins(1)).to_string());
        }
        let runtime = support::current_thread();
        create_wallet();
        reports.push(runtime.block_on(guard.flush_async(Duration::from_mins(1))).to_string());
        create_wallet();
        reports.push(runtime.block_on(guard.shutdown_async(Duration::from_mins(1))).to_string());
        reports.push(guard.shutdown(Duration::from_mins(1)).to_string());
        json!(reports)
    }));
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let expected = [10, 20, 30, 31, 32, 32].map(|count| format!("traces: {count} ended, {count} exported"));
    assert_eq!(report.result, json!(expected));
    assert_eq!(receiver.spans().len(), 32);
}
