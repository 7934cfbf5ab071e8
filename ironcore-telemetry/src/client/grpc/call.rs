//! One gRPC call that the service makes.

use super::series::{self, Rpc};
use crate::client::targets::Targets;
use crate::names::attribute;
use crate::recorder::{self, Closed};
use crate::wire::{self, Code, End, Exchange, Messages};
use bytes::Buf;
use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry::trace::{SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};
use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::time::{Duration, Instant};

/// Attributes that a call may have, from its start to its end.
const ATTRIBUTES: usize = 6;

/// A call whose status is not there yet.
pub struct GrpcClientExchange {
    started: Instant,
    /// How long the service waits.
    timeout: Option<Duration>,
    rpc: &'static Rpc,
    context: Context,
    /// Whether the span of the context is the call's own.
    has_span: bool,
    code: Option<Code>,
    messages: Messages,
    ended: bool,
}

impl GrpcClientExchange {
    /// The call's record, and its context in its metadata where the peer may have it; `None` before `init` and when
    /// telemetry is disabled.
    pub(super) fn begin<Body>(
        request: &mut Request<Body>,
        peer: &'static str,
        (is_target, targets): (bool, &Targets),
    ) -> Option<Self> {
        if recorder::is_off() {
            return None;
        }
        let recorder = recorder::current()?;
        let rpc = series::rpc(recorder, peer, request.uri().path());
        if rpc.is_other() {
            recorder::overflow(recorder.registry, Closed::GrpcClientMethod);
        }
        let span = recorder.inner_spans().map(|(start_span, parent)| start_span(&parent, &mut || describe(peer, rpc)));
        let has_span = span.is_some();
        let context = span.unwrap_or_else(Context::current);
        targets.replace_context(is_target, &context, request.headers_mut());
        rpc.calls.begin();
        Some(Self {
            started: Instant::now(),
            timeout: wire::timeout_of(request.headers()),
            rpc,
            context,
            has_span,
            code: None,
            messages: Messages::default(),
            ended: false,
        })
    }

    pub(super) const fn rpc(&self) -> &'static Rpc {
        self.rpc
    }

    fn finish(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        let code = self.code_of(end, duration);
        let sampled = recorder::sampled(&self.context);
        self.rpc.calls.end(code.number(), duration, sampled, now);
        if self.has_span && sampled.is_some() {
            let is_error = code != Code::OK;
            let status = KeyValue::new(attribute::RPC_STATUS, code.name());
            let error = is_error.then(|| code.name().into());
            wire::end_span(&self.context, Some(status), error, is_error);
        }
    }

    fn code_of(&self, end: End, duration: Duration) -> Code {
        let is_late = self.timeout.is_some_and(|timeout| duration >= timeout);
        match self.code {
            // How tonic answers a call whose time is over.
            Some(Code::CANCELLED) if is_late => return Code::DEADLINE_EXCEEDED,
            Some(code) => return code,
            None => {}
        }
        match end {
            End::Complete | End::Panicked => Code::UNKNOWN,
            _ if is_late => Code::DEADLINE_EXCEEDED,
            End::Cancelled => Code::CANCELLED,
            End::Failed | End::Broken => Code::UNAVAILABLE,
        }
    }
}

impl Exchange for GrpcClientExchange {
    fn context(&self) -> &Context {
        &self.context
    }

    fn answered<B>(&mut self, response: &mut Response<B>) -> bool {
        self.code = match response.status() {
            // Without a body, the status stands in the headers.
            StatusCode::OK => Code::of(response.headers()),
            status => Some(Code::of_http(status)),
        };
        false
    }

    fn data(&mut self, data: &impl Buf) {
        let begun = self.messages.begun_in(data);
        if begun > 0 {
            self.rpc.received.add(begun);
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.code = Code::of(trailers).or(self.code);
    }

    fn failed<E: 'static>(&mut self, error: &E) {
        self.code = code_in(error);
    }

    fn end(mut self, end: End) {
        self.finish(end);
    }
}

impl Drop for GrpcClientExchange {
    fn drop(&mut self) {
        self.finish(Self::dropped());
    }
}

/// The code that an error of the transport stands for, if it is one of tonic's.
fn code_in(error: &dyn Any) -> Option<Code> {
    let boxed = error.downcast_ref::<Box<dyn Error + Send + Sync>>().map(|error| &**error as &(dyn Error + 'static));
    let status = error.downcast_ref::<tonic::Status>().map(|error| error as &(dyn Error + 'static));
    let mut cause = boxed.or(status).or_else(|| of_transport(error));
    while let Some(error) = cause {
        if let Some(status) = error.downcast_ref::<tonic::Status>() {
            return Some(Code::of_tonic(status.code()));
        }
        if error.is::<tonic::TimeoutExpired>() {
            return Some(Code::DEADLINE_EXCEEDED);
        }
        cause = error.source();
    }
    None
}

fn of_transport(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<tonic::transport::Error>().map(|error| error as &(dyn Error + 'static))
}

/// The span of a call, as it starts.
fn describe(peer: &'static str, rpc: &'static Rpc) -> SpanBuilder {
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.push(KeyValue::new(attribute::RPC_SYSTEM, "grpc"));
    attributes.push(KeyValue::new(attribute::RPC_METHOD, rpc.full_name()));
    attributes.push(KeyValue::new(attribute::PEER_NAME, peer));
    SpanBuilder {
        name: Cow::Borrowed(if rpc.is_other() { "grpc" } else { rpc.full_name() }),
        span_kind: Some(SpanKind::Client),
        attributes: Some(attributes),
        ..SpanBuilder::default()
    }
}
