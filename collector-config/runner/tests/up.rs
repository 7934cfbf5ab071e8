//! `cargo stack up`: it stays in the foreground, reports a server that ends, and a signal stops everything.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use support::{PATIENCE, eventually_true};

/// A running `cargo stack up` on free ports. Dropping it stops it.
struct Up {
    child: Child,
    errors: Receiver<String>,
    /// The lines that name a server: its address and its pid.
    servers: Vec<String>,
}

impl Up {
    fn start(systems: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stack"))
            .args(["up", "--free-ports"])
            .args(systems)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let errors = lines_of(child.stderr.take().unwrap());
        let next = || lines.recv_timeout(PATIENCE).unwrap();
        let servers = std::iter::repeat_with(next).take_while(|line| line != "Ctrl-C stops everything.").collect();
        Self { child, errors, servers }
    }

    fn words(&self, server: &str) -> Vec<&str> {
        let line = self.servers.iter().find(|line| line.starts_with(server)).unwrap();
        line.split_whitespace().collect()
    }

    fn is_listening(&self, server: &str) -> bool {
        let address = self.words(server)[1].trim_start_matches("http://").split('/').next().unwrap();
        TcpStream::connect(address).is_ok()
    }

    fn kill(&self, server: &str) {
        signal(self.words(server)[3].parse().unwrap(), Signal::KILL);
    }

    #[track_caller]
    fn reports(&self, part: &str) {
        while !self.errors.recv_timeout(PATIENCE).unwrap().contains(part) {}
    }

    fn stop(&mut self, by: Signal) -> ExitStatus {
        signal(self.child.id(), by);
        self.child.wait().unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.stop(Signal::TERM);
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// The lines of a pipe, read on a thread of its own, so that a wait for one has a limit.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[test]
fn a_signal_stops_everything_and_is_a_success() {
    let mut up = Up::start(&["node", "prometheus"]);
    assert!(up.is_listening("prometheus") && up.is_listening("node"));
    assert!(up.stop(Signal::HUP).success());
    assert!(!up.is_listening("prometheus") && !up.is_listening("node"));
}

#[test]
fn each_server_that_ends_is_reported_and_the_others_continue() {
    let mut up = Up::start(&["node", "prometheus", "alertmanager"]);
    // In the order of the start, and against it.
    up.kill("alertmanager");
    up.reports("alertmanager ended early (signal: 9");
    up.kill("node");
    up.reports("node ended early (signal: 9");
    assert!(up.is_listening("prometheus"));
    assert_eq!(up.stop(Signal::TERM).code(), Some(1));
    assert!(!up.is_listening("prometheus"));
}

#[test]
fn the_servers_end_with_it_even_if_it_is_killed() {
    let mut up = Up::start(&["node", "prometheus"]);
    up.stop(Signal::KILL);
    eventually_true("the end of the servers", || Ok(!up.is_listening("prometheus") && !up.is_listening("node")));
}
