//! The layer and its service.

use super::request::HttpClientExchange;
use super::targets::Targets;
use crate::error::InvalidPattern;
use crate::wire::{Exchange as _, RecordedBody, RecordedResponse};
use http::{Request, Response};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Records each HTTP request that a tower client sends (`hyper_util::client::legacy::Client` and all that is built on it):
///
/// - a client span `{METHOD}` under the current span, with `service.peer.name`, the method, the status and
///   `http.request.resend_count` (with [`Resends`](crate::Resends)). Neither address nor path, query or header is
///   recorded: providers of nodes put their keys into them;
/// - `http_client_requests_total`, `http_client_request_duration_seconds` and `http_client_requests_in_flight` with the
///   labels `peer` (the declared name), `method` and `status`; without an answer the status is `error`, and `cancelled`
///   when the service gave the request up.
///
/// A request lasts to the end of its response's body, or until that is dropped. Headers of a trace context that stand in a
/// request already are replaced, and taken out where the peer is told none. 4xx and 5xx are errors of the span.
///
/// Put it next to the client, below layers that retry or follow redirects, so that each request that leaves is one, and its
/// own host is asked.
///
/// The trace context is sent to this machine and to hosts below `.internal` only; name more with
/// [`propagate_to`](Self::propagate_to). Baggage stays here unless [`send_baggage`](Self::send_baggage) says otherwise.
///
/// ```
/// use ironcore_telemetry::HttpClientTelemetryLayer;
///
/// # fn main() -> Result<(), ironcore_telemetry::InvalidPattern> {
/// let layer = HttpClientTelemetryLayer::new("chain-node").propagate_to("*.nodes.example.org")?;
/// // tower::ServiceBuilder::new().layer(layer).service(client)
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "add the layer to a client"]
pub struct HttpClientTelemetryLayer {
    peer: &'static str,
    targets: Arc<Targets>,
}

impl HttpClientTelemetryLayer {
    /// For requests to a peer: a name of your own for who is called, never a host.
    pub fn new(peer: &'static str) -> Self {
        Self { peer, targets: Arc::default() }
    }

    /// Sends the trace context to this host too (`ledger.example.org`), or to all hosts below one (`*.example.org`).
    ///
    /// # Errors
    /// A pattern that no host can match, such as `*example.org`.
    pub fn propagate_to(mut self, pattern: impl AsRef<str>) -> Result<Self, InvalidPattern> {
        Arc::make_mut(&mut self.targets).add(pattern.as_ref())?;
        Ok(self)
    }

    /// Whether the baggage goes with the trace context. It holds whatever a caller of the service, or the service, has put
    /// there.
    pub fn send_baggage(mut self, send: bool) -> Self {
        Arc::make_mut(&mut self.targets).send_baggage(send);
        self
    }
}

impl<S> Layer<S> for HttpClientTelemetryLayer {
    type Service = HttpClientTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpClientTelemetryService { inner, layer: self.clone() }
    }
}

/// A client with [`HttpClientTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct HttpClientTelemetryService<S> {
    inner: S,
    layer: HttpClientTelemetryLayer,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for HttpClientTelemetryService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error: 'static>,
    ResponseBody: Body,
{
    type Response = Response<RecordedBody<ResponseBody, HttpClientExchange>>;
    type Error = S::Error;
    type Future = RecordedResponse<S::Future, HttpClientExchange>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let HttpClientTelemetryLayer { peer, targets } = &self.layer;
        let exchange = HttpClientExchange::begin(&mut request, peer, targets);
        let _current = exchange.as_ref().map(HttpClientExchange::enter);
        RecordedResponse::new(self.inner.call(request), exchange)
    }
}
