//! One gRPC call on its way through the service.

use super::request_body::CountedIn;
use super::series;
use crate::exchange::{CallSeries, Classify, End, Recording, Rpc, Scope, dropped_by_server};
use crate::format::milliseconds;
use crate::names::attribute;
use crate::protocol::grpc::{self as protocol, Code};
use crate::protocol::grpc_messages::Messages;
use crate::recorder::{self, Recorder};
use crate::server::boundary::{self, Boundary, Caller};
use crate::server::options::Options;
use bytes::Buf;
use http::{HeaderMap, Method, Request, StatusCode, header};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt as _};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Attributes that a call may have, from its start to its end.
const ATTRIBUTES: usize = 5;

/// A deadline counts as reached one twentieth early: the caller started to wait before the service did.
const TOLERANCE_DIVISOR: u32 = 20;

/// A call whose status has not arrived.
pub struct GrpcServerCall {
    recorder: &'static Recorder,
    /// What it is counted in.
    rpc: &'static Rpc,
    unknown: Option<UnknownMethod>,
    /// The time that the caller waits.
    timeout: Option<Duration>,
    answer: Answer,
    messages: Messages,
}

/// What the service has answered so far.
#[derive(Clone, Copy)]
enum Answer {
    None,
    /// Of gRPC; its status may come in the trailers, or at the end of the body.
    Grpc(Option<Code>),
    /// Of HTTP alone, which stands for a code.
    Http(Code),
}

/// The method of a call is not known yet: nothing has answered behind its path.
struct UnknownMethod {
    /// `None` once it is known.
    path: Option<Box<str>>,
    /// Messages of its request that are not counted yet.
    received: Arc<AtomicU64>,
}

impl GrpcServerCall {
    /// The recording of a call; `None` before `init`, when telemetry is disabled, for a skipped service, and for the
    /// question of a browser whether it may call.
    pub(super) fn begin<Body>(request: &Request<Body>, options: &Options) -> Option<Recording<Self>> {
        let recorder = recorder::active()?;
        let path = request.uri().path();
        let service = path.get(1..).and_then(|path| path.split('/').next());
        if options.skips(service) || is_preflight(request) {
            return None;
        }
        let rpc = series::known(recorder, path, options);
        let is_known = !rpc.is_other();
        let unknown = (!is_known && protocol::method_of(path).is_some())
            .then(|| UnknownMethod { path: Some(path.into()), received: Arc::default() });
        let route = is_known.then(|| rpc.full_name());
        let boundary = options.trust.of(&Caller::of(request, route));
        let parent = boundary::parent(request.headers(), boundary);
        let sends_trace_response = options.sends_trace_response && boundary == Boundary::Trusted;
        let call = Self {
            recorder,
            rpc,
            unknown,
            timeout: protocol::timeout_of(request.headers()),
            answer: Answer::None,
            messages: Messages::default(),
        };
        let span = (rpc.span_name(), || describe(request, boundary, rpc));
        Some(Recording::received(recorder, &parent, call, sends_trace_response, span))
    }

    /// Where the messages of its request are counted.
    pub(super) fn counted_in(&self) -> CountedIn {
        match &self.unknown {
            Some(unknown) => CountedIn::Pending(Arc::clone(&unknown.received)),
            None => CountedIn::Rpc(self.rpc),
        }
    }

    /// Counts the call as one of its method from here on: something behind the path has answered.
    #[cold]
    fn learn_method(&mut self, scope: &Scope) {
        let Some(path) = self.unknown.as_mut().and_then(|unknown| unknown.path.take()) else {
            return;
        };
        let rpc = series::learn(self.recorder, &path);
        self.rpc.calls.leave();
        rpc.calls.begin();
        self.rpc = rpc;
        if !rpc.is_other() {
            scope.rename_span(rpc.full_name());
        }
    }

