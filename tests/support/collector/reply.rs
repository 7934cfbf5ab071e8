//! What becomes of one request: by the mode, the protocol and what it holds.

use super::mode::{Hint, Mode};
use super::wire::Wire;
use super::{Request, Shared, SpanId};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use std::io::Read as _;
use std::time::{Duration, Instant, SystemTime};
use tonic::{Code, Status};

/// Above any message of a test; what a compressed one may grow to.
const MAX_MESSAGE: u64 = 256 << 20;
/// A gRPC message begins with a flag and its length.
const FRAME: usize = 5;
const HUGE: usize = 100 << 20;

/// The body of a request.
pub(super) enum Body {
    Http1(hyper::body::Incoming),
    Http2(h2::RecvStream),
}

/// A body that does not come to its end.
#[derive(Debug)]
pub(super) struct Broken;

/// How a request ends.
pub(super) enum Reply {
    Answer(Box<Answer>),
    /// `RST_STREAM` with this code.
    Reset(u32),
    /// The connection ends, over HTTP/2 with this code.
    GoAway(u32),
    /// TCP RST.
    Cut,
}

pub(super) struct Answer {
    pub(super) head: Response<()>,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

/// Reads a request and decides; what is taken is stored at the very end, so that a client which gives up before has
/// delivered nothing.
pub(super) async fn reply_to(head: &http::request::Parts, body: Body, wire: &Wire, shared: &Shared) -> Reply {
    let mode = shared.mode.borrow().clone();
    let grpc = matches!(body, Body::Http2(_));
    let Some(signal) = signal(head.uri.path()) else {
        return if grpc { status(Code::Unimplemented, "no such method") } else { plain(StatusCode::NOT_FOUND) };
    };
    if head.method != http::Method::POST {
        return with_header(plain(StatusCode::METHOD_NOT_ALLOWED), ALLOW, "POST");
    }
    let arrived = |bytes: usize, spans: usize| {
        let at = Instant::now();
        Request { at, signal, bytes, spans, taken: false, connection: wire.number }
    };
    let raw = match read(body, grpc, &mode).await {
        Ok(raw) => raw,
        Err(Unread::Broken) => return Reply::Cut,
        Err(Unread::TooLarge { size, limit }) => {
            shared.update(|state| state.requests.push(arrived(size, 0)));
            let text = format!("grpc: received message larger than max ({size} vs. {limit})");
            return if grpc { status(Code::ResourceExhausted, &text) } else { plain(StatusCode::PAYLOAD_TOO_LARGE) };
        }
    };
    let Some(message) = unpack(&head.headers, raw, grpc) else {
        return refuse(grpc, Code::InvalidArgument, "the message cannot be read", Hint::None);
    };
    if let Mode::SlowReply(time) = mode {
        tokio::time::sleep(time).await;
    }
    let spans = if signal == "traces" { span_ids(&message) } else { Some(Vec::new()) };
    let Some(spans) = spans else {
        return refuse(grpc, Code::InvalidArgument, "no export request", Hint::None);
    };
    decide(&mode, grpc, &arrived(message.len(), spans.len()), &spans, shared)
}

/// Why a body was not read to its end, or in vain.
enum Unread {
    Broken,
    TooLarge { size: usize, limit: usize },
}

async fn read(mut body: Body, grpc: bool, mode: &Mode) -> Result<Vec<u8>, Unread> {
    let mut raw = Vec::new();
    while let Some(chunk) = body.chunk().await {
        raw.extend_from_slice(&chunk.map_err(|Broken| Unread::Broken)?);
        match (mode, frame_size(&raw)) {
            (Mode::ResetMidBody, _) => return Err(Unread::Broken),
            // As gRPC servers do: before the rest has come, so that the answer is followed by a reset of the stream.
            (Mode::Limit(limit), Some(size)) if grpc && size > *limit => {
                return Err(Unread::TooLarge { size, limit: *limit });
            }
            _ => {}
        }
    }
    match mode {
        // Once it has all come: an answer before that is lost when the connection breaks under what is still sent.
        Mode::Limit(limit) if !grpc && raw.len() > *limit => Err(Unread::TooLarge { size: raw.len(), limit: *limit }),
        _ => Ok(raw),
    }
}

fn decide(mode: &Mode, grpc: bool, request: &Request, spans: &[SpanId], shared: &Shared) -> Reply {
    let take = |count: usize| {
        shared.update(|state| {
            for id in &spans[..count] {
                *state.spans.entry(*id).or_default() += 1;
            }
            state.requests.push(Request { taken: true, ..request.clone() });
        });
    };
    let refused = || shared.update(|state| state.requests.push(request.clone()));
    let reply = match mode {
        Mode::Ok | Mode::Silent | Mode::SlowRead(_) | Mode::SlowReply(_) | Mode::Limit(_) => {
            take(spans.len());
            return accept(grpc, None);
        }
        Mode::PartialSuccess(rejected) => {
            take(spans.len().saturating_sub(usize::try_from(*rejected).unwrap_or(0)));
            return accept(grpc, Some(*rejected));
        }
        Mode::AnswerLost => {
            take(spans.len());
            return Reply::Cut;
        }
        Mode::Flaky { probability, seed } => {
            let number = shared.lock().requests.len() as u64;
            if unit(*seed, number) >= *probability {
                take(spans.len());
                return accept(grpc, None);
            }
            refuse(grpc, Code::Unavailable, "not now", Hint::None)
        }
        // Its connection is being closed, or silent.
        Mode::Refuse | Mode::Blackhole | Mode::ResetMidBody => Reply::Cut,
        Mode::RstStream(code) => Reply::Reset(*code),
        Mode::GoAway(code) => Reply::GoAway(*code),
        Mode::Grpc(code, hint) => refuse(grpc, Code::from(i32::from(*code)), "as asked for", *hint),
        Mode::Http(code, hint) => {
            let reply = plain(StatusCode::from_u16(*code).expect("a status"));
            match retry_after(*hint) {
                Some(value) => with_header(reply, RETRY_AFTER, &value),
                None => reply,
            }
        }
        Mode::Html => body(Bytes::from_static(b"<!doctype html><title>Welcome</title>"), "text/html; charset=utf-8"),
        Mode::Json => body(Bytes::from_static(br#"{"status":"ok"}"#), "application/json"),
        Mode::Garbage if grpc => message(&[0xff; 16]),
        Mode::Garbage => body(Bytes::from_static(&[0xff; 16]), "application/x-protobuf"),
        Mode::HugeReply if grpc => message(&vec![0; HUGE]),
        Mode::HugeReply => body(vec![0; HUGE].into(), "application/x-protobuf"),
        Mode::Redirect(url) => with_header(plain(StatusCode::TEMPORARY_REDIRECT), LOCATION, url),
    };
    refused();
    reply
}

/// The answer to a request that was taken.
fn accept(grpc: bool, rejected: Option<i64>) -> Reply {
    let partial_success = rejected.map(|rejected_spans| ExportTracePartialSuccess {
        rejected_spans,
        error_message: "the collector does not like them".to_owned(),
    });
    // The answers of the other signals have the same fields.
    let response = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    if grpc { message(&response) } else { body(response.into(), "application/x-protobuf") }
}

fn refuse(grpc: bool, code: Code, text: &str, hint: Hint) -> Reply {
    if grpc {
        return match retry_info(code, text, hint) {
            Some(details) => from_status(Status::with_details(code, text, details)),
            None => status(code, text),
        };
    }
    let reply = plain(match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound | Code::Unimplemented => StatusCode::NOT_FOUND,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    });
    match retry_after(hint) {
        Some(value) => with_header(reply, RETRY_AFTER, &value),
        None => reply,
    }
}

fn retry_after(hint: Hint) -> Option<String> {
    match hint {
        Hint::None => None,
        Hint::Seconds(seconds) => Some(seconds.to_string()),
        Hint::Date(seconds) => {
            let distance = Duration::from_secs(seconds.unsigned_abs());
            let now = SystemTime::now();
            Some(httpdate::fmt_http_date(if seconds < 0 { now - distance } else { now + distance }))
        }
        Hint::Garbage => Some("soon".to_owned()),
    }
}

/// `google.rpc.Status`, as it stands in `grpc-status-details-bin`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`, without its nanoseconds.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

fn retry_info(code: Code, text: &str, hint: Hint) -> Option<Bytes> {
    let seconds = match hint {
        Hint::None => return None,
        Hint::Seconds(seconds) | Hint::Date(seconds) => seconds,
        Hint::Garbage => return Some(Bytes::from_static(&[0xff; 16])),
    };
    let value = RetryInfo { retry_delay: Some(Delay { seconds }) }.encode_to_vec();
    let any = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value };
    Some(RpcStatus { code: code as i32, message: text.to_owned(), details: vec![any] }.encode_to_vec().into())
}

/// An answer over gRPC without a message.
fn status(code: Code, text: &str) -> Reply {
    from_status(Status::new(code, text))
}

fn from_status(status: Status) -> Reply {
    answer(status.into_http(), Bytes::new(), None)
}

/// A message over gRPC, with `OK` after it.
fn message(bytes: &[u8]) -> Reply {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(bytes.len()).expect("a message").to_be_bytes());
    framed.extend_from_slice(bytes);
    let ok = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    let trailers = Some(HeaderMap::from_iter([ok]));
    answer(found("application/grpc"), framed.into(), trailers)
}

