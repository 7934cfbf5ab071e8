//! The layer and its service.

use super::future::HttpTelemetryFuture;
use super::request::InFlight;
use http::{Request, Response};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Records each HTTP request of an axum router (or of any service that axum's `MatchedPath` reaches):
///
/// - a server span `{METHOD} {route}` with the attributes of the OpenTelemetry semantic conventions, a child of the
///   caller's span when the request carries a `traceparent`;
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
#[derive(Debug, Clone, Default)]
#[must_use = "add the layer to a router"]
pub struct HttpTelemetryLayer {
    _private: (),
}

impl HttpTelemetryLayer {
    /// The layer with its defaults.
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl<S> Layer<S> for HttpTelemetryLayer {
    type Service = HttpTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpTelemetryService { inner }
    }
}

/// A service with [`HttpTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct HttpTelemetryService<S> {
    inner: S,
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
        let in_flight = InFlight::begin(&request);
        let _current = in_flight.as_ref().map(InFlight::enter);
        HttpTelemetryFuture::new(self.inner.call(request), in_flight)
    }
}
