//! One connection, with HTTP/1.1 or HTTP/2 on it.

use super::body::Parts;
use super::transport::{Reason, Transport};
use super::{Protocol, RESPONSE_LIMIT, Received, Response};
use crate::causes::Causes;
use crate::export::answer::{Cause, Failure};
use http::Request;
use http_body_util::{BodyExt, LengthLimitError, Limited};
#[cfg(feature = "otlp-http")]
use hyper::client::conn::http1;
#[cfg(feature = "otlp-grpc")]
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
#[cfg(feature = "otlp-grpc")]
use std::time::Duration;
use tokio::sync::watch;

/// When a request that waits for its answer is joined by a ping, and how long the other side has to answer it.
#[cfg(feature = "otlp-grpc")]
const PING_AFTER: Duration = Duration::from_secs(10);
#[cfg(feature = "otlp-grpc")]
const PING_LIMIT: Duration = Duration::from_secs(5);

/// The longest block of headers of a response: a message of gRPC is a header.
#[cfg(feature = "otlp-grpc")]
const HEADERS_LIMIT: u32 = 64 << 10;

/// An open connection, or a share of one. Everything of it ends with the last share.
pub(super) struct Connection {
    sender: Sender,
    life: Arc<Life>,
}

enum Sender {
    #[cfg(feature = "otlp-http")]
    Http1(http1::SendRequest<Parts>),
    #[cfg(feature = "otlp-grpc")]
    Http2(http2::SendRequest<Parts>),
}

/// What the shares of a connection have in common.
struct Life {
    /// Its tasks run for as long as this is there.
    _alive: watch::Sender<()>,
    is_retired: AtomicBool,
    reason: Reason,
}

/// Why a request got no response.
pub(super) enum SendError {
    /// Nothing was sent: the connection was closed before.
    NotSent(Box<Request<Parts>>, Failure),
    Broken(Failure),
}

impl Connection {
    /// Begins to speak HTTP.
    ///
    /// # Errors
    /// The connection broke at once.
    pub(super) async fn open(transport: Transport, protocol: Protocol) -> Result<Self, Failure> {
        let reason = transport.reason();
        let (alive, ends) = watch::channel(());
        let tasks = Tasks(ends);
        let sender = match protocol {
            #[cfg(feature = "otlp-http")]
            Protocol::HttpProtobuf => {
                http1::handshake(TokioIo::new(transport)).await.map(|(sender, connection)| {
                    tasks.execute(async move {
                        // How it ended is told to the request that was waiting.
                        let _ = connection.await;
                    });
                    Sender::Http1(sender)
                })
            }
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => {
                let mut builder = http2::Builder::new(tasks.clone());
                builder
                    .timer(hyper_util::rt::TokioTimer::new())
                    .keep_alive_interval(PING_AFTER)
                    .keep_alive_timeout(PING_LIMIT)
                    .max_header_list_size(HEADERS_LIMIT);
                builder.handshake(TokioIo::new(transport)).await.map(|(sender, connection)| {
                    tasks.execute(async move {
                        let _ = connection.await;
                    });
                    Sender::Http2(sender)
                })
            }
            #[allow(unreachable_patterns, reason = "reached only when the feature of a protocol is off")]
            _ => return Err(Failure::new(Cause::Unreachable, "the protocol is not compiled in")),
        };
        let life = Arc::new(Life { _alive: alive, is_retired: AtomicBool::new(false), reason });
        match sender {
            Ok(sender) => Ok(Self { sender, life }),
            Err(error) => Err(Failure::new(Cause::Unreachable, life.why(&error))),
        }
    }

    /// One more share; `None` if the connection takes one request at a time.
    #[cfg_attr(not(feature = "otlp-http"), expect(clippy::unnecessary_wraps, reason = "not so with HTTP/1.1"))]
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            #[cfg(feature = "otlp-http")]
            Sender::Http1(_) => None,
            #[cfg(feature = "otlp-grpc")]
            Sender::Http2(sender) => Some(Self { sender: Sender::Http2(sender.clone()), life: Arc::clone(&self.life) }),
        }
    }

    /// Whether another request may be sent on it.
    pub(super) fn is_usable(&self) -> bool {
        let is_closed = match &self.sender {
            #[cfg(feature = "otlp-http")]
            Sender::Http1(sender) => sender.is_closed(),
            #[cfg(feature = "otlp-grpc")]
            Sender::Http2(sender) => sender.is_closed(),
        };
        !is_closed && !self.life.is_retired.load(Ordering::Relaxed)
    }

    /// Leaves it to the requests that are in flight on its other shares.
    pub(super) fn retire(&self) {
        self.life.is_retired.store(true, Ordering::Relaxed);
    }

    /// Sends a request, and waits for the whole response.
    ///
    /// # Errors
    /// The connection, or the stream of this request, is broken.
    pub(super) async fn send(&mut self, request: Request<Parts>) -> Result<Response, SendError> {
        let sent = match &mut self.sender {
            #[cfg(feature = "otlp-http")]
            Sender::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(error) => return Err(SendError::NotSent(Box::new(request), self.life.broken(&error))),
            },
            #[cfg(feature = "otlp-grpc")]
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        let response = sent.map_err(|mut error| {
            let failure = self.life.broken(error.error());
            match error.take_message() {
                Some(request) => SendError::NotSent(Box::new(request), failure),
                None => SendError::Broken(failure),
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, RESPONSE_LIMIT).collect().await;
        let body = body.map_err(|error| {
            SendError::Broken(if error.is::<LengthLimitError>() {
                Failure::new(Cause::Broken, "the answer is longer than 4 MiB")
            } else {
                self.life.broken(&*error)
            })
        })?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Response::from_parts(head, Received { bytes: body.to_bytes(), trailers }))
    }
}

impl Life {
    fn broken(&self, error: &(dyn Error + 'static)) -> Failure {
        Failure::new(Cause::Broken, self.why(error))
    }

    fn why(&self, error: &(dyn Error + 'static)) -> String {
        match self.reason.get() {
            Some(reason) => format!("the connection is broken: {reason}"),
            None => Causes(error).to_string(),
        }
    }
}

/// Runs the tasks of one connection on the runtime of its first request. They end when its [`Life`] does.
#[derive(Clone)]
struct Tasks(watch::Receiver<()>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let mut life = self.0.clone();
        tokio::spawn(async move {
            let mut ended = pin!(life.changed());
            let mut task = pin!(task);
            poll_fn(|context| match ended.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => task.as_mut().poll(context),
            })
            .await;
        });
    }
}
