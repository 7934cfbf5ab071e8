//! The layer and its service.

use super::classify::GrpcServerCall;
use super::request_body::{CountedIn, Received};
use super::series;
use crate::error::InvalidPattern;
use crate::exchange::{CountedBody, Recording, ResponseBody, ResponseFuture};
use crate::guarded::Guard as _;
use crate::protocol::grpc;
use crate::server::boundary::{Boundary, Caller, Trust};
use crate::server::options::Options;
use http::{Request, Response};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Records each call of a tonic server:
///
/// - a server span `{package.Service}/{Method}` with the `rpc.*` attributes of the OpenTelemetry semantic conventions
///   (README, "Attributes"). It begins a trace, with a link to the span that a `traceparent` names;
///   [`boundary`](Self::boundary) decides whose trace is continued;
/// - `grpc_requests_total`, `grpc_request_duration_seconds`, `grpc_requests_in_flight` and `grpc_messages_total` with
///   the labels `rpc_service`, `method` and `code`;
/// - one log line (target `grpc_access`, level `INFO`, or `ERROR` if the handler panicked) with the call's ids;
///   `RUST_LOG=info,grpc_access=off` turns it off.
///
/// A call lasts until its status, in the trailers at the end of its stream, or in the headers of a response without a
/// body. If there is none:
///
/// | the call ends because | code |
/// |---|---|
/// | the stream ended without a status | `UNKNOWN` |
/// | the caller went away | `CANCELLED` |
/// | the caller went away after its `grpc-timeout` | `DEADLINE_EXCEEDED` |
/// | the handler panicked | `INTERNAL` |
///
/// Errors of the span are the codes that the conventions call errors of a server: `UNKNOWN`, `DEADLINE_EXCEEDED`,
/// `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`.
///
/// A caller may send any path, so a method has series of its own only after it has answered once, with a message or
/// with `OK`, or from the first call on if [`methods`](Self::methods) names it. Name your methods, so that one that
/// only fails is visible too. Until then, and above 200 methods, a call is counted with `rpc_service` and `method`
/// `_OTHER`. No metadata, address or message is recorded.
///
/// Add it first, outside of other layers, also of `tonic_web::GrpcWebLayer`: the status of gRPC-Web is read from the
/// end of the body, in binary and in base64. The question of a browser whether it may call (a CORS preflight) is no
/// call, and not recorded.
///
/// tonic's own timeout (`Server::timeout`), concurrency limit and load shedding run in front of every layer: a call
/// that they end early is `CANCELLED` here, and a call that they refuse is not seen.
///
/// ```
/// use axum::body::Body;
/// use http::{Request, Response};
/// use ironcore_telemetry::GrpcTelemetryLayer;
/// use ironcore_telemetry::server::GrpcRequestBody;
/// use std::convert::Infallible;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = GrpcTelemetryLayer::new().methods(["ironcore.swap.v1.Swap/Execute"])?.skip("grpc.health.v1.Health");
///
/// // With tonic: Server::builder().layer(layer).add_service(SwapServer::new(swap)). It is a tower layer:
/// let swap = service_fn(async |_: Request<GrpcRequestBody<Body>>| Ok::<_, Infallible>(Response::new(Body::empty())));
/// let call = Request::post("/ironcore.swap.v1.Swap/Execute").body(Body::empty())?;
/// assert_eq!(layer.layer(swap).oneshot(call).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "add the layer to a server"]
pub struct GrpcTelemetryLayer {
    options: Arc<Options>,
}

impl GrpcTelemetryLayer {
    /// The layer with its defaults: [`Boundary::Public`], every service.
    pub fn new() -> Self {
        Self::default()
    }

    /// Skips a service by its full name, such as health checks or reflection: its calls are not recorded.
    pub fn skip(self, service: impl Into<String>) -> Self {
        self.with(|options| options.skipped.push(service.into()))
    }

