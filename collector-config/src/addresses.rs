//! Where the servers listen: loopback, on the usual ports or on free ones.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which ports the servers listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The usual ones (OTLP 4317 and 4318, Jaeger 16686, Prometheus 9090, …), as in the configuration files.
    Usual,
    /// Free ones, so that any number of stacks can run side by side.
    Free,
}

/// What a listening port is for, in the order of the table in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Port {
    /// OTLP over gRPC, where services send: the collector's, or Jaeger's if there is no collector.
    OtlpGrpc,
    /// OTLP over HTTP, where services send.
    OtlpHttp,
    /// The collector's health check.
    CollectorHealth,
    /// The collector's own metrics.
    CollectorMetrics,
    /// The metrics that the collector derives from spans.
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
    /// The inbox for alerts over HTTP: `cargo stack alerts`.
    Inbox,
    /// The inbox for alerts over SMTP: `cargo stack alerts`.
    InboxMail,
    /// `VictoriaLogs`' page and API.
    VictoriaLogs,
    /// vmalert's page and API.
    Vmalert,
    /// Loki's API.
    Loki,
    /// Loki's API over gRPC.
    LokiGrpc,
    /// The node exporter's page.
    Node,
    /// Postgres. Not 5432, which is often taken by another Postgres.
    Postgres,
    /// The Postgres exporter's page.
    PostgresExporter,
    /// Redis. Not 6379, which is often taken by another Redis.
    Redis,
    /// The Redis exporter's page.
    RedisExporter,
    /// The blackbox exporter's page.
    Blackbox,
    /// The service's `/metrics`. The service listens there, not the stack.
    Service,
}

impl Port {
    /// All ports.
    pub const ALL: [Self; 27] = [
        Self::OtlpGrpc,
        Self::OtlpHttp,
        Self::CollectorHealth,
        Self::CollectorMetrics,
        Self::CollectorSpanMetrics,
        Self::JaegerOtlpGrpc,
        Self::JaegerOtlpHttp,
        Self::JaegerQuery,
        Self::JaegerQueryGrpc,
        Self::JaegerHealth,
        Self::JaegerMetrics,
        Self::JaegerSampling,
        Self::Prometheus,
        Self::Alertmanager,
        Self::Inbox,
        Self::InboxMail,
        Self::VictoriaLogs,
        Self::Vmalert,
        Self::Loki,
        Self::LokiGrpc,
        Self::Node,
        Self::Postgres,
        Self::PostgresExporter,
        Self::Redis,
        Self::RedisExporter,
        Self::Blackbox,
        Self::Service,
    ];

    /// The number in the configuration files.
    #[must_use]
    pub fn usual(self) -> u16 {
        self.entry().0
    }

    /// What the port is for, for messages.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        self.entry().1
    }

    fn entry(self) -> (u16, &'static str) {
        match self {
            Self::OtlpGrpc => (4317, "OTLP over gRPC"),
            Self::OtlpHttp => (4318, "OTLP over HTTP"),
            Self::CollectorHealth => (13133, "collector, health check"),
            Self::CollectorMetrics => (8888, "collector, metrics"),
            Self::CollectorSpanMetrics => (8889, "collector, metrics of spans"),
            Self::JaegerOtlpGrpc => (14317, "Jaeger, OTLP over gRPC"),
            Self::JaegerOtlpHttp => (14318, "Jaeger, OTLP over HTTP"),
            Self::JaegerQuery => (16686, "Jaeger, query"),
            Self::JaegerQueryGrpc => (16685, "Jaeger, query over gRPC"),
            Self::JaegerHealth => (13134, "Jaeger, health check"),
            Self::JaegerMetrics => (8887, "Jaeger, metrics"),
            Self::JaegerSampling => (5778, "Jaeger, sampling strategies"),
            Self::Prometheus => (9090, "Prometheus"),
            Self::Alertmanager => (9093, "Alertmanager"),
            Self::Inbox => (9095, "alerts, over HTTP"),
            Self::InboxMail => (9097, "alerts, over SMTP"),
            Self::VictoriaLogs => (9428, "VictoriaLogs"),
            Self::Vmalert => (8880, "vmalert"),
            Self::Loki => (3100, "Loki"),
            Self::LokiGrpc => (9096, "Loki, gRPC"),
            Self::Node => (9100, "node exporter"),
            Self::Postgres => (15432, "PostgreSQL"),
            Self::PostgresExporter => (9187, "PostgreSQL exporter"),
            Self::Redis => (16379, "Redis"),
            Self::RedisExporter => (9121, "Redis exporter"),
            Self::Blackbox => (9115, "blackbox exporter"),
            Self::Service => (9464, "the service, metrics"),
        }
    }
}

