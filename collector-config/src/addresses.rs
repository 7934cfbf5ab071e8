//! Where the servers listen: loopback, on the usual ports or on free ones.

use std::{
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

/// The listening addresses of all servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Jaeger: OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// Jaeger: OTLP over HTTP.
    pub otlp_http: SocketAddr,
    /// Jaeger: query API and page.
    pub jaeger_http: SocketAddr,
    /// Jaeger: query API over gRPC.
    pub jaeger_grpc: SocketAddr,
    /// Jaeger: health check.
    pub jaeger_health: SocketAddr,
    /// Jaeger: its own metrics.
    pub jaeger_metrics: SocketAddr,
    /// Prometheus: API and page.
    pub prometheus: SocketAddr,
}

impl Addresses {
    /// The defaults of the configuration files.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            otlp_grpc: loopback(4317),
            otlp_http: loopback(4318),
            jaeger_http: loopback(16686),
            jaeger_grpc: loopback(16685),
            jaeger_health: loopback(13133),
            jaeger_metrics: loopback(8888),
            prometheus: loopback(9090),
        }
    }

    /// Ports that are free now. Another process can still take one before the server does, so a start may have to be
    /// repeated.
    ///
    /// # Errors
    /// If loopback has no free port.
    pub fn free() -> io::Result<Self> {
        let [
            otlp_grpc,
            otlp_http,
            jaeger_http,
            jaeger_grpc,
            jaeger_health,
            jaeger_metrics,
            prometheus,
        ] = free_addresses()?;
        Ok(Self {
            otlp_grpc,
            otlp_http,
            jaeger_http,
            jaeger_grpc,
            jaeger_health,
            jaeger_metrics,
            prometheus,
        })
    }

    /// The first address on which somebody else listens already, and what it is for.
    #[must_use]
    pub fn taken(&self) -> Option<(SocketAddr, &'static str)> {
        let Self {
            otlp_grpc,
            otlp_http,
            jaeger_http,
            jaeger_grpc,
            jaeger_health,
            jaeger_metrics,
            prometheus,
        } = *self;
        [
            (otlp_grpc, "Jaeger, OTLP over gRPC"),
            (otlp_http, "Jaeger, OTLP over HTTP"),
            (jaeger_http, "Jaeger, query"),
            (jaeger_grpc, "Jaeger, query over gRPC"),
            (jaeger_health, "Jaeger, health check"),
            (jaeger_metrics, "Jaeger, metrics"),
            (prometheus, "Prometheus"),
        ]
        .into_iter()
        .find(|(address, _)| TcpListener::bind(address).is_err())
    }
}

/// A loopback address whose port is free now, for a service that is started later.
///
/// # Errors
/// If loopback has no free port.
pub fn free_address() -> io::Result<SocketAddr> {
    free_addresses::<1>().map(|[address]| address)
}

/// All ports are held until the last one is found: else the same could be given twice.
fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut addresses = [loopback(0); N];
    let mut held = Vec::with_capacity(N);
    for address in &mut addresses {
        let listener = TcpListener::bind(loopback(0))?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
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
        let addresses: HashSet<_> = free_addresses::<20>().unwrap().into();
        assert_eq!(addresses.len(), 20);
        assert!(
            addresses
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() != 0)
        );
    }

    #[test]
    fn a_taken_port_is_named_with_its_use() {
        let listener = TcpListener::bind(loopback(0)).unwrap();
        // Whichever port is free: one that was free may be a neighbour's by now.
        let free = loopback(0);
        let addresses = Addresses {
            otlp_grpc: free,
            otlp_http: free,
            jaeger_http: listener.local_addr().unwrap(),
            jaeger_grpc: free,
            jaeger_health: free,
            jaeger_metrics: free,
            prometheus: free,
        };
        assert_eq!(
            addresses.taken(),
            Some((addresses.jaeger_http, "Jaeger, query"))
        );
    }
}