    /// Declares methods (`package.Service/Method`), so that they have series of their own from the first call on, and
    /// `grpc_requests_total` of each is on `/metrics` from the start, at zero, for `OK` and for the errors of a server.
    ///
    /// ```
    /// use ironcore_telemetry::GrpcTelemetryLayer;
    ///
    /// # fn main() -> Result<(), ironcore_telemetry::InvalidPattern> {
    /// let layer = GrpcTelemetryLayer::new().methods(["ironcore.swap.v1.Swap/Quote", "ironcore.swap.v1.Swap/Execute"])?;
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A name that is not of this form, such as `ironcore.swap.v1.Swap/*`. None of the methods is added then.
    pub fn methods(self, methods: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidPattern> {
        let paths: Vec<_> = methods.into_iter().map(|method| path_of(method.as_ref())).collect::<Result<_, _>>()?;
        for path in &paths {
            series::declare(path);
        }
        Ok(self.with(|options| options.declared.extend(paths)))
    }

    /// Whether the response to a trusted caller carries the ids of the call's span, in the headers `traceresponse` and
    /// `server-timing`.
    pub fn trace_response(self, respond: bool) -> Self {
        self.with(|options| options.sends_trace_response = respond)
    }

    /// Whether the trace context of all callers is trusted.
    pub fn boundary(self, boundary: Boundary) -> Self {
        self.with(|options| options.trust = Trust::Always(boundary))
    }

    /// Decides for each call: `decide` is called once, before the call is handled. [`Caller::route`] is the method
    /// (`package.Service/Method`), or `None` while the method has no series of its own. If `decide` panics, the call is
    /// [`Boundary::Public`]. For an example see [`HttpTelemetryLayer`](crate::HttpTelemetryLayer).
    pub fn boundary_with(self, decide: impl Fn(&Caller<'_>) -> Boundary + Send + Sync + 'static) -> Self {
        self.with(|options| options.trust = Trust::PerRequest(Arc::new(decide)))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }
}

/// The path of a method, which may be written without the slash at its start.
fn path_of(method: &str) -> Result<String, InvalidPattern> {
    let path = format!("/{}", method.trim_start_matches('/'));
    match grpc::method_of(&path) {
        Some(_) => Ok(path),
        None => Err(InvalidPattern::new(method, "allowed is package.Service/Method (ironcore.swap.v1.Swap/Execute)")),
    }
}

impl<S> Layer<S> for GrpcTelemetryLayer {
    type Service = GrpcTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcTelemetryService { inner, options: Arc::clone(&self.options) }
    }
}

/// Body of the request of a recorded call: its messages are counted as the service reads them.
pub type GrpcRequestBody<B> = CountedBody<B, Received>;

/// Future of the response of a [`GrpcTelemetryService`].
pub type GrpcResponseFuture<F> = ResponseFuture<F, GrpcServerCall>;

/// Body of the response of a [`GrpcTelemetryService`]: its end is the end of the call.
pub type GrpcResponseBody<B> = ResponseBody<B, GrpcServerCall>;

/// A service with [`GrpcTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct GrpcTelemetryService<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S: tonic::server::NamedService> tonic::server::NamedService for GrpcTelemetryService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, RequestBody, B> Service<Request<RequestBody>> for GrpcTelemetryService<S>
where
    S: Service<Request<GrpcRequestBody<RequestBody>>, Response = Response<B>, Error: 'static>,
    B: Body,
{
    type Response = Response<GrpcResponseBody<B>>;
    type Error = S::Error;
    type Future = GrpcResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let recording = GrpcServerCall::begin(&request, &self.options);
        let counted_in = recording.as_ref().map_or(CountedIn::Nothing, |recording| recording.classify().counted_in());
        let _inside = recording.as_ref().map(Recording::enter);
        let request = request.map(|body| CountedBody::new(body, Received::new(counted_in)));
        ResponseFuture::new(self.inner.call(request), recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_a_method_is_an_error_that_shows_it_and_the_allowed_form() {
        for name in ["", "Execute", "ironcore.swap.v1.Swap/*", "ironcore.swap.v1.Swap/", "a/b/c", "a b/c"] {
            let error = GrpcTelemetryLayer::new().methods(["a.Service/Method", name]).unwrap_err();
            assert_eq!(error.pattern, name);
            let message = error.to_string();
            assert!(message.contains(&format!("{name:?}")) && message.contains("package.Service/Method"), "{message}");
            assert_eq!(message, format!("{error:?}"));
        }
        for name in ["a.Service/Method", "/a.Service/Method"] {
            let layer = GrpcTelemetryLayer::new().methods([name]).unwrap();
            assert_eq!(layer.options.declared, ["/a.Service/Method"]);
        }
    }
}
