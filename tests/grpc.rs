//! The gRPC layers of server and client, on a real tonic server and channel. One process, one telemetry: each test has
//! methods of its own.

use http_body_util::BodyExt as _;
use ironcore_telemetry as telemetry;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;
use support::{Scene, Span, is, sample, span_named, wait_for};
use telemetry::client::GrpcClientTelemetryService;
use telemetry::{Boundary, GrpcClientTelemetryLayer, GrpcTelemetryLayer};
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Layer as _, ServiceExt as _, service_fn};

const SERVICE: &str = "tests.Probe";
/// Codes in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// The codes that the semantic conventions call errors of a server.
const SERVER_ERRORS: [usize; 6] = [2, 4, 12, 13, 14, 15];

type Messages = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// A service whose methods behave as their names say: `Code5` responds with code 5.
#[derive(Clone)]
struct Probe;

impl tonic::server::NamedService for Probe {
    const NAME: &'static str = SERVICE;
}

impl<B> tower_service::Service<http::Request<B>> for Probe
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        Box::pin(async move { Ok(answer(&method, request).await) })
    }
}

async fn answer<B>(method: &str, request: http::Request<B>) -> http::Response<Body>
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
    match method {
        "Collect" => {
            let count = |request: Request<tonic::Streaming<String>>| async {
                let messages = request.into_inner().collect::<Vec<_>>().await;
                Ok::<_, Status>(Response::new(messages.len().to_string()))
            };
            grpc.client_streaming(service_fn(count), request).await
        }
        "Repeat" | "Late" => {
            let repeat = |request: Request<String>| {
                let messages = vec![Ok(request.into_inner()); 4];
                ok(Box::pin(tokio_stream::iter(messages)) as Messages)
            };
            grpc.server_streaming(service_fn(repeat), request).await
        }
        "Echo" => {
            let echo = |request: Request<tonic::Streaming<String>>| ok(Box::pin(request.into_inner()) as Messages);
            grpc.streaming(service_fn(echo), request).await
        }
        "Fails" => {
            let fails = |_: Request<String>| {
                let messages = vec![Ok("one".to_owned()), Err(Status::data_loss("then this"))];
                ok(Box::pin(tokio_stream::iter(messages)) as Messages)
            };
            grpc.server_streaming(service_fn(fails), request).await
        }
        "Drips" => {
            let drips = |_: Request<String>| {
                let one = tokio_stream::once(Ok("one".to_owned()));
                ok(Box::pin(one.chain(tokio_stream::pending())) as Messages)
            };
            grpc.server_streaming(service_fn(drips), request).await
        }
        "Watch" => {
            let watch = |_: Request<String>| {
                let two = tokio_stream::iter(["one", "two"].map(|text| Ok(text.to_owned())));
                ok(Box::pin(two.chain(tokio_stream::pending())) as Messages)
            };
            grpc.server_streaming(service_fn(watch), request).await
        }
        "NoTrailers" => http::Response::builder()
            .header("content-type", "application/grpc")
            .body(Body::new(
                http_body_util::Full::new(bytes::Bytes::from_static(&[0, 0, 0, 0, 0])).map_err(|never| match never {}),
            ))
            .unwrap(),
        "NotGrpc" => http::Response::builder().status(503).body(Body::empty()).unwrap(),
        "Waits" | "WaitsLong" | "WaitsHere" => std::future::pending().await,
        "Panics" => panic!("planned"),
        _ => {
            let code = method.strip_prefix("Code").and_then(|code| code.parse().ok());
            let status = match code {
                Some(code) => Code::from_i32(code),
                // As an interceptor responds before the method is looked up.
                None if method.starts_with("Intercepted") => Code::InvalidArgument,
                None => Code::Unimplemented,
            };
            let unary = move |request: Request<String>| {
                ready(match status {
                    Code::Ok => Ok(Response::new(request.into_inner())),
                    code => Err(Status::new(code, "as asked")),
                })
            };
            grpc.unary(service_fn(unary), request).await
        }
    }
}