/// The listening addresses of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(BTreeMap<Port, SocketAddr>);

impl Addresses {
    /// The ports of the configuration files.
    #[must_use]
    pub fn usual() -> Self {
        Self(Port::ALL.into_iter().map(|port| (port, loopback(port.usual()))).collect())
    }

    /// Ports that are free now. Another process can still take one before the server binds it, so a start may have to
    /// be repeated.
    ///
    /// # Errors
    /// If loopback has no free port.
    pub fn free() -> io::Result<Self> {
        let free = free_addresses(Port::ALL.len())?;
        Ok(Self(Port::ALL.into_iter().zip(free).collect()))
    }

    /// The address that a server listens on.
    #[must_use]
    pub fn address(&self, port: Port) -> SocketAddr {
        self.0.get(&port).copied().unwrap_or_else(|| loopback(port.usual()))
    }

    /// Replaces the address of a port.
    #[must_use]
    pub fn with(mut self, port: Port, address: SocketAddr) -> Self {
        self.0.insert(port, address);
        self
    }

    /// The first of `ports` that another program listens on.
    #[must_use]
    pub fn taken(&self, ports: impl IntoIterator<Item = Port>) -> Option<(SocketAddr, Port)> {
        ports
            .into_iter()
            .map(|port| (self.address(port), port))
            .find(|(address, _)| TcpListener::bind(address).is_err())
    }
}

/// A loopback address whose port is free now, for a service that is started later.
///
/// # Errors
/// If loopback has no free port.
pub fn free_address() -> io::Result<SocketAddr> {
    bind_free()?.local_addr()
}

/// All listeners are held until the last port is found; otherwise the same port could be returned twice.
fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    let held: Vec<_> = (0..count).map(|_| bind_free()).collect::<io::Result<_>>()?;
    held.iter().map(TcpListener::local_addr).collect()
}

/// Below the range that Linux uses for outgoing connections (from 32768 on), so that no connection takes the port
/// before its server binds it.
const FREE: std::ops::Range<u16> = 16_500..32_500;

/// Each process starts at a different port and goes through the range with a stride that visits every port.
fn bind_free() -> io::Result<TcpListener> {
    const STRIDE: usize = 7_919;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = std::process::id() as usize * 97;
    for _ in FREE {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (first + step * STRIDE) % FREE.len();
        let port = FREE.start + u16::try_from(offset).unwrap_or_default();
        if let Ok(listener) = TcpListener::bind(loopback(port)) {
            return Ok(listener);
        }
    }
    Err(io::ErrorKind::AddrNotAvailable.into())
}

/// Such as `http://127.0.0.1:9090`.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn free_addresses_differ_and_are_on_loopback() {
        let addresses: HashSet<_> = free_addresses(30).unwrap().into_iter().collect();
        assert_eq!(addresses.len(), 30);
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() != 0));
    }

    #[test]
    fn usual_ports_are_distinct() {
        let usual: HashSet<_> = Port::ALL.map(Port::usual).into();
        assert_eq!(usual.len(), Port::ALL.len());
    }

    #[test]
    fn every_port_is_in_the_table_of_the_readme() {
        let readme = include_str!("../README.md");
        for port in Port::ALL {
            let row = format!("\n| {} | ", port.usual());
            assert!(readme.contains(&row), "{} ({})", port.usual(), port.purpose());
        }
    }

    #[test]
    fn a_taken_port_is_reported_with_its_purpose() {
        let listener = TcpListener::bind(loopback(0)).unwrap();
        // Port 0 can always be bound; a port that was free a moment ago may be taken by now.
        let addresses = Addresses::usual()
            .with(Port::Prometheus, loopback(0))
            .with(Port::JaegerQuery, listener.local_addr().unwrap());
        assert_eq!(
            addresses.taken([Port::Prometheus, Port::JaegerQuery]),
            Some((listener.local_addr().unwrap(), Port::JaegerQuery))
        );
        assert_eq!(addresses.taken([Port::Prometheus]), None);
        assert_eq!(Port::JaegerQuery.purpose(), "Jaeger, query");
    }
}
