//! The `/metrics` page for those who serve it themselves.
//!
//! [`init`](crate::init) serves the page on a listener of its own (127.0.0.1:9464 by default). A service that wants it
//! on a router of its own turns that listener off with
//! [`Config::metrics_listener(None)`](crate::Config::metrics_listener) and mounts [`router`]; mind that what is
//! mounted on a public router is public.

use crate::metrics::Format;

/// The page as it stands now, in Prometheus text format 0.0.4: this library's series, and with the feature
/// `prometheus` the OpenTelemetry instruments of the application and of libraries.
///
/// It gathers every instrument; with many thousands of series call it from `spawn_blocking`.
#[must_use]
pub fn render() -> String {
    crate::metrics::page(Format::Text)
}

/// The same in `OpenMetrics` 1.0 (`application/openmetrics-text; version=1.0.0`): each bucket of a duration names a recent
/// sampled trace that is in it, so that one gets from a slow bucket to what was slow.
#[must_use]
pub fn render_open_metrics() -> String {
    crate::metrics::page(Format::OpenMetrics)
}

/// A router with the one route `GET /metrics`: text, or `OpenMetrics` with exemplars for who asks for it, as Prometheus does
/// with `--enable-feature=exemplar-storage` or without.
///
/// ```
/// use axum::Router;
/// use ironcore_telemetry as telemetry;
///
/// let internal: Router = Router::new().merge(telemetry::scrape::router());
/// ```
#[cfg(feature = "http")]
pub fn router<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    let page = async |headers: http::HeaderMap| {
        let accept = headers.get(http::header::ACCEPT);
        let format = Format::asked(accept.and_then(|accept| accept.to_str().ok()));
        match tokio::task::spawn_blocking(move || crate::metrics::page(format)).await {
            Ok(page) => {
                Ok(([(http::header::CONTENT_TYPE, format.content_type()), (http::header::VARY, "accept")], page))
            }
            Err(_) => Err((http::StatusCode::INTERNAL_SERVER_ERROR, "the page could not be gathered\n")),
        }
    };
    axum::Router::new().route("/metrics", axum::routing::get(page))
}