fn ok(messages: Messages) -> Ready<Result<Response<Messages>, Status>> {
    ready(Ok(Response::new(messages)))
}

/// Telemetry and a server of this process; both live as long as it.
fn scene() -> &'static Scene {
    static SCENE: LazyLock<Scene> = LazyLock::new(|| {
        let methods = ["Waits", "WaitsLong", "Panics", "NoTrailers", "NotGrpc", "Drips"]
            .into_iter()
            .map(str::to_owned)
            .chain((0..17).map(|code| format!("Code{code}")))
            .map(|method| format!("{SERVICE}/{method}"));
        let layer = GrpcTelemetryLayer::new().boundary(Boundary::Trusted).methods(methods).unwrap();
        Scene::start("grpc_test", async |listener| {
            let server = Server::builder().layer(layer).add_service(Probe);
            server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
        })
    });
    &SCENE
}

type Client = tonic::client::Grpc<GrpcClientTelemetryService<Channel>>;

async fn client() -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", scene().address)).unwrap();
    let layer = GrpcClientTelemetryLayer::new("probe", endpoint.uri());
    let mut client = tonic::client::Grpc::new(layer.layer(endpoint.connect_lazy()));
    client.ready().await.unwrap();
    client
}

fn path(method: &str) -> PathAndQuery {
    format!("/{SERVICE}/{method}").parse().unwrap()
}

fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

async fn unary(method: &str) -> Result<String, Status> {
    let request = Request::new("x".to_owned());
    let answer = client().await.unary(request, path(method), codec()).await;
    answer.map(Response::into_inner)
}

/// The spans of a method on both sides, as soon as they have arrived.
fn spans(method: &str) -> (Span, Span) {
    let name = format!("{SERVICE}/{method}");
    let side = |kind: &str| {
        let is_it = |span: &Span| span.name == name && span.kind == kind;
        wait_for(&format!("the {kind} span {name}"), || scene().receiver.spans().into_iter().find(is_it))
    };
    (side("client"), side("server"))
}

