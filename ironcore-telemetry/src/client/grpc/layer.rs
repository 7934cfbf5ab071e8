//! The layer and its service.

use super::classify::{GrpcClientCall, Server};
use super::request_body::counted;
use crate::client::targets::Targets;
use crate::error::InvalidPattern;
use crate::exchange::{Recording, ResponseBody, ResponseFuture};
use crate::guarded::Guard as _;
use http::{Request, Response, Uri};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use tonic::body::Body as TonicBody;
use tower_layer::Layer;
use tower_service::Service;

/// Records each call that a tonic client makes:
///
/// - a client span `{package.Service}/{Method}` under the current span, with `service.peer.name`, the host and port of
///   the channel's address, and the `rpc.*` attributes of the OpenTelemetry semantic conventions (README,
///   "Attributes"); neither metadata nor messages are recorded;
/// - `grpc_client_requests_total`, `grpc_client_request_duration_seconds`, `grpc_client_requests_in_flight` and
///   `grpc_client_messages_total` with the labels `peer` (the declared name), `rpc_service`, `method` and `code`.
///
/// A call lasts until its status. If the service drops it, it is `CANCELLED` and no error, or `DEADLINE_EXCEEDED` once
/// its timeout is over. A connection that fails or breaks is `UNAVAILABLE`, a stream that ends without a status
/// `UNKNOWN`. Every other code but `OK` is an error of the span.
///
/// Trace context metadata that is in a call already is replaced, or removed if the host is not allowed to receive it.
///
/// The trace context is sent to this machine and to hosts below `.internal` only; name more with
/// [`propagate_to`](Self::propagate_to). Baggage stays here unless [`send_baggage`](Self::send_baggage) says otherwise.
///
/// ```
/// use http::{Request, Response};
/// use ironcore_telemetry::GrpcClientTelemetryLayer;
/// use std::convert::Infallible;
/// use tonic::body::Body;
/// use tonic::transport::Endpoint;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::from_static("http://swap.internal:50051");
/// let layer = GrpcClientTelemetryLayer::new("swap-engine", endpoint.uri());
///
/// // With tonic: SwapClient::new(layer.layer(endpoint.connect_lazy())). It is a tower layer:
/// let channel = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
/// let call = Request::post("/ironcore.swap.v1.Swap/Execute").body(Body::empty())?;
/// assert_eq!(layer.layer(channel).oneshot(call).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "add the layer to a channel"]
pub struct GrpcClientTelemetryLayer {
    peer: &'static str,
    address: Uri,
    server: Arc<Server>,
    targets: Arc<Targets>,
    is_target: bool,
}

impl GrpcClientTelemetryLayer {
    /// For calls to a peer. `peer` is a name that you choose for the called system, never a host; `address` is the URI
    /// of the channel: it decides whether the trace context is sent, and its host and port are in the spans.
    pub fn new(peer: &'static str, address: &Uri) -> Self {
        Self::with(peer, address.clone(), Targets::default())
    }

    fn with(peer: &'static str, address: Uri, targets: Targets) -> Self {
        let (server, is_target) = (Server::of(&address).into(), targets.of(address.host()).is_allowed);
        Self { peer, address, server, targets: Arc::new(targets), is_target }
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

    /// Whether baggage is sent with the trace context. It contains everything that the service, or a trusted caller,
    /// has put there.
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

/// Future of the response of a [`GrpcClientTelemetryService`].
pub type GrpcClientResponseFuture<F> = ResponseFuture<F, GrpcClientCall>;

/// Body of the response of a [`GrpcClientTelemetryService`]: its end is the end of the call.
pub type GrpcClientResponseBody<B> = ResponseBody<B, GrpcClientCall>;

/// A channel with [`GrpcClientTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct GrpcClientTelemetryService<S> {
    inner: S,
    layer: GrpcClientTelemetryLayer,
}

impl<S, B> Service<Request<TonicBody>> for GrpcClientTelemetryService<S>
where
    S: Service<Request<TonicBody>, Response = Response<B>, Error: 'static>,
    B: Body,
{
    type Response = Response<GrpcClientResponseBody<B>>;
    type Error = S::Error;
    type Future = GrpcClientResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<TonicBody>) -> Self::Future {
        let layer = &self.layer;
        let targets = (layer.is_target, &*layer.targets);
        let recording = GrpcClientCall::begin(&mut request, (layer.peer, &layer.server), targets);
        let request = match &recording {
            Some(recording) => request.map(|body| counted(body, recording.classify().rpc())),
            None => request,
        };
        let _inside = recording.as_ref().map(Recording::enter);
        ResponseFuture::new(self.inner.call(request), recording)
    }
}
