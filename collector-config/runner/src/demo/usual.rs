//! Jaeger and Prometheus that already run, on their usual ports.

use stack::query::{Jaeger, Prometheus, QueryError, wait_until};
use stack::{Port, error_chain};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

pub(crate) const OTLP: &str = "http://127.0.0.1:4317";
pub(crate) const JAEGER: &str = "http://127.0.0.1:16686";
pub(crate) const PROMETHEUS: &str = "http://127.0.0.1:9090";

/// How long a Prometheus that has just started may list no target: it reloads its targets every 5 s.
const TARGETS: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(200);

/// Where the configuration files expect the service's `/metrics`.
pub(crate) fn metrics() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, Port::Service.usual()).into()
}

/// Whether both answer, Prometheus scrapes the service's usual port, and that port is free.
///
/// # Errors
/// The condition that is not met.
pub(crate) fn check_servers() -> Result<(), String> {
    check_ports()?;
    Jaeger::new(JAEGER).services().map_err(|_| "no Jaeger answers on port 16686".to_owned())?;
    let prometheus = Prometheus::new(PROMETHEUS);
    let targets = prometheus.targets_listed();
    if targets.map_err(|_| "no Prometheus answers on port 9090".to_owned())? == 0 {
        let listed = || Ok::<_, QueryError>((prometheus.targets_listed()? > 0).then_some(()));
        // After a timeout, the next query reports the missing target.
        let _ = wait_until(TARGETS, POLL, "the targets of Prometheus", listed);
    }
    let known = prometheus.knows_target("ironcore", &metrics().to_string());
    if !known.map_err(|error| error_chain(&error))? {
        return Err(format!("the Prometheus on port 9090 does not scrape {}", metrics()));
    }
    check_metrics_port()
}

/// Whether a program listens on each of the usual ports.
///
/// # Errors
/// The first port that nothing listens on.
pub(crate) fn check_ports() -> Result<(), String> {
    for (port, what) in [(Port::OtlpGrpc, "OTLP"), (Port::JaegerQuery, "Jaeger"), (Port::Prometheus, "Prometheus")] {
        let port = port.usual();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpStream::connect_timeout(&address, Duration::from_millis(500))
            .map_err(|_| format!("nothing listens on the {what} port {port}"))?;
    }
    Ok(())
}

/// Whether the port that is scraped is free for the service.
///
/// # Errors
/// If it is taken.
pub(crate) fn check_metrics_port() -> Result<(), String> {
    TcpListener::bind(metrics())
        .map(drop)
        .map_err(|_| "port 9464, on which the service is scraped, is taken".to_owned())
}