/// 200 with a body.
fn body(body: Bytes, content_type: &'static str) -> Reply {
    answer(found(content_type), body, None)
}

fn answer(head: Response<()>, body: Bytes, trailers: Option<HeaderMap>) -> Reply {
    Reply::Answer(Box::new(Answer { head, body, trailers }))
}

fn found(content_type: &'static str) -> Response<()> {
    let mut head = Response::new(());
    head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    head
}

/// An HTTP status alone, with a text as proxies send it.
fn plain(status: StatusCode) -> Reply {
    let mut head = found("text/plain");
    *head.status_mut() = status;
    answer(head, Bytes::from_static(b"as asked for\n"), None)
}

fn with_header(mut reply: Reply, name: HeaderName, value: &str) -> Reply {
    if let Reply::Answer(answer) = &mut reply {
        answer.head.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header"));
    }
    reply
}

fn signal(path: &str) -> Option<&'static str> {
    match path {
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some("traces"),
        "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Some("metrics"),
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some("logs"),
        _ => None,
    }
}

/// The size that a gRPC message announces, once it is there.
fn frame_size(raw: &[u8]) -> Option<usize> {
    let size = raw.get(1..FRAME)?;
    usize::try_from(u32::from_be_bytes(size.try_into().ok()?)).ok()
}

/// The message without its frame and its compression; `None` when it is none.
fn unpack(headers: &HeaderMap, raw: Vec<u8>, grpc: bool) -> Option<Vec<u8>> {
    let (compressed, raw) = if grpc {
        let size = frame_size(&raw)?;
        let message = raw.get(FRAME..).filter(|message| message.len() == size)?;
        (raw[0] == 1, message.to_vec())
    } else {
        (headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip"), raw)
    };
    if !compressed {
        return Some(raw);
    }
    let mut message = Vec::new();
    GzDecoder::new(raw.as_slice()).take(MAX_MESSAGE).read_to_end(&mut message).ok()?;
    Some(message)
}

fn span_ids(message: &[u8]) -> Option<Vec<SpanId>> {
    let request = ExportTraceServiceRequest::decode(message).ok()?;
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(|span| span.span_id.try_into().ok()).collect()
}

/// A number in `0..1` that depends on both (`SplitMix64`).
fn unit(seed: u64, number: u64) -> f64 {
    let mut bits = seed.wrapping_add((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let high = u32::try_from((bits ^ (bits >> 31)) >> 32).unwrap_or_default();
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}
