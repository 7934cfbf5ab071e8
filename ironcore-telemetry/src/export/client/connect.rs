//! Opens the connections of a client.

use super::Protocol;
use super::endpoint::{Endpoint, Place};
use super::lookup::Lookup;
#[cfg(feature = "tls")]
use super::tls::Tls;
use super::transport::{Stream, Transport};
use crate::config::Otlp;
use crate::export::answer::{Cause, Failure};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a connection may take to be open, the look-up and the handshake of TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long an address is tried before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long what was sent may stay without an acknowledgement of the other side's system.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);

/// When a connection without traffic is probed, and how often from then on. The probes are those of TCP: a gRPC server
/// takes pings of HTTP/2 between requests for an attack, and logs an error.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Opens connections to one endpoint.
pub(super) struct Connector {
    place: Place,
    lookup: Option<Lookup>,
    protocol: Protocol,
    limit: Duration,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Connector {
    /// # Errors
    /// The host cannot be one of TLS, or TLS is not compiled in.
    pub(super) fn new(endpoint: &Endpoint, otlp: &Otlp) -> Result<Self, String> {
        let lookup = match &endpoint.place {
            Place::Tcp { host, port } => Some(Lookup::new(host, *port)),
            #[cfg(unix)]
            Place::Unix(_) => None,
        };
        #[cfg(not(feature = "tls"))]
        if endpoint.is_tls {
            return Err("https needs the cargo feature `tls` of ironcore-telemetry".to_owned());
        }
        Ok(Self {
            place: endpoint.place.clone(),
            lookup,
            protocol: otlp.protocol,
            limit: otlp.timeout.min(CONNECT_LIMIT),
            #[cfg(feature = "tls")]
            tls: endpoint.is_tls.then(|| Tls::new(&endpoint.place, otlp)).transpose()?,
        })
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// A new connection.
    ///
    /// # Errors
    /// Why there is none, within the time limit.
    pub(super) async fn connect(&self) -> Result<Transport, Failure> {
        let opened = timeout(self.limit, self.open()).await;
        let opened = opened.unwrap_or_else(|_| Err(format!("it takes longer than {:?}", self.limit)));
        opened.map_err(|why| Failure::new(Cause::Unreachable, format!("no connection to {}: {why}", self.place)))
    }

    async fn open(&self) -> Result<Transport, String> {
        match (&self.place, &self.lookup) {
            (Place::Tcp { .. }, Some(lookup)) => {
                // When the look-up hangs, the addresses of the last one get the other half of the time.
                let addresses = lookup.addresses(self.limit / 2).await?;
                let stream = first_of(addresses).await.map_err(|error| error.to_string())?;
                self.secured(stream).await
            }
            #[cfg(unix)]
            (Place::Unix(path), _) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(|error| error.to_string())?;
                Ok(self.plain(stream))
            }
            (Place::Tcp { .. }, None) => Err("it is not looked up".to_owned()),
        }
    }

    #[cfg(feature = "tls")]
    async fn secured(&self, stream: TcpStream) -> Result<Transport, String> {
        match &self.tls {
            Some(tls) => tls.handshake(stream, self.protocol).await,
            None => Ok(self.plain(stream)),
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "has a handshake with the feature")]
    async fn secured(&self, stream: TcpStream) -> Result<Transport, String> {
        Ok(self.plain(stream))
    }

    fn plain(&self, stream: impl Stream + 'static) -> Transport {
        Transport::new(stream, self.protocol, |_| None)
    }
}

/// A connection to the first address that takes one. Each has a head start before the next; one that fails at once does
/// not wait for it.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut rest = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::other("there is no address");
    loop {
        let more = rest.next().map(|address| attempts.spawn(connect_to(address))).is_some();
        let ended = if more && rest.len() > 0 {
            let Ok(ended) = timeout(HEAD_START, attempts.join_next()).await else {
                continue;
            };
            ended
        } else {
            attempts.join_next().await
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => failure = error,
            Some(Err(error)) => failure = io::Error::other(error),
            None if !more => return Err(failure),
            None => {}
        }
    }
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{error} ({address})"));
    let stream = TcpStream::connect(address).await.map_err(named)?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    // Without these a connection is just found silent later, by the time limit of a request.
    let keep_alive = socket2::TcpKeepalive::new().with_time(PROBE_AFTER);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let keep_alive = keep_alive.with_interval(PROBE_EVERY);
    let _ = socket.set_tcp_keepalive(&keep_alive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(SILENCE_LIMIT));
    Ok(stream)
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
            #[cfg(unix)]
            Self::Unix(path) => write!(formatter, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::net::TcpListener;

    /// An address that never answers: a listener whose queue of connections is full.
    async fn silent() -> (Vec<TcpStream>, tokio::net::TcpSocket, SocketAddr) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket2::SockRef::from(&socket);
        listener.listen(0).unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            held.push(stream);
            assert!(held.len() < 64, "the queue does not fill");
        }
        (held, socket, address)
    }

    #[tokio::test]
    async fn a_dead_first_address_costs_a_head_start_and_a_refused_one_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let refused = {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let (_held, _socket, dead) = silent().await;
        let begin = Instant::now();
        let stream = first_of(vec![dead, refused, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(begin.elapsed() < Duration::from_secs(20), "only bounds the wait");
    }

    #[tokio::test]
    async fn when_no_address_takes_a_connection_the_error_names_one() {
        let refused = {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let error = first_of(vec![refused, refused]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains(&refused.to_string()), "{error}");
        assert!(first_of(Vec::new()).await.is_err());
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_silent_peer_is_noticed_by_the_system() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect_to(listener.local_addr().unwrap()).await.unwrap();
        let socket = socket2::SockRef::from(&stream);
        assert!(stream.nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(SILENCE_LIMIT));
    }
}
