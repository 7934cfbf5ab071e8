//! What the back end may answer, and what then holds.

use super::{News, OPERATIONS, Remote, percent_encoded};
use crate::config::RemoteSampling;
use opentelemetry::trace::TraceId;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// For what answers at once; only a hanging test reaches it.
const PATIENT: Duration = Duration::from_secs(30);
/// For what never answers.
const SHORT: Duration = Duration::from_millis(300);

type Answer = fn(&mut TcpStream);

/// A back end with one answer for each connection, the last one for all further ones; and the heads of the requests.
fn back_end(answers: Vec<Answer>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/sampling", listener.local_addr().unwrap());
    let (sender, heads) = mpsc::channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        let mut answer = None;
        for stream in listener.incoming() {
            answer = answers.next().or(answer);
            let mut stream = stream.unwrap();
            if sender.send(head(&mut stream)).is_err() {
                return;
            }
            if let Some(answer) = answer {
                answer(&mut stream);
            }
        }
    });
    (endpoint, heads)
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Writes until the client goes away; there is no other end to it.
fn endless(stream: &mut TcpStream, begin: &str, part: &str) {
    let _ = stream.write_all(begin.as_bytes());
    while stream.write_all(part.as_bytes()).is_ok() {}
}

/// Holds the connection until the client closes it.
fn silent(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
}

macro_rules! answer {
    ($status:literal, $body:expr) => {
        |stream: &mut TcpStream| {
            let body: &str = $body;
            let _ = write!(stream, concat!("HTTP/1.1 ", $status, "\r\ncontent-length: {}\r\n\r\n{}"), body.len(), body);
        }
    };
}

