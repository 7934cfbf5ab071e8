//! One request on its way through the service.

use super::boundary::{Boundary, Caller, Trust};
use super::series::{self, Route};
use crate::names::{UNMATCHED, attribute};
use crate::propagation;
use crate::recorder::{self, Recorder, StartSpan};
use axum::extract::MatchedPath;
use http::{Method, Request, StatusCode, Version, header};
use opentelemetry::trace::{Link, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, ContextGuard, KeyValue};
use std::time::Instant;

/// Bytes of the `User-Agent` that a span keeps.
const USER_AGENT_LIMIT: usize = 256;
/// What is counted when the caller went away before the answer (nginx' status for it).
const CLIENT_CLOSED: u16 = 499;

/// A request that was not answered yet.
pub(super) struct InFlight {
    started: Instant,
    method: &'static str,
    route: &'static Route,
    recorder: &'static Recorder,
    context: Context,
    ended: bool,
}

/// What became of a request.
enum End {
    Answered(StatusCode),
    Failed,
    Cancelled,
    Panicked,
}

impl InFlight {
    /// The request's record; `None` before `init` and when telemetry is disabled.
    pub(super) fn begin<Body>(request: &Request<Body>, trust: &Trust) -> Option<Self> {
        if recorder::is_off() {
            return None;
        }
        let recorder = recorder::current()?;
        let method = method_label(request.method());
        let matched = request
            .extensions()
            .get::<MatchedPath>()
            .map(MatchedPath::as_str);
        let boundary = trust.of(&Caller::of(request, matched));
        let parent = parent(request, boundary);
        let context = match recorder.spans() {
            Some(start_span) => {
                let link = match boundary {
                    Boundary::Public => propagation::caller(request.headers()),
                    Boundary::Trusted => None,
                };
                span(start_span, (&parent, link), request, method, matched)
            }
            // The ids of a trusted caller still reach the log lines.
            None => parent,
        };
        let route = series::route(matched.unwrap_or(UNMATCHED));
        Some(Self {
            started: Instant::now(),
            method,
            route,
            recorder,
            context,
            ended: false,
        })
    }

    /// Makes the request's span the current one until the guard is dropped.
    pub(super) fn enter(&self) -> ContextGuard {
        self.context.clone().attach()
    }

    pub(super) fn answered(mut self, status: StatusCode) {
        self.end(&End::Answered(status));
    }

    /// The inner service answered with an error of its own, which the server turns into a closed connection.
    pub(super) fn failed(mut self) {
        self.end(&End::Failed);
    }

    pub(super) fn panicked(mut self) {
        self.end(&End::Panicked);
    }

    fn end(&mut self, end: &End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        let status = end.status();
        let sampled = recorder::sampled(&self.context);
        self.route
            .record(self.recorder, (self.method, status), duration, sampled, now);
        let _current = self.context.clone().attach();
        tracing::info!(
            target: "http_access",
            method = self.method,
            route = self.route.name(),
            status,
            duration_ms = recorder::milliseconds(duration),
            "request"
        );
        end_span(&self.context, end);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end(if std::thread::panicking() {
            &End::Panicked
        } else {
            &End::Cancelled
        });
    }
}

impl End {
    fn status(&self) -> u16 {
        match self {
            Self::Answered(status) => status.as_u16(),
            Self::Failed | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
            Self::Cancelled => CLIENT_CLOSED,
        }
    }
}

/// The context that a request is handled in, apart from its own span.
fn parent<Body>(request: &Request<Body>, boundary: Boundary) -> Context {
    if boundary == Boundary::Trusted {
        return propagation::extract(request.headers());
    }
    let current = Context::current();
    if !current.span().span_context().is_remote() {
        return current;
    }
    // A layer outside of ours has believed the caller: its trace, its decision, its baggage. An empty span in place of
    // the caller's would count as a parent that is not sampled.
    recorder::apart(&current)
}

fn span<Body>(
    start_span: &StartSpan,
    (parent, link): (&Context, Option<SpanContext>),
    request: &Request<Body>,
    method: &'static str,
    matched: Option<&str>,
) -> Context {
    let mut attributes = Vec::with_capacity(6);
    attributes.push(KeyValue::new(attribute::HTTP_METHOD, method));
    attributes.push(KeyValue::new(attribute::URL_SCHEME, "http"));
    if let Some(version) = protocol_version(request.version()) {
        attributes.push(KeyValue::new(attribute::PROTOCOL_VERSION, version));
    }
    if let Some(agent) = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
    {
        // Visible ASCII only, as `to_str` has checked: every byte is a character.
        let agent = agent
            .get(..agent.len().min(USER_AGENT_LIMIT))
            .unwrap_or_default();
        attributes.push(KeyValue::new(attribute::USER_AGENT, agent.to_owned()));
    }
    let shown = if method == crate::names::OTHER {
        "HTTP"
    } else {
        method
    };
    let name = match matched {
        Some(route) => {
            attributes.push(KeyValue::new(attribute::HTTP_ROUTE, route.to_owned()));
            format!("{shown} {route}")
        }
        None => shown.to_owned(),
    };
    let mut builder = SpanBuilder::from_name(name)
        .with_kind(SpanKind::Server)
        .with_attributes(attributes);
    if let Some(caller) = link {
        builder = builder.with_links(vec![Link::with_context(caller)]);
    }
    start_span(builder, parent)
}

fn end_span(context: &Context, end: &End) {
    let span = context.span();
    if span.is_recording() {
        if let End::Answered(status) = end {
            span.set_attribute(KeyValue::new(
                attribute::HTTP_STATUS,
                i64::from(status.as_u16()),
            ));
        }
        let error = match end {
            End::Answered(status) if status.is_server_error() => Some(status.as_u16().to_string()),
            End::Answered(_) => None,
            End::Failed => Some("service".to_owned()),
            End::Cancelled => Some("cancelled".to_owned()),
            End::Panicked => Some("panic".to_owned()),
        };
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
            if !matches!(end, End::Cancelled) {
                // Who went away did not find an error of the service.
                span.set_status(Status::error(""));
            }
        }
    }
    span.end();
}

/// The ten methods that are known; every other is `_OTHER`, so that no caller can make series.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 10] = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or(crate::names::OTHER)
}

fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}
