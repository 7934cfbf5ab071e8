//! `GrpcTelemetryLayer` outside of `tonic_web::GrpcWebLayer`, as it stands on a server for browsers.

use http::header::{ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, ORIGIN};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use ironcore_telemetry::GrpcTelemetryLayer;
use ironcore_telemetry::testing::Capture;
use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::CorsLayer;

const SERVICE: &str = "tests.Web";
/// An empty message, as it is sent in binary, and in base64.
const MESSAGE: (&[u8], &[u8]) = (&[0, 0, 0, 0, 0], b"AAAAAAA=");

type Messages = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// `Code5` answers with code 5, after a message if the code is `OK`; `Stream14` with two messages and code 14.
async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let code = |kind: &str| method.strip_prefix(kind).map(|code| Code::from_i32(code.parse().unwrap()));
    let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
    Ok(match (code("Code"), code("Stream")) {
        (Some(code), _) => {
            let result =
                move || if code == Code::Ok { Ok("one".to_owned()) } else { Err(Status::new(code, "as asked")) };
            grpc.unary(service_fn(move |_| ready(result().map(tonic::Response::new))), request).await
        }
        (_, Some(code)) => {
            let two = ["one", "two"].map(|text| Ok(text.to_owned()));
            let end = (code != Code::Ok).then(|| Err(Status::new(code, "at the end")));
            let stream = move |_| {
                let messages = two.clone().into_iter().chain(end.clone());
                let messages: Messages = Box::pin(tokio_stream::iter(messages));
                ready(Ok(tonic::Response::new(messages)))
            };
            grpc.server_streaming(service_fn(stream), request).await
        }
        _ => Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty()).unwrap(),
    })
}

/// Calls a method as a browser does; returns the body of the answer.
async fn call(content_type: &str, method: &str, message: &'static [u8]) -> Vec<u8> {
    let layer = GrpcTelemetryLayer::new().methods([format!("{SERVICE}/{method}")]).unwrap();
    let service = layer.layer(GrpcWebLayer::new().layer(service_fn(answer)));
    let body = Body::new(http_body_util::Full::from(message).map_err(|never| match never {}));
    let request = Request::post(format!("http://example.org/{SERVICE}/{method}"))
        .header(CONTENT_TYPE, content_type)
        .header(ACCEPT, content_type)
        .body(body)
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

const CONTENT_TYPES: [(&str, &[u8]); 4] = [
    ("application/grpc-web", MESSAGE.0),
    ("application/grpc-web+proto", MESSAGE.0),
    ("application/grpc-web-text", MESSAGE.1),
    ("application/grpc-web-text+proto", MESSAGE.1),
];

#[tokio::test]
async fn a_call_of_a_browser_is_counted_with_the_status_in_its_body() {
    let cases = [
        ("Code0", "OK", 1, false),
        ("Code5", "NOT_FOUND", 0, false),
        ("Code13", "INTERNAL", 0, true),
        ("Stream0", "OK", 2, false),
        ("Stream14", "UNAVAILABLE", 2, true),
    ];
    for (content_type, message) in CONTENT_TYPES {
        for (method, code, sent, is_error) in cases {
            let context = format!("{content_type} {method}");
            let capture = Capture::new();
            capture.run_async(call(content_type, method, message)).await;
            let labels = [("rpc_service", SERVICE), ("method", method)];
            let [service, name] = labels;
            assert_eq!(capture.value("grpc_requests_total", &[service, name, ("code", code)]), 1, "{context}");
            assert_eq!(capture.value("grpc_requests_total", &labels), 1, "{context}");
            assert_eq!(capture.value("grpc_requests_in_flight", &labels), 0, "{context}");
            let messages = |direction| capture.value("grpc_messages_total", &[service, name, ("direction", direction)]);
            assert_eq!((messages("received"), messages("sent")), (1, sent), "{context}");
            let spans = capture.spans();
            let span = spans.iter().find(|span| span.name == format!("{SERVICE}/{method}")).unwrap();
            assert_eq!(span.attribute("rpc.status_code"), Some(code), "{context}");
            assert_eq!(span.is_error, is_error, "{context}");
        }
    }
}

#[tokio::test]
async fn the_question_of_a_browser_whether_it_may_call_is_no_call_and_is_passed_on() {
    let capture = Capture::new();
    let preflight = async {
        let web = GrpcWebLayer::new().layer(service_fn(answer));
        let service = GrpcTelemetryLayer::new().layer(CorsLayer::permissive().layer(web));
        let request = Request::options(format!("http://example.org/{SERVICE}/Code0"))
            .header(ORIGIN, "https://wallet.example.org")
            .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .body(Body::empty())
            .unwrap();
        service.oneshot(request).await.unwrap()
    };
    let response = capture.run_async(preflight).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().contains_key("access-control-allow-methods"), "{response:?}");
    drop(response);
    for metric in ["grpc_requests_total", "grpc_requests_in_flight", "telemetry_label_overflow_total"] {
        assert_eq!(capture.value(metric, &[]), 0, "{metric}");
    }
    assert_eq!((capture.spans().len(), capture.log_lines().len()), (0, 0));
}

#[tokio::test]
async fn a_caller_that_goes_away_before_the_trailers_has_cancelled_its_call() {
    let capture = Capture::new();
    let leave = async {
        let layer = GrpcTelemetryLayer::new().methods([format!("{SERVICE}/Stream0")]).unwrap();
        let service = layer.layer(GrpcWebLayer::new().layer(service_fn(answer)));
        let body = Body::new(http_body_util::Full::from(MESSAGE.0).map_err(|never| match never {}));
        let request = Request::post(format!("http://example.org/{SERVICE}/Stream0"))
            .header(CONTENT_TYPE, "application/grpc-web+proto")
            .body(body)
            .unwrap();
        let mut body = service.oneshot(request).await.unwrap().into_body();
        assert!(body.frame().await.unwrap().unwrap().is_data());
    };
    capture.run_async(leave).await;
    assert_eq!(capture.value("grpc_requests_total", &[("code", "CANCELLED")]), 1);
}
