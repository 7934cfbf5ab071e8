//! The listener of the `/metrics` page. It serves nothing else, and limits the connections, time and memory of its
//! clients.

use super::response::{plain_text, respond};
use crate::error::InitError;
use crate::names;
use crate::series::{self, Gauge};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Connections served at the same time; more wait in the backlog.
const CONNECTIONS: usize = 16;
/// The time limit for a client to send the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// The longest life of a connection, so that no client can occupy a place indefinitely.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);
/// The size limit of a request's head in bytes.
const HEAD_BYTES: usize = 8 * 1024;

/// The first wait before a port that was taken is tried again; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait before a port that was taken is tried again.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The listener, whose port may still be taken by another process.
pub(crate) struct Listener {
    address: SocketAddr,
    open: OnceLock<TcpListener>,
    /// Why the first attempt failed.
    failure: Option<std::io::Error>,
    /// 1 while the port cannot be bound.
    degraded: Gauge,
}

impl Listener {
    /// Opens the port, before anything global is set. Where that fails it is [announced](Self::announce) and tried
    /// again.
    ///
    /// # Errors
    /// In strict mode: the address cannot be bound.
    pub(crate) fn open(address: SocketAddr, strict: bool) -> Result<Arc<Self>, InitError> {
        let degraded = series::gauge(&names::TELEMETRY_DEGRADED, &[names::METRICS_LISTENER]);
        let (open, failure) = match bind(address) {
            Ok(listener) => (OnceLock::from(listener), None),
            Err(source) if strict => {
                return Err(InitError::MetricsListener { address: address.to_string(), source });
            }
            Err(source) => (OnceLock::new(), Some(source)),
        };
        Ok(Arc::new(Self { address, open, failure, degraded }))
    }

    /// Says that the port could not be opened, once telemetry is started.
    pub(crate) fn announce(&self) {
        if let Some(error) = &self.failure {
            self.degraded.add(1);
            tracing::error!(
                target: "ironcore_telemetry",
                address = %self.address,
                error = %error,
                "/metrics is not served: the address cannot be bound, most likely because another process has the port; \
                 it is tried again. Set OTEL_EXPORTER_PROMETHEUS_PORT to a port of this service (0 takes a free one)"
            );
        }
    }

    /// Serves the page, as soon as the port can be opened; does not return while the listener works.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut wait = FIRST_RETRY;
        while self.open.get().is_none() {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_RETRY);
            self.try_again();
        }
        if let Some(listener) = self.open.get() {
            serve(listener).await;
        }
    }

    fn try_again(&self) {
        if let Ok(listener) = bind(self.address)
            && self.open.set(listener).is_ok()
        {
            self.degraded.add(-1);
            tracing::info!(target: "ironcore_telemetry", address = %self.address, "/metrics is served now");
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve(listener: &TcpListener) {
    let Ok(listener) = listener.try_clone().and_then(tokio::net::TcpListener::from_std) else {
        return;
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of file descriptors; wait until some are closed.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CONNECTION_LIMIT, connection(stream)).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    // Fails when the client breaks the protocol or goes away: neither matters here.
    let _ = served.await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => respond(request.headers()).await,
        (_, "/metrics") => {
            let mut response = plain_text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => plain_text(StatusCode::NOT_FOUND, "only /metrics is here\n"),
    };
    Ok(response.map(|body| Full::new(Bytes::from(body))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn response(address: SocketAddr, request: &str) -> String {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    #[tokio::test]
    async fn only_the_page_is_served_and_only_to_readers() {
        let listener = Listener::open(SocketAddr::from(([127, 0, 0, 1], 0)), true).unwrap();
        let address = listener.open.get().unwrap().local_addr().unwrap();
        tokio::spawn(listener.run());
        for (request, status, headers) in [
            (
                "GET /metrics",
                "200 OK",
                ["content-type: text/plain; version=0.0.4; charset=utf-8", "vary: accept, accept-encoding"],
            ),
            (
                "HEAD /metrics",
                "200 OK",
                ["content-type: text/plain; version=0.0.4; charset=utf-8", "vary: accept, accept-encoding"],
            ),
            (
                "POST /metrics",
                "405 Method Not Allowed",
                ["content-type: text/plain; charset=utf-8", "allow: GET, HEAD"],
            ),
            ("GET /", "404 Not Found", ["content-type: text/plain; charset=utf-8", "vary: accept, accept-encoding"]),
        ] {
            let response = tokio::task::spawn_blocking(move || response(address, request)).await.unwrap();
            assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {response}");
            for header in headers {
                assert!(response.contains(&format!("\r\n{header}\r\n")), "{request}: {response}");
            }
        }
    }
}
