//! One HTTP request on its way through the service.

use super::series::{self, Endpoint};
use crate::exchange::{CallSeries, Classify, End, Recording, Scope, dropped_by_server};
use crate::format::milliseconds;
use crate::names::{UNMATCHED, attribute};
use crate::protocol::http::{self as protocol, CLIENT_CLOSED_REQUEST, MethodLabel, StatusLabel};
use crate::recorder;
use crate::server::boundary::{self, Boundary, Caller};
use crate::server::options::Options;
use axum::extract::MatchedPath;
use bytes::Buf;
use http::{HeaderMap, Method, Request, StatusCode, header};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use std::borrow::Cow;
use std::time::Duration;

/// Bytes of the `User-Agent` that a span keeps.
const USER_AGENT_LIMIT: usize = 256;
/// Attributes that a request may have, from its start to its end.
const ATTRIBUTES: usize = 8;

/// A request whose response has not ended.
pub struct HttpServerRequest {
    endpoint: &'static Endpoint,
    body: BodyRule,
    /// `None` as long as there is no response.
    status: Option<StatusCode>,
}

/// Whether a body follows the head of a response, by the method of its request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyRule {
    ByStatus,
    /// To a `HEAD`.
    Never,
    /// To a `CONNECT`: what follows a success is the tunnel.
    UnlessSuccess,
}

impl HttpServerRequest {
    /// The recording of a request; `None` before `init`, when telemetry is disabled, and for a skipped route.
    #[inline]
    pub(super) fn begin<Body>(request: &Request<Body>, options: &Options) -> Option<Recording<Self>> {
        let recorder = recorder::active()?;
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let matched = matched.or_else(|| options.route_by.as_ref()?.of(request));
        if options.skips(matched) {
            return None;
        }
        let method = MethodLabel::of(request.method());
        let route = matched.unwrap_or(UNMATCHED);
        let endpoint = series::endpoint(recorder, method, route);
        if method.is_other() {
            endpoint.requests.count_overflow("method");
        }
        if endpoint.route != route {
            endpoint.requests.count_overflow("route");
        }
        let boundary = options.trust.of(&Caller::of(request, matched));
        let parent = boundary::parent(request.headers(), boundary);
        let sends_trace_response = options.sends_trace_response && boundary == Boundary::Trusted;
        let classify = Self { endpoint, body: BodyRule::of(request.method()), status: None };
        let span = (endpoint.span_name, || describe(request, boundary, (endpoint, matched)));
        Some(Recording::received(recorder, &parent, classify, sends_trace_response, span))
    }

    /// What its request's body is counted in.
    pub(super) const fn endpoint(&self) -> &'static Endpoint {
        self.endpoint
    }

    /// The status that the request is counted with.
    fn status(&self, end: End) -> u16 {
        match (end, self.status) {
            (End::Complete, Some(status)) => status.as_u16(),
            (End::Cancelled, _) => CLIENT_CLOSED_REQUEST,
            (End::Complete | End::Failed | End::Broken | End::Panicked, _) => 500,
        }
    }
}

impl Classify for HttpServerRequest {
    type Result = StatusLabel;

    #[inline]
    fn series(&self) -> &'static CallSeries<StatusLabel> {
        &self.endpoint.requests
    }

    #[inline]
    fn response(&mut self, status: StatusCode, _: &HeaderMap) -> bool {
        self.status = Some(status);
        status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || match self.body {
                BodyRule::ByStatus => false,
                BodyRule::Never => true,
                BodyRule::UnlessSuccess => status.is_success(),
            }
    }

    #[inline]
    fn data(&mut self, _: &Scope, data: &impl Buf) {
        let bytes = u64::try_from(data.remaining()).unwrap_or(u64::MAX);
        self.endpoint.response_body.add(bytes);
    }

    fn dropped() -> End {
        dropped_by_server()
    }

    #[inline]
    fn result(&mut self, _: &Scope, end: End, _: Duration) -> StatusLabel {
        let result = StatusLabel::of(self.status(end));
        if result == StatusLabel::Other {
            self.endpoint.requests.count_overflow("status");
        }
        result
    }

    #[inline]
    fn log(&self, scope: &Scope, end: End, _: StatusLabel, duration: Duration) {
        // The level of a line is fixed where it is written.
        macro_rules! line {
            ($level:ident) => {
                if tracing::event_enabled!(target: "http_access", tracing::Level::$level) {
                    let _inside = scope.enter();
                    tracing::event!(
                        target: "http_access",
                        tracing::Level::$level,
                        method = self.endpoint.method,
                        route = self.endpoint.route,
                        status = self.status(end),
                        duration_ms = milliseconds(duration),
                        "request"
                    );
                }
            };
        }
        if end == End::Panicked {
            line!(ERROR);
        } else {
            line!(INFO);
        }
    }

    #[inline]
    fn end_span(&self, scope: &Scope, end: End, _: StatusLabel) {
        let error: Option<Cow<'static, str>> = match end {
            End::Complete => {
                self.status.filter(|status| status.as_u16() >= 500).map(|status| status.as_str().to_owned().into())
            }
            End::Failed => Some("service".into()),
            End::Broken => Some("response_body".into()),
            End::Cancelled => Some("cancelled".into()),
            End::Panicked => Some("panic".into()),
        };
        // A caller that goes away has not found an error of the service.
        let is_error = error.is_some() && end != End::Cancelled;
        scope.end_span(self.status.map(protocol::status_attribute), error, is_error);
    }
}

impl BodyRule {
    fn of(method: &Method) -> Self {
        if method == Method::HEAD {
            Self::Never
        } else if method == Method::CONNECT {
            Self::UnlessSuccess
        } else {
            Self::ByStatus
        }
    }
}

/// The span of a request, as it starts.
fn describe<Body>(
    request: &Request<Body>,
    boundary: Boundary,
    (endpoint, matched): (&'static Endpoint, Option<&str>),
) -> SpanBuilder {
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.push(KeyValue::new(attribute::HTTP_METHOD, endpoint.method));
    let scheme = match request.uri().scheme_str() {
        Some("https") => "https",
        _ => "http",
    };
    attributes.push(KeyValue::new(attribute::URL_SCHEME, scheme));
    if let Some(route) = matched {
        let value = if route == endpoint.route {
            KeyValue::new(attribute::HTTP_ROUTE, endpoint.route)
        } else {
            KeyValue::new(attribute::HTTP_ROUTE, route.to_owned())
        };
        attributes.push(value);
    }
    if let Some(version) = protocol::version(request.version()) {
        attributes.push(KeyValue::new(attribute::PROTOCOL_VERSION, version));
    }
    if let Some(agent) = user_agent(request.headers()) {
        attributes.push(KeyValue::new(attribute::USER_AGENT, agent.to_owned()));
    }
    SpanBuilder {
        name: Cow::Borrowed(endpoint.span_name),
        span_kind: Some(SpanKind::Server),
        attributes: Some(attributes),
        links: boundary::links(request.headers(), boundary),
        ..SpanBuilder::default()
    }
}

fn user_agent(headers: &HeaderMap) -> Option<&str> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    // Visible ASCII only, as `to_str` has checked: every byte is a character.
    agent.get(..agent.len().min(USER_AGENT_LIMIT))
}
