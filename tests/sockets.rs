//! Ten thousand requests over real sockets, of which a third ends, a third is given up midway and a third panics: each is
//! counted once, and nothing is left open.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::Request;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ironcore_telemetry as telemetry;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use support::{PATIENCE, Receiver, sample};
use telemetry::{Config, HttpTelemetryLayer};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;

const REQUESTS: usize = 10_000;
/// Requests of one protocol at a time.
const AT_A_TIME: usize = 32;

/// What a handler panics with.
const ASKED: &str = "as it was asked to";

fn app() -> Router {
    let one = || tokio_stream::once(Ok::<_, Infallible>(Bytes::from_static(b"a part")));
    Router::new()
        .route("/{protocol}/ends", get(async || "whole"))
        .route("/{protocol}/drips", get(async move || Body::from_stream(one().chain(tokio_stream::pending()))))
        .route("/{protocol}/panics", get(panics))
        .layer(HttpTelemetryLayer::new())
}

async fn panics(_: Path<String>) -> &'static str {
    panic!("{ASKED}")
}

type Http = Client<HttpConnector, Body>;

async fn send(client: &Http, address: SocketAddr, protocol: &str, what: &str) {
    let uri = format!("http://{address}/{protocol}/{what}");
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let answer = client.request(request).await;
    match what {
        "ends" => {
            let body = answer.unwrap().into_body().collect().await.unwrap();
            assert_eq!(body.to_bytes(), "whole");
        }
        "drips" => {
            let mut body = answer.unwrap().into_body();
            body.frame().await.unwrap().unwrap();
        }
        // The connection, or its stream, is gone.
        _ => assert!(answer.is_err()),
    }
}

/// Sends every third request of a protocol to each route.
async fn send_all(address: SocketAddr, protocol: &'static str, http2: bool) {
    let client: Http = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let mut sent = JoinSet::new();
    for number in 0..REQUESTS / 2 {
        if sent.len() >= AT_A_TIME {
            sent.join_next().await.unwrap().unwrap();
        }
        let client = client.clone();
        let what = ["ends", "drips", "panics"][number % 3];
        sent.spawn(async move { send(&client, address, protocol, what).await });
    }
    while let Some(joined) = sent.join_next().await {
        joined.unwrap();
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    stack::query::wait_until(PATIENCE, Duration::from_millis(20), what, || Ok::<_, Infallible>(done().then_some(())))
        .unwrap_or_else(|late| panic!("{late:?}\n{}", telemetry::scrape::render()));
}

#[test]
fn ten_thousand_requests_are_counted_exactly_and_none_stays_open() {
    // Three thousand panics are a part of it, and need not be shown.
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(ASKED) {
            show(panic);
        }
    }));
    let receiver = Receiver::start().unwrap();
    let config = Config::new("sockets_test").endpoint(receiver.grpc_url()).metrics_listener(None).log_filter("off");
    let guard = telemetry::init_with(config).unwrap();
    let server = runtime();
    let listener = server.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.spawn(async { axum::serve(listener, app()).await.unwrap() });

    let client = runtime();
    client.block_on(async {
        let h1 = send_all(address, "h1", false);
        let h2 = send_all(address, "h2", true);
        tokio::join!(h1, h2);
    });
    // Its connections end with it.
    drop(client);

    // The templates are the same for both protocols.
    let count = |what: &str, status: u16| {
        let route = format!(r#"method="GET",route="/{{protocol}}/{what}""#);
        let page = telemetry::scrape::render();
        let counted = format!(r#"http_requests_total{{{route},status="{status}"}} "#);
        page.lines().find_map(|line| line.strip_prefix(&counted)?.parse::<usize>().ok()).unwrap_or_default()
    };
    let each = |rest: usize| (0..REQUESTS / 2).filter(|number| number % 3 == rest).count() * 2;
    wait_for("exact counts", || {
        count("ends", 200) == each(0) && count("drips", 499) == each(1) && count("panics", 500) == each(2)
    });
    let page = telemetry::scrape::render();
    for what in ["ends", "drips", "panics"] {
        let series = format!(r#"http_requests_in_flight{{method="GET",route="/{{protocol}}/{what}"}}"#);
        assert!(sample(&page, &series).abs() < f64::EPSILON, "{what}");
    }
    let all = page.lines().filter(|line| line.starts_with("http_requests_total{"));
    assert_eq!(all.count(), 3, "none has another status:\n{page}");

    // Each span has ended, and arrived.
    wait_for("every span", || receiver.spans().len() == REQUESTS);
    let statuses = receiver.spans();
    let cancelled = |span: &&support::ReceivedSpan| span.attribute("error.type") == Some("cancelled");
    assert_eq!(statuses.iter().filter(cancelled).count(), each(1));
    // Only the one that accepts is left of the server's tasks.
    wait_for("the end of every task", || server.metrics().num_alive_tasks() == 1);
    serving.abort();
    server.shutdown_timeout(Duration::from_secs(5));
    guard.shutdown(PATIENCE).unwrap();
}
