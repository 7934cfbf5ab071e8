//! OTLP over gRPC: one unary call for each request.

use super::body::{Encoded, Parts, gunzip};
use super::endpoint::Endpoint;
use super::hints;
use super::{RESPONSE_LIMIT, Reply, Response, USER_AGENT};
use crate::export::answer::{Answer, Cause, Failure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT as USER_AGENT_HEADER};
use http::{Method, Request, Version};
use std::borrow::Cow;
use tokio::time::Instant;

/// The bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What a code means for what was sent, by the OTLP specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Accepted,
    Refused,
    Unauthenticated,
    Busy,
    /// A limit is reached: of the size of a request, or of what the collector can do now.
    Limit,
}

/// The codes of gRPC from 0 on.
const CODES: [(&str, Meaning); 17] = [
    ("OK", Meaning::Accepted),
    ("CANCELLED", Meaning::Busy),
    ("UNKNOWN", Meaning::Refused),
    ("INVALID_ARGUMENT", Meaning::Refused),
    ("DEADLINE_EXCEEDED", Meaning::Busy),
    ("NOT_FOUND", Meaning::Refused),
    ("ALREADY_EXISTS", Meaning::Refused),
    ("PERMISSION_DENIED", Meaning::Unauthenticated),
    ("RESOURCE_EXHAUSTED", Meaning::Limit),
    ("FAILED_PRECONDITION", Meaning::Refused),
    ("ABORTED", Meaning::Busy),
    // The servers of tonic say it of a message that is too large.
    ("OUT_OF_RANGE", Meaning::Limit),
    ("UNIMPLEMENTED", Meaning::Refused),
    ("INTERNAL", Meaning::Refused),
    ("UNAVAILABLE", Meaning::Busy),
    ("DATA_LOSS", Meaning::Busy),
    ("UNAUTHENTICATED", Meaning::Unauthenticated),
];
const UNKNOWN: (&str, Meaning) = ("UNKNOWN", Meaning::Refused);

/// The call that sends a message.
pub(super) fn request(
    endpoint: &Endpoint,
    mut headers: HeaderMap,
    body: &Encoded,
    deadline: Instant,
) -> Request<Parts> {
    let timeout = deadline.saturating_duration_since(Instant::now());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.entry(USER_AGENT_HEADER).or_insert(HeaderValue::from_static(USER_AGENT));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    if let Ok(timeout) = HeaderValue::from_str(&format!("{}m", timeout.as_millis().max(1))) {
        headers.insert("grpc-timeout", timeout);
    }
    if body.is_gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut prefix = vec![u8::from(body.is_gzip)];
    prefix.extend(length.to_be_bytes());
    let parts = std::iter::once(Bytes::from(prefix)).chain(body.parts.iter().cloned()).collect();
    let mut request = Request::new(Parts::new(parts));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = endpoint.uri.clone();
    *request.headers_mut() = headers;
    request
}

/// What the response means.
pub(super) fn judge(response: &Response) -> Reply {
    let trailers = &response.body().trailers;
    // A response without a message has its status in the headers.
    let fields = if trailers.contains_key("grpc-status") { trailers } else { response.headers() };
    let Some(status) = fields.get("grpc-status") else {
        return without_status(response);
    };
    let Some(code) = status.to_str().ok().and_then(|status| status.parse::<usize>().ok()) else {
        return broken("a grpc-status that is no number");
    };
    let (name, meaning) = CODES.get(code).copied().unwrap_or(UNKNOWN);
    let message = fields.get("grpc-message").map(|message| hints::grpc_message(message.as_bytes())).unwrap_or_default();
    let text = if message.is_empty() { format!("gRPC {name}") } else { format!("gRPC {name}: {message}") };
    let details = fields.get("grpc-status-details-bin").and_then(|details| hints::status_details(details.as_bytes()));
    let retry_info = details.as_ref().and_then(hints::retry_info);
    match meaning {
        Meaning::Accepted => accepted(response),
        Meaning::Unauthenticated => Reply::Unauthenticated(text),
        Meaning::Refused => Reply::Answer(Answer::Refused(text)),
        // Who says when to try again does not speak of the request itself.
        Meaning::Limit if retry_info.is_none() && hints::is_about_size(&message) => {
            Reply::Answer(Answer::TooLarge(text))
        }
        Meaning::Limit | Meaning::Busy => Reply::Answer(Answer::Failed(Failure {
            cause: Cause::Busy,
            text,
            retry_after: retry_info.and_then(hints::retry_delay),
        })),
    }
}

