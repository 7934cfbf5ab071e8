//! The routes of requests: where the layer stands, nested services, fallbacks, and declared routes.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use ironcore_telemetry::server::RequestHead;
use ironcore_telemetry::testing::Capture;
use ironcore_telemetry::{self as telemetry, GrpcTelemetryLayer, HttpTelemetryLayer};
use serde_json::json;
use std::convert::Infallible;
use std::path::Path;
use support::{assert_sample, in_child, shutdown_at_once, start};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _};
use tower_http::services::ServeDir;

/// What a request was recorded as: its status and its route; `None` if it was not recorded.
async fn recorded<S, B>(service: S, path: &str) -> Option<(u16, String)>
where
    S: Service<Request<Body>, Response = http::Response<B>, Error = Infallible>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let capture = Capture::new();
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = async {
        let response = service.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        status
    };
    let status = capture.run_async(response).await;
    let spans = capture.spans();
    let [span] = &spans[..] else {
        assert!(spans.is_empty(), "{spans:?}");
        return None;
    };
    let route = span.attribute("http.route").unwrap_or("_unmatched").to_owned();
    let labels = [("method", "GET"), ("route", &*route), ("status", &*status.to_string())];
    assert_eq!(capture.value("http_requests_total", &labels), 1, "{labels:?}");
    assert_eq!(span.name == "GET", route == "_unmatched");
    Some((status, route))
}

fn files() -> ServeDir {
    ServeDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden"))
}

/// The routes of this service that no axum route matches.
fn route_of(request: &RequestHead<'_>) -> Option<&'static str> {
    match request.path() {
        "/files/panics" => panic!("planned"),
        path if path.starts_with("/files/") => Some("/files/{*path}"),
        path if path.starts_with("/plain/") => Some("/plain/{*path}"),
        _ if request.headers().contains_key("x-probe") => Some("/probe"),
        _ => None,
    }
}

fn app(layer: &HttpTelemetryLayer) -> Router {
    let inner = Router::new().route("/wallets/{id}", get(async || "7"));
    Router::new()
        .route("/health", get(async || "ok"))
        .nest("/api/v1", inner)
        .nest_service("/files", files())
        .nest_service(
            "/plain",
            tower::service_fn(async |_: Request<Body>| Ok(http::Response::new(Body::from("plain")))),
        )
        .fallback(async || (StatusCode::IM_A_TEAPOT, "nothing here"))
        .layer(layer.clone())
}

#[tokio::test]
async fn nested_services_and_fallbacks_have_the_routes_of_route_by() {
    let layer = HttpTelemetryLayer::new().route_by(route_of);
    for (path, status, route) in [
        ("/health", 200, "/health"),
        ("/api/v1/wallets/7", 200, "/api/v1/wallets/{id}"),
        ("/files/scrape.txt", 200, "/files/{*path}"),
        ("/files/secret-7", 404, "/files/{*path}"),
        ("/plain/1", 200, "/plain/{*path}"),
        ("/elsewhere", 418, "_unmatched"),
        // A panic in the user's function ends no request.
        ("/files/panics", 404, "_unmatched"),
    ] {
        assert_eq!(recorded(app(&layer), path).await, Some((status, route.to_owned())), "{path}");
    }
    for (path, route) in [("/files/scrape.txt", "_unmatched"), ("/elsewhere", "_unmatched"), ("/health", "/health")] {
        let (_, found) = recorded(app(&HttpTelemetryLayer::new()), path).await.unwrap();
        assert_eq!(found, route, "{path}");
    }
}

#[tokio::test]
async fn a_named_route_can_be_skipped_and_decides_on_the_boundary() {
    let layer = HttpTelemetryLayer::new().route_by(route_of).skip("/files/{*path}");
    assert_eq!(recorded(app(&layer), "/files/scrape.txt").await, None);
    assert_eq!(recorded(app(&layer), "/plain/1").await, Some((200, "/plain/{*path}".to_owned())));
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let decide = {
        let seen = std::sync::Arc::clone(&seen);
        move |caller: &telemetry::server::Caller<'_>| {
            *seen.lock().unwrap() = caller.route().map(str::to_owned);
            telemetry::Boundary::Public
        }
    };
    recorded(app(&HttpTelemetryLayer::new().route_by(route_of).boundary_with(decide)), "/plain/1").await;
    assert_eq!(seen.lock().unwrap().as_deref(), Some("/plain/{*path}"));
}

