//! The `/metrics` page for those who serve it themselves.
//!
//! [`init`](crate::init) serves the page on a listener of its own (127.0.0.1:9464 by default). A service that wants it
//! on a router of its own turns that listener off with
//! [`Config::metrics_listener(None)`](crate::Config::metrics_listener) and mounts [`router`]; mind that what is
//! mounted on a public router is public.

/// The page as it stands now, in Prometheus text format 0.0.4: this library's series, and with the feature
/// `prometheus` the OpenTelemetry instruments of the application and of libraries.
///
/// It gathers every instrument; with many thousands of series call it from `spawn_blocking`.
#[must_use]
pub fn render() -> String {
    crate::metrics::page()
}

/// A router with the one route `GET /metrics`.
///
/// ```
/// use axum::Router;
/// use ironcore_telemetry as telemetry;
///
/// let internal: Router = Router::new().merge(telemetry::scrape::router());
/// ```
#[cfg(feature = "http")]
pub fn router<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    let page = async || {
        let page = tokio::task::spawn_blocking(render)
            .await
            .unwrap_or_default();
        (
            [(http::header::CONTENT_TYPE, crate::metrics::CONTENT_TYPE)],
            page,
        )
    };
    axum::Router::new().route("/metrics", axum::routing::get(page))
}
