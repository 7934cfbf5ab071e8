//! Packets of an open connection that are lost, as when a load balancer or a node dies, in a network of the test's own.

use crate::traffic::{Traffic, over_both};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};
use support::in_child;

/// Where `ip` is, for a child without variables.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

#[test]
fn a_connection_whose_packets_are_lost_is_replaced_and_nothing_is_missing() {
    let child = in_child!(|| {
        set_up();
        let traffic = Traffic::start();
        traffic.record(100, 1);
        traffic.wait_until_empty();
        let open = lose_packets_of_open_connections(&traffic.collector.url());
        assert!(open > 0, "there is no connection to break");
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            traffic.record(100, 2);
            std::thread::sleep(Duration::from_millis(100));
        }
        traffic.wait_until_empty();
        let elapsed = begin.elapsed();
        // Meant are 15 seconds; the kernel would give up after 15 minutes.
        assert!(elapsed < Duration::from_secs(45), "replaced after {elapsed:?}");
        let numbers = traffic.assert_exact("lost packets");
        assert_eq!(numbers.lost(), 0, "{numbers:?}");
        Value::Null
    });
    let probe = "ip link set lo up && ip rule add pref 10 ipproto tcp sport 4000 blackhole";
    let allowed = Command::new("unshare").args(["--map-root-user", "--net", "--", "sh", "-c", probe]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("skipped: network namespaces with `unshare` and `ip` are not allowed here");
        return;
    }
    over_both(&child.env("PATH", PATH).in_own_network());
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The network has a loopback interface, and its rules can be preceded by others.
fn set_up() {
    ip("link set lo up");
    ip("rule add pref 20 lookup local");
    ip("rule del pref 0");
}

/// Packets from the client's end of each connection to the collector go nowhere from now on; returns their number.
fn lose_packets_of_open_connections(url: &str) -> usize {
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let (collector, mut broken) = (format!("0100007F:{port:04X}"), 0);
    for line in fs::read_to_string("/proc/self/net/tcp").unwrap().lines().skip(1) {
        let fields: Vec<_> = line.split_whitespace().collect();
        // ESTABLISHED, from the client to the collector.
        if fields[2] == collector && fields[3] == "01" {
            let (_, port) = fields[1].split_once(':').unwrap();
            ip(&format!("rule add pref 10 ipproto tcp sport {} blackhole", u16::from_str_radix(port, 16).unwrap()));
            broken += 1;
        }
    }
    broken
}
