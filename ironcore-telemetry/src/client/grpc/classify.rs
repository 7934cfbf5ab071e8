//! One gRPC call that the service makes.

use super::series;
use crate::client::targets::{Targets, host_of};
use crate::exchange::{CallSeries, Classify, End, Recording, Rpc, Scope};
use crate::names::attribute;
use crate::protocol::grpc::{self as protocol, Code};
use crate::protocol::grpc_messages::Messages;
use crate::recorder;
use bytes::Buf;
use http::{HeaderMap, Request, StatusCode, Uri};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Attributes that a call may have, from its start to its end.
const ATTRIBUTES: usize = 8;

/// The address that a channel was declared with.
#[derive(Debug)]
pub(super) struct Server {
    /// `None` for an address without a host, such as that of a socket.
    host: Option<Arc<str>>,
    port: Option<u16>,
}

impl Server {
    pub(super) fn of(address: &Uri) -> Self {
        Self { host: address.host().map(|host| host_of(host).into()), port: address.port_u16() }
    }
}

/// A call whose status has not arrived.
pub struct GrpcClientCall {
    rpc: &'static Rpc,
    /// The time that the service waits.
    timeout: Option<Duration>,
    code: Option<Code>,
    messages: Messages,
}

impl GrpcClientCall {
    /// The recording of a call, whose context goes into its metadata if the peer may have it; `None` before `init` and
    /// when telemetry is disabled.
    pub(super) fn begin<Body>(
        request: &mut Request<Body>,
        (peer, server): (&'static str, &Server),
        (is_target, targets): (bool, &Targets),
    ) -> Option<Recording<Self>> {
        let recorder = recorder::active()?;
        let rpc = series::rpc(recorder, peer, request.uri().path());
        if rpc.is_other() {
            rpc.calls.count_overflow("method");
        }
        let timeout = protocol::timeout_of(request.headers());
        let classify = Self { rpc, timeout, code: None, messages: Messages::default() };
        let recording = Recording::sent(recorder, classify, (rpc.span_name(), || describe(peer, server, rpc)));
        targets.replace_context(is_target, recording.scope().context(), request.headers_mut());
        Some(recording)
    }

    pub(super) const fn rpc(&self) -> &'static Rpc {
        self.rpc
    }
}

impl Classify for GrpcClientCall {
    type Result = Code;

    #[inline]
    fn series(&self) -> &'static CallSeries<Code> {
        &self.rpc.calls
    }

    #[inline]
    fn response(&mut self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.code = match status {
            // Without a body, the status stands in the headers.
            StatusCode::OK => Code::of(headers),
            status => Some(Code::of_http(status)),
        };
        false
    }

    #[inline]
    fn data(&mut self, _: &Scope, data: &impl Buf) {
        let begun = self.messages.begun_in(data);
        if begun > 0 {
            self.rpc.received.add(begun);
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.code = Code::of(trailers).or(self.code);
    }

    fn error<E: 'static>(&mut self, error: &E) {
        self.code = code_in(error);
    }

    #[inline]
    fn result(&mut self, _: &Scope, end: End, duration: Duration) -> Code {
        let is_late = self.timeout.is_some_and(|timeout| duration >= timeout);
        match (self.code, end) {
            // The answer of tonic to a call whose time is over.
            (Some(Code::CANCELLED), _) if is_late => Code::DEADLINE_EXCEEDED,
            (Some(code), _) => code,
            (None, End::Complete | End::Panicked) => Code::UNKNOWN,
            (None, _) if is_late => Code::DEADLINE_EXCEEDED,
            (None, End::Cancelled) => Code::CANCELLED,
            (None, End::Failed | End::Broken) => Code::UNAVAILABLE,
        }
    }

    #[inline]
    fn end_span(&self, scope: &Scope, end: End, code: Code) {
        // A call that the service itself gave up is no error: the span of the operation around it says what that means.
        let is_given_up = end == End::Cancelled && self.code.is_none() && code == Code::CANCELLED;
        let is_error = code != Code::OK && !is_given_up;
        let status = KeyValue::new(attribute::RPC_STATUS, code.name());
        scope.end_span(Some(status), is_error.then(|| code.name().into()), is_error);
    }
}

/// The code that an error of the transport stands for, if it is one of tonic's.
fn code_in(error: &dyn Any) -> Option<Code> {
    let boxed = error.downcast_ref::<Box<dyn Error + Send + Sync>>().map(|error| &**error as &(dyn Error + 'static));
    let status = error.downcast_ref::<tonic::Status>().map(|error| error as &(dyn Error + 'static));
    let mut source = boxed.or(status).or_else(|| of_transport(error));
    while let Some(error) = source {
        if let Some(status) = error.downcast_ref::<tonic::Status>() {
            return Some(Code::of_tonic(status.code()));
        }
        if error.is::<tonic::TimeoutExpired>() {
            return Some(Code::DEADLINE_EXCEEDED);
        }
        source = error.source();
    }
    None
}

fn of_transport(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<tonic::transport::Error>().map(|error| error as &(dyn Error + 'static))
}

/// The span of a call, as it starts.
fn describe(peer: &'static str, server: &Server, rpc: &'static Rpc) -> SpanBuilder {
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.push(KeyValue::new(attribute::RPC_SYSTEM, "grpc"));
    attributes.push(KeyValue::new(attribute::RPC_METHOD, rpc.full_name()));
    attributes.push(KeyValue::new(attribute::PEER_NAME, peer));
    attributes.push(match &server.host {
        Some(host) => KeyValue::new(attribute::SERVER_ADDRESS, Arc::clone(host)),
        None => KeyValue::new(attribute::SERVER_ADDRESS, peer),
    });
    if let Some(port) = server.port {
        attributes.push(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
    }
    SpanBuilder {
        name: Cow::Borrowed(rpc.span_name()),
        span_kind: Some(SpanKind::Client),
        attributes: Some(attributes),
        ..SpanBuilder::default()
    }
}
