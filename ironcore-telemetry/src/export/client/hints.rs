//! What an answer says beside its status: how long to wait, and why. All of it comes from outside, and is bounded.

use super::messages::{ExportResponse, RetryInfo, Status};
use crate::export::answer::Answer;
use crate::redact::truncate;
use prost::Message as _;
use std::time::Duration;
#[cfg(feature = "otlp-http")]
use std::time::SystemTime;

/// The longest wait that a collector can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest text of a collector that is shown, in bytes.
const SHOWN: usize = 256;

/// What a response says of a request that was taken; `None` when it is no such message.
pub(super) fn accepted(message: &[u8]) -> Option<Answer> {
    let response = ExportResponse::decode(message).ok()?;
    let partial = response.partial_success.unwrap_or_default();
    let message = Some(shown(&partial.message)).filter(|message| !message.is_empty());
    Some(Answer::Accepted { rejected: u64::try_from(partial.rejected).unwrap_or_default(), message })
}

/// A text of the collector for a log line: one line, and short.
pub(super) fn shown(text: &str) -> String {
    let clean: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    truncate(clean.trim(), SHOWN).to_owned()
}

/// Whether a refusal is about the size of the request. There is no code for it: servers say it in these words.
pub(super) fn is_about_size(message: &str) -> bool {
    const WORDS: &[&str] =
        &["larger than max", "too large", "message size", "exceeds maximum size", "exceeds the maximum"];
    let message = message.to_ascii_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

/// `Retry-After`: seconds, or a date. `None` for what is neither, and for a date that has passed.
#[cfg(feature = "otlp-http")]
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are a long time too.
        return Some(value.parse().map_or(LONGEST_WAIT, Duration::from_secs).min(LONGEST_WAIT));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    date.duration_since(now).ok().map(|wait| wait.min(LONGEST_WAIT))
}

/// The `RetryInfo` of a status.
pub(super) fn retry_info(status: &Status) -> Option<RetryInfo> {
    let detail = status.details.iter().find(|detail| detail.type_url.ends_with("google.rpc.RetryInfo"))?;
    // One that cannot be read says that a retry is welcome, and no more.
    Some(RetryInfo::decode(detail.value.as_slice()).unwrap_or_default())
}

/// The delay that it asks for, if it is one.
pub(super) fn retry_delay(info: RetryInfo) -> Option<Duration> {
    let delay = info.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    let nanos = u32::try_from(delay.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos).min(LONGEST_WAIT))
}

/// The status in `grpc-status-details-bin`.
#[cfg(feature = "otlp-grpc")]
pub(super) fn status_details(header: &[u8]) -> Option<Status> {
    Status::decode(from_base64(header)?.as_slice()).ok()
}

/// `grpc-message`: percent-encoded UTF-8. What is not of that form stands as it is.
#[cfg(feature = "otlp-grpc")]
pub(super) fn grpc_message(header: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = header;
    while let (Some((first, after)), true) = (rest.split_first(), bytes.len() < 4 * SHOWN) {
        let digits = (*first == b'%').then(|| after.split_at_checked(2)).flatten();
        let decoded = digits.and_then(|(digits, behind)| Some((hexadecimal(digits)?, behind)));
        let (byte, behind) = decoded.unwrap_or((*first, after));
        bytes.push(byte);
        rest = behind;
    }
    shown(&String::from_utf8_lossy(&bytes))
}

#[cfg(feature = "otlp-grpc")]
fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

