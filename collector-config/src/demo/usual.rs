//! Jaeger and Prometheus that run already, on their usual ports.

use stack::query::{Jaeger, Prometheus};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const OTLP: &str = "http://127.0.0.1:4317";
pub(crate) const JAEGER: &str = "http://127.0.0.1:16686";
pub(crate) const PROMETHEUS: &str = "http://127.0.0.1:9090";

/// Whether they answer and Prometheus scrapes the service's usual port.
///
/// # Errors
/// Which of them does not, in words.
pub(crate) fn answer() -> Result<(), String> {
    let otlp = SocketAddr::from(([127, 0, 0, 1], 4317));
    std::net::TcpStream::connect_timeout(&otlp, Duration::from_millis(500))
        .map_err(|_| "nothing listens on the OTLP port 4317".to_owned())?;
    Jaeger::new(JAEGER)
        .services()
        .map_err(|_| "no Jaeger answers on port 16686".to_owned())?;
    let known = Prometheus::new(PROMETHEUS).knows_target("ironcore", "127.0.0.1:9464");
    match known {
        Ok(true) => Ok(()),
        Ok(false) => Err("the Prometheus on port 9090 does not scrape 127.0.0.1:9464".to_owned()),
        Err(_) => Err("no Prometheus answers on port 9090".to_owned()),
    }
}
