//! The bytes of one connection. What breaks it, and what its first bytes give away, is kept in words: HTTP says no more
//! than that it is broken.

use super::Protocol;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of bytes of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why a connection broke, once it is known.
pub(super) type Reason = Arc<OnceLock<String>>;

/// Tells what an error means, if it is more than its own text.
type Explain = Box<dyn Fn(&io::Error) -> Option<String> + Send>;

/// An open stream that speaks one protocol.
pub(super) struct Transport {
    stream: Box<dyn Stream>,
    protocol: Protocol,
    has_read: bool,
    explain: Explain,
    reason: Reason,
}

impl Transport {
    pub(super) fn new(
        stream: impl Stream + 'static,
        protocol: Protocol,
        explain: impl Fn(&io::Error) -> Option<String> + Send + 'static,
    ) -> Self {
        Self {
            stream: Box::new(stream),
            protocol,
            has_read: false,
            explain: Box::new(explain),
            reason: Reason::default(),
        }
    }

    pub(super) fn reason(&self) -> Reason {
        Arc::clone(&self.reason)
    }

    fn keep(&self, error: &io::Error) {
        // The first one counts: the others follow from it.
        let _ = self.reason.set((self.explain)(error).unwrap_or_else(|| error.to_string()));
    }

    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| self.keep(error))
    }
}

/// What the first bytes of a server say when they are not of the protocol that we speak.
fn other_protocol(first: &[u8], protocol: Protocol) -> Option<&'static str> {
    match (first, protocol) {
        // An alert: what we sent is no handshake.
        ([0x15, 0x03, ..], _) => Some("the server speaks TLS at this port: use https://"),
        ([b'H', b'T', b'T', b'P', b'/', ..], Protocol::Grpc) => Some(
            "the server speaks HTTP/1, not gRPC, at this port: use its port for gRPC (4317), or the protocol http/protobuf",
        ),
        // The settings of HTTP/2.
        ([0, 0, _, 4, ..], Protocol::HttpProtobuf) => {
            Some("the server speaks gRPC, not HTTP/1, at this port: use its port for HTTP (4318), or the protocol grpc")
        }
        _ => None,
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if let (Ok(()), false) = (&result, self.has_read) {
            self.has_read = true;
            let first = buffer.filled().get(before..).unwrap_or_default();
            if let Some(other) = other_protocol(first, self.protocol) {
                let _ = self.reason.set(other.to_owned());
            }
        }
        Poll::Ready(self.noted(result))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(self.noted(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_flush(context));
        Poll::Ready(self.noted(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        Poll::Ready(self.noted(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
