//! The `/metrics` page as an HTTP response, for the listener and for a router of the application.

use super::negotiation::{self, Form};
use super::page::page;
#[cfg(feature = "prometheus")]
use super::protobuf;
use crate::series::Format;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use http::{Response, StatusCode};
use tokio::sync::Semaphore;

/// The pages that are gathered at the same time; further ones wait. They must not take the blocking threads that the
/// application, or the push of metrics, needs.
pub(crate) const fn renderings() -> Semaphore {
    Semaphore::const_new(2)
}

/// The page in the format and coding that the request's headers ask for. It is gathered on a blocking thread: callbacks
/// of observable instruments may be slow, and must not hold up the runtime that exports spans or serves requests.
pub(crate) async fn respond(request: &HeaderMap, renderings: &'static Semaphore) -> Response<Vec<u8>> {
    let form = negotiation::form(request);
    let wants_gzip = negotiation::wants_gzip(request);
    // Never closed.
    let rendering = renderings.acquire().await;
    let gathered = tokio::task::spawn_blocking(move || {
        // Given back by the thread, which a client that goes away does not stop.
        let _rendering = rendering;
        let page = match form {
            Form::Text(format) => page(format).into_bytes(),
            #[cfg(feature = "prometheus")]
            Form::Protobuf => protobuf::page(),
        };
        let zipped = if wants_gzip { gzip(&page) } else { None };
        let is_zipped = zipped.is_some();
        (zipped.unwrap_or(page), is_zipped)
    });
    match gathered.await {
        Ok((page, is_zipped)) => {
            let mut response = response(StatusCode::OK, content_type(form), page);
            if is_zipped {
                response.headers_mut().insert(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            response
        }
        Err(_) => plain_text(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be gathered\n"),
    }
}

/// A response that is not the page.
pub(super) fn plain_text(status: StatusCode, text: &str) -> Response<Vec<u8>> {
    response(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

fn response(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    response
}

/// The page in gzip, at the level that costs least: a page shrinks to a tenth even so.
#[cfg(feature = "prometheus")]
fn gzip(page: &[u8]) -> Option<Vec<u8>> {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::with_capacity(page.len() / 8), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(page).ok()?;
    encoder.finish().ok()
}

#[cfg(not(feature = "prometheus"))]
const fn gzip(_: &[u8]) -> Option<Vec<u8>> {
    None
}

const fn content_type(form: Form) -> &'static str {
    match form {
        Form::Text(Format::Text) => "text/plain; version=0.0.4; charset=utf-8",
        Form::Text(Format::OpenMetrics) => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        #[cfg(feature = "prometheus")]
        Form::Protobuf => {
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        }
    }
}