fn counted(metric: &str, method: &str, more: &str) -> f64 {
    let peer = if metric.contains("client") { r#"peer="probe","# } else { "" };
    let series = format!(r#"{metric}{{{peer}rpc_service="{SERVICE}",method="{method}"{more}}}"#);
    let page = telemetry::scrape::render();
    let found = page.lines().find_map(|line| line.strip_prefix(&series));
    // A series exists from its first call on.
    found.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Waits until both sides have counted this number of calls of a method with a code, and have none in flight.
fn wait_for_count(method: &str, [client, server]: [&str; 2], count: u32) {
    wait_for(method, || {
        let of = |metric, code| counted(metric, method, &format!(r#",code="{code}""#));
        let done = is(of("grpc_client_requests_total", client), count)
            && is(of("grpc_requests_total", server), count)
            && is(of("grpc_request_duration_seconds_count", server), count)
            && is(of("grpc_client_request_duration_seconds_count", client), count)
            && is(counted("grpc_requests_in_flight", method, ""), 0)
            && is(counted("grpc_client_requests_in_flight", method, ""), 0);
        done.then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_is_counted_and_classified_on_both_sides_by_the_conventions() {
    for (number, code) in CODES.into_iter().enumerate() {
        let method = format!("Code{number}");
        let answer = unary(&method).await;
        assert_eq!(answer.is_ok(), number == 0, "{code}");
        let (client, server) = spans(&method);
        for span in [&client, &server] {
            assert_eq!(span.attribute("rpc.system.name"), Some("grpc"));
            assert_eq!(span.attribute("rpc.status_code"), Some(code));
            let full = format!("{SERVICE}/{method}");
            assert_eq!(span.attribute("rpc.method"), Some(full.as_str()));
        }
        let port = scene().address.port().to_string();
        let address = ["server.address", "server.port"].map(|key| client.attribute(key));
        assert_eq!(address, [Some("127.0.0.1"), Some(port.as_str())]);
        let is_error = (number != 0).then_some(code);
        assert_eq!(client.attribute("error.type"), is_error);
        assert_eq!(client.status, if number == 0 { "unset" } else { "error" });
        let is_of_server = SERVER_ERRORS.contains(&number);
        assert_eq!(server.attribute("error.type"), is_of_server.then_some(code));
        assert_eq!(server.status, if is_of_server { "error" } else { "unset" });
        // The trace goes on over the connection.
        assert_eq!(server.trace_id, client.trace_id);
        assert_eq!(server.parent_span_id.as_ref(), Some(&client.span_id));
        wait_for_count(&method, [code, code], 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_streams_are_counted_by_direction_on_both_sides() {
    let three = || Request::new(tokio_stream::iter(["a", "b", "c"].map(str::to_owned)));
    let mut client = client().await;
    let collected = client.client_streaming(three(), path("Collect"), codec()).await;
    assert_eq!(collected.unwrap().into_inner(), "3");
    client.ready().await.unwrap();
    let one = Request::new("x".to_owned());
    let repeated = client.server_streaming(one, path("Repeat"), codec()).await;
    assert_eq!(repeated.unwrap().into_inner().collect::<Vec<_>>().await.len(), 4);
    client.ready().await.unwrap();
    let echoed = client.streaming(three(), path("Echo"), codec()).await;
    assert_eq!(echoed.unwrap().into_inner().collect::<Vec<_>>().await.len(), 3);

    for (method, sent, received) in [("Collect", 3.0, 1.0), ("Repeat", 1.0, 4.0), ("Echo", 3.0, 3.0)] {
        wait_for_count(method, ["OK", "OK"], 1);
        let messages = |metric, direction| counted(metric, method, &format!(r#",direction="{direction}""#));
        assert_eq!(
            (
                messages("grpc_client_messages_total", "sent"),
                messages("grpc_client_messages_total", "received"),
                messages("grpc_messages_total", "received"),
                messages("grpc_messages_total", "sent"),
            ),
            (sent, received, sent, received),
            "{method}"
        );
        // The method became known with its first response, and its span has its name.
        assert_eq!(spans(method).1.status, "unset");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_at_the_end_of_a_stream_is_that_of_the_call() {
    let one = Request::new("x".to_owned());
    let stream = client().await.server_streaming(one, path("Fails"), codec()).await;
    let messages: Vec<Result<String, Status>> = stream.unwrap().into_inner().collect().await;
    assert_eq!(messages.len(), 2);
    wait_for_count("Fails", ["DATA_LOSS", "DATA_LOSS"], 1);
    assert_eq!(spans("Fails").1.status, "error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_a_status_is_unknown() {
    assert!(unary("NoTrailers").await.is_err());
    wait_for_count("NoTrailers", ["UNKNOWN", "UNKNOWN"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_not_grpc_has_the_code_of_its_http_status() {
    assert!(unary("NotGrpc").await.is_err());
    wait_for_count("NotGrpc", ["UNAVAILABLE", "UNAVAILABLE"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_the_client_gives_up_is_cancelled_on_both_sides_and_an_error_of_neither() {
    let answer = tokio::time::timeout(Duration::from_millis(100), unary("Waits"));
    assert!(answer.await.is_err());
    wait_for_count("Waits", ["CANCELLED", "CANCELLED"], 1);
    let (client, server) = spans("Waits");
    assert_eq!((client.status, server.status), ("unset", "unset"));
    assert_eq!(client.attribute("rpc.status_code"), Some("CANCELLED"));
    assert_eq!((client.attribute("error.type"), server.attribute("error.type")), (None, Some("CANCELLED")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_the_client_drops_is_cancelled_on_both_sides() {
    let one = Request::new("x".to_owned());
    let stream = client().await.server_streaming(one, path("Drips"), codec()).await;
    let mut stream: tonic::Streaming<String> = stream.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().as_deref(), Some("one"));
    drop(stream);
    wait_for_count("Drips", ["CANCELLED", "CANCELLED"], 1);
    assert_eq!(spans("Drips").0.attribute("error.type"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_counts_a_call_that_timed_out_as_deadline_exceeded() {
    let mut request = Request::new("x".to_owned());
    request.set_timeout(Duration::from_millis(100));
    let answer = client().await.unary(request, path("WaitsLong"), codec()).await;
    // tonic reports it as cancelled when the server's clock was the first to run out.
    let _: Status = answer.map(|answer: Response<String>| answer).unwrap_err();
    let code = r#",code="DEADLINE_EXCEEDED""#;
    assert!(is(counted("grpc_client_requests_total", "WaitsLong", code), 1));
    assert_eq!(spans("WaitsLong").0.status, "error");
}

#[tokio::test]
async fn a_server_counts_a_call_that_it_gives_up_after_its_timeout_as_deadline_exceeded() {
    scene();
    let layer = GrpcTelemetryLayer::new().methods([format!("{SERVICE}/WaitsHere")]).unwrap();
    let request = http::Request::post(path("WaitsHere")).header("grpc-timeout", "20m").body(Body::empty()).unwrap();
    let waits = layer.layer(Probe).oneshot(request);
    assert!(tokio::time::timeout(Duration::from_millis(20), waits).await.is_err());
    let code = r#",code="DEADLINE_EXCEEDED""#;
    assert!(is(counted("grpc_requests_total", "WaitsHere", code), 1));
    assert_eq!(server_span("WaitsHere").status, "error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_is_an_internal_error_and_nothing_stays_in_flight() {
    assert!(unary("Panics").await.is_err());
    let server = spans("Panics").1;
    assert!(is(counted("grpc_requests_total", "Panics", r#",code="INTERNAL""#), 1));
    assert_eq!(server.attribute("error.type"), Some("panic"));
    assert_eq!(server.attribute("rpc.status_code"), Some("INTERNAL"));
    assert!(is(counted("grpc_requests_in_flight", "Panics", ""), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_unavailable() {
    scene();
    let endpoint = Endpoint::from_static("http://127.0.0.1:9");
    let layer = GrpcClientTelemetryLayer::new("absent", endpoint.uri());
    let mut client = tonic::client::Grpc::new(layer.layer(endpoint.connect_lazy()));
    client.ready().await.unwrap();
    let request = Request::new("x".to_owned());
    let answer = client.unary(request, path("Absent"), codec()).await;
    let _: Status = answer.map(|answer: Response<String>| answer).unwrap_err();
    let series = format!(
        r#"grpc_client_requests_total{{peer="absent",rpc_service="{SERVICE}",method="Absent",code="UNAVAILABLE"}}"#
    );
    assert!(is(sample(&telemetry::scrape::render(), &series), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_services_and_methods_make_no_series_and_do_not_block_those_of_real_ones() {
    let _ = unary("Code0").await;
    let series = || {
        let page = telemetry::scrape::render();
        let of_server = page.lines().filter(|line| line.starts_with("grpc_requests_total"));
        of_server.filter(|line| line.contains("_OTHER") || line.contains("junk")).count()
    };
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http::<Body>();
    for attempt in 0..3_000 {
        let path = format!("http://{}/junk{attempt}.Service/Method{attempt}", scene().address);
        let request = http::Request::post(path).header("content-type", "application/grpc").body(Body::empty()).unwrap();
        let answer = http.request(request).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "12");
    }
    assert_eq!(series(), 1, "{}", telemetry::scrape::render());
    let folded = r#"telemetry_label_overflow_total{metric="grpc_requests_total",label="method"}"#;
    assert!(sample(&telemetry::scrape::render(), folded) >= 3_000.0);
    // Nor does a response of an interceptor in front of the methods.
    for attempt in 0..20 {
        let refused = unary(&format!("Intercepted{attempt}")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let page = telemetry::scrape::render();
    let is_intercepted = |line: &&str| line.starts_with("grpc_") && line.contains("Intercepted");
    let mut of_server = page.lines().filter(is_intercepted);
    assert!(of_server.all(|line| line.starts_with("grpc_client_")), "{page}");
    let one = Request::new("x".to_owned());
    let stream = client().await.server_streaming(one, path("Late"), codec()).await;
    let _: Vec<Result<String, Status>> = stream.unwrap().into_inner().collect().await;
    assert!(counted("grpc_requests_total", "Late", r#",code="OK""#) >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_is_counted_under_its_own_method_as_it_goes() {
    let one = Request::new("x".to_owned());
    let stream = client().await.server_streaming(one, path("Watch"), codec()).await;
    let mut stream: tonic::Streaming<String> = stream.unwrap().into_inner();
    for expected in ["one", "two"] {
        let message = stream.message().await.unwrap();
        assert_eq!(message.as_deref(), Some(expected));
    }
    // The method was not declared: its first message has proved that it exists.
    let sent = counted("grpc_messages_total", "Watch", r#",direction="sent""#);
    assert!(is(sent, 2) && is(counted("grpc_requests_in_flight", "Watch", ""), 1));
    drop(stream);
    wait_for_count("Watch", ["CANCELLED", "CANCELLED"], 1);
    let received = counted("grpc_messages_total", "Watch", r#",direction="received""#);
    assert!(is(received, 1));
    assert_eq!(spans("Watch").1.attribute("rpc.status_code"), Some("CANCELLED"));
}

const CALLERS_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Calls a method of a service with this layer, as an untrusted caller with a trace.
async fn called(layer: GrpcTelemetryLayer, method: &str) {
    scene();
    let request = http::Request::post(path(method))
        .header("content-type", "application/grpc")
        .header("traceparent", format!("00-{CALLERS_TRACE}-b7ad6b7169203331-01"))
        .header("tracestate", "theirs=1")
        .body(Body::new(
            http_body_util::Full::new(bytes::Bytes::from_static(&[0, 0, 0, 0, 0])).map_err(|never| match never {}),
        ))
        .unwrap();
    let answer = layer.layer(Probe).oneshot(request).await;
    answer.unwrap().into_body().collect().await.unwrap();
}

fn server_span(method: &str) -> Span {
    span_named(&scene().receiver, &format!("{SERVICE}/{method}"))
}

#[tokio::test]
async fn the_trace_of_an_untrusted_caller_is_linked_and_not_continued() {
    let layer = GrpcTelemetryLayer::new().methods([format!("{SERVICE}/PublicCall")]).unwrap();
    called(layer, "PublicCall").await;
    let span = server_span("PublicCall");
    assert_ne!(span.trace_id, CALLERS_TRACE);
    assert_eq!(span.parent_span_id, None);
    assert_eq!(span.links.len(), 1);
    assert_eq!(span.links[0].0, CALLERS_TRACE);
    assert!(!format!("{span:?}").contains("theirs"));

    let chosen =
        GrpcTelemetryLayer::new().methods([format!("{SERVICE}/ChosenCall")]).unwrap().boundary_with(|caller| {
            match caller.route() {
                Some("tests.Probe/ChosenCall") => Boundary::Trusted,
                _ => Boundary::Public,
            }
        });
    called(chosen, "ChosenCall").await;
    assert_eq!(server_span("ChosenCall").trace_id, CALLERS_TRACE);
}

#[tokio::test]
async fn a_skipped_service_is_not_recorded() {
    let layer = GrpcTelemetryLayer::new().methods([format!("{SERVICE}/SkippedCall")]).unwrap().skip(SERVICE);
    called(layer, "SkippedCall").await;
    let all = scene().receiver.spans();
    assert!(!all.iter().any(|span| span.name.contains("SkippedCall")));
    assert!(is(counted("grpc_requests_total", "SkippedCall", r#",code="UNIMPLEMENTED""#), 0));
}
