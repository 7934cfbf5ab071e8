//! The layer and its service.

use super::body::count_request_body;
use super::boundary::{Boundary, Caller, Trust};
use super::request::HttpExchange;
use super::settings::Settings;
use crate::wire::{RecordedBody, RecordedResponse};
use http::{Request, Response};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Records each HTTP request of an axum router (or of any service that axum's `MatchedPath` reaches):
///
/// - a server span `{METHOD} {route}` with the attributes of the OpenTelemetry semantic conventions. It begins a trace, with
///   a link to the span that a `traceparent` names; [`boundary`](Self::boundary) says from whom a trace is continued;
/// - `http_requests_total`, `http_request_duration_seconds`, `http_requests_in_flight` and the bytes of bodies, with the
///   labels `method`, `route` and `status`; the README has all of them;
/// - one log line (target `http_access`, level `INFO`) with the request's ids; `RUST_LOG=info,http_access=off` turns it off.
///
/// A request lasts to the end of its response's body, so a stream is one long request; an upgraded connection (WebSocket)
/// is not a part of it. Add the layer with `Router::layer` after the routes, so that it sees which route matched; a
/// request that none matched has the route `_unmatched`, a method that HTTP does not know is `_OTHER`. A 5xx answer is an
/// error of the span, a 4xx is not. A request whose caller goes away before the end of the answer is counted with the
/// status 499 and `error.type="cancelled"`; an answer that breaks off with an error of the service, or a handler that
/// panics, with 500. No query string, header (but `User-Agent`), path or body is recorded.
///
/// Make it the outermost layer: what stands in front of it, as a timeout, is not seen, and ends a request as a caller that
/// goes away would. One layer is enough for a router: a request that passes two is counted twice.
///
/// The bytes of request bodies are counted as the service reads them, where the body is axum's.
///
/// ```
/// use axum::{Router, routing::get};
/// use ironcore_telemetry::HttpTelemetryLayer;
///
/// let app: Router = Router::new().route("/health", get(|| async { "ok" })).layer(HttpTelemetryLayer::new());
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "add the layer to a router"]
pub struct HttpTelemetryLayer {
    settings: Arc<Settings>,
}

impl HttpTelemetryLayer {
    /// The layer with its defaults: [`Boundary::Public`], every route.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves a route out, by its template: a health check, or the scraped page itself. Nothing is recorded of its
    /// requests.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use ironcore_telemetry::{self as telemetry, HttpTelemetryLayer};
    ///
    /// let app: Router = Router::new()
    ///     .route("/health", get(|| async { "ok" }))
    ///     .merge(telemetry::scrape::router())
    ///     .layer(HttpTelemetryLayer::new().skip("/health").skip("/metrics"));
    /// # let _ = app;
    /// ```
    pub fn skip(self, route: impl Into<String>) -> Self {
        self.with(|settings| settings.skipped.push(route.into()))
    }

    /// Whether a trusted caller is told the ids of the request's span: in the headers `traceresponse` (W3C trace context,
    /// level 2) and `server-timing`, which browsers show. Nobody else is told.
    ///
    /// ```
    /// use ironcore_telemetry::{Boundary, HttpTelemetryLayer};
    ///
    /// let layer = HttpTelemetryLayer::new().boundary(Boundary::Trusted).trace_response(true);
    /// # let _ = layer;
    /// ```
    pub fn trace_response(self, respond: bool) -> Self {
        self.with(|settings| settings.responds = respond)
    }

    /// Whether the trace context of all requests is believed.
    ///
    /// For calls from inside, a listener of their own, which nobody else reaches: a path is no boundary unless the edge
    /// blocks it.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use ironcore_telemetry::{Boundary, HttpTelemetryLayer};
    ///
    /// // Served on an address of the private network.
    /// let inside: Router = Router::new()
    ///     .route("/wallets", get(|| async { "ok" }))
    ///     .layer(HttpTelemetryLayer::new().boundary(Boundary::Trusted));
    /// # let _ = inside;
    /// ```
    pub fn boundary(self, boundary: Boundary) -> Self {
        self.with(|settings| settings.trust = Trust::Always(boundary))
    }

    /// The same by request: `ask` is called once for each, before it is handled. One that panics says
    /// [`Boundary::Public`].
    ///
    /// Ask for what nobody can claim: an identity that a layer outside of this one has read from the peer's certificate.
    /// Behind a proxy the peer's address is the proxy's, for every stranger.
    ///
    /// ```
    /// use ironcore_telemetry::{Boundary, HttpTelemetryLayer};
    ///
    /// /// As the layer that ends TLS puts it into the extensions of a request.
    /// #[derive(Clone)]
    /// struct PeerIdentity(String);
    ///
    /// let layer = HttpTelemetryLayer::new().boundary_with(|caller| {
    ///     match caller.extensions().get::<PeerIdentity>() {
    ///         Some(PeerIdentity(name)) if name.ends_with(".payments.internal") => Boundary::Trusted,
    ///         _ => Boundary::Public,
    ///     }
    /// });
    /// # let _ = layer;
    /// ```
    pub fn boundary_with(self, ask: impl Fn(&Caller<'_>) -> Boundary + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.trust = Trust::Asked(Arc::new(ask)))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<S> Layer<S> for HttpTelemetryLayer {
    type Service = HttpTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpTelemetryService { inner, settings: Arc::clone(&self.settings) }
    }
}

/// A service with [`HttpTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct HttpTelemetryService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for HttpTelemetryService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error: 'static>,
    RequestBody: Body + 'static,
    ResponseBody: Body,
{
    type Response = Response<RecordedBody<ResponseBody, HttpExchange>>;
    type Error = S::Error;
    type Future = RecordedResponse<S::Future, HttpExchange>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let exchange = HttpExchange::begin(&request, &self.settings);
        let _current = exchange.as_ref().map(|exchange| {
            count_request_body(&mut request, exchange.endpoint());
            crate::wire::Exchange::enter(exchange)
        });
        RecordedResponse::new(self.inner.call(request), exchange)
    }
}
