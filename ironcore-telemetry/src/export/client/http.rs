//! OTLP over HTTP with protobuf bodies.

use super::body::{Encoded, Parts};
use super::endpoint::Endpoint;
use super::hints;
use super::messages::Status;
use super::{Reply, Response, USER_AGENT};
use crate::export::answer::{Answer, Cause, Failure};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    USER_AGENT as USER_AGENT_HEADER,
};
use http::{Method, Request, Uri};
use prost::Message as _;
use std::time::SystemTime;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The request that sends a message.
pub(super) fn request(endpoint: &Endpoint, mut headers: HeaderMap, body: &Encoded) -> Request<Parts> {
    headers.insert(HOST, endpoint.authority.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(USER_AGENT_HEADER).or_insert(HeaderValue::from_static(USER_AGENT));
    if body.is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let mut request = Request::new(Parts::new(body.parts.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
    *request.headers_mut() = headers;
    request
}

/// What the response means.
pub(super) fn judge(response: &Response) -> Reply {
    let status = response.status();
    if status.is_success() {
        return accepted(response);
    }
    let message = message(response);
    let number = status.as_u16();
    let text =
        if message.is_empty() { format!("HTTP status {number}") } else { format!("HTTP status {number}: {message}") };
    Reply::Answer(match number {
        401 | 403 => return Reply::Unauthenticated(text),
        413 => Answer::TooLarge(text),
        // The collector says it of a body that is larger than its limit.
        400 if hints::is_about_size(&message) => Answer::TooLarge(text),
        429 | 502 | 503 | 504 => {
            let wait = header(response, RETRY_AFTER);
            let retry_after = hints::retry_after(wait, SystemTime::now());
            Answer::Failed(Failure { cause: Cause::Busy, text, retry_after })
        }
        400.. => Answer::Refused(text),
        _ => return broken(format!("{text}: redirects are not followed, name the right endpoint")),
    })
}

/// A status of success says nothing of who has answered: the body has to be one of OTLP.
fn accepted(response: &Response) -> Reply {
    let encoding = header(response, CONTENT_ENCODING);
    if !matches!(encoding, "" | "identity") {
        return broken("the answer is compressed, which was not asked for");
    }
    let body = &response.body().bytes;
    let content_type = content_type(response);
    let answer = match content_type {
        PROTOBUF | "application/protobuf" => hints::accepted(body),
        // An empty message is one without a field. Some servers say so with another type, or with none.
        "" | "text/plain" if body.is_empty() => hints::accepted(body),
        JSON => is_empty_json(body).then_some(Answer::Accepted { rejected: 0, message: None }),
        _ => None,
    };
    answer.map_or_else(
        || {
            let shown = hints::shown(if content_type.is_empty() { "none" } else { content_type });
            let status = response.status().as_u16();
            broken(format!(
                "HTTP status {status} with a body that is no OTLP answer (content-type {shown}): is the endpoint a collector?"
            ))
        },
        Reply::Answer,
    )
}

/// Whether a body is the answer of OTLP in JSON to a request that was taken as a whole.
fn is_empty_json(body: &[u8]) -> bool {
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    matches!(text.as_slice(), b"" | b"{}" | br#"{"partialSuccess":{}}"# | br#"{"partialSuccess":null}"#)
}

/// What the collector says of a failure.
fn message(response: &Response) -> String {
    let body = &response.body().bytes;
    match content_type(response) {
        PROTOBUF | "application/protobuf" => {
            Status::decode(body.as_ref()).map(|status| hints::shown(&status.message)).unwrap_or_default()
        }
        "text/plain" | JSON => hints::shown(&String::from_utf8_lossy(body)),
        _ => String::new(),
    }
}

/// Without its parameters.
fn content_type(response: &Response) -> &str {
    header(response, CONTENT_TYPE).split(';').next().unwrap_or_default().trim()
}

fn header(response: &Response, name: HeaderName) -> &str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn broken(text: impl Into<String>) -> Reply {
    Reply::Answer(Answer::Failed(Failure::new(Cause::Broken, text)))
}

#[cfg(test)]
mod tests {
    use super::super::Received;
    use super::super::messages::{ExportResponse, PartialSuccess};
    use super::super::tests::otlp;
    use super::*;
    use crate::config::{Protocol, Signal};
    use bytes::Bytes;
    use std::time::Duration;

    fn response(status: u16, headers: &[(HeaderName, &str)], bytes: &[u8]) -> Response {
        let mut response = Response::new(Received { bytes: Bytes::copy_from_slice(bytes), trailers: HeaderMap::new() });
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        response
    }

    #[test]
    fn each_status_means_what_the_specification_says() {
        let body = Status { message: "no, thanks".to_owned(), ..Status::default() }.encode_to_vec();
        for hint in [None, Some("7")] {
            for status in [400, 401, 403, 404, 408, 413, 429, 500, 501, 502, 503, 504, 505] {
                let mut headers = vec![(CONTENT_TYPE, PROTOBUF)];
                headers.extend(hint.map(|hint| (RETRY_AFTER, hint)));
                let text = format!("HTTP status {status}: no, thanks");
                let expected = match status {
                    401 | 403 => Reply::Unauthenticated(text),
                    413 => Reply::Answer(Answer::TooLarge(text)),
                    429 | 502..=504 => {
                        let retry_after = hint.map(|_| Duration::from_secs(7));
                        Reply::Answer(Answer::Failed(Failure { cause: Cause::Busy, text, retry_after }))
                    }
                    _ => Reply::Answer(Answer::Refused(text)),
                };
                assert_eq!(judge(&response(status, &headers, &body)), expected);
            }
        }
    }

    #[test]
    fn partial_success_and_empty_answers_are_read() {
        let partial_success = Some(PartialSuccess { rejected: 56, message: "bad ids".to_owned() });
        let message = ExportResponse { partial_success }.encode_to_vec();
        let expected = Answer::Accepted { rejected: 56, message: Some("bad ids".to_owned()) };
        let protobuf = "application/x-protobuf; charset=utf-8";
        assert_eq!(judge(&response(200, &[(CONTENT_TYPE, protobuf)], &message)), Reply::Answer(expected));
        let whole = Reply::Answer(Answer::Accepted { rejected: 0, message: None });
        for (status, headers, body) in [
            (200, vec![(CONTENT_TYPE, PROTOBUF)], ""),
            (200, vec![], ""),
            (204, vec![], ""),
            (202, vec![(CONTENT_TYPE, "text/plain; charset=utf-8")], ""),
            (200, vec![(CONTENT_TYPE, JSON)], "{}\n"),
            (200, vec![(CONTENT_TYPE, JSON)], r#"{ "partialSuccess": {} }"#),
            (200, vec![(CONTENT_ENCODING, "identity")], ""),
        ] {
            assert_eq!(judge(&response(status, &headers, body.as_bytes())), whole, "{headers:?} {body}");
        }
    }

    #[test]
    fn success_with_something_else_than_an_otlp_answer_is_a_failure_that_says_so() {
        for (headers, body) in [
            (vec![(CONTENT_TYPE, "text/html")], "<html>welcome</html>"),
            (vec![(CONTENT_TYPE, "text/html")], ""),
            (vec![(CONTENT_TYPE, "text/plain")], "ok"),
            (vec![(CONTENT_TYPE, JSON)], r#"{"status":"up"}"#),
            (vec![(CONTENT_TYPE, PROTOBUF)], "<html>welcome</html>"),
            (vec![], "ok"),
            (vec![(CONTENT_TYPE, PROTOBUF), (CONTENT_ENCODING, "gzip")], ""),
        ] {
            let reply = judge(&response(200, &headers, body.as_bytes()));
            let Reply::Answer(Answer::Failed(Failure { cause: Cause::Broken, text, .. })) = &reply else {
                panic!("{reply:?}")
            };
            assert!(text.contains("no OTLP answer") || text.contains("compressed"), "{text}");
            assert!(!text.contains("welcome"), "{text}");
        }
    }

    #[test]
    fn a_redirect_is_named_and_not_followed() {
        let location = (http::header::LOCATION, "http://elsewhere/?token=s3cr3t");
        for status in [301, 302, 307, 308] {
            let reply = judge(&response(status, std::slice::from_ref(&location), b""));
            let Reply::Answer(Answer::Failed(failure)) = &reply else { panic!("{reply:?}") };
            assert!(failure.text.starts_with(&format!("HTTP status {status}: redirects")), "{failure:?}");
            assert!(!failure.text.contains("s3cr3t"));
        }
    }

    #[test]
    fn a_text_of_the_collector_is_short_and_one_line() {
        let body = format!("http: request body too large\r\n{}", "x".repeat(10_000));
        let reply = judge(&response(400, &[(CONTENT_TYPE, "text/plain")], body.as_bytes()));
        let Reply::Answer(Answer::TooLarge(text)) = &reply else { panic!("{reply:?}") };
        assert!(text.len() < 300 && !text.contains(['\r', '\n']), "{text}");
        let page = response(500, &[(CONTENT_TYPE, "text/html")], b"<html>");
        assert_eq!(judge(&page), Reply::Answer(Answer::Refused("HTTP status 500".to_owned())));
    }

    #[test]
    fn a_request_has_a_path_and_the_name_of_the_host() {
        let endpoint = Endpoint::new(&otlp("http://h:1/v1/traces", Protocol::HttpProtobuf), Signal::Traces).unwrap();
        let request = request(&endpoint, HeaderMap::new(), &Encoded::new(vec![Bytes::from_static(b"abc")], true));
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::POST, "/v1/traces"));
        let header = |name: HeaderName| request.headers()[name].to_str().unwrap();
        assert_eq!((header(HOST), header(CONTENT_TYPE), header(CONTENT_ENCODING)), ("h:1", PROTOBUF, "gzip"));
        assert_eq!(header(USER_AGENT_HEADER), USER_AGENT);
    }
}
