//! The `/metrics` page as an HTTP response, for the listener and for a router of the application.

use super::page::page;
use crate::series::Format;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use http::{Response, StatusCode};

/// The page in the format that the request's headers ask for. It is gathered on a blocking thread: callbacks of
/// observable instruments may be slow, and must not hold up the runtime that exports spans or serves requests.
pub(crate) async fn respond(request: &HeaderMap) -> Response<String> {
    let format = negotiate(request.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    match tokio::task::spawn_blocking(move || page(format)).await {
        Ok(page) => response(StatusCode::OK, content_type(format), page),
        Err(_) => plain_text(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be gathered\n"),
    }
}

/// A response that is not the page.
pub(super) fn plain_text(status: StatusCode, text: &str) -> Response<String> {
    response(status, "text/plain; charset=utf-8", text.to_owned())
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    }
}

/// The format for a value of `Accept`: `OpenMetrics` when it is listed with at least the weight of text.
fn negotiate(accept: Option<&str>) -> Format {
    let weight = |media_type: &str| {
        let weights = accept.unwrap_or_default().split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let matches = parts.next()?.eq_ignore_ascii_case(media_type);
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            // A weight that is not a number counts as absent.
            matches.then(|| weight.and_then(|q| q.parse().ok()).unwrap_or(1.0))
        });
        weights.fold(0.0_f32, f32::max)
    };
    let open_metrics = weight("application/openmetrics-text");
    if open_metrics > 0.0 && open_metrics >= weight("text/plain") { Format::OpenMetrics } else { Format::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_clients_that_request_it() {
        let of_prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for requests in [of_prometheus, "application/openmetrics-text", "Application/OpenMetrics-Text ; q=0.1"] {
            assert_eq!(negotiate(Some(requests)), Format::OpenMetrics, "{requests}");
        }
        for does_not in [
            "",
            "*/*",
            "text/html",
            "text/plain",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2,text/plain;q=0.9",
        ] {
            assert_eq!(negotiate(Some(does_not)), Format::Text, "{does_not}");
        }
        assert_eq!(negotiate(None), Format::Text);
    }
}
