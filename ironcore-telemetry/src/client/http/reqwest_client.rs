//! The layer around a client of `reqwest`.

use super::classify::{HttpClientRequest, Outgoing, Resends};
use super::json_rpc::{JsonRpc, JsonRpcMethod};
use super::layer::HttpClientTelemetryLayer;
use crate::client::targets::Targets;
use crate::exchange::{Recording, ResponseBody, ResponseFuture};
use crate::guarded::Guard as _;
use crate::recorder;
use reqwest::redirect::Policy;
use reqwest::{Body, Client, ClientBuilder, Error, Request, RequestBuilder, Response, ResponseBuilderExt as _, Url};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use tower_service::Service;

/// A `reqwest` client with [`HttpClientTelemetryLayer`] around it, made by
/// [`HttpClientTelemetryLayer::reqwest`]. Cheap to clone, like the client inside.
///
/// It is also a tower service of `reqwest::Request`, for layers that retry; a request that such a layer sends again is
/// recorded once more, with `http.request.resend_count` if it carries [`Resends`](crate::client::Resends).
#[derive(Debug, Clone)]
pub struct ReqwestClient {
    client: Client,
    layer: HttpClientTelemetryLayer,
}

impl ReqwestClient {
    /// Builds a request with the client inside, and sends it. Use it as you use `reqwest`, and leave out its `send`.
    ///
    /// ```
    /// use ironcore_telemetry::HttpClientTelemetryLayer;
    ///
    /// # async fn height() -> Result<String, reqwest::Error> {
    /// let node = HttpClientTelemetryLayer::new("chain-node").reqwest(reqwest::Client::builder())?;
    /// let response = node.send(|http| http.get("http://node.internal/height").bearer_auth("…")).await?;
    /// response.error_for_status()?.text().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// As those of `reqwest::RequestBuilder::send`: the future returns them.
    pub fn send(&self, build: impl FnOnce(&Client) -> RequestBuilder) -> ReqwestFuture {
        match build(&self.client).build() {
            Ok(request) => self.execute(request),
            Err(error) => ReqwestFuture::failed(error),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// As those of `reqwest::Client::execute`: the future returns them.
    pub fn execute(&self, request: Request) -> ReqwestFuture {
        let (request, recording) = match self.begin(request) {
            Ok(begun) => begun,
            Err(error) => return ReqwestFuture::failed(error),
        };
        let _inside = recording.as_ref().map(Recording::enter);
        let answer = self.client.execute(request);
        let recorded = ResponseFuture::new(async { answer.await.map(into_http) }, recording);
        ReqwestFuture(Box::pin(async { recorded.await.map(from_http) }))
    }

    fn begin(&self, request: Request) -> Result<(Request, Option<Recording<HttpClientRequest>>), Error> {
        if recorder::active().is_none() {
            return Ok((request, None));
        }
        // Only a request of `http` shows its extensions. What its address leaves out is put back.
        let url = request.url().clone();
        let request = http::Request::<Body>::try_from(request)?;
        let resends = request.extensions().get::<Resends>().cloned();
        let method = request.extensions().get::<JsonRpcMethod>().cloned();
        let mut request = Request::try_from(request)?;
        *request.url_mut() = url;

        let HttpClientTelemetryLayer { peer, targets, json_rpc } = &self.layer;
        let rpc = json_rpc.as_ref().map(|declared| match (&method, request.body().and_then(Body::as_bytes)) {
            (None, Some(body)) => JsonRpc::of_body(body, declared),
            (method, _) => JsonRpc::of(method.as_ref(), declared),
        });
        let target = targets.of(request.url().host_str());
        let recording = HttpClientRequest::begin(&Outgoing {
            peer,
            method: request.method(),
            scheme: Some(request.url().scheme()),
            declared_host: target.declared_host,
            resends: resends.as_ref(),
            rpc,
        });
        if let Some(recording) = &recording {
            targets.replace_context(target.is_allowed, recording.scope().context(), request.headers_mut());
        }
        Ok((request, recording))
    }
}

impl HttpClientTelemetryLayer {
    /// The layer around a `reqwest` client (feature `reqwest`), which is built from what you set: TLS, timeouts, a
    /// proxy, default headers.
    ///
    /// ```
    /// use ironcore_telemetry::HttpClientTelemetryLayer;
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), reqwest::Error> {
    /// let http = reqwest::Client::builder().timeout(Duration::from_secs(5));
    /// let node = HttpClientTelemetryLayer::new("eth-node").json_rpc(["eth_blockNumber"]).reqwest(http)?;
    /// # let _ = node;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `reqwest` follows redirects inside of a request, at most 10, and sends its headers on, a trace context too. A
    /// redirect from a host that receives the context to one that does not is therefore not followed: you get the
    /// response with the status 3xx, as with `Policy::none()`. Name the host in
    /// [`propagate_to`](Self::propagate_to) if it may have the context; else send a request to its address. All hops
    /// that are followed are one span, with the final status; so are the retries of `ClientBuilder::retry`.
    ///
    /// # Errors
    /// As those of `reqwest::ClientBuilder::build`.
    pub fn reqwest(self, builder: ClientBuilder) -> Result<ReqwestClient, Error> {
        self.reqwest_with(builder, Policy::default())
    }

    /// As [`reqwest`](Self::reqwest), with another policy on redirects than at most 10: it decides on those that keep
    /// the trace context where it may be. `ClientBuilder::redirect` has no effect.
    ///
    /// ```
    /// use ironcore_telemetry::HttpClientTelemetryLayer;
    /// use reqwest::redirect::Policy;
    ///
    /// # fn main() -> Result<(), reqwest::Error> {
    /// let ledger = HttpClientTelemetryLayer::new("ledger").reqwest_with(reqwest::Client::builder(), Policy::none())?;
    /// # let _ = ledger;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As those of `reqwest::ClientBuilder::build`.
    pub fn reqwest_with(self, builder: ClientBuilder, redirects: Policy) -> Result<ReqwestClient, Error> {
        let client = builder.redirect(within_targets(Arc::clone(&self.targets), redirects)).build()?;
        Ok(ReqwestClient { client, layer: self })
    }
}

/// Follows no redirect that would send the trace context to a host which may not have it.
fn within_targets(targets: Arc<Targets>, policy: Policy) -> Policy {
    Policy::custom(move |attempt| {
        let is_allowed = |url: &Url| targets.of(url.host_str()).is_allowed;
        // The headers are those of the first request.
        let has_context = attempt.previous().first().is_none_or(is_allowed);
        if has_context && !is_allowed(attempt.url()) { attempt.stop() } else { policy.redirect(attempt) }
    })
}

fn into_http(response: Response) -> http::Response<Body> {
    let url = http::Response::builder().url(response.url().clone()).body(());
    let mut response = http::Response::<Body>::from(response);
    // `reqwest` leaves the address out, and reads it from here.
    if let Ok(url) = url {
        response.extensions_mut().extend(url.into_parts().0.extensions);
    }
    response
}

fn from_http(response: http::Response<ResponseBody<Body, HttpClientRequest>>) -> Response {
    response.map(Body::wrap).into()
}

impl Service<Request> for ReqwestClient {
    type Response = Response;
    type Error = Error;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> ReqwestFuture {
        self.execute(request)
    }
}

/// Future of the response of a [`ReqwestClient`]. The end of the response's body is the end of the request.
#[must_use = "futures do nothing unless polled"]
pub struct ReqwestFuture(Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>);

impl ReqwestFuture {
    fn failed(error: Error) -> Self {
        Self(Box::pin(std::future::ready(Err(error))))
    }
}

impl Future for ReqwestFuture {
    type Output = Result<Response, Error>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(task)
    }
}

impl std::fmt::Debug for ReqwestFuture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ReqwestFuture")
    }
}
