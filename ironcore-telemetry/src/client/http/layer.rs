//! The layer and its service.

use super::classify::{HttpClientRequest, Outgoing};
use super::json_rpc::JsonRpc;
use crate::client::targets::Targets;
use crate::error::InvalidPattern;
use crate::exchange::{Recording, ResponseBody, ResponseFuture};
use crate::guarded::Guard as _;
use http::{Request, Response};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Records each HTTP request that a tower client sends (`hyper_util::client::legacy::Client` and all that is built on
/// it):
///
/// - a client span `{METHOD}` under the current span, with `service.peer.name`, the method, the status and
///   `http.request.resend_count` (with [`Resends`](crate::client::Resends)). Address, path, query and headers are not
///   recorded: node providers put API keys into them;
/// - `http_client_requests_total`, `http_client_request_duration_seconds` and `http_client_requests_in_flight` with the
///   labels `peer` (the declared name), `method` and `status`; without a response the status is `error`, or `cancelled`
///   if the service dropped the request.
///
/// A request lasts until the end of its response's body, or until the body is dropped. Trace context headers that are
/// in a request already are replaced, or removed if the host is not allowed to receive it. 4xx and 5xx are errors of
/// the span.
///
/// Put it next to the client, inside of layers that retry or follow redirects, so that each request that is sent is
/// recorded with its own host.
///
/// The trace context is sent to this machine and to hosts below `.internal` only; name more with
/// [`propagate_to`](Self::propagate_to). Baggage stays here unless [`send_baggage`](Self::send_baggage) says otherwise.
///
/// ```
/// use axum::body::Body;
/// use http::{Request, Response};
/// use ironcore_telemetry::HttpClientTelemetryLayer;
/// use std::convert::Infallible;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = HttpClientTelemetryLayer::new("chain-node").propagate_to("*.nodes.example.org")?;
///
/// // In a service this is `hyper_util::client::legacy::Client`, made once and kept.
/// let client = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::from("7"))));
/// let request = Request::get("https://eth.nodes.example.org/height").body(Body::empty())?;
/// assert_eq!(layer.layer(client).oneshot(request).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "add the layer to a client"]
pub struct HttpClientTelemetryLayer {
    pub(super) peer: &'static str,
    pub(super) targets: Arc<Targets>,
    /// The declared methods of a peer that speaks JSON-RPC.
    pub(super) json_rpc: Option<Arc<[&'static str]>>,
}

impl HttpClientTelemetryLayer {
    /// For requests to a peer. `peer` is a name that you choose for the called system, never a host.
    pub fn new(peer: &'static str) -> Self {
        Self { peer, targets: Arc::default(), json_rpc: None }
    }

    /// Sends the trace context to this host too (`ledger.example.org`), or to all hosts below one (`*.example.org`).
    ///
    /// # Errors
    /// A pattern that no host can match, such as `*example.org`.
    pub fn propagate_to(mut self, pattern: impl AsRef<str>) -> Result<Self, InvalidPattern> {
        Arc::make_mut(&mut self.targets).add(pattern.as_ref())?;
        Ok(self)
    }

    /// Whether baggage is sent with the trace context. It contains everything that the service, or a trusted caller,
    /// has put there.
    pub fn send_baggage(mut self, send: bool) -> Self {
        Arc::make_mut(&mut self.targets).send_baggage(send);
        self
    }

    /// Declares that the peer speaks JSON-RPC over HTTP, as nodes of a chain do, and the methods that are called: spans
    /// have the name of the method, `rpc.system.name="jsonrpc"` and `rpc.method`. A method that is not declared, and a
    /// batch, is `jsonrpc` without a method.
    ///
    /// A [`ReqwestClient`](crate::client::ReqwestClient) reads the method from the body; for another client put a
    /// [`JsonRpcMethod`](crate::client::JsonRpcMethod) into the extensions of the request. An error in the body of a
    /// response is not read: return it from a function with `#[instrument_business]`.
    ///
    /// ```
    /// use ironcore_telemetry::HttpClientTelemetryLayer;
    ///
    /// let layer = HttpClientTelemetryLayer::new("eth-node").json_rpc(["eth_blockNumber", "eth_call"]);
    /// # let _ = layer;
    /// ```
    pub fn json_rpc(mut self, methods: impl IntoIterator<Item = &'static str>) -> Self {
        self.json_rpc = Some(methods.into_iter().collect());
        self
    }

    /// The recording of a request, whose context goes into its headers if the host may have it; `None` before `init`
    /// and when telemetry is disabled.
    #[inline]
    fn begin<Body>(&self, request: &mut Request<Body>) -> Option<Recording<HttpClientRequest>> {
        let target = self.targets.of(request.uri().host());
        let extensions = request.extensions();
        let recording = HttpClientRequest::begin(&Outgoing {
            peer: self.peer,
            method: request.method(),
            scheme: request.uri().scheme_str(),
            declared_host: target.declared_host,
            resends: extensions.get(),
            rpc: self.json_rpc.as_ref().map(|declared| JsonRpc::of(extensions.get(), declared)),
        })?;
        self.targets.replace_context(target.is_allowed, recording.scope().context(), request.headers_mut());
        Some(recording)
    }
}

impl<S> Layer<S> for HttpClientTelemetryLayer {
    type Service = HttpClientTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpClientTelemetryService { inner, layer: self.clone() }
    }
}

/// Future of the response of an [`HttpClientTelemetryService`].
pub type HttpClientResponseFuture<F> = ResponseFuture<F, HttpClientRequest>;

/// Body of the response of an [`HttpClientTelemetryService`]: its end is the end of the request.
pub type HttpClientResponseBody<B> = ResponseBody<B, HttpClientRequest>;

/// A client with [`HttpClientTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct HttpClientTelemetryService<S> {
    inner: S,
    layer: HttpClientTelemetryLayer,
}

impl<S, RequestBody, B> Service<Request<RequestBody>> for HttpClientTelemetryService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: 'static>,
    B: Body,
{
    type Response = Response<HttpClientResponseBody<B>>;
    type Error = S::Error;
    type Future = HttpClientResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let recording = self.layer.begin(&mut request);
        let _inside = recording.as_ref().map(Recording::enter);
        ResponseFuture::new(self.inner.call(request), recording)
    }
}
