//! The layer and its service.

use super::body::{GrpcRequestBody, Place, Received};
use super::call::GrpcExchange;
use super::series;
use crate::error::InvalidPattern;
use crate::server::boundary::{Boundary, Caller, Trust};
use crate::server::settings::Settings;
use crate::wire::{self, Exchange as _, RecordedBody, RecordedResponse};
use http::{Request, Response};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Records each call of a tonic server:
///
/// - a server span `{package.Service}/{Method}` with the `rpc.*` attributes of the OpenTelemetry semantic conventions. It
///   begins a trace, with a link to the span that a `traceparent` names; [`boundary`](Self::boundary) says from whom a trace
///   is continued;
/// - `grpc_requests_total`, `grpc_request_duration_seconds`, `grpc_requests_in_flight` and `grpc_messages_total` with the
///   labels `service`, `method` and `code`;
/// - one log line (target `grpc_access`, level `INFO`) with the call's ids; `RUST_LOG=info,grpc_access=off` turns it off.
///
/// A call lasts to its status: in the trailers at the end of its stream, or in the headers of an answer without one. A
/// stream that ends without a status is `UNKNOWN`; a caller that goes away makes it `CANCELLED`, or `DEADLINE_EXCEEDED`
/// once the time of its `grpc-timeout` is over; a handler that panics, `INTERNAL`. Errors of the span are the codes that
/// the conventions call errors of a server: `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`,
/// `DATA_LOSS`.
///
/// A path is a caller's word, so a method is told apart once something behind it has answered, with a message or with `OK`,
/// or from the first call on where [`methods`](Self::methods) names it: name them, so that one that only fails has a name
/// too. Until then, and above 200 methods, a call is counted with `service` and `method` `_OTHER`. No metadata, address or
/// message is recorded.
///
/// tonic's own timeout (`Server::timeout`), concurrency limit and load shedding stand in front of every layer: a call that
/// they end early is `CANCELLED` here, and one that they refuse is not seen.
///
/// ```
/// use ironcore_telemetry::GrpcTelemetryLayer;
///
/// // tonic::transport::Server::builder().layer(layer).add_service(…)
/// let layer = GrpcTelemetryLayer::new().skip("grpc.health.v1.Health");
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "add the layer to a server"]
pub struct GrpcTelemetryLayer {
    settings: Arc<Settings>,
}

impl GrpcTelemetryLayer {
    /// The layer with its defaults: [`Boundary::Public`], every service.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves a service out, by its full name: health checks, reflection. Nothing is recorded of its calls.
    pub fn skip(self, service: impl Into<String>) -> Self {
        self.with(|settings| settings.skipped.push(service.into()))
    }

    /// Names the methods of this server (`package.Service/Method`), so that each has its own series from its first call on.
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
        Ok(self.with(|settings| settings.declared.extend(paths)))
    }

    /// Whether a trusted caller is told the ids of the call's span, in the headers `traceresponse` and `server-timing`.
    pub fn trace_response(self, respond: bool) -> Self {
        self.with(|settings| settings.responds = respond)
    }

    /// Whether the trace context of all calls is believed.
    pub fn boundary(self, boundary: Boundary) -> Self {
        self.with(|settings| settings.trust = Trust::Always(boundary))
    }

    /// The same by call: `ask` is called once for each, before it is handled, with the method as
    /// [`route`](Caller::route) (`package.Service/Method`) once it is known. One that panics says [`Boundary::Public`].
    pub fn boundary_with(self, ask: impl Fn(&Caller<'_>) -> Boundary + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.trust = Trust::Asked(Arc::new(ask)))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

/// The path of a method, which may be written without the slash at its start.
fn path_of(method: &str) -> Result<String, InvalidPattern> {
    let path = format!("/{}", method.trim_start_matches('/'));
    match wire::method_of(&path) {
        Some(_) => Ok(path),
        None => Err(InvalidPattern::new(method, "allowed is package.Service/Method (ironcore.swap.v1.Swap/Execute)")),
    }
}

impl<S> Layer<S> for GrpcTelemetryLayer {
    type Service = GrpcTelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcTelemetryService { inner, settings: Arc::clone(&self.settings) }
    }
}

/// A service with [`GrpcTelemetryLayer`] around it.
#[derive(Debug, Clone)]
pub struct GrpcTelemetryService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S: tonic::server::NamedService> tonic::server::NamedService for GrpcTelemetryService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for GrpcTelemetryService<S>
where
    S: Service<Request<GrpcRequestBody<RequestBody>>, Response = Response<ResponseBody>, Error: 'static>,
    ResponseBody: Body,
{
    type Response = Response<RecordedBody<ResponseBody, GrpcExchange>>;
    type Error = S::Error;
    type Future = RecordedResponse<S::Future, GrpcExchange>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let exchange = GrpcExchange::begin(&request, &self.settings);
        let received = exchange.as_ref().map_or(Place::Nowhere, GrpcExchange::received);
        let _current = exchange.as_ref().map(GrpcExchange::enter);
        let request = request.map(|body| GrpcRequestBody::new(body, Received::at(received)));
        RecordedResponse::new(self.inner.call(request), exchange)
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
            assert_eq!(layer.settings.declared, ["/a.Service/Method"]);
        }
    }
}
