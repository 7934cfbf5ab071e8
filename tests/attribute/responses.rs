//! An operation that returns an HTTP response has the outcome of its status, whatever the shape of the response.

use super::assert_ended;
use axum::response::{AppendHeaders, ErrorResponse, IntoResponse, Json, Redirect, Response};
use http::{HeaderMap, StatusCode};
use ironcore_telemetry as telemetry;
use telemetry::testing::Capture;
use tower::ServiceExt;

/// An error of a service that is a response, and has no outcome of its own.
struct Plain;

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        StatusCode::IM_A_TEAPOT.into_response()
    }
}

fn with_status(status: StatusCode) -> Response {
    (status, "body").into_response()
}

/// Handlers that answer with the status of the request's path, each in another shape.
mod handlers {
    use super::{
        AppendHeaders, ErrorResponse, HeaderMap, IntoResponse, Json, Response, StatusCode, telemetry, with_status,
    };
    use axum::extract::Path;

    fn read(path: u16) -> StatusCode {
        StatusCode::from_u16(path).unwrap()
    }

    macro_rules! handlers {
        ($($name:ident: $returned:ty = |$status:ident| $answer:expr;)+) => {
            $(
                #[telemetry::instrument_business(wallet)]
                pub(super) async fn $name(Path(path): Path<u16>) -> $returned {
                    tokio::task::yield_now().await;
                    let $status = read(path);
                    $answer
                }
            )+

            pub(super) const NAMES: &[&str] = &[$(stringify!($name)),+];

            pub(super) fn router() -> axum::Router {
                axum::Router::new()$(.route(concat!("/", stringify!($name), "/{status}"), axum::routing::get($name)))+
            }
        };
    }

    type Triple = (StatusCode, [(&'static str, &'static str); 1], String);

    handlers! {
        status: StatusCode = |status| status;
        response: Response = |status| with_status(status);
        pair: (StatusCode, &'static str) = |status| (status, "body");
        triple: Triple = |status| (status, [("x-a", "b")], "body".to_owned());
        with_header_map: (StatusCode, HeaderMap, Json<u8>) = |status| (status, HeaderMap::new(), Json(7));
        headers_first: ([(&'static str, &'static str); 1], StatusCode) = |status| ([("x-a", "b")], status);
        opaque_triple: impl IntoResponse = |status| (status, AppendHeaders([("x-a", "b")]), "body");
        opaque_response: impl IntoResponse + use<> = |status| with_status(status);
        ok_response: Result<Response, String> = |status| Ok(with_status(status));
        ok_triple: Result<Triple, StatusCode> = |status| Ok((status, [("x-a", "b")], String::new()));
        ok_opaque: Result<impl IntoResponse, StatusCode> = |status| Ok((status, "body"));
        err_status: Result<&'static str, StatusCode> = |status| Err(status);
        err_pair: Result<(), (StatusCode, String)> = |status| Err((status, String::new()));
        err_triple: Result<Json<u8>, Triple> = |status| Err((status, [("x-a", "b")], String::new()));
        err_response: Result<(), Response> = |status| Err(with_status(status));
        err_opaque: Result<(), impl IntoResponse> = |status| Err((status, HeaderMap::new(), "body"));
        axum_result: axum::response::Result<&'static str> = |status| Err((status, "body").into());
        axum_result_ok: axum::response::Result<(StatusCode, &'static str)> = |status| Ok((status, "body"));
        axum_error: Result<Json<u8>, ErrorResponse> = |status| Err(with_status(status).into());
    }
}

#[tokio::test]
async fn what_the_client_gets_is_what_is_counted() {
    for (status, outcome, code) in
        [(201, "ok", ""), (404, "rejected", "404"), (418, "rejected", "4xx"), (500, "failed", "500")]
    {
        for name in handlers::NAMES {
            let capture = Capture::new();
            let request = http::Request::get(format!("/{name}/{status}")).body(axum::body::Body::empty()).unwrap();
            let response = capture.run_async(handlers::router().oneshot(request)).await.unwrap();
            assert_eq!(response.status(), status, "{name}");
            assert_ended(&capture, name, outcome, code, 1);
        }
    }
}

#[telemetry::instrument_business(wallet)]
fn redirected() -> Redirect {
    Redirect::to("/elsewhere")
}

#[telemetry::instrument_business(wallet)]
fn synchronous(status: StatusCode) -> axum::response::Result<()> {
    Err(status.into())
}

#[telemetry::instrument_business(wallet)]
fn unknown_error() -> Result<(), Plain> {
    Err(Plain)
}

#[telemetry::instrument_business(wallet)]
fn business_pair() -> (u64, StatusCode) {
    (7, StatusCode::INTERNAL_SERVER_ERROR)
}

#[test]
fn other_values_keep_their_verdict() {
    let capture = Capture::new();
    capture.run(|| {
        assert_eq!(redirected().into_response().status(), StatusCode::SEE_OTHER);
        let returned = synchronous(StatusCode::CONFLICT);
        assert_eq!(returned.into_response().status(), StatusCode::CONFLICT);
        assert!(unknown_error().is_err());
        business_pair();
    });
    assert_ended(&capture, "redirected", "ok", "", 1);
    assert_ended(&capture, "synchronous", "rejected", "409", 1);
    assert_ended(&capture, "unknown_error", "failed", "error", 1);
    assert_ended(&capture, "business_pair", "ok", "", 1);
}