const ALL: Answer = answer!("200 OK", r#"{"strategyType":0,"probabilisticSampling":{"samplingRate":1}}"#);
const NONE: Answer = answer!("200 OK", r#"{"strategyType":0,"probabilisticSampling":{"samplingRate":0}}"#);

/// Each with what is said of it.
const HOSTILE: &[(&str, Answer, &str)] = &[
    ("no JSON", answer!("200 OK", "sampling: all"), "not JSON"),
    ("a page", answer!("200 OK", "<html><body>busy</body></html>"), "not JSON"),
    ("an empty answer", answer!("200 OK", ""), "not JSON"),
    ("no strategy", answer!("200 OK", "{}"), "no strategy"),
    ("more than all", answer!("200 OK", r#"{"probabilisticSampling":{"samplingRate":1.5}}"#), "samplingRate"),
    ("less than none", answer!("200 OK", r#"{"probabilisticSampling":{"samplingRate":-1}}"#), "samplingRate"),
    ("no number", answer!("200 OK", r#"{"probabilisticSampling":{"samplingRate":NaN}}"#), "not JSON"),
    (
        "a negative limit",
        answer!("200 OK", r#"{"rateLimitingSampling":{"maxTracesPerSecond":-5}}"#),
        "maxTracesPerSecond",
    ),
    ("not found", answer!("404 Not Found", "{}"), "404"),
    ("a failure", answer!("500 Internal Server Error", "{}"), "500"),
    (
        "a redirect",
        |stream| {
            let _ =
                stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n");
        },
        "302",
    ),
    ("no HTTP", |stream| drop(stream.write_all(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x00")), ""),
    ("no answer", |stream| drop(stream.shutdown(std::net::Shutdown::Both)), ""),
    ("half an answer", |stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"prob")), ""),
    (
        "an endless body",
        |stream| endless(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "400\r\n{}\r\n"),
        "",
    ),
    (
        "an endless list",
        |stream| endless(stream, "HTTP/1.1 200 OK\r\n\r\n{\"operationSampling\":{\"perOperationStrategies\":[", "{},"),
        "longer than 1048576 bytes",
    ),
    ("an endless head", |stream| endless(stream, "HTTP/1.1 200 OK\r\n", "x-more: 7\r\n"), ""),
    ("a head in one endless line", |stream| endless(stream, "HTTP/1.1 200 OK\r\nx-more: ", "7777777777777777"), ""),
];

fn remote(endpoint: String, limit: Duration) -> Remote {
    let settings = RemoteSampling { endpoint, interval: Duration::from_millis(1), initial_ratio: 0.001 };
    Remote::with_limit(&settings, "wallets & more", limit)
}

/// Whether all traces are recorded, or none.
fn samples(remote: &Remote) -> Option<bool> {
    remote.samples(TraceId::from(7), "any")
}

#[tokio::test]
async fn what_the_back_end_tells_holds_until_it_tells_something_else() {
    let (endpoint, heads) = back_end(vec![ALL, ALL, NONE]);
    let remote = remote(endpoint, PATIENT);
    assert_eq!(samples(&remote), None);
    assert_eq!(remote.ask().await, Some(News::Told("1 of all traces".to_owned())));
    assert_eq!(samples(&remote), Some(true));
    assert_eq!(remote.ask().await, None);
    assert_eq!(remote.ask().await, Some(News::Changed("0 of all traces".to_owned())));
    assert_eq!(samples(&remote), Some(false));
    let head = heads.recv().unwrap();
    assert!(head.starts_with("GET /sampling?service=wallets%20%26%20more HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: 127.0.0.1:"), "{head}");
}

#[tokio::test]
async fn no_hostile_answer_changes_what_was_told_last() {
    assert!(HOSTILE.len() >= 12);
    for (what, answer, reason) in HOSTILE {
        let (endpoint, _heads) = back_end(vec![ALL, *answer, *answer, NONE]);
        let remote = remote(endpoint, PATIENT);
        remote.ask().await;
        let Some(News::Failed(text)) = remote.ask().await else { panic!("{what} is no news") };
        assert!(text.contains(reason), "{what}: {text}");
        assert_eq!(samples(&remote), Some(true), "{what}");
        // An outage is said once, and so is its end.
        assert_eq!(remote.ask().await, None, "{what}");
        assert_eq!(samples(&remote), Some(true), "{what}");
        assert_eq!(remote.ask().await, Some(News::Told("0 of all traces".to_owned())), "{what}");
        assert_eq!(samples(&remote), Some(false), "{what}");
    }
}

#[tokio::test]
async fn before_the_first_answer_a_hostile_one_decides_nothing() {
    for (what, answer, _) in HOSTILE {
        let (endpoint, _heads) = back_end(vec![*answer]);
        let remote = remote(endpoint, PATIENT);
        assert!(matches!(remote.ask().await, Some(News::Failed(_))), "{what}");
        assert_eq!(samples(&remote), None, "{what}");
    }
}

#[tokio::test]
async fn a_back_end_that_is_slow_is_given_up() {
    let slow: [Answer; 2] = [silent, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
        silent(stream);
    }];
    for answer in slow {
        // Whoever holds the connection sees it closed, or the second question would wait behind it.
        let (endpoint, _heads) = back_end(vec![answer, ALL]);
        let mut remote = remote(endpoint, SHORT);
        assert_eq!(remote.ask().await, Some(News::Failed(format!("no answer within {SHORT:?}"))));
        remote.limit = PATIENT;
        assert_eq!(remote.ask().await, Some(News::Told("1 of all traces".to_owned())));
    }
}

#[tokio::test]
async fn a_back_end_that_is_not_there_is_a_failure_that_names_the_address() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (endpoint, reason) in [
        (format!("http://{closed}/sampling"), closed.to_string()),
        ("http://no-such-host.invalid:5778/sampling".to_owned(), "host".to_owned()),
        ("https://localhost:5778/sampling".to_owned(), "only http://".to_owned()),
        ("http://".to_owned(), String::new()),
    ] {
        let remote = remote(endpoint.clone(), PATIENT);
        let Some(News::Failed(text)) = remote.ask().await else { panic!("{endpoint} answers") };
        assert!(text.contains(&reason), "{endpoint}: {text}");
    }
}

#[tokio::test]
async fn it_asks_again_and_again_through_failures() {
    let (endpoint, heads) = back_end(vec![HOSTILE[0].1, HOSTILE[8].1, ALL]);
    let remote = Arc::new(remote(endpoint, PATIENT));
    let polling = tokio::spawn(Arc::clone(&remote).poll());
    // The fourth question follows on the answer to the third.
    let four =
        tokio::task::spawn_blocking(move || (0..4).map(|_| heads.recv_timeout(PATIENT)).collect::<Result<Vec<_>, _>>());
    four.await.unwrap().unwrap();
    assert_eq!(samples(&remote), Some(true));
    polling.abort();
}

#[tokio::test]
async fn many_operations_are_kept_up_to_the_limit() {
    fn many(stream: &mut TcpStream) {
        let entry =
            |number| format!(r#"{{"operation":"operation {number}","probabilisticSampling":{{"samplingRate":1}}}}"#);
        let entries: Vec<_> = (0..OPERATIONS + 1_000).map(entry).collect();
        let body = format!(r#"{{"operationSampling":{{"perOperationStrategies":[{}]}}}}"#, entries.join(","));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        match stream.write_all(format!("{head}{body}").as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("{error}"),
            _ => {}
        }
    }
    let (endpoint, _heads) = back_end(vec![many]);
    let remote = remote(endpoint, PATIENT);
    remote.ask().await;
    let sampled = |number: usize| remote.samples(TraceId::from(7), &format!("operation {number}"));
    assert_eq!((sampled(0), sampled(OPERATIONS - 1), sampled(OPERATIONS)), (Some(true), Some(true), Some(false)));
}

#[test]
fn a_service_name_becomes_the_value_of_a_query() {
    assert_eq!(percent_encoded("wallet-service_1.2~x"), "wallet-service_1.2~x");
    assert_eq!(percent_encoded("a b&c=d/é?#%\r\n"), "a%20b%26c%3Dd%2F%C3%A9%3F%23%25%0D%0A");
}
