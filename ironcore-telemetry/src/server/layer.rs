//! The layer and its service.

use super::boundary::{Boundary, Caller, Trust};
use super::future::HttpTelemetryFuture;
use super::request::InFlight;
use http::{Request, Response};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Records each HTTP request of an axum router (or of any service that axum's `MatchedPath` reaches):
///
/// - a server span `{METHOD} {route}` with the attributes of the OpenTelemetry semantic conventions. It begins a trace, with
///   a link to the span that a `traceparent` names; [`boundary`](Self::boundary) says from whom a trace is continued;
/// - `http_requests_total` and `http_request_duration_seconds` with the labels `method`, `route` and `status`;
/// - one log line (target `http_access`, level `INFO`) with the request's ids; `RUST_LOG=info,http_access=off` turns it off.
///
/// Add it with `Router::layer` after the routes, so that it sees which route matched; a request that none matched has
/// the route `_unmatched`. A 5xx answer is an error of the span, a 4xx is not. A request whose caller goes away before
/// the answer is counted with the status 499 and `error.type="cancelled"`. No query string, header (but `User-Agent`),
/// path or body is recorded.
///
/// ```
/// use axum::{Router, routing::get};
/// use ironcore_telemetry::HttpTelemetryLayer;
///
/// let app: Router = Router::new().route("/health", get(|| async { "ok" })).layer(HttpTelemetryLayer::new());
/// ```
#[derive(Debug, Clone)]
#[must_use = "add the layer to a router"]
pub struct HttpTelemetryLayer {
    trust: Trust,
}

impl HttpTelemetryLayer {
    /// The layer with its defaults: [`Boundary::Public`].
    pub const fn new() -> Self {
        Self {
            trust: Trust::Always(Boundary::Public),
        }
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
    pub fn boundary(mut self, boundary: Boundary) -> Self {
        self.trust = Trust::Always(boundary);
        self
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
    /// let layer = HttpTelemetryLayer::new().boundary_by(|caller| {
    ///     match caller.extensions().get::<PeerIdentity>() {
    ///         Some(PeerIdentity(name)) if name.ends_with(".payments.internal") => Boundary::Trusted,
    ///         _ => Boundary::Public,
    ///     }
    /// });
    /// # let _ = layer;
    /// ```
    pub fn boundary_by(
        mut self,
        ask: impl Fn(&Caller<'_>) -> Boundary + Send + Sync + 'static,
    ) -> Self {
        self.trust = Trust::Asked(Arc::new(ask));
        self
    }
}

impl Default for HttpTelemetryLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for HttpTelemetryLayer {
    type Service = HttpTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpTelemetryService {
            inner,
            trust: self.trust.clone(),
        }
    }
}

/// A service with [`HttpTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct HttpTelemetryService<S> {
    inner: S,
    trust: Trust,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for HttpTelemetryService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HttpTelemetryFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let in_flight = InFlight::begin(&request, &self.trust);
        let _current = in_flight.as_ref().map(InFlight::enter);
        HttpTelemetryFuture::new(self.inner.call(request), in_flight)
    }
}
