//! One HTTP request on its way through the service.

use super::boundary::{self, Boundary, Caller};
use super::series::{self, Endpoint};
use super::settings::Settings;
use crate::names::{UNMATCHED, attribute};
use crate::propagation;
use crate::recorder::{self, Closed, Recorder};
use crate::wire::{self, End, Exchange};
use axum::extract::MatchedPath;
use bytes::Buf;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use opentelemetry::trace::{SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};
use std::borrow::Cow;
use std::time::Instant;

/// Bytes of the `User-Agent` that a span keeps.
const USER_AGENT_LIMIT: usize = 256;
/// What is counted when the caller went away first (nginx' status for it).
const CLIENT_CLOSED: u16 = 499;
/// Attributes that a request may have, from its start to its end.
const ATTRIBUTES: usize = 8;

/// A request whose response has not ended.
pub struct HttpExchange {
    started: Instant,
    recorder: &'static Recorder,
    endpoint: &'static Endpoint,
    context: Context,
    /// Whether to a `HEAD` or a `CONNECT`: then no body follows where it would otherwise.
    special: Special,
    /// Zero as long as there is no response.
    status: u16,
    responds: bool,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    None,
    Head,
    Connect,
}

impl HttpExchange {
    /// The request's record; `None` before `init`, when telemetry is disabled, and for a route that is left out.
    #[inline]
    pub(super) fn begin<Body>(request: &Request<Body>, settings: &Settings) -> Option<Self> {
        if recorder::is_off() {
            return None;
        }
        let recorder = recorder::current()?;
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        if settings.skips(matched) {
            return None;
        }
        let method = wire::method_index(request.method());
        let route = matched.unwrap_or(UNMATCHED);
        let endpoint = series::endpoint(recorder, method, route);
        if method.is_other() {
            recorder::overflow(recorder.registry, Closed::HttpMethod);
        }
        if endpoint.route != route {
            recorder::overflow(recorder.registry, Closed::HttpRoute);
        }
        let boundary = settings.trust.of(&Caller::of(request, matched));
        let parent = boundary::parent(request.headers(), boundary);
        let context = match recorder.spans() {
            Some(start_span) => start_span(&parent, &mut || describe(request, boundary, (endpoint, matched))),
            // The ids of a trusted caller still reach the log lines.
            None => parent,
        };
        endpoint.requests.begin();
        Some(Self {
            started: Instant::now(),
            recorder,
            endpoint,
            context,
            special: Special::of(request.method()),
            status: 0,
            responds: settings.responds && boundary == Boundary::Trusted,
            ended: false,
        })
    }

    /// What its request's body is counted by.
    pub(super) const fn endpoint(&self) -> &'static Endpoint {
        self.endpoint
    }

    /// Whether the span of the context is its own: while traces are off it may be another's.
    fn has_span(&self) -> bool {
        self.recorder.spans().is_some()
    }

    fn finish(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        let status = match end {
            End::Complete => self.status,
            End::Cancelled => CLIENT_CLOSED,
            End::Failed | End::Broken | End::Panicked => 500,
        };
        let result = wire::closed_status(status);
        if wire::is_other_status(result) {
            recorder::overflow(self.recorder.registry, Closed::HttpStatus);
        }
        let sampled = recorder::sampled(&self.context);
        self.endpoint.requests.end(result, duration, sampled, now);
        if tracing::event_enabled!(target: "http_access", tracing::Level::INFO) {
            let _inside = self.enter();
            tracing::info!(
                target: "http_access",
                method = self.endpoint.method,
                route = self.endpoint.route,
                status,
                duration_ms = recorder::milliseconds(duration),
                "request"
            );
        }
        if self.has_span() && sampled.is_some() {
            self.end_span(end);
        }
    }

    fn end_span(&self, end: End) {
        let error: Option<Cow<'static, str>> = match end {
            End::Complete if self.status >= 500 => Some(self.status.to_string().into()),
            End::Complete => None,
            End::Failed => Some("service".into()),
            End::Broken => Some("response_body".into()),
            End::Cancelled => Some("cancelled".into()),
            End::Panicked => Some("panic".into()),
        };
        // Who went away did not find an error of the service.
        let is_error = error.is_some() && end != End::Cancelled;
        let status = wire::status_attribute(self.status);
        wire::end_span(&self.context, status, error, is_error);
    }
}

impl Exchange for HttpExchange {
    fn context(&self) -> &Context {
        &self.context
    }

    fn answered<B>(&mut self, response: &mut Response<B>) -> bool {
        let status = response.status();
        self.status = status.as_u16();
        if self.responds {
            propagation::inject_response(&self.context, response.headers_mut());
        }
        status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || self.special == Special::Head
            || (self.special == Special::Connect && status.is_success())
    }

    fn data(&mut self, data: &impl Buf) {
        let bytes = u64::try_from(data.remaining()).unwrap_or(u64::MAX);
        self.endpoint.response_body.add(bytes);
    }

    fn trailers(&mut self, _: &HeaderMap) {}

    fn dropped() -> End {
        wire::dropped_by_server()
    }

    fn end(mut self, end: End) {
        self.finish(end);
    }
}

impl Drop for HttpExchange {
    fn drop(&mut self) {
        self.finish(Self::dropped());
    }
}

impl Special {
    fn of(method: &Method) -> Self {
        if method == Method::HEAD {
            Self::Head
        } else if method == Method::CONNECT {
            Self::Connect
        } else {
            Self::None
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
    if let Some(version) = wire::protocol_version(request.version()) {
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
