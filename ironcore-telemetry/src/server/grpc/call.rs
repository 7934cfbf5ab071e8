//! One gRPC call on its way through the service.

use super::body::Received;
use super::layer::Settings;
use super::series::{self, Rpc};
use crate::names::{self, attribute};
use crate::propagation;
use crate::recorder::{self, Recorder};
use crate::server::boundary::{self, Boundary, Caller};
use crate::wire::{self, Code, End, Exchange, Messages};
use bytes::Buf;
use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Attributes that a call may have, from its start to its end.
const ATTRIBUTES: usize = 5;

/// A call whose status is not there yet.
pub struct GrpcExchange {
    started: Instant,
    /// How long the caller waits.
    timeout: Option<Duration>,
    recorder: &'static Recorder,
    rpc: &'static Rpc,
    unknown: Option<Unknown>,
    context: Context,
    code: Option<Code>,
    /// Whether the answer was one of gRPC.
    is_grpc: bool,
    sent: u64,
    messages: Messages,
    responds: bool,
    ended: bool,
}

/// A method that nothing has answered behind so far. The first answer of its own makes it known.
struct Unknown {
    path: Box<str>,
    received: Arc<AtomicU64>,
}

impl GrpcExchange {
    /// The call's record; `None` before `init`, when telemetry is disabled, and for a service that is left out.
    pub(super) fn begin<Body>(request: &Request<Body>, settings: &Settings) -> Option<Self> {
        if recorder::is_off() {
            return None;
        }
        let recorder = recorder::current()?;
        let path = request.uri().path();
        if settings.skips(path) {
            return None;
        }
        let rpc = series::known(recorder, path, settings);
        let is_known = !rpc.is_other();
        let unknown = (!is_known && wire::method_of(path).is_some()).then(|| Unknown {
            path: path.into(),
            received: Arc::default(),
        });
        let route = is_known.then(|| rpc.full_name());
        let boundary = settings.trust.of(&Caller::of(request, route));
        let parent = boundary::parent(request.headers(), boundary);
        let context = match recorder.spans() {
            Some(start_span) => start_span(&parent, &mut || describe(request, boundary, rpc)),
            // The ids of a trusted caller still reach the log lines.
            None => parent,
        };
        rpc.calls.begin();
        Some(Self {
            started: Instant::now(),
            timeout: wire::timeout_of(request.headers()),
            recorder,
            rpc,
            unknown,
            context,
            code: None,
            is_grpc: false,
            sent: 0,
            messages: Messages::default(),
            responds: settings.responds && boundary == Boundary::Trusted,
            ended: false,
        })
    }

    /// Where the messages of its request are counted.
    pub(super) fn received(&self) -> Received {
        match &self.unknown {
            Some(unknown) => Received::Kept(Arc::clone(&unknown.received)),
            None => Received::Of(self.rpc),
        }
    }

    fn finish(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        let code = self.code_of(end, duration);
        let sampled = recorder::sampled(&self.context);
        let rpc = self.proven(end, code);
        self.rpc
            .calls
            .move_to(&rpc.calls, code.number(), duration, sampled, now);
        if self.sent > 0 {
            rpc.sent.add(self.sent);
        }
        if tracing::event_enabled!(target: "grpc_access", tracing::Level::INFO) {
            let _inside = self.enter();
            tracing::info!(
                target: "grpc_access",
                rpc_service = rpc.service,
                rpc_method = rpc.method,
                code = code.name(),
                duration_ms = recorder::milliseconds(duration),
                "call"
            );
        }
        if sampled.is_some() {
            self.end_span(end, code, rpc);
        }
    }

    fn code_of(&self, end: End, duration: Duration) -> Code {
        match (end, self.code) {
            (End::Panicked, _) => Code::INTERNAL,
            (_, Some(code)) => code,
            // A stream without a status at its end.
            (End::Complete | End::Failed | End::Broken, None) => Code::UNKNOWN,
            // The server itself gives up a call whose time is over.
            (End::Cancelled, None) => match self.timeout {
                Some(timeout) if duration >= timeout => Code::DEADLINE_EXCEEDED,
                _ => Code::CANCELLED,
            },
        }
    }

    /// The method that the call is counted as.
    fn proven(&self, end: End, code: Code) -> &'static Rpc {
        if !self.rpc.is_other() {
            return self.rpc;
        }
        let rpc = match &self.unknown {
            Some(unknown) if self.is_grpc && code.proves_method() && end == End::Complete => {
                series::learn(self.recorder, &unknown.path)
            }
            _ => self.rpc,
        };
        if rpc.is_other() {
            recorder::overflow(self.recorder.registry, &names::GRPC_REQUESTS, "method");
        }
        if let Some(unknown) = &self.unknown {
            rpc.received.add(unknown.received.load(Ordering::Relaxed));
        }
        rpc
    }

    fn end_span(&self, end: End, code: Code, rpc: &'static Rpc) {
        let span = self.context.span();
        if !std::ptr::eq(rpc, self.rpc) {
            span.update_name(rpc.full_name());
        }
        span.set_attribute(KeyValue::new(attribute::RPC_METHOD, rpc.full_name()));
        span.set_attribute(KeyValue::new(attribute::RPC_STATUS, code.name()));
        let error = match end {
            End::Panicked => Some("panic"),
            End::Cancelled => Some(code.name()),
            _ if code.is_of_server() => Some(code.name()),
            _ => None,
        };
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
        }
        if code.is_of_server() {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Exchange for GrpcExchange {
    fn context(&self) -> &Context {
        &self.context
    }

    fn answered<B>(&mut self, response: &mut Response<B>) -> bool {
        self.is_grpc = response.status() == StatusCode::OK;
        self.code = match response.status() {
            // Without a body, the status stands in the headers.
            StatusCode::OK => Code::of(response.headers()),
            status => Some(Code::of_http(status)),
        };
        if self.responds {
            propagation::respond(&self.context, response.headers_mut());
        }
        false
    }

    fn data(&mut self, data: &impl Buf) {
        self.sent += self.messages.begun_in(data);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.code = Code::of(trailers).or(self.code);
    }

    fn end(mut self, end: End) {
        self.finish(end);
    }
}

impl Drop for GrpcExchange {
    fn drop(&mut self) {
        self.finish(End::of_drop());
    }
}

/// The span of a call, as it starts.
fn describe<Body>(request: &Request<Body>, boundary: Boundary, rpc: &'static Rpc) -> SpanBuilder {
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.push(KeyValue::new(attribute::RPC_SYSTEM, "grpc"));
    SpanBuilder {
        name: Cow::Borrowed(if rpc.is_other() {
            "grpc"
        } else {
            rpc.full_name()
        }),
        span_kind: Some(SpanKind::Server),
        attributes: Some(attributes),
        links: boundary::links(request.headers(), boundary),
        ..SpanBuilder::default()
    }
}
