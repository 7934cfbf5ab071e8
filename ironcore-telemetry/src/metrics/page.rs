//! The `/metrics` page: our own series, then the bridged instruments.

use crate::series::{self, Format};

impl Format {
    /// The media type of a page.
    #[cfg(any(feature = "prometheus", feature = "http"))]
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What an `Accept` header asks for: `OpenMetrics` where it is named with no less weight than text.
    #[cfg(any(feature = "prometheus", feature = "http"))]
    pub(crate) fn asked(accept: Option<&str>) -> Self {
        let weight = |media: &str| {
            let named = accept.unwrap_or_default().split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_named = parts.next()?.eq_ignore_ascii_case(media);
                let weight = parts.find_map(|part| part.strip_prefix("q="));
                // A weight that is no number counts as none given.
                is_named.then(|| weight.and_then(|q| q.parse().ok()).unwrap_or(1.0))
            });
            named.fold(0.0_f32, f32::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Text }
    }
}

/// The page as it stands now.
pub(crate) fn page(format: Format) -> String {
    let mut page = String::with_capacity(16 * 1024);
    series::render(&mut page, format);
    #[cfg(feature = "prometheus")]
    super::bridge::render(&mut page, format);
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
    page
}

#[cfg(all(test, any(feature = "prometheus", feature = "http")))]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_who_asks_for_it() {
        let of_prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for asks in [of_prometheus, "application/openmetrics-text", "Application/OpenMetrics-Text ; q=0.1"] {
            assert_eq!(Format::asked(Some(asks)), Format::OpenMetrics, "{asks}");
        }
        for does_not in [
            "",
            "*/*",
            "text/html",
            "text/plain",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2,text/plain;q=0.9",
        ] {
            assert_eq!(Format::asked(Some(does_not)), Format::Text, "{does_not}");
        }
        assert_eq!(Format::asked(None), Format::Text);
    }
}
