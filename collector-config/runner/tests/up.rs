//! `cargo stack up`: it stays in the foreground, tells of a server that ends, and a signal stops everything.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

#[test]
fn a_server_that_ends_is_reported_the_others_continue_and_a_signal_stops_them() {
    let mut up = Command::new(env!("CARGO_BIN_EXE_stack"))
        .args(["up", "node", "prometheus", "--free-ports"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(up.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<String> = lines.take_while(|line| line != "Ctrl-C stops everything.").collect();
    let server = |name: &str| {
        let line = printed.iter().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = words[1].trim_start_matches("http://").split('/').next().unwrap().to_owned();
        (address, words[3].parse().unwrap())
    };
    let ((prometheus, _), (_, node)) = (server("prometheus"), server("node"));

    signal(node, Signal::KILL);
    let mut errors = BufReader::new(up.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(errors.any(|line| line.contains("node ended early (signal: 9")), "no report");
    assert!(errors.any(|line| line == "The others continue."));
    TcpStream::connect(&prometheus).unwrap();

    signal(up.id(), Signal::TERM);
    assert_eq!(up.wait().unwrap().code(), Some(1));
    assert!(TcpStream::connect(&prometheus).is_err(), "{prometheus} still listens");
}
