//! Jaeger and Prometheus that already run, on their usual ports.

use anyhow::{Context as _, ensure};
use stack::query::{Jaeger, Prometheus, wait_until};
use stack::{Error, Port, Result};
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

/// An error unless both answer, Prometheus scrapes the service's usual port, and that port is free.
pub(crate) fn check_servers() -> Result<()> {
    check_ports()?;
    Jaeger::new(JAEGER).services().context("no Jaeger answers on port 16686")?;
    let prometheus = Prometheus::new(PROMETHEUS);
    let targets = prometheus.targets_listed();
    if targets.context("no Prometheus answers on port 9090")? == 0 {
        let listed = || Ok::<_, Error>((prometheus.targets_listed()? > 0).then_some(()));
        // After a timeout, the next query reports the missing target.
        let _ = wait_until(TARGETS, POLL, "the targets of Prometheus", listed);
    }
    let known = prometheus.knows_target("ironcore", &metrics().to_string());
    ensure!(known?, "the Prometheus on port 9090 does not scrape {}", metrics());
    check_metrics_port()
}

/// An error unless a program listens on each of the usual ports.
pub(crate) fn check_ports() -> Result<()> {
    for (port, what) in [(Port::OtlpGrpc, "OTLP"), (Port::JaegerQuery, "Jaeger"), (Port::Prometheus, "Prometheus")] {
        let port = port.usual();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpStream::connect_timeout(&address, Duration::from_millis(500))
            .with_context(|| format!("nothing listens on the {what} port {port}"))?;
    }
    Ok(())
}

/// An error unless the port that is scraped is free for the service.
pub(crate) fn check_metrics_port() -> Result<()> {
    TcpListener::bind(metrics()).map(drop).context("port 9464, on which the service is scraped, is taken")
}
