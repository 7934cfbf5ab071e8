//! The collector that fails on demand does what its modes say, seen by clients of others.

use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::{FaultCollector, Hint, Mode, current_thread};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

/// A request with these spans, the first of which has a name of so many bytes.
fn request(ids: std::ops::Range<u8>, size: usize) -> ExportTraceServiceRequest {
    let mut spans: Vec<_> = ids.map(|id| Span { span_id: vec![id; 8], ..Span::default() }).collect();
    if let Some(first) = spans.first_mut() {
        first.name = "n".repeat(size);
    }
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

/// Exports over gRPC, on a connection of its own.
fn grpc(collector: &FaultCollector, request: ExportTraceServiceRequest) -> Result<ExportTraceServiceResponse, Status> {
    current_thread().block_on(async { grpc_on(connect(collector).await?, request).await })
}

async fn connect(collector: &FaultCollector) -> Result<Channel, Status> {
    let endpoint = Endpoint::new(collector.url()).unwrap();
    endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))
}

async fn grpc_on(channel: Channel, request: ExportTraceServiceRequest) -> Result<ExportTraceServiceResponse, Status> {
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let codec: ProstCodec<ExportTraceServiceRequest, ExportTraceServiceResponse> = ProstCodec::default();
    Ok(client.unary(tonic::Request::new(request), path, codec).await?.into_inner())
}

/// Exports over HTTP, on a connection of its own: the status, a header, the body. `None` when there is no answer.
fn http(collector: &FaultCollector, request: &ExportTraceServiceRequest) -> Option<(u16, Option<String>, Vec<u8>)> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build();
    let url = format!("{}/v1/traces", collector.url());
    let call =
        agent.new_agent().post(url).header("content-type", "application/x-protobuf").send(request.encode_to_vec());
    let mut response = call.ok()?;
    let header = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec().unwrap();
    Some((response.status().as_u16(), header, body))
}

#[test]
fn both_protocols_share_a_port_and_each_span_is_kept_once() {
    let collector = FaultCollector::start();
    assert_eq!(grpc(&collector, request(1..4, 0)).unwrap(), ExportTraceServiceResponse::default());
    assert_eq!(http(&collector, &request(3..6, 0)), Some((200, None, Vec::new())));
    assert_eq!((collector.distinct(), collector.duplicates(), collector.connections()), (5, 1, 2));
    let requests = collector.requests();
    assert!(requests.iter().all(|request| request.taken && request.signal == "traces" && request.spans == 3));
    assert_eq!(requests.iter().map(|request| request.connection).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn the_port_closes_and_opens_again() {
    let collector = FaultCollector::start();
    let mut open = TcpStream::connect(collector.url().trim_start_matches("http://")).unwrap();
    for _ in 0..3 {
        collector.set(Mode::Refuse);
        assert_eq!(grpc(&collector, request(1..2, 0)).unwrap_err().code(), Code::Unavailable);
        assert_eq!(http(&collector, &request(1..2, 0)), None);
        collector.set(Mode::Ok);
        assert!(grpc(&collector, request(1..2, 0)).is_ok());
    }
    assert!(open.read(&mut [0]).is_err(), "the connection was reset");
}

#[test]
fn open_connections_fall_silent_and_new_ones_work() {
    let collector = FaultCollector::start();
    current_thread().block_on(async {
        let channel = connect(&collector).await.unwrap();
        assert!(grpc_on(channel.clone(), request(1..2, 0)).await.is_ok());
        collector.set(Mode::Silent);
        let silent = tokio::time::timeout(Duration::from_millis(300), grpc_on(channel, request(2..3, 0))).await;
        assert!(silent.is_err());
        assert!(grpc_on(connect(&collector).await.unwrap(), request(3..4, 0)).await.is_ok());
    });
    assert_eq!(collector.ids(), [[1; 8], [3; 8]].into());
}

#[test]
fn a_black_hole_accepts_and_never_reads() {
    let collector = FaultCollector::start();
    collector.set(Mode::Blackhole);
    let mut socket = TcpStream::connect(collector.url().trim_start_matches("http://")).unwrap();
    socket.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").unwrap();
    collector.wait_for_connections(1);
    collector.set(Mode::Ok);
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(socket.read(&mut [0]).is_err(), "its connections stay silent");
    assert!(http(&collector, &request(1..2, 0)).is_some());
}

#[test]
fn refusals_carry_their_code_and_their_hint() {
    let collector = FaultCollector::start();
    for code in 1..=16 {
        collector.set(Mode::Grpc(code, Hint::None));
        let status = grpc(&collector, request(1..2, 0)).unwrap_err();
        assert_eq!((status.code(), status.details()), (Code::from(i32::from(code)), &[][..]));
    }
    for seconds in [0, 3, -1, 1_000_000_000_000] {
        collector.set(Mode::Grpc(14, Hint::Seconds(seconds)));
        let status = grpc(&collector, request(1..2, 0)).unwrap_err();
        let details = status.details();
        assert!(String::from_utf8_lossy(details).contains("type.googleapis.com/google.rpc.RetryInfo"));
        let mut number = Vec::new();
        prost::encoding::encode_varint(seconds.cast_unsigned(), &mut number);
        // Zero is the default, which is left out.
        assert!(seconds == 0 || details.windows(number.len()).any(|part| part == number), "{details:?}");
        collector.set(Mode::Http(429, Hint::Seconds(seconds)));
        let (status, retry_after, _) = http(&collector, &request(1..2, 0)).unwrap();
        assert_eq!((status, retry_after), (429, Some(seconds.to_string())));
    }
    collector.set(Mode::Http(503, Hint::Date(60)));
    let (_, retry_after, _) = http(&collector, &request(1..2, 0)).unwrap();
    assert!(retry_after.unwrap().ends_with(" GMT"));
    // A proxy answers gRPC in HTTP too.
    assert!(grpc(&collector, request(1..2, 0)).is_err());
    assert_eq!((collector.distinct(), collector.requests().len()), (0, 16 + 8 + 2));
}

#[test]
fn broken_connections_and_streams_take_nothing() {
    let collector = FaultCollector::start();
    for mode in [Mode::ResetMidBody, Mode::RstStream(2), Mode::GoAway(0), Mode::GoAway(11), Mode::RstStream(0)] {
        collector.set(mode.clone());
        assert!(grpc(&collector, request(1..9, 100_000)).is_err(), "{mode:?}");
        assert_eq!(http(&collector, &request(1..9, 100_000)), None, "{mode:?}");
    }
    assert_eq!(collector.distinct(), 0);
    collector.set(Mode::AnswerLost);
    assert!(grpc(&collector, request(1..2, 0)).is_err());
    assert_eq!(http(&collector, &request(2..3, 0)), None);
    assert_eq!(collector.distinct(), 2);
}

#[test]
fn a_message_above_the_limit_is_refused_with_the_text_of_a_grpc_server() {
    let collector = FaultCollector::start();
    collector.set(Mode::Limit(1_000_000));
    let size = request(1..2, 3_000_000).encoded_len();
    let status = grpc(&collector, request(1..2, 3_000_000)).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), format!("grpc: received message larger than max ({size} vs. 1000000)"));
    assert_eq!(http(&collector, &request(1..2, 3_000_000)).unwrap().0, 413);
    assert!(grpc(&collector, request(1..2, 900_000)).is_ok());
    assert_eq!(http(&collector, &request(2..3, 900_000)).unwrap().0, 200);
    assert_eq!(collector.distinct(), 2);
}

