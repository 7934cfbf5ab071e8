//! One gRPC method, of the server or of a peer.

use super::interned::Key;
use super::series::{CallMetrics, CallSeries};
use crate::names::OTHER;
use crate::protocol::grpc::{self, Code};
use crate::series::{Counter, Metric, Registry};

/// The metrics of a gRPC layer.
pub(crate) struct RpcMetrics {
    pub(crate) calls: CallMetrics,
    pub(crate) messages: &'static Metric,
}

/// A method: what its calls are counted in, and the name of their spans.
pub(crate) struct Rpc {
    path: &'static str,
    pub(crate) service: &'static str,
    pub(crate) method: &'static str,
    pub(crate) calls: CallSeries<Code>,
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
}

impl Rpc {
    /// The method of a path, for calls of this service or, with its name, of a peer.
    pub(crate) fn new(
        registry: &'static Registry,
        metrics: &'static RpcMetrics,
        peer: Option<&'static str>,
        path: &'static str,
    ) -> Self {
        let (service, method) = grpc::method_of(path).unwrap_or((OTHER, OTHER));
        let labels: Vec<_> = peer.into_iter().chain([service, method]).collect();
        let messages = |direction| {
            let labels: Vec<_> = labels.iter().copied().chain([direction]).collect();
            registry.counter(metrics.messages, &labels, &[])
        };
        Self {
            path,
            service,
            method,
            calls: CallSeries::new(registry, &metrics.calls, &labels),
            received: messages("received"),
            sent: messages("sent"),
        }
    }

    /// `package.Service/Method`; `_OTHER` for all methods without series of their own.
    pub(crate) fn full_name(&self) -> &'static str {
        self.path.strip_prefix('/').unwrap_or(self.path)
    }

    /// The name of the spans of its calls.
    pub(crate) fn span_name(&self) -> &'static str {
        if self.is_other() { "grpc" } else { self.full_name() }
    }

    /// Whether it stands for all methods without series of their own.
    pub(crate) fn is_other(&self) -> bool {
        self.path == OTHER
    }
}

impl Key for Rpc {
    fn key(&self) -> &'static str {
        self.path
    }
}
