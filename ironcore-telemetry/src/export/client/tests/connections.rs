//! When connections are opened, shared, kept and replaced.

use super::super::Client;
use super::server::{Answered, Server, accepted, body, grpc};
use super::{PROTOCOLS, TempFile, WHOLE, otlp};
use crate::config::{Otlp, Protocol, Signal};
use crate::export::answer::{Answer, Cause, Failure};
use crate::redact::Secret;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Request, Response};
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, mpsc};

fn client(otlp: &Otlp) -> Client {
    Client::new(otlp, Signal::Traces).unwrap()
}

fn client_of(server: &Server, protocol: Protocol) -> Client {
    client(&otlp(&server.endpoint(), protocol))
}

/// Short enough to run out in a test.
fn impatient(endpoint: &str, protocol: Protocol) -> Client {
    client(&Otlp { timeout: Duration::from_millis(300), ..otlp(endpoint, protocol) })
}

fn message() -> Vec<Bytes> {
    vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]
}

/// A server that takes everything.
async fn collector(protocol: Protocol) -> Server {
    Server::new(protocol, move |_| async move { accepted(protocol) }).await
}

fn failure(answer: Answer) -> Failure {
    match answer {
        Answer::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    for protocol in PROTOCOLS {
        let server = collector(*protocol).await;
        let client = client_of(&server, *protocol);
        for _ in 0..5 {
            assert_eq!(client.send(message()).await, WHOLE);
        }
        assert_eq!(server.accepted(), 1, "{protocol:?}");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_connection_or_have_one_each_that_is_kept() {
    const REQUESTS: usize = 16;
    for protocol in PROTOCOLS {
        // No request is answered before all are there.
        let barrier = Arc::new(Barrier::new(REQUESTS));
        let server = Server::new(*protocol, move |_| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                accepted(*protocol)
            }
        });
        let server = server.await;
        let client = Arc::new(client_of(&server, *protocol));
        for _ in 0..2 {
            let sends = (0..REQUESTS).map(|_| {
                let client = Arc::clone(&client);
                tokio::spawn(async move { client.send(message()).await })
            });
            for send in sends.collect::<Vec<_>>() {
                assert_eq!(send.await.unwrap(), WHOLE);
            }
        }
        let expected = if *protocol == Protocol::Grpc { 1 } else { REQUESTS };
        assert_eq!(server.accepted(), expected, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_silent_connection_is_replaced_after_one_time_limit() {
    for protocol in PROTOCOLS {
        let handle = move |_: Request<Bytes>| async move { accepted(*protocol) };
        let server = Server::silent_at_first(1, *protocol, handle).await;
        let client = impatient(&server.endpoint(), *protocol);
        let first = failure(client.send(message()).await);
        assert_eq!((first.cause, first.text.as_str()), (Cause::Broken, "no answer within the time limit"));
        assert_eq!(client.send(message()).await, WHOLE, "{protocol:?}");
        assert_eq!(server.accepted(), 2);
    }
}

#[tokio::test]
async fn a_connection_that_goes_silent_later_is_replaced_too() {
    for protocol in PROTOCOLS {
        let server = collector(*protocol).await;
        let client = impatient(&server.endpoint(), *protocol);
        assert_eq!(client.send(message()).await, WHOLE);
        server.mute();
        assert_eq!(failure(client.send(message()).await).cause, Cause::Broken);
        // The server is silent on new ones too: that a new one was opened is what counts.
        assert_eq!(failure(client.send(message()).await).cause, Cause::Broken);
        assert_eq!(server.accepted(), 2, "{protocol:?}");
    }
}

#[cfg(feature = "otlp-grpc")]
#[tokio::test]
async fn a_silent_connection_is_noticed_by_a_ping_long_before_a_long_time_limit() {
    let server = collector(Protocol::Grpc).await;
    let client = client(&Otlp { timeout: Duration::from_secs(3_600), ..otlp(&server.endpoint(), Protocol::Grpc) });
    assert_eq!(client.send(message()).await, WHOLE);
    server.mute();
    tokio::time::pause();
    let begin = tokio::time::Instant::now();
    assert_eq!(failure(client.send(message()).await).cause, Cause::Broken);
    // Of the paused clock, so it is no wall time.
    assert!(begin.elapsed() <= Duration::from_secs(16), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_in_the_meantime_costs_nothing() {
    for protocol in PROTOCOLS {
        let server = collector(*protocol).await;
        let client = client_of(&server, *protocol);
        for opened in 1..=20 {
            assert_eq!(client.send(message()).await, WHOLE, "{protocol:?}");
            assert_eq!(server.accepted(), opened);
            server.hang_up().await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_with_a_request_in_flight_is_a_failure_and_is_replaced() {
    for protocol in PROTOCOLS {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let server = Server::new(*protocol, move |_| {
            arrived.send(()).unwrap();
            std::future::pending::<Answered>()
        });
        let server = server.await;
        let client = client_of(&server, *protocol);
        for opened in 1..=2 {
            let (answer, ()) = tokio::join!(client.send(message()), async {
                arrivals.recv().await.unwrap();
                server.hang_up().await;
            });
            assert_eq!(failure(answer).cause, Cause::Broken, "{protocol:?}");
            assert_eq!(server.accepted(), opened);
        }
    }
}

#[cfg(feature = "otlp-grpc")]
#[tokio::test]
async fn a_stream_that_is_reset_is_broken_whatever_the_code() {
    for code in 0..=13 {
        let server = Server::new(Protocol::Grpc, move |_| async move { Err(h2::Reason::from(code).into()) }).await;
        let client = client_of(&server, Protocol::Grpc);
        for opened in 1..=2 {
            let failure = failure(client.send(message()).await);
            assert_eq!(failure.cause, Cause::Broken, "{code}: {failure:?}");
            assert_eq!(server.accepted(), opened);
        }
    }
}

#[tokio::test]
async fn without_a_server_nothing_is_sent_and_the_text_says_where() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for protocol in PROTOCOLS {
        let failure = failure(client(&otlp(&format!("http://{address}"), *protocol)).send(message()).await);
        assert_eq!(failure.cause, Cause::Unreachable);
        assert!(failure.text.starts_with(&format!("no connection to {address}: ")), "{failure:?}");
    }
}

#[tokio::test]
async fn everything_ends_with_the_client() {
    for protocol in PROTOCOLS {
        let server = collector(*protocol).await;
        let client = client_of(&server, *protocol);
        assert_eq!(client.send(message()).await, WHOLE);
        drop(client);
        server.closed().await;
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_is_closed() {
    /// Tells when the server gives a request up too.
    struct Gone(mpsc::UnboundedSender<()>);

    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    for protocol in PROTOCOLS {
        let (events, mut event) = mpsc::unbounded_channel();
        let server = Server::new(*protocol, move |_| {
            events.send(()).unwrap();
            let gone = Gone(events.clone());
            async move {
                let _gone = gone;
                std::future::pending::<Answered>().await
            }
        });
        let server = server.await;
        let client = Arc::new(client_of(&server, *protocol));
        let sending = Arc::clone(&client);
        let send = tokio::spawn(async move { sending.send(message()).await });
        event.recv().await.unwrap();
        send.abort();
        event.recv().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read_to_its_end() {
    for protocol in PROTOCOLS {
        let server = Server::new(*protocol, |_| async { Ok(Response::new(body(Bytes::from(vec![0; 5 << 20])))) }).await;
        let failure = failure(client_of(&server, *protocol).send(message()).await);
        assert_eq!((failure.cause, failure.text.as_str()), (Cause::Broken, "the answer is longer than 4 MiB"));
    }
}

#[tokio::test]
async fn a_message_arrives_as_it_is_or_compressed() {
    for protocol in PROTOCOLS {
        for compressed in [false, true] {
            let (seen, mut requests) = mpsc::unbounded_channel();
            let server = Server::new(*protocol, move |request| {
                seen.send(request).unwrap();
                async move { accepted(*protocol) }
            });
            let server = server.await;
            let mut otlp = otlp(&server.endpoint(), *protocol);
            otlp.compressed = compressed;
            otlp.headers = vec![("x-tenant".to_owned(), Secret::from("a"))];
            // Several frames of HTTP/2, and several parts.
            let parts: Vec<_> = (0..20_u8).map(|byte| Bytes::from(vec![byte; 20_000])).collect();
            assert_eq!(client(&otlp).send(parts.clone()).await, WHOLE);
            let request = requests.recv().await.unwrap();
            assert_eq!(request.headers()["x-tenant"], "a");
            let received = match protocol {
                Protocol::Grpc => request.body().slice(5..),
                Protocol::HttpProtobuf => request.body().clone(),
            };
            let mut message = Vec::new();
            if compressed {
                GzDecoder::new(&received[..]).read_to_end(&mut message).unwrap();
                assert!(received.len() * 10 < message.len());
            } else {
                message.extend_from_slice(&received);
            }
            assert!(message == parts.concat(), "{protocol:?}, compressed: {compressed}");
        }
    }
}

/// A refusal of the credentials.
fn unauthenticated(protocol: Protocol, message: &str) -> Answered {
    match protocol {
        Protocol::Grpc => grpc(&[("grpc-status", "16"), ("grpc-message", message)]),
        Protocol::HttpProtobuf => {
            let body = body(Bytes::copy_from_slice(message.as_bytes()));
            Ok(Response::builder().status(401).header("content-type", "text/plain").body(body).unwrap())
        }
    }
}

#[tokio::test]
async fn credentials_that_are_refused_are_read_again_and_tried_once_more() {
    for protocol in PROTOCOLS {
        let file = Arc::new(TempFile::new("authorization=one"));
        let (renewed, requests) = (Arc::clone(&file), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&requests);
        let server = Server::new(*protocol, move |request: Request<Bytes>| {
            count.fetch_add(1, Ordering::SeqCst);
            let file = Arc::clone(&renewed);
            async move {
                if request.headers()["authorization"] == "two" {
                    return accepted(*protocol);
                }
                file.write("authorization=two");
                unauthenticated(*protocol, "expired")
            }
        });
        let server = server.await;
        let mut otlp = otlp(&server.endpoint(), *protocol);
        otlp.headers_file = Some(file.path().to_owned());
        let client = client(&otlp);
        assert_eq!(client.send(message()).await, WHOLE);
        assert_eq!(client.send(message()).await, WHOLE);
        assert_eq!(requests.load(Ordering::SeqCst), 3, "{protocol:?}");
    }
}

#[tokio::test]
async fn credentials_that_stay_refused_are_not_sent_twice_and_are_in_no_text() {
    for protocol in PROTOCOLS {
        let server = Server::new(*protocol, move |request: Request<Bytes>| async move {
            unauthenticated(
                *protocol,
                &format!("bad credentials {}", request.headers()["authorization"].to_str().unwrap()),
            )
        });
        let server = server.await;
        let file = TempFile::new("authorization=Bearer%20hunter2hunter2");
        let mut otlp = otlp(&server.endpoint(), *protocol);
        otlp.headers_file = Some(file.path().to_owned());
        let answer = client(&otlp).send(message()).await;
        let Answer::Refused(text) = &answer else { panic!("{answer:?}") };
        assert!(
            text.contains("bad credentials [REDACTED]; look at the credentials in OTEL_EXPORTER_OTLP_HEADERS"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// A server that answers whatever it is sent with these bytes, and closes.
async fn raw(bytes: &'static [u8]) -> (SocketAddr, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            // Until the other side has closed: a reset could overtake the bytes.
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn a_server_of_another_protocol_is_named() {
    const ALERT: &[u8] = &[0x15, 3, 1, 0, 2, 2, 0x16];
    for (protocol, bytes, part) in [
        #[cfg(feature = "otlp-grpc")]
        (Protocol::Grpc, ALERT, "speaks TLS at this port: use https://"),
        #[cfg(feature = "otlp-grpc")]
        (Protocol::Grpc, b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", "speaks HTTP/1, not gRPC"),
        #[cfg(feature = "otlp-http")]
        (Protocol::HttpProtobuf, ALERT, "speaks TLS at this port: use https://"),
        #[cfg(feature = "otlp-http")]
        (Protocol::HttpProtobuf, &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100], "speaks gRPC, not HTTP/1"),
    ] {
        let (address, _server) = raw(bytes).await;
        let failure = failure(client(&otlp(&format!("http://{address}"), protocol)).send(message()).await);
        assert_eq!(failure.cause, Cause::Broken);
        assert!(failure.text.contains(part), "{failure:?}");
    }
}

#[cfg(feature = "otlp-http")]
#[tokio::test]
async fn a_response_that_is_cut_off_is_broken() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\nabc"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 O",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"\0\0\0",
        b"",
    ] {
        let (address, _server) = raw(bytes).await;
        let failure =
            failure(client(&otlp(&format!("http://{address}"), Protocol::HttpProtobuf)).send(message()).await);
        assert_eq!(failure.cause, Cause::Broken, "{bytes:?}: {failure:?}");
    }
}

#[cfg(all(unix, feature = "otlp-http"))]
#[tokio::test]
async fn a_socket_of_this_machine_is_an_endpoint() {
    let file = TempFile::new("");
    std::fs::remove_file(file.path()).unwrap();
    let listener = tokio::net::UnixListener::bind(file.path()).unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"onetwo") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(request).unwrap()
    };
    let client = client(&otlp(&format!("unix:{}", file.path().display()), Protocol::HttpProtobuf));
    let (answer, request) = tokio::join!(client.send(message()), serve);
    assert_eq!(answer, WHOLE);
    assert!(
        request.starts_with("POST /v1/traces HTTP/1.1\r\n") && request.contains("host: localhost\r\n"),
        "{request}"
    );
}
