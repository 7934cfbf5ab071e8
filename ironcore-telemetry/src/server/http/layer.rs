//! The layer and its service.

use super::classify::HttpServerRequest;
use super::request_body::count_request_body;
use super::route::{RequestHead, RouteBy};
use super::series;
use crate::error::InvalidPattern;
use crate::exchange::{ResponseBody, ResponseFuture};
use crate::guarded::Guard as _;
use crate::protocol::http as protocol;
use crate::server::boundary::{Boundary, Caller, Trust};
use crate::server::options::Options;
use http::{Request, Response};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Records each HTTP request of an axum router (or of any service that axum's `MatchedPath` reaches):
///
/// - a server span `{METHOD} {route}` with attributes of the OpenTelemetry semantic conventions (README, "Attributes").
///   It begins a trace, with a link to the span that a `traceparent` names; [`boundary`](Self::boundary) decides whose
///   trace is continued;
/// - `http_requests_total`, `http_request_duration_seconds`, `http_requests_in_flight` and the bytes of bodies, with
///   the labels `method`, `route` and `status`; the README has all of them;
/// - one log line (target `http_access`, level `INFO`, or `ERROR` if the handler panicked) with the request's ids;
///   `RUST_LOG=info,http_access=off` turns it off.
///
/// A request lasts until the end of its response's body, so a stream is one long request; the time after an upgrade
/// (WebSocket) is not measured. A request that no route matched has the route `_unmatched`, unless
/// [`route_by`](Self::route_by) names it; a method that HTTP does not know is `_OTHER`. A 5xx response is an error of
/// the span, a 4xx is not. A request whose caller goes away before the end of the response is counted with the status
/// 499 and `error.type="cancelled"`; a response that breaks off with an error of the service, or a handler that panics,
/// with 500. No query string, header (but `User-Agent`), path or body is recorded.
///
/// Where it stands decides what it sees:
///
/// | added with | records | route |
/// |---|---|---|
/// | `Router::layer`, behind the routes and the fallback | every request of the router | the one that matched |
/// | `Router::route_layer`, or `layer` of a handler | requests that a route matched, no 404 | the one that matched |
/// | around the router (`layer.layer(router)`, `ServiceBuilder`) | every request | none: no route has matched yet |
///
/// [`route_by`](Self::route_by) names the others: those of nested services and of the fallback, and all requests where
/// the layer stands around the router.
///
/// Make it the outermost layer there: a request that an outer layer ends, such as a timeout, is recorded as one whose
/// caller went away (499). Add it once: a request that passes two of these layers is counted twice.
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
    options: Arc<Options>,
}

impl HttpTelemetryLayer {
    /// The layer with its defaults: [`Boundary::Public`], every route.
    pub fn new() -> Self {
        Self::default()
    }

