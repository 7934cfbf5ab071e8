//! Where the servers listen: loopback, on the usual ports or on free ones.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// Which ports the servers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The usual ones (OTLP 4317 and 4318, Jaeger 16686, Prometheus 9090, …), as in the configuration files.
    Default,
    /// Free ones: any number of stacks run side by side.
    Free,
}

/// What is listened for. The order is that of the table in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Port {
    /// OTLP over gRPC, where services send to: the collector's, or Jaeger's where there is no collector.
    OtlpGrpc,
    /// OTLP over HTTP, likewise.
    OtlpHttp,
    /// The collector's health check.
    CollectorHealth,
    /// The collector's own metrics.
    CollectorMetrics,
    /// The metrics that the collector makes of spans.
    CollectorSpanMetrics,
    /// Jaeger behind the collector: OTLP over gRPC.
    JaegerOtlpGrpc,
    /// Jaeger behind the collector: OTLP over HTTP.
    JaegerOtlpHttp,
    /// Jaeger's page and JSON API.
    JaegerQuery,
    /// Jaeger's API over gRPC.
    JaegerQueryGrpc,
    /// Jaeger's health check.
    JaegerHealth,
    /// Jaeger's own metrics.
    JaegerMetrics,
    /// The sampling strategies that Jaeger serves.
    JaegerSampling,
    /// Prometheus' page and API.
    Prometheus,
    /// Alertmanager's page and API.
    Alertmanager,
    /// Where alerts are sent to, over HTTP: `cargo stack alerts`.
    Inbox,
    /// Where alerts are sent to, over SMTP: `cargo stack alerts`.
    InboxMail,
    /// Loki's API.
    Loki,
    /// Loki's API over gRPC.
    LokiGrpc,
    /// The node exporter's page.
    Node,
    /// Postgres. Not its usual 5432, which is often somebody's.
    Postgres,
    /// The Postgres exporter's page.
    PostgresExporter,
    /// Redis. Not its usual 6379, which is often somebody's.
    Redis,
    /// The Redis exporter's page.
    RedisExporter,
    /// The blackbox exporter's page.
    Blackbox,
}

/// Each port with its usual number and what it is for.
const TABLE: [(Port, u16, &str); 24] = [
    (Port::OtlpGrpc, 4317, "OTLP over gRPC"),
    (Port::OtlpHttp, 4318, "OTLP over HTTP"),
    (Port::CollectorHealth, 13133, "collector, health check"),
    (Port::CollectorMetrics, 8888, "collector, metrics"),
    (
        Port::CollectorSpanMetrics,
        8889,
        "collector, metrics of spans",
    ),
    (Port::JaegerOtlpGrpc, 14317, "Jaeger, OTLP over gRPC"),
    (Port::JaegerOtlpHttp, 14318, "Jaeger, OTLP over HTTP"),
    (Port::JaegerQuery, 16686, "Jaeger, query"),
    (Port::JaegerQueryGrpc, 16685, "Jaeger, query over gRPC"),
    (Port::JaegerHealth, 13134, "Jaeger, health check"),
    (Port::JaegerMetrics, 8887, "Jaeger, metrics"),
    (Port::JaegerSampling, 5778, "Jaeger, sampling strategies"),
    (Port::Prometheus, 9090, "Prometheus"),
    (Port::Alertmanager, 9093, "Alertmanager"),
    (Port::Inbox, 9095, "alerts, over HTTP"),
    (Port::InboxMail, 9097, "alerts, over SMTP"),
    (Port::Loki, 3100, "Loki"),
    (Port::LokiGrpc, 9096, "Loki, gRPC"),
    (Port::Node, 9100, "node exporter"),
    (Port::Postgres, 15432, "PostgreSQL"),
    (Port::PostgresExporter, 9187, "PostgreSQL exporter"),
    (Port::Redis, 16379, "Redis"),
    (Port::RedisExporter, 9121, "Redis exporter"),
    (Port::Blackbox, 9115, "blackbox exporter"),
];