/// The message of a call that went well.
fn accepted(response: &Response) -> Reply {
    let body = &response.body().bytes;
    let (Some(prefix), Some(message)) = (body.first_chunk::<PREFIX>(), body.get(PREFIX..)) else {
        return broken("gRPC OK without a message");
    };
    let [compressed, length @ ..] = *prefix;
    if usize::try_from(u32::from_be_bytes(length)).is_ok_and(|length| length != message.len()) {
        return broken("gRPC OK with a message that is cut off");
    }
    let encoding = response.headers().get("grpc-encoding").map(HeaderValue::as_bytes);
    let message = match (compressed, encoding) {
        (0, _) => Some(Cow::Borrowed(message)),
        // The servers of Go answer in the encoding of the request, whatever was asked for.
        (1, Some(b"gzip")) => gunzip(message, RESPONSE_LIMIT).map(Cow::Owned),
        _ => return broken("gRPC OK with a message in an encoding that was not asked for"),
    };
    let answer = message.as_deref().and_then(hints::accepted);
    answer.map_or_else(|| broken("gRPC OK with a message that is no OTLP answer"), Reply::Answer)
}

/// A response of something else than a gRPC server, or one that is cut off. The status of HTTP counts, as gRPC maps it.
fn without_status(response: &Response) -> Reply {
    let status = response.status().as_u16();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
    let text = format!("no grpc-status: HTTP status {status}, content-type {}", hints::shown(content_type));
    match status {
        401 | 403 => Reply::Unauthenticated(text),
        413 => Reply::Answer(Answer::TooLarge(text)),
        429 | 502 | 503 | 504 => Reply::Answer(Answer::Failed(Failure::new(Cause::Busy, text))),
        400.. => Reply::Answer(Answer::Refused(text)),
        _ => broken(text),
    }
}

fn broken(text: impl Into<String>) -> Reply {
    Reply::Answer(Answer::Failed(Failure::new(Cause::Broken, text)))
}

#[cfg(test)]
mod tests {
    use super::super::Received;
    use super::super::messages::{Any, Delay, ExportResponse, PartialSuccess, RetryInfo, Status};
    use super::super::tests::{base64, otlp};
    use super::*;
    use crate::config::{Protocol, Signal};
    use prost::Message as _;
    use std::time::Duration;

