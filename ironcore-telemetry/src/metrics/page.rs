//! The `/metrics` page: our own series, then the bridged instruments.

use crate::series;

/// The media type of the page: Prometheus text, version 0.0.4.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page as it stands now.
pub(crate) fn page() -> String {
    let mut page = String::with_capacity(16 * 1024);
    series::render(&mut page);
    #[cfg(feature = "prometheus")]
    super::bridge::render(&mut page);
    page
}