#[tokio::test]
async fn where_the_layer_stands_decides_what_it_sees() {
    let routes = || Router::new().route("/wallets/{id}", get(async || "7")).nest_service("/files", files());
    let named = HttpTelemetryLayer::new().route_by(|request| request.path().starts_with("/wallets/").then_some("/w"));
    let ok = |route: &str| Some((200, route.to_owned()));

    // `Router::layer`: every request of the router, with the route that matched.
    let app = || routes().layer(named.clone());
    assert_eq!(recorded(app(), "/wallets/7").await, ok("/wallets/{id}"));
    assert_eq!(recorded(app(), "/nowhere").await, Some((404, "_unmatched".to_owned())));

    // `route_layer`: requests that a route matched.
    let app = || routes().route_layer(named.clone());
    assert_eq!(recorded(app(), "/wallets/7").await, ok("/wallets/{id}"));
    assert_eq!(recorded(app(), "/nowhere").await, None);

    // Around the router: every request, in front of the routing.
    assert_eq!(recorded(named.layer(routes()), "/wallets/7").await, ok("/w"));
    assert_eq!(recorded(named.layer(routes()), "/nowhere").await, Some((404, "_unmatched".to_owned())));
    let built = ServiceBuilder::new().layer(named.clone()).service(routes());
    assert_eq!(recorded(built, "/wallets/7").await, ok("/w"));

    // On a router that is nested, with the whole route.
    let app = Router::new().nest("/api", routes().layer(named.clone()));
    assert_eq!(recorded(app, "/api/wallets/7").await, ok("/api/wallets/{id}"));
}

#[test]
fn the_counters_of_declared_routes_and_methods_stand_at_zero_from_the_start() {
    let child = in_child!(|| {
        let early = HttpTelemetryLayer::new().routes(["GET /early/{id}"]).unwrap();
        let guard = start();
        let late = HttpTelemetryLayer::new().routes(["POST /late", "DELETE /late"]).unwrap();
        let calls = GrpcTelemetryLayer::new().methods(["tests.Zero/Call"]).unwrap();
        let page = telemetry::scrape::render();
        drop((early, late, calls));
        shutdown_at_once(&guard);
        json!({ "page": page })
    });
    let report = child.run();
    let page = report.page();
    for (method, route) in [("GET", "/early/{id}"), ("POST", "/late"), ("DELETE", "/late")] {
        for status in ["200", "500"] {
            let labels = format!(r#"method="{method}",route="{route}",status="{status}""#);
            assert_sample(page, &format!("http_requests_total{{{labels}}}"), 0);
        }
        assert_sample(page, &format!(r#"http_requests_in_flight{{method="{method}",route="{route}"}}"#), 0);
    }
    for code in ["OK", "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"] {
        let labels = format!(r#"rpc_service="tests.Zero",method="Call",code="{code}""#);
        assert_sample(page, &format!("grpc_requests_total{{{labels}}}"), 0);
    }
    assert!(!page.contains("request_duration_seconds_bucket"), "{page}");
}

#[test]
fn the_first_failure_of_a_declared_route_is_counted_on_top_of_its_zero() {
    let child = in_child!(|| {
        let guard = start();
        let layer = HttpTelemetryLayer::new().routes(["GET /fails"]).unwrap();
        let app = Router::new().route("/fails", get(async || StatusCode::INTERNAL_SERVER_ERROR)).layer(layer);
        support::current_thread().block_on(async {
            let request = Request::get("/fails").body(Body::empty()).unwrap();
            app.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        });
        let page = telemetry::scrape::render();
        shutdown_at_once(&guard);
        json!({ "page": page })
    });
    let report = child.run();
    for (status, count) in [("200", 0), ("500", 1)] {
        let labels = format!(r#"method="GET",route="/fails",status="{status}""#);
        assert_sample(report.page(), &format!("http_requests_total{{{labels}}}"), count);
    }
}

#[test]
fn a_declaration_that_no_request_can_match_is_an_error_that_shows_it_and_the_allowed_form() {
    for route in ["/wallets", "GET wallets", "BREW /pot", "GET /wallets/:id", "GET /wallets?all"] {
        let error = HttpTelemetryLayer::new().routes(["GET /fine", route]).unwrap_err();
        assert_eq!(error.pattern, route);
        let message = error.to_string();
        assert!(message.contains(&format!("{route:?}")) && message.contains("GET /wallets/{id}"), "{message}");
    }
}
