//! Whose trace context is trusted.

use crate::propagation;
use crate::recorder;
use http::{Extensions, HeaderMap, Method, Request};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{Link, TraceContextExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Whether the trace context of a request is trusted.
///
/// A `traceparent` names the trace that our spans join and decides whether they are sampled. An untrusted caller could
/// use it to force sampling, to prevent it, or to add spans to the traces of others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Boundary {
    /// Callers are not trusted. A request begins a trace of its own (or becomes a child of the current local span, if
    /// there is one), sampled by our sampler alone, with a link to the caller's span; its `tracestate` and `baggage`
    /// are dropped.
    #[default]
    Public,
    /// Callers are our own services. A request continues the caller's trace: its ids, its sampling decision, its
    /// `tracestate` and, with the propagator for it, its `baggage`.
    Trusted,
}

/// What `boundary_with` of a server layer can inspect of a request. Headers are not part of it: every caller can send
/// any header.
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

    /// The values that the server and the outer layers have added: the identity in the peer's certificate, the peer's
    /// address (`axum::extract::ConnectInfo<SocketAddr>`; behind a proxy, the proxy's).
    #[must_use]
    pub const fn extensions(&self) -> &'request Extensions {
        self.extensions
    }
}

/// How a layer decides on the boundary.
#[derive(Clone)]
pub(super) enum Trust {
    Always(Boundary),
    PerRequest(Arc<dyn Fn(&Caller<'_>) -> Boundary + Send + Sync>),
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
            // A panic in the user's function must not end the request.
            Self::PerRequest(decide) => catch_unwind(AssertUnwindSafe(|| decide(caller))).unwrap_or_default(),
        }
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Always(boundary) => boundary.fmt(formatter),
            Self::PerRequest(_) => formatter.write_str("per request"),
        }
    }
}

/// The parent of the request's span.
pub(super) fn parent(headers: &HeaderMap, boundary: Boundary) -> Context {
    if boundary == Boundary::Trusted {
        return propagation::extract(headers);
    }
    let current = Context::current();
    if !current.span().span_context().is_remote() {
        let has_baggage = !current.baggage().is_empty();
        return if has_baggage { current.with_cleared_baggage() } else { current };
    }
    // An outer layer has attached the caller's context: its trace, its decision, its baggage. An empty span in place of
    // the caller's would count as a parent that is not sampled.
    recorder::empty_context(&current)
}

/// The link to a caller whose trace is not continued.
pub(super) fn links(headers: &HeaderMap, boundary: Boundary) -> Option<Vec<Link>> {
    match boundary {
        Boundary::Public => propagation::caller_span(headers).map(|caller| vec![Link::with_context(caller)]),
        Boundary::Trusted => None,
    }
}