#[test]
fn a_part_of_a_request_is_refused() {
    let collector = FaultCollector::start();
    collector.set(Mode::PartialSuccess(7));
    let over_grpc = grpc(&collector, request(0..20, 0)).unwrap();
    assert_eq!(over_grpc.partial_success.unwrap().rejected_spans, 7);
    let (_, _, body) = http(&collector, &request(100..120, 0)).unwrap();
    let over_http = ExportTraceServiceResponse::decode(body.as_slice()).unwrap();
    assert_eq!(over_http.partial_success.unwrap().rejected_spans, 7);
    assert_eq!(collector.distinct(), 26);
}

#[test]
fn answers_that_are_none_take_nothing() {
    let other = FaultCollector::start();
    let collector = FaultCollector::start();
    for (mode, status) in [
        (Mode::Html, 200),
        (Mode::Garbage, 200),
        (Mode::Json, 200),
        (Mode::HugeReply, 200),
        (Mode::Redirect(other.url()), 307),
    ] {
        collector.set(mode.clone());
        assert_eq!(http(&collector, &request(1..2, 0)).unwrap().0, status, "{mode:?}");
        // A hundred megabytes of zeros are no message either.
        assert!(grpc(&collector, request(1..2, 0)).is_err(), "{mode:?}");
    }
    assert_eq!((collector.distinct(), other.connections()), (0, 0));
}

#[test]
fn a_seed_refuses_the_same_requests() {
    let refused = |seed| {
        let collector = FaultCollector::start();
        collector.set(Mode::Flaky { probability: 0.7, seed });
        let statuses = (0..100).map(|_| http(&collector, &request(1..2, 0)).unwrap().0);
        let refused: Vec<_> = statuses.map(|status| status == 503).collect();
        refused
    };
    let first = refused(1);
    assert_eq!(first, refused(1));
    assert_ne!(first, refused(2));
    let count = first.iter().filter(|refused| **refused).count();
    assert!((50..90).contains(&count), "{count} of 100");
}

#[test]
fn slow_modes_take_their_time() {
    let collector = FaultCollector::start();
    for mode in [Mode::SlowRead(100_000), Mode::SlowReply(Duration::from_millis(400))] {
        collector.set(mode.clone());
        let begin = Instant::now();
        assert_eq!(http(&collector, &request(1..2, 50_000)).unwrap().0, 200);
        assert!(begin.elapsed() >= Duration::from_millis(400), "{mode:?} took {:?}", begin.elapsed());
    }
}

#[test]
fn a_client_that_gives_up_has_delivered_nothing() {
    let collector = FaultCollector::start();
    collector.set(Mode::SlowReply(Duration::from_millis(300)));
    current_thread().block_on(async {
        let channel = connect(&collector).await.unwrap();
        let given_up =
            tokio::time::timeout(Duration::from_millis(100), grpc_on(channel.clone(), request(1..2, 0))).await;
        assert!(given_up.is_err());
        // On the same connection, so that it ends after the first.
        assert!(grpc_on(channel, request(2..3, 0)).await.is_ok());
    });
    assert_eq!(collector.ids(), [[2; 8]].into());
}
