//! One gRPC call on its way through the service.

use super::body::Place;
use super::series::{self, Rpc};
use crate::names::attribute;
use crate::propagation;
use crate::recorder::{self, Closed, Recorder};
use crate::server::boundary::{self, Boundary, Caller};
use crate::server::settings::Settings;
use crate::wire::{self, Code, End, Exchange, Messages};
use bytes::Buf;
use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Attributes that a call may have, from its start to its end.
const ATTRIBUTES: usize = 5;

/// Part of a deadline by which the service may be ahead of its caller, who began to wait before.
const AHEAD: u32 = 20;

/// A call whose status is not there yet.
pub struct GrpcExchange {
    started: Instant,
    /// How long the caller waits.
    timeout: Option<Duration>,
    recorder: &'static Recorder,
    /// What it is counted as.
    rpc: &'static Rpc,
    unknown: Option<Unknown>,
    context: Context,
    answer: Answer,
    messages: Messages,
    responds: bool,
    ended: bool,
}

/// What the service has answered so far.
#[derive(Clone, Copy)]
enum Answer {
    None,
    /// Of gRPC; its status may come in the trailers.
    Grpc(Option<Code>),
    /// Of HTTP alone, which stands for a code.
    Http(Code),
}

/// A method that nothing has answered behind so far.
struct Unknown {
    /// `None` once it is known.
    path: Option<Box<str>>,
    /// Messages of its request that are not counted yet.
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
        let service = path.get(1..).and_then(|path| path.split('/').next());
        if settings.skips(service) {
            return None;
        }
        let rpc = series::known(recorder, path, settings);
        let is_known = !rpc.is_other();
        let unknown = (!is_known && wire::method_of(path).is_some())
            .then(|| Unknown { path: Some(path.into()), received: Arc::default() });
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
            answer: Answer::None,
            messages: Messages::default(),
            responds: settings.responds && boundary == Boundary::Trusted,
            ended: false,
        })
    }

    /// Where the messages of its request are counted.
    pub(super) fn received(&self) -> Place {
        match &self.unknown {
            Some(unknown) => Place::Kept(Arc::clone(&unknown.received)),
            None => Place::Of(self.rpc),
        }
    }

    /// Counts the call as one of its method from here on: something behind it has answered.
    #[cold]
    fn learn(&mut self) {
        let Some(path) = self.unknown.as_mut().and_then(|unknown| unknown.path.take()) else {
            return;
        };
        let rpc = series::learn(self.recorder, &path);
        self.rpc.calls.leave();
        rpc.calls.begin();
        self.rpc = rpc;
        if self.has_span() && !rpc.is_other() {
            self.context.span().update_name(rpc.full_name());
        }
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
        let code = self.code_of(end, duration);
        if matches!(self.answer, Answer::Grpc(Some(Code::OK))) && end == End::Complete {
            self.learn();
        }
        if let Some(unknown) = &self.unknown {
            self.rpc.received.add(unknown.received.load(Ordering::Relaxed));
        }
        if self.rpc.is_other() {
            recorder::overflow(self.recorder.registry, Closed::GrpcMethod);
        }
        let sampled = recorder::sampled(&self.context);
        self.rpc.calls.end(code.number(), duration, sampled, now);
        if tracing::event_enabled!(target: "grpc_access", tracing::Level::INFO) {
            let _inside = self.enter();
            tracing::info!(
                target: "grpc_access",
                rpc_service = self.rpc.service,
                rpc_method = self.rpc.method,
                code = code.name(),
                duration_ms = recorder::milliseconds(duration),
                "call"
            );
        }
        if self.has_span() && sampled.is_some() {
            self.end_span(end, code);
        }
    }

    fn code_of(&self, end: End, duration: Duration) -> Code {
        match (end, self.answer) {
            (End::Panicked, _) => Code::INTERNAL,
            (_, Answer::Grpc(Some(code)) | Answer::Http(code)) => code,
            // A stream without a status at its end.
            (End::Complete | End::Failed | End::Broken, _) => Code::UNKNOWN,
            // The server itself, or its caller, gives up a call whose time is over.
            (End::Cancelled, _) => match self.timeout {
                Some(timeout) if duration + timeout / AHEAD >= timeout => Code::DEADLINE_EXCEEDED,
                _ => Code::CANCELLED,
            },
        }
    }

    fn end_span(&self, end: End, code: Code) {
        let method = KeyValue::new(attribute::RPC_METHOD, self.rpc.full_name());
        self.context.span().set_attribute(method);
        let error = match end {
            End::Panicked => Some("panic"),
            End::Cancelled => Some(code.name()),
            _ if code.is_of_server() => Some(code.name()),
            _ => None,
        };
        let status = KeyValue::new(attribute::RPC_STATUS, code.name());
        wire::end_span(&self.context, Some(status), error.map(Into::into), code.is_of_server());
    }
}

impl Exchange for GrpcExchange {
    fn context(&self) -> &Context {
        &self.context
    }

    fn answered<B>(&mut self, response: &mut Response<B>) -> bool {
        self.answer = match response.status() {
            // Without a body, the status stands in the headers.
            StatusCode::OK => Answer::Grpc(Code::of(response.headers())),
            status => Answer::Http(Code::of_http(status)),
        };
        if self.responds {
            propagation::inject_response(&self.context, response.headers_mut());
        }
        false
    }

    fn data(&mut self, data: &impl Buf) {
        let begun = self.messages.begun_in(data);
        if begun > 0 {
            if self.unknown.is_some() && matches!(self.answer, Answer::Grpc(_)) {
                // No layer in front of a method sends messages.
                self.learn();
            }
            self.rpc.sent.add(begun);
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if let (Answer::Grpc(_), Some(code)) = (self.answer, Code::of(trailers)) {
            self.answer = Answer::Grpc(Some(code));
        }
    }

    fn dropped() -> End {
        wire::dropped_by_server()
    }

    fn end(mut self, end: End) {
        self.finish(end);
    }
}

impl Drop for GrpcExchange {
    fn drop(&mut self) {
        self.finish(Self::dropped());
    }
}

/// The span of a call, as it starts.
fn describe<Body>(request: &Request<Body>, boundary: Boundary, rpc: &'static Rpc) -> SpanBuilder {
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.push(KeyValue::new(attribute::RPC_SYSTEM, "grpc"));
    SpanBuilder {
        name: Cow::Borrowed(if rpc.is_other() { "grpc" } else { rpc.full_name() }),
        span_kind: Some(SpanKind::Server),
        attributes: Some(attributes),
        links: boundary::links(request.headers(), boundary),
        ..SpanBuilder::default()
    }
}
