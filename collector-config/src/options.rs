//! What to start, and how.

use crate::addresses::{Addresses, Port, Ports};
use crate::inbox::Inbox;
use crate::system::System;
use std::net::SocketAddr;

/// How fast time goes for the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As shipped: scrapes and evaluations every 15 s, waits and windows of minutes.
    Shipped,
    /// For tests and the demo: scrapes and evaluations every second; waits and windows of rules and routes are a
    /// thirtieth, so that 5 min become 10 s.
    Quick,
}

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run folder is `target/stack/<name>/`; letters, digits, `_` and `-`. What an earlier run has left there is
    /// removed.
    pub name: String,
    /// Which systems.
    pub systems: Vec<System>,
    /// The ports of the servers.
    pub ports: Ports,
    /// Whether the servers stay when the [`Stack`](crate::Stack) is dropped and when this process ends.
    pub detached: bool,
    /// Where the service's `/metrics` is (or will be); `None`: at its usual port.
    pub scrape: Option<SocketAddr>,
    /// How fast time goes.
    pub pace: Pace,
    /// Where alerts are delivered, over HTTP and over SMTP; `None`: at the ports of `cargo stack alerts`, or at free ones
    /// where nobody listens.
    pub inbox: Option<(SocketAddr, SocketAddr)>,
    /// More variables for the collector; they win over what is set here.
    pub collector: Vec<(String, String)>,
}

impl Options {
    /// As the configuration files say: the usual ports, the shipped times. Jaeger and
    /// Prometheus; ends with its owner.
    #[must_use]
    pub fn usual_ports(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            systems: vec![System::Prometheus, System::Jaeger],
            ports: Ports::Usual,
            detached: false,
            scrape: None,
            pace: Pace::Shipped,
            inbox: None,
            collector: Vec::new(),
        }
    }

    /// For tests: free ports and the quick pace. Jaeger and Prometheus; ends with its owner.
    #[must_use]
    pub fn free_ports(name: impl Into<String>) -> Self {
        Self { ports: Ports::Free, pace: Pace::Quick, ..Self::usual_ports(name) }
    }

    /// The same with these systems, whatever their order here.
    #[must_use]
    pub fn with(mut self, systems: &[System]) -> Self {
        self.systems = systems.to_vec();
        self.systems.sort_unstable();
        self.systems.dedup();
        self
    }

    /// The same with the service's `/metrics` at `address`.
    #[must_use]
    pub fn scraping(self, address: SocketAddr) -> Self {
        Self { scrape: Some(address), ..self }
    }

    /// Where the service's `/metrics` is.
    #[must_use]
    pub fn scraped(&self) -> SocketAddr {
        self.scrape.unwrap_or_else(|| Addresses::usual().of(Port::Service))
    }

    /// The same with alerts delivered to `inbox`.
    #[must_use]
    pub fn alerting(self, inbox: &Inbox) -> Self {
        Self { inbox: Some((inbox.http(), inbox.mail())), ..self }
    }
}
