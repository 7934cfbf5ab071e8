//! The OpenTelemetry instruments of users and libraries on the `/metrics` page.
//!
//! `opentelemetry-prometheus` gathers them; what it lets through that would make Prometheus refuse the whole page is
//! mended here.

use crate::names;
use crate::series::{self, Format};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Once, OnceLock};

/// The registry of the provider that was installed.
static INSTALLED: OnceLock<Registry> = OnceLock::new();

/// What gathers for the page, before its provider is the global one.
pub(crate) struct Bridge(Registry);

impl Bridge {
    /// A bridge and the reader that feeds it.
    pub(super) fn new() -> Option<(Self, PrometheusExporter)> {
        let registry = Registry::new();
        // Fails only when the registry has a collector already.
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().ok()?;
        Some((Self(registry), reader))
    }

    /// Puts its families on the page from here on.
    pub(crate) fn install(self) {
        // Set once: `init` refuses a second call.
        let _ = INSTALLED.set(self.0);
    }
}

/// Appends the bridged families to the page.
pub(super) fn render(page: &mut String, format: Format) {
    let Some(registry) = INSTALLED.get() else {
        return;
    };
    // A callback of the user's may panic; that costs the bridged families, not the page.
    let families = catch_unwind(AssertUnwindSafe(|| registry.gather())).unwrap_or_default();
    if families.is_empty() {
        // `target_info` is always among them: only a panic in a callback, now or before, leaves none.
        return broken();
    }
    let (clashing, families): (Vec<_>, Vec<_>) = families.into_iter().partition(|family| names::is_ours(family.name()));
    warn_once(&clashing);
    let families: Vec<_> = families.into_iter().map(mended).collect();
    // Fails only on a family without series, which the registry does not return.
    let _ = match format {
        Format::Text => TextEncoder::new().encode_utf8(&families, page),
        Format::OpenMetrics => {
            let mut names = HashSet::new();
            families.iter().try_for_each(|family| open_metrics(family, &mut names, page))
        }
    };
}

/// The samples are written alike; what is said before them is not.
fn open_metrics(family: &MetricFamily, names: &mut HashSet<String>, page: &mut String) -> prometheus::Result<()> {
    let name = family.name();
    let (name, kind) = match family.get_field_type() {
        // A counter's one sample has the suffix there, and its family has not.
        MetricType::COUNTER => match name.strip_suffix("_total") {
            Some(name) => (name, "counter"),
            None => (name, "unknown"),
        },
        MetricType::GAUGE => (name, "gauge"),
        MetricType::HISTOGRAM => (name, "histogram"),
        MetricType::SUMMARY => (name, "summary"),
        MetricType::UNTYPED => (name, "unknown"),
    };
    // Without the suffix two families may have one name, which makes the page unreadable: the first one stays.
    if names::is_ours(&format!("{name}_total")) || !names.insert(name.to_owned()) {
        return Ok(());
    }
    let help = family.help().replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
    let mut samples = String::new();
    TextEncoder::new().encode_utf8(std::slice::from_ref(family), &mut samples)?;
    // Writing to a string does not fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for line in samples.lines().filter(|line| !line.starts_with('#')) {
        page.push_str(&with_canonical_bound(line));
        page.push('\n');
    }
    Ok(())
}

/// `le="5"` is written `le="5.0"` there.
fn with_canonical_bound(line: &str) -> Cow<'_, str> {
    let whole = line.split_once("le=\"").and_then(|(before, after)| {
        let (bound, rest) = after.split_once('"')?;
        bound.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{before}le=\"{bound}.0\"{rest}"))
    });
    whole.map_or(Cow::Borrowed(line), Cow::Owned)
}

/// The SDK does not gather again once a callback has panicked: that is counted at each scrape and said once.
fn broken() {
    static SAID: Once = Once::new();
    series::counter(&names::TELEMETRY_EXPORT_FAILURES, &["metrics"]).add(1);
    SAID.call_once(|| {
        tracing::error!(
            target: "ironcore_telemetry",
            "a callback of an observable instrument panicked: OpenTelemetry instruments are missing on /metrics until \
             the service is started anew; catch panics inside the callback"
        );
    });
}

