//! The listener of the `/metrics` page. It serves nothing else, and limits the connections, time and memory of its
//! clients.

use super::response::{plain_text, renderings, respond};
use crate::error::InitError;
use crate::names;
use crate::series::{self, Gauge};
use crate::worker;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// Connections served at the same time. One more takes the place of the oldest that is not being answered.
const CONNECTIONS: usize = 128;
/// How many of them one address may have that is not of this host.
const OF_ONE_PEER: usize = 16;
/// The time limit for a client to send the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// The longest life of a connection, so that no client can occupy a place indefinitely.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);
/// The size limit of a request's head in bytes.
const HEAD_BYTES: usize = 8 * 1024;

/// Its pages are not held up by those that the application serves itself.
static RENDERINGS: Semaphore = renderings();

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
            let address = self.address;
            worker::log(move || {
                tracing::info!(target: "ironcore_telemetry", %address, "/metrics is served now");
            });
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
    let mut connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => connections.serve(stream, peer.ip()),
            // Most likely out of file descriptors; wait until some are closed.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The open connections, the oldest first.
#[derive(Default)]
struct Connections(Vec<Connection>);

struct Connection {
    peer: IpAddr,
    /// Whether its page is being gathered.
    is_answered: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Connections {
    /// Serves a connection. It is closed if its peer, or all together, have too many that are being answered.
    fn serve(&mut self, stream: TcpStream, peer: IpAddr) {
        if self.make_room(peer) {
            let is_answered = Arc::new(AtomicBool::new(false));
            let served = tokio::time::timeout(CONNECTION_LIMIT, connection(stream, Arc::clone(&is_answered)));
            let task = tokio::spawn(served).abort_handle();
            self.0.push(Connection { peer, is_answered, task });
        }
    }

    /// Makes room for a connection of this peer: where it or all together have too many, the oldest is closed that only
    /// waits for its client. Returns whether there is room.
    fn make_room(&mut self, peer: IpAddr) -> bool {
        self.0.retain(|connection| !connection.task.is_finished());
        let of_peer = self.0.iter().filter(|connection| connection.peer == peer).count();
        let is_greedy = of_peer >= OF_ONE_PEER && !peer.to_canonical().is_loopback();
        if !is_greedy && self.0.len() < CONNECTIONS {
            return true;
        }
        let gives_way = |connection: &Connection| {
            (!is_greedy || connection.peer == peer) && !connection.is_answered.load(Ordering::Relaxed)
        };
        let oldest = self.0.iter().position(gives_way).map(|index| self.0.remove(index));
        oldest.map(|connection| connection.task.abort()).is_some()
    }
}

async fn connection(stream: TcpStream, is_answered: Arc<AtomicBool>) {
    let is_answered = &*is_answered;
    let answer = |request| async move {
        is_answered.store(true, Ordering::Relaxed);
        let response = answer(request).await;
        is_answered.store(false, Ordering::Relaxed);
        response
    };
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
        (&Method::GET | &Method::HEAD, "/metrics") => respond(request.headers(), &RENDERINGS).await,
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
    use std::net::Ipv4Addr;
    use tokio::task::JoinHandle;

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

    /// A connection of this peer that never ends.
    fn open(connections: &mut Connections, peer: IpAddr, is_answered: bool) -> JoinHandle<()> {
        let task = tokio::spawn(std::future::pending());
        let is_answered = Arc::new(AtomicBool::new(is_answered));
        connections.0.push(Connection { peer, is_answered, task: task.abort_handle() });
        task
    }

    #[tokio::test]
    async fn one_more_connection_takes_the_place_of_the_oldest_that_waits_for_its_client() {
        let (local, mut connections) = (IpAddr::from(Ipv4Addr::LOCALHOST), Connections::default());
        let answered = open(&mut connections, local, true);
        let oldest = open(&mut connections, local, false);
        let others: Vec<_> = (2..CONNECTIONS).map(|_| open(&mut connections, local, false)).collect();
        assert!(connections.make_room(local));
        assert!(oldest.await.unwrap_err().is_cancelled());
        assert!(!answered.is_finished() && others.iter().all(|task| !task.is_finished()));
        assert_eq!(connections.0.len(), CONNECTIONS - 1);
    }

    #[tokio::test]
    async fn a_peer_with_many_connections_closes_its_own_and_no_one_else_s() {
        let [local, greedy, other] = [1, 2, 3].map(|last| IpAddr::from([if last == 1 { 127 } else { 10 }, 0, 0, last]));
        let mut connections = Connections::default();
        let of_local: Vec<_> = (0..OF_ONE_PEER).map(|_| open(&mut connections, local, false)).collect();
        let first = open(&mut connections, greedy, false);
        let of_greedy: Vec<_> = (1..OF_ONE_PEER).map(|_| open(&mut connections, greedy, false)).collect();
        assert!(connections.make_room(local) && connections.make_room(other) && !first.is_finished());
        assert!(connections.make_room(greedy));
        assert!(first.await.unwrap_err().is_cancelled());
        assert!(of_local.iter().chain(&of_greedy).all(|task| !task.is_finished()));
    }

    #[tokio::test]
    async fn where_all_are_being_answered_one_more_is_refused_until_one_ends() {
        let (local, mut connections) = (IpAddr::from(Ipv4Addr::LOCALHOST), Connections::default());
        let tasks: Vec<_> = (0..CONNECTIONS).map(|_| open(&mut connections, local, true)).collect();
        assert!(!connections.make_room(local));
        tasks[0].abort();
        while !tasks[0].is_finished() {
            tokio::task::yield_now().await;
        }
        assert!(connections.make_room(local));
    }

    #[tokio::test]
    async fn clients_that_send_nothing_hold_up_no_scrape() {
        let listener = Listener::open(SocketAddr::from(([127, 0, 0, 1], 0)), true).unwrap();
        let address = listener.open.get().unwrap().local_addr().unwrap();
        tokio::spawn(listener.run());
        let answers = tokio::task::spawn_blocking(move || {
            let idle: Vec<_> = (0..3 * CONNECTIONS).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
            let answers: Vec<_> = (0..3).map(|_| response(address, "GET /metrics")).collect();
            drop(idle);
            answers
        });
        assert!(answers.await.unwrap().iter().all(|answer| answer.starts_with("HTTP/1.1 200 OK\r\n")));
    }
}
