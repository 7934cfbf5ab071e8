//! A server of HTTP/1.1 and HTTP/2 on a free port, which does to each request what a test says.

use crate::config::Protocol;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// A response, or the code with which the stream is reset.
pub(super) type Answered = Result<Response<UnsyncBoxBody<Bytes, Infallible>>, h2::Error>;
type Handling = Pin<Box<dyn Future<Output = Answered> + Send>>;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    protocol: Protocol,
    handle: Box<dyn Fn(Request<Bytes>) -> Handling + Send + Sync>,
    /// The first connections that are accepted and never read.
    silent: usize,
    is_muted: AtomicBool,
    accepted: AtomicUsize,
    /// How many connections are open.
    open: watch::Sender<usize>,
    hang_up: Notify,
    #[cfg(feature = "tls")]
    tls: std::sync::Mutex<Option<tokio_rustls::TlsAcceptor>>,
}

impl Server {
    pub(super) async fn new<F>(protocol: Protocol, handle: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answered> + Send + 'static,
    {
        Self::silent_at_first(0, protocol, handle).await
    }

    /// One whose first connections are never read.
    pub(super) async fn silent_at_first<F>(
        silent: usize,
        protocol: Protocol,
        handle: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answered> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            protocol,
            handle: Box::new(move |request| Box::pin(handle(request))),
            silent,
            is_muted: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            open: watch::Sender::new(0),
            hang_up: Notify::new(),
            #[cfg(feature = "tls")]
            tls: std::sync::Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        let accepting = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(Arc::clone(&accepting).serve(stream));
            }
        });
        Self { address, state, _tasks: tasks }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves TLS from the next connection on.
    #[cfg(feature = "tls")]
    pub(super) fn set_tls(&self, config: rustls::ServerConfig) {
        *self.state.tls.lock().unwrap() = Some(Arc::new(config).into());
    }

    /// How many connections were accepted.
    pub(super) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Neither reads nor writes from now on.
    pub(super) fn mute(&self) {
        self.state.is_muted.store(true, Ordering::SeqCst);
    }

    /// Closes all connections.
    pub(super) async fn hang_up(&self) {
        self.state.hang_up.notify_waiters();
        self.closed().await;
    }

    /// Waits until no connection is open.
    pub(super) async fn closed(&self) {
        self.state.open.subscribe().wait_for(|open| *open == 0).await.unwrap();
    }
}

impl State {
    async fn serve(self: Arc<Self>, stream: tokio::net::TcpStream) {
        let number = self.accepted.fetch_add(1, Ordering::SeqCst);
        let _open = Open::new(&self.open);
        if number < self.silent {
            std::future::pending::<()>().await;
        }
        let hang_up = self.hang_up.notified();
        #[cfg(feature = "tls")]
        let acceptor = self.tls.lock().unwrap().clone();
        let serving = async {
            #[cfg(feature = "tls")]
            if let Some(acceptor) = acceptor {
                if let Ok(stream) = acceptor.accept(stream).await {
                    self.speak(stream).await;
                }
                return;
            }
            self.speak(stream).await;
        };
        tokio::select! {
            () = hang_up => {}
            () = serving => {}
        }
    }

    async fn speak(self: &Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let io = TokioIo::new(Mutable { stream, state: Arc::clone(self) });
        let state = Arc::clone(self);
        let service = service_fn(move |request: Request<Incoming>| {
            let state = Arc::clone(&state);
            async move {
                let (head, body) = request.into_parts();
                let Ok(body) = body.collect().await else {
                    return Err(h2::Reason::INTERNAL_ERROR.into());
                };
                (state.handle)(Request::from_parts(head, body.to_bytes())).await
            }
        });
        // How a connection ends is the client's matter.
        let _ = match self.protocol {
            Protocol::HttpProtobuf => hyper::server::conn::http1::Builder::new().serve_connection(io, service).await,
            Protocol::Grpc => {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
            }
        };
    }
}

struct Open(watch::Sender<usize>);

impl Open {
    fn new(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// A stream that goes silent when its server does.
struct Mutable<S> {
    stream: S,
    state: Arc<State>,
}

impl<S> Mutable<S> {
    fn is_muted(&self) -> bool {
        self.state.is_muted.load(Ordering::SeqCst)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mutable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_muted() {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mutable<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_muted() {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The answer of a collector that took everything.
pub(super) fn accepted(protocol: Protocol) -> Answered {
    match protocol {
        Protocol::HttpProtobuf => {
            let body = body(Bytes::new());
            Ok(Response::builder().header("content-type", "application/x-protobuf").body(body).unwrap())
        }
        Protocol::Grpc => grpc(&[("grpc-status", "0")]),
    }
}

/// An empty message with these trailers.
#[expect(clippy::unnecessary_wraps, reason = "has the form of the other answers")]
pub(super) fn grpc(trailers: &[(&'static str, &str)]) -> Answered {
    let trailers: HeaderMap =
        trailers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect();
    let body = body(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) }).boxed_unsync();
    Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

pub(super) fn body(bytes: Bytes) -> UnsyncBoxBody<Bytes, Infallible> {
    Full::new(bytes).boxed_unsync()
}
