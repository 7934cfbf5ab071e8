//! How the demo ends. It compiles the wallet service, so these tests need a feature:
//! `cargo test -p stack --features real-stack`.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn demo(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--mode", "embedded"])
        .args(arguments)
        // With the database of the user, the service would not start.
        .env("DATABASE_URL", "postgres://127.0.0.1:1/production")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_signal_stops_the_demo_and_its_service() {
    let mut demo = demo(&[]);
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut next = |start: &str| {
        let mut found = lines.by_ref().map(Result::unwrap);
        found.find(|line| line.starts_with(start)).unwrap()
    };
    let link = next("wallet service");
    next("Everything keeps running");
    let address = link.split("http://").nth(1).unwrap();
    let address = address.split('/').next().unwrap();
    TcpStream::connect(address).unwrap();

    let pid = Pid::from_raw(demo.id().cast_signed()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    assert!(demo.wait().unwrap().success());
    assert!(TcpStream::connect(address).is_err(), "{address} listens");
}

#[test]
fn the_last_line_is_json_for_scripts() {
    let output = demo(&["--once"]).wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["mode"], "embedded");
    for count in ["jaeger_spans", "prometheus_series", "log_lines"] {
        assert!(last[count].as_u64().unwrap() > 0, "{count} in {last}");
    }
}

#[test]
fn a_closed_standard_output_does_not_panic() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--once", "--mode", "embedded"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(demo.stdout.take());
    let output = demo.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(!stderr.contains("panicked"), "{stderr}");
}