    fn code(&self, end: End, duration: Duration) -> Code {
        match (end, self.answer) {
            (End::Panicked, _) => Code::INTERNAL,
            (_, Answer::Grpc(Some(code)) | Answer::Http(code)) => code,
            // A stream without a status at its end.
            (End::Complete | End::Failed | End::Broken, _) => Code::UNKNOWN,
            // The server itself, or its caller, gives up a call whose time is over.
            (End::Cancelled, _) => match self.timeout {
                Some(timeout) if duration + timeout / TOLERANCE_DIVISOR >= timeout => Code::DEADLINE_EXCEEDED,
                _ => Code::CANCELLED,
            },
        }
    }
}

impl Classify for GrpcServerCall {
    type Result = Code;

    #[inline]
    fn series(&self) -> &'static CallSeries<Code> {
        &self.rpc.calls
    }

    #[inline]
    fn response(&mut self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.answer = match status {
            // Without a body, the status stands in the headers.
            StatusCode::OK => Answer::Grpc(Code::of(headers)),
            status => Answer::Http(Code::of_http(status)),
        };
        false
    }

    #[inline]
    fn data(&mut self, scope: &Scope, data: &impl Buf) {
        let begun = self.messages.begun_in(data);
        if begun > 0 {
            if self.unknown.is_some() && matches!(self.answer, Answer::Grpc(_)) {
                // Layers in front of a method answer with a status alone; a message comes from the method.
                self.learn_method(scope);
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
        dropped_by_server()
    }

    #[inline]
    fn result(&mut self, scope: &Scope, end: End, duration: Duration) -> Code {
        if let Answer::Grpc(None) = self.answer {
            // gRPC-Web: trailers that stand in the body.
            self.answer = Answer::Grpc(self.messages.status());
        }
        if matches!(self.answer, Answer::Grpc(Some(Code::OK))) && end == End::Complete {
            self.learn_method(scope);
        }
        if let Some(unknown) = &self.unknown {
            self.rpc.received.add(unknown.received.load(Ordering::Relaxed));
        }
        if self.rpc.is_other() {
            self.rpc.calls.count_overflow("method");
        }
        self.code(end, duration)
    }

    #[inline]
    fn log(&self, scope: &Scope, end: End, code: Code, duration: Duration) {
        // The level of a line is fixed where it is written.
        macro_rules! line {
            ($level:ident) => {
                if tracing::event_enabled!(target: "grpc_access", tracing::Level::$level) {
                    let _inside = scope.enter();
                    tracing::event!(
                        target: "grpc_access",
                        tracing::Level::$level,
                        rpc_service = self.rpc.service,
                        rpc_method = self.rpc.method,
                        code = code.name(),
                        duration_ms = milliseconds(duration),
                        "call"
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
    fn end_span(&self, scope: &Scope, end: End, code: Code) {
        // At the end, because the method may have become known by the answer.
        scope.context().span().set_attribute(KeyValue::new(attribute::RPC_METHOD, self.rpc.full_name()));
        let error = match end {
            End::Panicked => Some("panic"),
            End::Cancelled => Some(code.name()),
            _ if code.is_server_error() => Some(code.name()),
            _ => None,
        };
        let status = KeyValue::new(attribute::RPC_STATUS, code.name());
        scope.end_span(Some(status), error.map(Into::into), code.is_server_error());
    }
}

/// Whether a browser asks if it may send a call (CORS): no call yet.
fn is_preflight<Body>(request: &Request<Body>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The span of a call, as it starts.
fn describe<Body>(request: &Request<Body>, boundary: Boundary, rpc: &'static Rpc) -> SpanBuilder {
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.push(KeyValue::new(attribute::RPC_SYSTEM, "grpc"));
    SpanBuilder {
        name: Cow::Borrowed(rpc.span_name()),
        span_kind: Some(SpanKind::Server),
        attributes: Some(attributes),
        links: boundary::links(request.headers(), boundary),
        ..SpanBuilder::default()
    }
}
