//! Whose trace context is believed.

use crate::propagation;
use crate::recorder;
use http::{Extensions, HeaderMap, Method, Request};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{Link, TraceContextExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Whether the trace context that a request brings is believed.
///
/// A `traceparent` is a caller's word: it names the trace that our spans join, and says whether to record them. From
/// anybody, that is a way to fill a trace store, to empty it, or to write into somebody else's trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// Anybody may call. A request begins a trace of its own (or joins the span that the process itself is in), sampled by
    /// our sampler alone, with a link to the span that the caller names; its `tracestate` and `baggage` are dropped.
    #[default]
    Public,
    /// Only our own services call. A request continues the caller's trace: its ids, its sampling decision, its
    /// `tracestate` and, with the propagator for it, its `baggage`.
    Trusted,
}

/// What a request tells of who sends it, for [`HttpTelemetryLayer::boundary_with`](super::HttpTelemetryLayer::boundary_with).
/// No header: whoever may send one may send any.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'request> {
    method: &'request Method,
    route: Option<&'request str>,
    extensions: &'request Extensions,
}

impl<'request> Caller<'request> {
    pub(super) fn of<Body>(request: &'request Request<Body>, route: Option<&'request str>) -> Self {
        Self { method: request.method(), route, extensions: request.extensions() }
    }

    /// The method of the request.
    #[must_use]
    pub const fn method(&self) -> &'request Method {
        self.method
    }

    /// The route that matched, as it was declared.
    #[must_use]
    pub const fn route(&self) -> Option<&'request str> {
        self.route
    }

    /// What the server and the layers before ours have found out: the identity in the peer's certificate, its address
    /// (`axum::extract::ConnectInfo<SocketAddr>`; behind a proxy, the proxy's).
    #[must_use]
    pub const fn extensions(&self) -> &'request Extensions {
        self.extensions
    }
}

/// How a layer decides.
#[derive(Clone)]
pub(super) enum Trust {
    Always(Boundary),
    Asked(Arc<dyn Fn(&Caller<'_>) -> Boundary + Send + Sync>),
}

impl Default for Trust {
    fn default() -> Self {
        Self::Always(Boundary::default())
    }
}

impl Trust {
    pub(super) fn of(&self, caller: &Caller<'_>) -> Boundary {
        match self {
            Self::Always(boundary) => *boundary,
            // Telemetry does not end a request, whatever the function does.
            Self::Asked(ask) => catch_unwind(AssertUnwindSafe(|| ask(caller))).unwrap_or_default(),
        }
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Always(boundary) => boundary.fmt(formatter),
            Self::Asked(_) => formatter.write_str("by request"),
        }
    }
}

/// The context that a request is handled in, apart from its own span.
pub(super) fn parent(headers: &HeaderMap, boundary: Boundary) -> Context {
    if boundary == Boundary::Trusted {
        return propagation::extract(headers);
    }
    let current = Context::current();
    if !current.span().span_context().is_remote() {
        let has_baggage = !current.baggage().is_empty();
        return if has_baggage { current.with_cleared_baggage() } else { current };
    }
    // A layer outside of ours has believed the caller: its trace, its decision, its baggage. An empty span in place of
    // the caller's would count as a parent that is not sampled.
    recorder::apart(&current)
}

/// The link to a caller whose trace is not continued.
pub(super) fn links(headers: &HeaderMap, boundary: Boundary) -> Option<Vec<Link>> {
    match boundary {
        Boundary::Public => propagation::caller_span(headers).map(|caller| vec![Link::with_context(caller)]),
        Boundary::Trusted => None,
    }
}