impl Port {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(port, ..)| *port)
    }

    /// The number that the configuration files have.
    #[must_use]
    pub fn usual(self) -> u16 {
        self.entry().0
    }

    /// What it is for, in words.
    #[must_use]
    pub fn what(self) -> &'static str {
        self.entry().1
    }

    fn entry(self) -> (u16, &'static str) {
        TABLE
            .iter()
            .find(|(port, ..)| *port == self)
            .map_or((0, ""), |(_, number, what)| (*number, what))
    }
}

/// The listening addresses of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(BTreeMap<Port, SocketAddr>);

impl Addresses {
    /// As in the configuration files.
    #[must_use]
    pub fn usual() -> Self {
        Self(
            TABLE
                .iter()
                .map(|(port, number, _)| (*port, loopback(*number)))
                .collect(),
        )
    }

    /// Ports that are free now. Another process can still take one before the server does, so a start may have to be
    /// repeated.
    ///
    /// # Errors
    /// If loopback has no free port.
    pub fn free() -> io::Result<Self> {
        let free = free_addresses(TABLE.len())?;
        Ok(Self(Port::all().zip(free).collect()))
    }

    /// The address of a port.
    #[must_use]
    pub fn of(&self, port: Port) -> SocketAddr {
        self.0
            .get(&port)
            .copied()
            .unwrap_or_else(|| loopback(port.usual()))
    }

    /// With another address for a port.
    #[must_use]
    pub fn with(mut self, port: Port, address: SocketAddr) -> Self {
        self.0.insert(port, address);
        self
    }

    /// The first of `ports` on which somebody else listens already.
    #[must_use]
    pub fn taken(&self, ports: impl IntoIterator<Item = Port>) -> Option<(SocketAddr, Port)> {
        ports
            .into_iter()
            .map(|port| (self.of(port), port))
            .find(|(address, _)| TcpListener::bind(address).is_err())
    }
}

/// A loopback address whose port is free now, for a service that is started later.
///
/// # Errors
/// If loopback has no free port.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(loopback(0))?.local_addr()
}

/// All ports are held until the last one is found: else the same could be given twice.
fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    let held: Vec<_> = (0..count)
        .map(|_| TcpListener::bind(loopback(0)))
        .collect::<io::Result<_>>()?;
    held.iter().map(TcpListener::local_addr).collect()
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn free_addresses_differ_and_are_on_loopback() {
        let addresses: HashSet<_> = free_addresses(30).unwrap().into_iter().collect();
        assert_eq!(addresses.len(), 30);
        assert!(
            addresses
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() != 0)
        );
    }

    #[test]
    fn no_usual_port_is_claimed_twice() {
        let usual: HashSet<_> = Port::all().map(Port::usual).collect();
        assert_eq!(usual.len(), TABLE.len());
    }

    #[test]
    fn every_port_is_in_the_table_of_the_readme() {
        let readme = include_str!("../README.md");
        for port in Port::all() {
            let row = format!("\n| {} | ", port.usual());
            assert!(readme.contains(&row), "{} ({})", port.usual(), port.what());
        }
    }

    #[test]
    fn a_taken_port_is_named_with_its_use() {
        let listener = TcpListener::bind(loopback(0)).unwrap();
        // Port 0 is whichever is free: one that was free may be a neighbour's by now.
        let addresses = Addresses::usual()
            .with(Port::Prometheus, loopback(0))
            .with(Port::JaegerQuery, listener.local_addr().unwrap());
        assert_eq!(
            addresses.taken([Port::Prometheus, Port::JaegerQuery]),
            Some((listener.local_addr().unwrap(), Port::JaegerQuery))
        );
        assert_eq!(addresses.taken([Port::Prometheus]), None);
        assert_eq!(Port::JaegerQuery.what(), "Jaeger, query");
    }
}