    fn fields(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn response(
        status: u16,
        headers: &[(&'static str, &str)],
        bytes: &[u8],
        trailers: &[(&'static str, &str)],
    ) -> Response {
        let received = Received { bytes: Bytes::copy_from_slice(bytes), trailers: fields(trailers) };
        let mut response = Response::new(received);
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = fields(headers);
        response
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(message);
        bytes
    }

    fn details(seconds: i64) -> String {
        let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos: 0 }) };
        let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
        let details = vec![Any { type_url, value: info.encode_to_vec() }];
        base64(&Status { details, ..Status::default() }.encode_to_vec())
    }

    const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");

    #[test]
    fn each_code_means_what_the_specification_says() {
        let busy = |text: &str, retry_after: Option<u64>| {
            let retry_after = retry_after.map(Duration::from_secs);
            Reply::Answer(Answer::Failed(Failure { cause: Cause::Busy, text: text.to_owned(), retry_after }))
        };
        let retryable = [1, 4, 8, 10, 11, 14, 15];
        for (code, (name, _)) in CODES.iter().enumerate().skip(1) {
            let (code, text) = (code.to_string(), format!("gRPC {name}: no, thanks"));
            let status = [("grpc-status", code.as_str()), ("grpc-message", "no,%20thanks")];
            let with_hint = [status[0], status[1], ("grpc-status-details-bin", &details(7))];
            let in_headers = |status: &[_]| judge(&response(200, &[&[GRPC], status].concat(), &[], &[]));
            let in_trailers = |status: &[_]| judge(&response(200, &[GRPC], &framed(&[]), status));
            for (is_hint, replies) in [
                (false, [in_headers(&status), in_trailers(&status)]),
                (true, [in_headers(&with_hint), in_trailers(&with_hint)]),
            ] {
                for reply in replies {
                    let number: usize = code.parse().unwrap();
                    let expected = match number {
                        7 | 16 => Reply::Unauthenticated(text.clone()),
                        _ if retryable.contains(&number) => busy(&text, is_hint.then_some(7)),
                        _ => Reply::Answer(Answer::Refused(text.clone())),
                    };
                    assert_eq!(reply, expected, "{name}, hint: {is_hint}");
                }
            }
        }
        let unknown = judge(&response(200, &[GRPC, ("grpc-status", "17")], &[], &[]));
        assert_eq!(unknown, Reply::Answer(Answer::Refused("gRPC UNKNOWN".to_owned())));
    }

    #[test]
    fn a_request_that_is_too_large_is_told_from_a_collector_that_is_busy() {
        let judged = |code: &str, message: &str, details: Option<&str>| {
            let mut status = vec![GRPC, ("grpc-status", code), ("grpc-message", message)];
            status.extend(details.map(|details| ("grpc-status-details-bin", details)));
            judge(&response(200, &status, &[], &[]))
        };
        let larger = "grpc: received message larger than max (5000000 vs. 4194304)";
        for code in ["8", "11"] {
            assert!(matches!(judged(code, larger, None), Reply::Answer(Answer::TooLarge(_))), "{code}");
            let full = judged(code, "data refused due to high memory usage", None);
            assert!(matches!(full, Reply::Answer(Answer::Failed(Failure { cause: Cause::Busy, .. }))), "{full:?}");
        }
        let hint = judged("8", larger, Some(&details(1_000_000)));
        let Reply::Answer(Answer::Failed(failure)) = hint else { panic!("{hint:?}") };
        assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
        // Of any other code it is a word like others.
        assert!(matches!(judged("3", larger, None), Reply::Answer(Answer::Refused(_))));
    }

    #[test]
    fn hints_that_cannot_be_used_do_no_harm() {
        for details in [details(-5).as_str(), "!", "AAAA", ""] {
            let status = [GRPC, ("grpc-status", "14"), ("grpc-status-details-bin", details)];
            let reply = judge(&response(200, &status, &[], &[]));
            let failure = Failure::new(Cause::Busy, "gRPC UNAVAILABLE");
            assert_eq!(reply, Reply::Answer(Answer::Failed(failure)), "{details:?}");
        }
    }

    #[test]
    fn partial_success_is_read() {
        let accepted = |message: &[u8]| judge(&response(200, &[GRPC], &framed(message), &[("grpc-status", "0")]));
        assert_eq!(accepted(&[]), Reply::Answer(Answer::Accepted { rejected: 0, message: None }));
        let partial_success = Some(PartialSuccess { rejected: 56, message: "bad ids".to_owned() });
        let message = ExportResponse { partial_success }.encode_to_vec();
        let expected = Reply::Answer(Answer::Accepted { rejected: 56, message: Some("bad ids".to_owned()) });
        assert_eq!(accepted(&message), expected);
        let gzip = Encoded::new(vec![Bytes::from(message)], true);
        let mut bytes = framed(&gzip.parts[0]);
        bytes[0] = 1;
        let reply = judge(&response(200, &[GRPC, ("grpc-encoding", "gzip")], &bytes, &[("grpc-status", "0")]));
        assert_eq!(reply, expected);
    }

    #[test]
    fn what_is_no_answer_of_a_grpc_server_is_broken_or_what_its_http_status_says() {
        let text = |reply: &Reply| match reply {
            Reply::Answer(Answer::Failed(Failure { cause: Cause::Broken, text, retry_after: None })) => text.clone(),
            other => panic!("{other:?}"),
        };
        let ok = [("grpc-status", "0")];
        for (bytes, part) in [
            (&[][..], "without a message"),
            (&[0, 0, 0][..], "without a message"),
            (&[0, 0, 0, 0, 9, 1], "cut off"),
            (&[0, 0, 0, 0, 1, 1, 1], "cut off"),
            (&[1, 0, 0, 0, 0], "an encoding that was not asked for"),
            (&[0, 0, 0, 0, 2, 0x0a, 0x7f], "no OTLP answer"),
        ] {
            let reply = judge(&response(200, &[GRPC], bytes, &ok));
            assert!(text(&reply).contains(part), "{reply:?}");
        }
        let html = ("content-type", "text/html");
        for (status, headers) in
            [(200, vec![GRPC]), (200, vec![html]), (301, vec![html, ("location", "http://s3cr3t")])]
        {
            let reply = judge(&response(status, &headers, b"<html>", &[]));
            assert!(text(&reply).starts_with(&format!("no grpc-status: HTTP status {status}")), "{reply:?}");
            assert!(!text(&reply).contains("s3cr3t"));
        }
        assert!(text(&judge(&response(200, &[GRPC, ("grpc-status", "x")], &[], &[]))).contains("no number"));
        for status in [429, 502, 503, 504] {
            let reply = judge(&response(status, &[html], &[], &[]));
            assert!(matches!(&reply, Reply::Answer(Answer::Failed(Failure { cause: Cause::Busy, .. }))), "{reply:?}");
        }
        for status in [400, 404, 500, 501] {
            let reply = judge(&response(status, &[html], &[], &[]));
            assert!(matches!(&reply, Reply::Answer(Answer::Refused(_))), "{reply:?}");
        }
        for status in [401, 403] {
            assert!(matches!(judge(&response(status, &[], &[], &[])), Reply::Unauthenticated(_)));
        }
        assert!(matches!(judge(&response(413, &[html], &[], &[])), Reply::Answer(Answer::TooLarge(_))));
    }

    #[tokio::test]
    async fn a_request_is_a_unary_call() {
        use http_body_util::BodyExt;
        let endpoint = Endpoint::new(&otlp("http://h:1", Protocol::Grpc), Signal::Traces).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let parts = || vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")];
        let headers = fields(&[("authorization", "Bearer x"), ("user-agent", "mine")]);
        let request = request(&endpoint, headers, &Encoded::new(parts(), false), deadline);
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!((request.method(), request.uri().path()), (&Method::POST, Signal::Traces.service()));
        assert_eq!(
            (header("te"), header("content-type"), header("user-agent")),
            ("trailers", "application/grpc", "mine")
        );
        assert_eq!(header("authorization"), "Bearer x");
        let timeout: u64 = header("grpc-timeout").strip_suffix('m').unwrap().parse().unwrap();
        assert!((1..=10_000).contains(&timeout), "{timeout}");
        assert!(!request.headers().contains_key("grpc-encoding"));
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&bytes[..], b"\0\0\0\0\x03abc");

        let compressed = Encoded::new(parts(), true);
        let request = super::request(&endpoint, HeaderMap::new(), &compressed, Instant::now());
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!((header("grpc-encoding"), header("grpc-timeout"), header("user-agent")), ("gzip", "1m", USER_AGENT));
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((bytes[0], bytes.len()), (1, PREFIX + compressed.len()));
    }
}