/// A family whose name is one of ours would make the page ambiguous: it is left out, and that is said.
fn warn_once(clashing: &[MetricFamily]) {
    static SAID: Once = Once::new();
    if let Some(family) = clashing.first() {
        SAID.call_once(|| {
            tracing::warn!(
                target: "ironcore_telemetry",
                metric = family.name(),
                "an OpenTelemetry instrument has the name of a metric of ironcore-telemetry and is left out of /metrics: rename it"
            );
        });
    }
}

/// The family with label names that Prometheus accepts, each at most once, and each series at most once.
fn mended(mut family: MetricFamily) -> MetricFamily {
    let reserved = match family.get_field_type() {
        MetricType::HISTOGRAM => "le",
        MetricType::SUMMARY => "quantile",
        _ => "",
    };
    for metric in family.mut_metric() {
        let mut labels = BTreeMap::new();
        for label in metric.take_label() {
            labels.entry(valid_label(label.name(), reserved)).or_insert_with(|| label.value().to_owned());
        }
        let pair = |(name, value)| {
            let mut label = LabelPair::default();
            label.set_name(name);
            label.set_value(value);
            label
        };
        metric.set_label(labels.into_iter().map(pair).collect());
    }
    // Series that became the same would make Prometheus refuse the page: the first one stays.
    let mut seen = HashSet::new();
    let mut kept = family.take_metric();
    kept.retain(|metric| {
        let labels = metric.get_label().iter();
        seen.insert(labels.map(|label| (label.name().to_owned(), label.value().to_owned())).collect::<Vec<_>>())
    });
    family.set_metric(kept);
    family
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, and none that the format itself uses.
fn valid_label(name: &str, reserved: &str) -> String {
    let valid = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }
    };
    let mended: String = name.chars().map(valid).collect();
    if mended.is_empty() || mended == reserved || mended.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{mended}")
    } else {
        mended
    }
}

#[cfg(test)]
mod tests {
    use super::{open_metrics, valid_label, with_canonical_bound};
    use prometheus::core::Collector as _;
    use prometheus::{IntCounter, Opts};
    use std::collections::HashSet;

    #[test]
    fn a_bound_that_is_whole_is_written_with_its_fraction() {
        for (line, canonical) in [
            (r#"a_bucket{le="5"} 1"#, r#"a_bucket{le="5.0"} 1"#),
            (r#"a_bucket{x="1",le="0.5"} 1"#, r#"a_bucket{x="1",le="0.5"} 1"#),
            (r#"a_bucket{le="+Inf"} 1"#, r#"a_bucket{le="+Inf"} 1"#),
            ("a_sum 5", "a_sum 5"),
        ] {
            assert_eq!(with_canonical_bound(line), canonical);
        }
    }

    #[test]
    fn in_open_metrics_a_family_has_its_name_once_and_none_of_ours() {
        let counter = |name: &str| {
            let counter = IntCounter::with_opts(Opts::new(name, "say \"hi\"")).unwrap();
            counter.collect().remove(0)
        };
        let (mut names, mut page) = (HashSet::new(), String::new());
        for name in ["jobs_total", "jobs", "plain", "http_requests"] {
            open_metrics(&counter(name), &mut names, &mut page).unwrap();
        }
        assert_eq!(
            page,
            "# HELP jobs say \\\"hi\\\"\n# TYPE jobs counter\njobs_total 0\n\
             # HELP plain say \\\"hi\\\"\n# TYPE plain unknown\nplain 0\n"
        );
    }

    #[test]
    fn no_label_name_can_break_the_page() {
        for (given, mended) in [
            ("a.b", "a_b"),
            ("1digit", "_1digit"),
            ("", "_"),
            ("a:b", "a_b"),
            ("le", "_le"),
            ("métal", "m_tal"),
            ("ok_1", "ok_1"),
        ] {
            assert_eq!(valid_label(given, "le"), mended, "{given}");
        }
    }
}
