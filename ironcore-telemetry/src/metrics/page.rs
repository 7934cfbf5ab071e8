//! The text of the `/metrics` page: our own series, then the bridged instruments.

use crate::series::{self, Format};

/// The page as it stands now.
pub(crate) fn page(format: Format) -> String {
    #[cfg(feature = "prometheus")]
    super::bridge::refresh();
    let mut page = String::with_capacity(16 * 1024);
    series::render(&mut page, format);
    #[cfg(feature = "prometheus")]
    super::bridge::render(&mut page, format);
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
    page
}
