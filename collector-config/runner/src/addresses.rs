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

/// Declares the ports: their names, their numbers in the configuration files, and what they are for.
macro_rules! ports {
    ($($name:ident = $usual:literal, $purpose:literal;)*) => {
        /// What a listening port is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Port {
            $(#[doc = $purpose] $name,)*
        }

        impl Port {
            /// All ports.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number in the configuration files.
            pub fn usual(self) -> u16 {
                match self {
                    $(Self::$name => $usual,)*
                }
            }

            /// What the port is for, for messages.
            pub fn purpose(self) -> &'static str {
                match self {
                    $(Self::$name => $purpose,)*
                }
            }
        }
    };
}

// OTLP is the collector's, or Jaeger's if there is no collector. Postgres and Redis do not use their usual ports, which
// are often taken. The last one is the service's own: the stack only scrapes it.
ports! {
    OtlpGrpc = 4317, "OTLP over gRPC";
    OtlpHttp = 4318, "OTLP over HTTP";
    CollectorHealth = 13133, "collector, health check";
    CollectorMetrics = 8888, "collector, metrics";
    CollectorSpanMetrics = 8889, "collector, metrics of spans";
    JaegerOtlpGrpc = 14317, "Jaeger behind the collector, OTLP over gRPC";
    JaegerOtlpHttp = 14318, "Jaeger behind the collector, OTLP over HTTP";
    JaegerQuery = 16686, "Jaeger, query";
    JaegerQueryGrpc = 16685, "Jaeger, query over gRPC";
    JaegerHealth = 13134, "Jaeger, health check";
    JaegerMetrics = 8887, "Jaeger, metrics";
    JaegerSampling = 5778, "Jaeger, sampling strategies";
    Prometheus = 9090, "Prometheus";
    Alertmanager = 9093, "Alertmanager";
    VictoriaLogs = 9428, "VictoriaLogs";
    Vmalert = 8880, "vmalert";
    Loki = 3100, "Loki";
    LokiGrpc = 9096, "Loki, gRPC";
    Node = 9100, "node exporter";
    Postgres = 15432, "PostgreSQL";
    PostgresExporter = 9187, "PostgreSQL exporter";
    Redis = 16379, "Redis";
    RedisExporter = 9121, "Redis exporter";
    Blackbox = 9115, "blackbox exporter";
    Service = 9464, "the service, metrics";
}

/// The listening addresses of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(BTreeMap<Port, SocketAddr>);

impl Addresses {
    /// The ports of the configuration files.
    pub fn usual() -> Self {
        Self(Port::ALL.iter().map(|port| (*port, loopback(port.usual()))).collect())
    }

    /// Ports that are free now. Another process can still take one before the server binds it, so a start may have to
    /// be repeated.
    pub fn free() -> io::Result<Self> {
        let free = free_addresses(Port::ALL.len())?;
        Ok(Self(Port::ALL.iter().copied().zip(free).collect()))
    }

    /// The address that a server listens on.
    pub fn address(&self, port: Port) -> SocketAddr {
        self.0.get(&port).copied().unwrap_or_else(|| loopback(port.usual()))
    }

    /// Replaces the address of a port.
    pub fn with(mut self, port: Port, address: SocketAddr) -> Self {
        self.0.insert(port, address);
        self
    }

    /// The first of `ports` that another program listens on.
    pub fn taken(&self, ports: impl IntoIterator<Item = Port>) -> Option<(SocketAddr, Port)> {
        ports
            .into_iter()
            .map(|port| (self.address(port), port))
            .find(|(address, _)| TcpListener::bind(address).is_err())
    }
}

/// A loopback address whose port is free now, for a service that is started later.
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
        let usual: HashSet<_> = Port::ALL.iter().map(|port| port.usual()).collect();
        assert_eq!(usual.len(), Port::ALL.len());
    }

    #[test]
    fn every_port_is_in_the_table_of_the_readme() {
        let readme = include_str!("../../README.md");
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