    /// Skips a route by its template, such as a health check or the scraped page itself: its requests are not recorded.
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
        self.with(|options| options.skipped.push(route.into()))
    }

    /// Names the route of a request that no axum route has matched, out of a fixed set: requests of services that are
    /// nested (`nest_service`, `ServeDir`), of fallbacks, and all requests where the layer stands outside of the router
    /// or there is none. Without a name they have the route `_unmatched`. If the function panics, the request has no
    /// name.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use ironcore_telemetry::HttpTelemetryLayer;
    ///
    /// let layer = HttpTelemetryLayer::new().route_by(|request| match request.path() {
    ///     "/favicon.ico" => Some("/favicon.ico"),
    ///     path if path.starts_with("/assets/") => Some("/assets/{*file}"),
    ///     _ => None,
    /// });
    /// let app: Router =
    ///     Router::new().route("/health", get(|| async { "ok" })).fallback(|| async { "a file" }).layer(layer);
    /// # let _ = app;
    /// ```
    pub fn route_by(self, name: impl Fn(&RequestHead<'_>) -> Option<&'static str> + Send + Sync + 'static) -> Self {
        self.with(|options| options.route_by = Some(RouteBy::new(name)))
    }

    /// Declares routes, so that `http_requests_total` of each is on `/metrics` from the start, at zero, with the status
    /// 200 and with the status 500. Without it the series of a route begins with its first request, and Prometheus sees
    /// no increase: the first failure of a quiet route is missed.
    ///
    /// The layer cannot ask a router for its routes. One that is declared and does not exist stays at zero.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use ironcore_telemetry::HttpTelemetryLayer;
    ///
    /// # fn main() -> Result<(), ironcore_telemetry::InvalidPattern> {
    /// let app: Router = Router::new()
    ///     .route("/wallets/{id}", get(|| async { "7" }).delete(|| async { "gone" }))
    ///     .layer(HttpTelemetryLayer::new().routes(["GET /wallets/{id}", "DELETE /wallets/{id}"])?);
    /// # let _ = app;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A text that is not a method and a route in the form of axum 0.8, such as `GET /wallets/:id`. None of the routes
    /// is declared then.
    pub fn routes(self, routes: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidPattern> {
        let routes: Vec<_> = routes.into_iter().collect();
        let endpoints = routes.iter().map(|route| {
            let allowed = "allowed is a method and a route of axum (GET /wallets/{id})";
            protocol::endpoint_of(route.as_ref()).ok_or_else(|| InvalidPattern::new(route.as_ref(), allowed))
        });
        for (method, route) in endpoints.collect::<Result<Vec<_>, _>>()? {
            series::declare(method, route);
        }
        Ok(self)
    }

    /// Whether the response to a trusted caller carries the ids of the request's span, in the headers `traceresponse`
    /// (W3C trace context, level 2) and `server-timing`, which browsers show. Responses to untrusted callers never
    /// carry them.
    ///
    /// ```
    /// use ironcore_telemetry::{Boundary, HttpTelemetryLayer};
    ///
    /// let layer = HttpTelemetryLayer::new().boundary(Boundary::Trusted).trace_response(true);
    /// # let _ = layer;
    /// ```
    pub fn trace_response(self, respond: bool) -> Self {
        self.with(|options| options.sends_trace_response = respond)
    }

    /// Whether the trace context of all callers is trusted.
    ///
    /// Serve trusted callers on a listener of their own, which others cannot reach. A path is not a boundary, unless
    /// the edge proxy blocks it.
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
        self.with(|options| options.trust = Trust::Always(boundary))
    }

    /// Decides for each request: `decide` is called once, before the request is handled. If it panics, the request is
    /// [`Boundary::Public`].
    ///
    /// Decide by something that a caller cannot forge: an identity that an outer layer has read from the peer's
    /// certificate. Behind a proxy every caller has the proxy's address.
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
    pub fn boundary_with(self, decide: impl Fn(&Caller<'_>) -> Boundary + Send + Sync + 'static) -> Self {
        self.with(|options| options.trust = Trust::PerRequest(Arc::new(decide)))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }
}

impl<S> Layer<S> for HttpTelemetryLayer {
    type Service = HttpTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpTelemetryService { inner, options: Arc::clone(&self.options) }
    }
}

/// Future of the response of an [`HttpTelemetryService`].
pub type HttpResponseFuture<F> = ResponseFuture<F, HttpServerRequest>;

/// Body of the response of an [`HttpTelemetryService`]: its end is the end of the request.
pub type HttpResponseBody<B> = ResponseBody<B, HttpServerRequest>;

/// A service with [`HttpTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct HttpTelemetryService<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S, RequestBody, B> Service<Request<RequestBody>> for HttpTelemetryService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: 'static>,
    RequestBody: Body + 'static,
    B: Body,
{
    type Response = Response<HttpResponseBody<B>>;
    type Error = S::Error;
    type Future = HttpResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let recording = HttpServerRequest::begin(&request, &self.options);
        let _inside = recording.as_ref().map(|recording| {
            count_request_body(&mut request, recording.classify().endpoint());
            recording.enter()
        });
        ResponseFuture::new(self.inner.call(request), recording)
    }
}
