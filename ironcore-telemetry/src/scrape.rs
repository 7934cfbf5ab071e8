//! The `/metrics` page for applications that serve it themselves.
//!
//! [`init`](crate::init) serves the page on a listener of its own (127.0.0.1:9464 by default). A service that wants it
//! on its own router turns that listener off with
//! [`Config::metrics_listener(None)`](crate::Config::metrics_listener) and mounts [`router`]. On a public router the
//! page is public.

use crate::metrics::{self, Format};
#[cfg(feature = "http")]
use tokio::sync::Semaphore;

/// The page as it stands now, in Prometheus text format 0.0.4: the metrics of this library, and with the feature
/// `prometheus` the OpenTelemetry instruments of the application and of libraries. It is empty before
/// [`init`](crate::init).
///
/// It gathers every instrument, so with many thousands of series call it from `spawn_blocking`.
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = telemetry::Config::default().metrics_listener(None);
/// let guard = telemetry::init_with(config)?;
/// let page = telemetry::scrape::render();
/// assert!(page.contains("# TYPE telemetry_exported_total counter"));
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
///
/// It does not panic, and waits for callbacks of observable instruments for at most a second. They run side by side, on
/// threads of their own. One that has not returned within 250 ms costs no other instrument anything: its last values are
/// on the page, `telemetry_degraded{component="metric_callbacks"}` is 1, and a warning names it, once; it is not called
/// again before it has returned. One that panics has no values; each panic raises
/// `telemetry_export_failures_total{signal="metrics"}`, and the first one of an instrument logs an error. For a callback
/// that asks for the page, it has the last values of all of them.
#[must_use]
pub fn render() -> String {
    metrics::page(Format::Text)
}

/// [`render`] in `OpenMetrics` 1.0 (`application/openmetrics-text; version=1.0.0`): each bucket of a duration names a
/// recent sampled trace that is counted in it, which leads from a slow bucket to a slow request, and each sum says since
/// when it is counted (`_created`).
#[must_use]
pub fn render_open_metrics() -> String {
    metrics::page(Format::OpenMetrics)
}

/// A router with the one route `GET /metrics`: text, or `OpenMetrics` with exemplars for clients that request it, as
/// Prometheus does with or without `--enable-feature=exemplar-storage`. The format follows `Accept` as RFC 9110 says,
/// with text for a client that accepts neither. With the feature `prometheus` there is also protobuf, with native
/// histograms, and the page is in gzip for clients that ask for it.
///
/// ```
/// use axum::Router;
/// use axum::body::Body;
/// use axum::http::Request;
/// use ironcore_telemetry as telemetry;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let internal: Router = Router::new().merge(telemetry::scrape::router());
///
/// let response = internal.oneshot(Request::get("/metrics").body(Body::empty())?).await?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
/// # Ok(())
/// # }
/// ```
///
/// The page is that of [`render`], gathered on a blocking thread. The status is 500 when that thread does not deliver
/// it, as when the runtime shuts down; the listener of [`init`](crate::init) answers the same. At most two pages are
/// gathered at the same time.
#[cfg(feature = "http")]
pub fn router<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    static RENDERINGS: Semaphore = metrics::renderings();
    let page = async |headers: http::HeaderMap| {
        let response = metrics::respond(&headers, &RENDERINGS).await;
        response.map(axum::body::Body::from)
    };
    axum::Router::new().route("/metrics", axum::routing::get(page))
}
