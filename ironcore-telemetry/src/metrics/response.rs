//! The `/metrics` page as an HTTP response, for the listener and for a router of the application.

use super::negotiation;
use super::page::page;
use crate::series::Format;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use http::{Response, StatusCode};

/// The page in the format and coding that the request's headers ask for. It is gathered on a blocking thread: callbacks
/// of observable instruments may be slow, and must not hold up the runtime that exports spans or serves requests.
pub(crate) async fn respond(request: &HeaderMap) -> Response<Vec<u8>> {
    let format = negotiation::format(request);
    let wants_gzip = negotiation::wants_gzip(request);
    let gathered = tokio::task::spawn_blocking(move || {
        let page = page(format);
        let zipped = if wants_gzip { gzip(page.as_bytes()) } else { None };
        let is_zipped = zipped.is_some();
        (zipped.unwrap_or_else(|| page.into_bytes()), is_zipped)
    });
    match gathered.await {
        Ok((page, is_zipped)) => {
            let mut response = response(StatusCode::OK, content_type(format), page);
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

const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    }
}