/// Base64 of the standard alphabet, with or without padding.
#[cfg(feature = "otlp-grpc")]
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for byte in text.trim_ascii_end().iter().copied().filter(|byte| *byte != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::messages::{Any, Delay, PartialSuccess};
    use super::*;

    #[test]
    #[cfg(feature = "otlp-http")]
    fn a_wait_is_in_seconds_or_a_date_and_is_capped() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (value, wait) in [
            ("0", seconds(0)),
            ("3", seconds(3)),
            (" 7 ", seconds(7)),
            ("007", seconds(7)),
            ("30", seconds(30)),
            ("31", seconds(30)),
            ("1000000000000", seconds(30)),
            ("18446744073709551616", seconds(30)),
            ("99999999999999999999999999999999", seconds(30)),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1e3", None),
            ("", None),
            ("soon", None),
            ("٣", None),
            ("Sun, 06 Nov 1994 08:49:40 GMT", seconds(3)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", seconds(0)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", seconds(3)),
            ("Sun Nov  6 08:49:40 1994", seconds(3)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", seconds(30)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", None),
            ("Sun, 06 Nov 1994 25:49:36 GMT", None),
            ("Sun, 99 Nov 1994", None),
        ] {
            assert_eq!(retry_after(value, now), wait, "{value:?}");
        }
    }

    #[test]
    fn retry_info_is_found_among_the_details_and_capped() {
        let info = |seconds, nanos| {
            let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) };
            let other = Any { type_url: "type.googleapis.com/google.rpc.DebugInfo".to_owned(), value: vec![1, 2] };
            let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
            let status =
                Status { details: vec![other, Any { type_url, value: info.encode_to_vec() }], ..Status::default() };
            retry_info(&status).map(retry_delay)
        };
        assert_eq!(info(2, 500_000_000), Some(Some(Duration::from_millis(2_500))));
        assert_eq!(info(0, 0), Some(Some(Duration::ZERO)));
        assert_eq!(info(i64::MAX, 999_999_999), Some(Some(LONGEST_WAIT)));
        for (seconds, nanos) in [(-1, 0), (1, -1), (1, i32::MAX), (i64::MIN, i32::MIN)] {
            assert_eq!(info(seconds, nanos), Some(None), "{seconds} {nanos}");
        }
        assert_eq!(retry_info(&Status::default()), None);
        let type_url = "google.rpc.RetryInfo".to_owned();
        let garbage = Status { details: vec![Any { type_url, value: vec![0xff; 9] }], ..Status::default() };
        assert_eq!(retry_info(&garbage).map(retry_delay), Some(None));
    }

    #[test]
    #[cfg(feature = "otlp-grpc")]
    fn details_are_base64_with_or_without_padding() {
        for (text, bytes) in [
            ("", ""),
            ("Zg", "f"),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmE", "fooba"),
            ("+/+/", "\u{fb}"),
        ] {
            let decoded = from_base64(text.as_bytes()).unwrap();
            if bytes == "\u{fb}" {
                assert_eq!(decoded, [0xfb, 0xff, 0xbf]);
            } else {
                assert_eq!(decoded, bytes.as_bytes(), "{text}");
            }
        }
        assert_eq!(from_base64(b"Zm9v!"), None);
        assert_eq!(status_details(b"////"), None);
    }

    #[test]
    #[cfg(feature = "otlp-grpc")]
    fn a_message_is_percent_decoded_one_line_and_short() {
        for (header, text) in [
            ("plain", "plain"),
            ("a%20b%C3%A9", "a bé"),
            ("50%", "50%"),
            ("%zz%4", "%zz%4"),
            ("%+1", "%+1"),
            ("two%0Alines%00%1B[31m", "two lines  [31m"),
            ("%FF", "\u{fffd}"),
        ] {
            assert_eq!(grpc_message(header.as_bytes()), text, "{header}");
        }
        assert_eq!(grpc_message("%C3%A9".repeat(100_000).as_bytes()).len(), SHOWN);
    }

    #[test]
    fn partial_success_is_read_and_what_is_negative_is_none() {
        let of = |rejected, message: &str| {
            let partial_success = Some(PartialSuccess { rejected, message: message.to_owned() });
            accepted(&ExportResponse { partial_success }.encode_to_vec())
        };
        assert_eq!(of(3, "bad\nids"), Some(Answer::Accepted { rejected: 3, message: Some("bad ids".to_owned()) }));
        assert_eq!(of(0, "deprecated"), Some(Answer::Accepted { rejected: 0, message: Some("deprecated".to_owned()) }));
        assert_eq!(of(-5, ""), Some(Answer::Accepted { rejected: 0, message: None }));
        assert_eq!(accepted(&[]), Some(Answer::Accepted { rejected: 0, message: None }));
        assert_eq!(accepted(b"<html>"), None);
    }

    #[test]
    fn servers_speak_of_size_in_their_own_words() {
        for message in [
            "grpc: received message larger than max (5000000 vs. 4194304)",
            "grpc: received message after decompression larger than max 4194304",
            "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes",
            "gRPC message exceeds maximum size 4194304: 5000000",
            "Received message exceeds the maximum configured message size.",
            "http: request body too large",
        ] {
            assert!(is_about_size(message), "{message}");
        }
        for message in ["data refused due to high memory usage", "sending queue is full", "", "rate limit"] {
            assert!(!is_about_size(message), "{message}");
        }
    }
}
