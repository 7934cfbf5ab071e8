//! The OpenTelemetry instruments of users and libraries on the `/metrics` page.
//!
//! `opentelemetry-prometheus` gathers them. It lets names and labels through that would make Prometheus reject the
//! whole page; they are corrected here.

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

/// The registry of the installed provider.
static INSTALLED: OnceLock<Registry> = OnceLock::new();

/// Gathers the instruments of a provider for the page.
pub(crate) struct Bridge(Registry);

impl Bridge {
    /// A bridge and the reader that feeds it.
    pub(super) fn new() -> Option<(Self, PrometheusExporter)> {
        let registry = Registry::new();
        // Fails only when the registry already has a collector.
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().ok()?;
        Some((Self(registry), reader))
    }

    /// Puts the instruments on the page from here on.
    pub(crate) fn install(self) {
        // Set once: `init` refuses a second call.
        let _ = INSTALLED.set(self.0);
    }
}

/// Appends the bridged families to the page.
pub(super) fn render(page: &mut String, format: Format) {
    let Some(families) = INSTALLED.get().and_then(gather) else {
        return;
    };
    let (clashing, families): (Vec<_>, Vec<_>) = families.into_iter().partition(|family| names::is_ours(family.name()));
    warn_of_clash(&clashing);
    let families: Vec<_> = families.into_iter().map(sanitized).collect();
    // Fails only on a family without series, which the registry does not return.
    let _ = match format {
        Format::Text => TextEncoder::new().encode_utf8(&families, page),
        Format::OpenMetrics => {
            let mut names = HashSet::new();
            families.iter().try_for_each(|family| open_metrics(family, &mut names, page))
        }
    };
}

/// The families of a registry; `None` when a callback of an observable instrument panics, now or in an earlier scrape.
fn gather(registry: &Registry) -> Option<Vec<MetricFamily>> {
    // A panic costs the bridged instruments, not the page.
    let families = catch_unwind(AssertUnwindSafe(|| registry.gather())).unwrap_or_default();
    if families.is_empty() {
        // `target_info` is always present, so only a panic leaves nothing.
        report_panicked_callback();
        return None;
    }
    Some(families)
}

/// Appends a family in `OpenMetrics`: the samples are those of the text format, the metadata lines differ.
fn open_metrics(family: &MetricFamily, names: &mut HashSet<String>, page: &mut String) -> prometheus::Result<()> {
    let name = family.name();
    let (name, kind) = match family.get_field_type() {
        // The family of a counter is named without the suffix of its sample.
        MetricType::COUNTER => match name.strip_suffix("_total") {
            Some(name) => (name, "counter"),
            None => (name, "unknown"),
        },
        MetricType::GAUGE => (name, "gauge"),
        MetricType::HISTOGRAM => (name, "histogram"),
        MetricType::SUMMARY => (name, "summary"),
        MetricType::UNTYPED => (name, "unknown"),
    };
    // Without the suffix two families may share a name, which makes the page invalid: the first one stays.
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

/// `OpenMetrics` writes `le="5"` as `le="5.0"`.
fn with_canonical_bound(line: &str) -> Cow<'_, str> {
    let whole = line.split_once("le=\"").and_then(|(before, after)| {
        let (bound, rest) = after.split_once('"')?;
        bound.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{before}le=\"{bound}.0\"{rest}"))
    });
    whole.map_or(Cow::Borrowed(line), Cow::Owned)
}

/// The SDK does not gather again once a callback has panicked: counted at each scrape, logged once.
fn report_panicked_callback() {
    static LOGGED: Once = Once::new();
    series::counter(&names::TELEMETRY_EXPORT_FAILURES, &["metrics"]).add(1);
    LOGGED.call_once(|| {
        tracing::error!(
            target: "ironcore_telemetry",
            "a callback of an observable instrument panicked: OpenTelemetry instruments are missing on /metrics until \
             the service is restarted; catch panics inside the callback"
        );
    });
}

/// Warns once of families that are left out because a metric of ours has their name.
fn warn_of_clash(clashing: &[MetricFamily]) {
    static LOGGED: Once = Once::new();
    if let Some(family) = clashing.first() {
        LOGGED.call_once(|| {
            tracing::warn!(
                target: "ironcore_telemetry",
                metric = family.name(),
                "an OpenTelemetry instrument has the name of a metric of ironcore-telemetry and is left out of /metrics: rename it"
            );
        });
    }
}

/// The family with label names that Prometheus accepts, without duplicate labels or duplicate series.
fn sanitized(mut family: MetricFamily) -> MetricFamily {
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
    // Prometheus rejects a page with duplicate series: the first one stays.
    let mut seen = HashSet::new();
    let mut kept = family.take_metric();
    kept.retain(|metric| {
        let labels = metric.get_label().iter();
        seen.insert(labels.map(|label| (label.name().to_owned(), label.value().to_owned())).collect::<Vec<_>>())
    });
    family.set_metric(kept);
    family
}

/// The name as `[a-zA-Z_][a-zA-Z0-9_]*`, and different from the label that the format reserves for this kind.
fn valid_label(name: &str, reserved: &str) -> String {
    let valid = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }
    };
    let sanitized: String = name.chars().map(valid).collect();
    if sanitized.is_empty() || sanitized == reserved || sanitized.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{sanitized}")
    } else {
        sanitized
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use prometheus::core::Collector as _;
    use prometheus::{IntCounter, Opts};

    #[test]
    fn a_callback_that_panics_costs_the_bridged_instruments_and_is_counted_at_each_scrape() {
        let (Bridge(registry), reader) = Bridge::new().unwrap();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let meter = provider.meter("test");
        meter.u64_counter("orders").build().add(1, &[]);
        assert!(gather(&registry).is_some());
        let _faulty = meter.u64_observable_gauge("faulty").with_callback(|_| panic!("a bug in a callback")).build();
        let failures = series::counter(&names::TELEMETRY_EXPORT_FAILURES, &["metrics"]);
        let before = failures.value();
        assert!(gather(&registry).is_none());
        assert!(gather(&registry).is_none());
        assert_eq!(failures.value() - before, 2);
    }

    #[test]
    fn in_open_metrics_a_whole_bound_is_written_with_a_fraction() {
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
    fn in_open_metrics_no_family_takes_a_name_twice_or_one_of_ours() {
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
    fn every_label_name_becomes_valid() {
        for (given, valid) in [
            ("a.b", "a_b"),
            ("1digit", "_1digit"),
            ("", "_"),
            ("a:b", "a_b"),
            ("le", "_le"),
            ("métal", "m_tal"),
            ("ok_1", "ok_1"),
        ] {
            assert_eq!(valid_label(given, "le"), valid, "{given}");
        }
    }
}
