//! The layer and its service.

use super::body::counted;
use super::call::GrpcClientExchange;
use crate::client::targets::Targets;
use crate::error::InvalidPattern;
use crate::wire::{Exchange as _, RecordedBody, RecordedResponse};
use http::{Request, Response, Uri};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body as TonicBody;
use tower_layer::Layer;
use tower_service::Service;

/// Records each call that a tonic client makes:
///
/// - a client span `{package.Service}/{Method}` under the current span, with `service.peer.name` and the `rpc.*` attributes of
///   the OpenTelemetry semantic conventions; neither address nor metadata or message is recorded;
/// - `grpc_client_requests_total`, `grpc_client_request_duration_seconds`, `grpc_client_requests_in_flight` and
///   `grpc_client_messages_total` with the labels `peer` (the declared name), `service`, `method` and `code`.
///
/// A call lasts to its status, or until the service gives it up, which makes it `CANCELLED`, or `DEADLINE_EXCEEDED` once
/// the time that it gave is over. A connection that cannot be had or breaks is `UNAVAILABLE`, a stream that ends without a
/// status `UNKNOWN`. Every code but `OK` is an error of the span.
///
/// Metadata of a trace context that stands in a call already is replaced, and taken out where the peer is told none.
///
/// The trace context is sent to this machine and to hosts below `.internal` only; name more with
/// [`propagate_to`](Self::propagate_to). Baggage stays here unless [`send_baggage`](Self::send_baggage) says otherwise.
///
/// ```
/// use ironcore_telemetry::GrpcClientTelemetryLayer;
/// use tonic::transport::Endpoint;
///
/// let endpoint = Endpoint::from_static("http://swap.internal:50051");
/// let layer = GrpcClientTelemetryLayer::new("swap-engine", endpoint.uri());
/// // SwapClient::new(tower::ServiceBuilder::new().layer(layer).service(endpoint.connect_lazy()))
/// # let _ = layer;
/// ```
#[derive(Debug, Clone)]
#[must_use = "add the layer to a channel"]
pub struct GrpcClientTelemetryLayer {
    peer: &'static str,
    address: Uri,
    targets: Arc<Targets>,
    is_target: bool,
}

impl GrpcClientTelemetryLayer {
    /// For calls to a peer (a name of your own for who is called, never a host) at the address of its channel, which says
    /// whether it is told the trace context.
    pub fn new(peer: &'static str, address: &Uri) -> Self {
        Self::with(peer, address.clone(), Targets::default())
    }

    fn with(peer: &'static str, address: Uri, targets: Targets) -> Self {
        Self { peer, is_target: targets.include(&address), address, targets: Arc::new(targets) }
    }

    /// Sends the trace context to this host too (`ledger.example.org`), or to all hosts below one (`*.example.org`).
    ///
    /// # Errors
    /// A pattern that no host can match, such as `*example.org`.
    pub fn propagate_to(self, pattern: impl AsRef<str>) -> Result<Self, InvalidPattern> {
        let mut targets = Arc::unwrap_or_clone(self.targets);
        targets.add(pattern.as_ref())?;
        Ok(Self::with(self.peer, self.address, targets))
    }

    /// Whether the baggage goes with the trace context. It holds whatever a caller of the service, or the service, has put
    /// there.
    pub fn send_baggage(self, send: bool) -> Self {
        let mut targets = Arc::unwrap_or_clone(self.targets);
        targets.send_baggage(send);
        Self::with(self.peer, self.address, targets)
    }
}

impl<S> Layer<S> for GrpcClientTelemetryLayer {
    type Service = GrpcClientTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcClientTelemetryService { inner, layer: self.clone() }
    }
}

/// A channel with [`GrpcClientTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct GrpcClientTelemetryService<S> {
    inner: S,
    layer: GrpcClientTelemetryLayer,
}

impl<S, ResponseBody> Service<Request<TonicBody>> for GrpcClientTelemetryService<S>
where
    S: Service<Request<TonicBody>, Response = Response<ResponseBody>, Error: 'static>,
    ResponseBody: Body,
{
    type Response = Response<RecordedBody<ResponseBody, GrpcClientExchange>>;
    type Error = S::Error;
    type Future = RecordedResponse<S::Future, GrpcClientExchange>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<TonicBody>) -> Self::Future {
        let layer = &self.layer;
        let targets = (layer.is_target, &*layer.targets);
        let exchange = GrpcClientExchange::begin(&mut request, layer.peer, targets);
        let request = match &exchange {
            Some(exchange) => request.map(|body| counted(body, exchange.rpc())),
            None => request,
        };
        let _current = exchange.as_ref().map(GrpcClientExchange::enter);
        RecordedResponse::new(self.inner.call(request), exchange)
    }
}
