//! Jaeger and Prometheus that run already, on their usual ports.

use stack::Port;
use stack::query::{Jaeger, Prometheus, QueryError, wait_until};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

pub(crate) const OTLP: &str = "http://127.0.0.1:4317";
pub(crate) const JAEGER: &str = "http://127.0.0.1:16686";
pub(crate) const PROMETHEUS: &str = "http://127.0.0.1:9090";

/// How long a Prometheus that has just started may list no target: it reads its list every 5 s.
const TARGETS: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(200);

/// Where the configuration files expect the service's `/metrics`.
pub(crate) fn metrics() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, Port::Service.usual()).into()
}

/// Whether they answer, Prometheus scrapes the service's usual port, and the service can have it.
///
/// # Errors
/// Which of them does not, in words.
pub(crate) fn answer() -> Result<(), String> {
    listens()?;
    Jaeger::new(JAEGER).services().map_err(|_| "no Jaeger answers on port 16686".to_owned())?;
    let prometheus = Prometheus::new(PROMETHEUS);
    let targets = prometheus.targets_listed();
    if targets.map_err(|_| "no Prometheus answers on port 9090".to_owned())? == 0 {
        let listed = || Ok::<_, QueryError>((prometheus.targets_listed()? > 0).then_some(()));
        // In vain or not: the next question says it.
        let _ = wait_until(TARGETS, POLL, "the targets of Prometheus", listed);
    }
    let known = prometheus.knows_target("ironcore", &metrics().to_string());
    if !known.map_err(|error| error.to_string())? {
        return Err(format!("the Prometheus on port 9090 does not scrape {}", metrics()));
    }
    metrics_port_is_free()
}

/// Whether something listens on the ports that are used.
///
/// # Errors
/// In words, with the first on which nothing does.
pub(crate) fn listens() -> Result<(), String> {
    for (port, what) in [(Port::OtlpGrpc, "OTLP"), (Port::JaegerQuery, "Jaeger"), (Port::Prometheus, "Prometheus")] {
        let port = port.usual();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpStream::connect_timeout(&address, Duration::from_millis(500))
            .map_err(|_| format!("nothing listens on the {what} port {port}"))?;
    }
    Ok(())
}

/// Whether the service can have the port that is scraped.
///
/// # Errors
/// In words.
pub(crate) fn metrics_port_is_free() -> Result<(), String> {
    TcpListener::bind(metrics())
        .map(drop)
        .map_err(|_| "port 9464, on which the service is scraped, is taken".to_owned())
}
