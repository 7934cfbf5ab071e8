//! The OTLP clients: gRPC and HTTP with protobuf bodies, over connections of their own.
//!
//! A request takes this way: [`Client::send`] → its headers and body (`headers`, `body`, `grpc`, `http`) → a connection
//! (`pool`, `connection`) that may have to be opened first (`connect`, with `lookup` and `tls`) → the response, and what
//! it means (`grpc`, `http`, `hints`, `messages`).

mod body;
mod connect;
mod connection;
mod endpoint;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod headers;
mod hints;
#[cfg(feature = "otlp-http")]
mod http;
mod lookup;
mod messages;
mod pool;
mod stamp;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod transport;

use super::answer::{Answer, Failure};
use crate::config::{Otlp, Protocol, Signal};
use crate::error::InitError;
use ::http::HeaderMap;
use body::Encoded;
use bytes::Bytes;
use connect::Connector;
use endpoint::Endpoint;
use headers::Headers;
use pool::Pool;
use std::time::Duration;
use tokio::time::Instant;

/// The name of this client in `user-agent`, as the specification writes it.
const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// The longest body of a response, in bytes.
const RESPONSE_LIMIT: usize = 4 << 20;

/// The response to a request, as a whole.
type Response = ::http::Response<Received>;

/// The body of a response, within its limit, and its trailers.
#[derive(Debug)]
struct Received {
    bytes: Bytes,
    trailers: HeaderMap,
}

/// What a response means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    Answer(Answer),
    /// The credentials were refused; with the text of the refusal. Others may be at hand.
    Unauthenticated(String),
}

/// Sends encoded requests of one signal to the collector. Requests may be sent at the same time.
///
/// All that it has open ends with it. A future of [`send`](Self::send) that is dropped closes what it has in flight.
pub(crate) struct Client {
    endpoint: Endpoint,
    protocol: Protocol,
    headers: Headers,
    compressed: bool,
    timeout: Duration,
    pool: Pool,
}

impl Client {
    /// A client for the endpoint. It connects with the first request, on the runtime that sends it.
    ///
    /// # Errors
    /// The endpoint or a header cannot be used. A certificate that cannot be used is told by each attempt: its file may
    /// come later.
    pub(crate) fn new(otlp: &Otlp, signal: Signal) -> Result<Self, InitError> {
        let failed = |text: String| InitError::Exporter { endpoint: otlp.endpoint.clone(), source: text.into() };
        let endpoint = Endpoint::new(otlp, signal).map_err(failed)?;
        let headers = Headers::new(otlp).map_err(failed)?;
        let connector = Connector::new(&endpoint, otlp).map_err(failed)?;
        let pool = Pool::new(connector);
        Ok(Self {
            endpoint,
            protocol: otlp.protocol,
            headers,
            compressed: otlp.compressed,
            timeout: otlp.timeout,
            pool,
        })
    }

    /// Sends one request, whose encoded message is the concatenation of `parts`, and waits for the answer for at most the
    /// time limit of the settings.
    pub(crate) async fn send(&self, parts: Vec<Bytes>) -> Answer {
        let deadline = Instant::now() + self.timeout;
        let body = Encoded::new(parts, self.compressed);
        let mut reply = self.attempt(&body, deadline).await;
        if matches!(reply, Reply::Unauthenticated(_)) && self.headers.reread() {
            reply = self.attempt(&body, deadline).await;
        }
        let answer = match reply {
            Reply::Answer(answer) => answer,
            Reply::Unauthenticated(text) => Answer::Refused(format!(
                "{text}; look at the credentials in OTEL_EXPORTER_OTLP_HEADERS or IRONCORE_OTLP_HEADERS_FILE"
            )),
        };
        self.without_secrets(answer)
    }

    async fn attempt(&self, body: &Encoded, deadline: Instant) -> Reply {
        let headers = self.headers.current();
        let (request, judge): (_, fn(&Response) -> Reply) = match self.protocol {
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => (grpc::request(&self.endpoint, headers, body, deadline), grpc::judge),
            #[cfg(feature = "otlp-http")]
            Protocol::HttpProtobuf => (http::request(&self.endpoint, headers, body), http::judge),
            #[allow(unreachable_patterns, reason = "reached only when the feature of a protocol is off")]
            _ => return Reply::Answer(Answer::Refused("the protocol is not compiled in".to_owned())),
        };
        match self.pool.exchange(request, deadline).await {
            Ok(response) => judge(&response),
            Err(failure) => Reply::Answer(Answer::Failed(failure)),
        }
    }

    /// A collector may repeat what it was sent.
    fn without_secrets(&self, answer: Answer) -> Answer {
        let clean = |text: String| self.headers.without_values(text);
        match answer {
            Answer::Accepted { rejected, message } => Answer::Accepted { rejected, message: message.map(clean) },
            Answer::TooLarge(text) => Answer::TooLarge(clean(text)),
            Answer::Refused(text) => Answer::Refused(clean(text)),
            Answer::Failed(failure) => Answer::Failed(Failure { text: clean(failure.text), ..failure }),
        }
    }
}
