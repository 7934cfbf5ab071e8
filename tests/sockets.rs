//! Ten thousand requests over real sockets: a third ends, a third is given up midway, a third panics. Each is counted
//! once, and none stays open.

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
use support::{PATIENCE, Span, assert_sample, multi_thread, start_recording, wait_for};
use telemetry::HttpTelemetryLayer;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;

const REQUESTS: usize = 10_000;
/// Requests of one protocol at a time.
const AT_A_TIME: usize = 32;

/// The message of the handler's panics.
const PLANNED: &str = "planned";

fn app() -> Router {
    let one = || tokio_stream::once(Ok::<_, Infallible>(Bytes::from_static(b"a part")));
    Router::new()
        .route("/{protocol}/ends", get(async || "whole"))
        .route("/{protocol}/drips", get(async move || Body::from_stream(one().chain(tokio_stream::pending()))))
        .route("/{protocol}/panics", get(panics))
        .layer(HttpTelemetryLayer::new())
}

async fn panics(_: Path<String>) -> &'static str {
    panic!("{PLANNED}")
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

#[test]
fn ten_thousand_requests_are_counted_exactly_and_none_stays_open() {
    // Three thousand planned panics need not be shown.
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(PLANNED) {
            show(panic);
        }
    }));
    let (receiver, guard) = start_recording("sockets_test");
    // Not `support::serve`: the tasks of this runtime are counted.
    let server = multi_thread();
    let listener = server.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.spawn(async { axum::serve(listener, app()).await.unwrap() });

    let client = multi_thread();
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
        let exact = count("ends", 200) == each(0) && count("drips", 499) == each(1) && count("panics", 500) == each(2);
        exact.then_some(())
    });
    let page = telemetry::scrape::render();
    for what in ["ends", "drips", "panics"] {
        let series = format!(r#"http_requests_in_flight{{method="GET",route="/{{protocol}}/{what}"}}"#);
        assert_sample(&page, &series, 0);
    }
    let all = page.lines().filter(|line| line.starts_with("http_requests_total{"));
    assert_eq!(all.count(), 3, "no other status:\n{page}");

    // Each span has ended, and arrived.
    let spans = wait_for("every span", || Some(receiver.spans()).filter(|spans| spans.len() == REQUESTS));
    let cancelled = |span: &&Span| span.attribute("error.type") == Some("cancelled");
    assert_eq!(spans.iter().filter(cancelled).count(), each(1));
    // Only the task that accepts connections is left.
    wait_for("the end of every task", || (server.metrics().num_alive_tasks() == 1).then_some(()));
    serving.abort();
    server.shutdown_timeout(Duration::from_secs(5));
    assert!(guard.shutdown(PATIENCE).is_complete());
}
