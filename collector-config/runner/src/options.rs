//! Which systems to start, and how.

use crate::addresses::{Addresses, Port, Ports};
use crate::system::System;
use std::net::SocketAddr;

/// The intervals and waits of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As shipped: scrapes and evaluations every 15 s, waits and windows of minutes.
    Shipped,
    /// For tests and the demo: scrapes and evaluations every second; waits and windows of rules and routes are divided
    /// by 30, so that 5 min become 10 s.
    Quick,
}

/// Which systems to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run folder is `target/stack/<name>/`; letters, digits, `_` and `-`. The files of an earlier run there are
    /// removed.
    pub name: String,
    /// The systems to start.
    pub systems: Vec<System>,
    /// The ports of the servers.
    pub ports: Ports,
    /// The address of the service's `/metrics`, now or later; `None`: its usual port.
    pub scrape: Option<SocketAddr>,
    /// The intervals and waits.
    pub pace: Pace,
    /// More environment variables for the collector; they override the ones that the stack sets.
    pub collector: Vec<(String, String)>,
}

impl Options {
    /// The usual ports and the shipped times of the configuration files. Starts Jaeger and Prometheus.
    pub fn usual_ports(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            systems: vec![System::Prometheus, System::Jaeger],
            ports: Ports::Usual,
            scrape: None,
            pace: Pace::Shipped,
            collector: Vec::new(),
        }
    }

    /// For tests: free ports and the quick pace. Starts Jaeger and Prometheus.
    pub fn free_ports(name: impl Into<String>) -> Self {
        Self { ports: Ports::Free, pace: Pace::Quick, ..Self::usual_ports(name) }
    }

    /// Starts these systems instead, in any order.
    pub fn with(mut self, systems: &[System]) -> Self {
        self.systems = systems.to_vec();
        self.systems.sort_unstable();
        self.systems.dedup();
        self
    }

    /// Scrapes the service's `/metrics` at `address`.
    pub fn scraping(self, address: SocketAddr) -> Self {
        Self { scrape: Some(address), ..self }
    }

    /// The address that the service's `/metrics` is scraped at.
    pub fn scraped(&self) -> SocketAddr {
        self.scrape.unwrap_or_else(|| Addresses::usual().address(Port::Service))
    }
}
