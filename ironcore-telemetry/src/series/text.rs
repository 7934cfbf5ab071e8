//! The Prometheus text format, version 0.0.4, and `OpenMetrics` 1.0, which adds exemplars.

use super::registry::{Count, Distribution, Family, Labels, Reading, families};
use super::{Exemplar, Kind, Metric};
use std::fmt::Write;
use std::time::SystemTime;

/// The exposition format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text, version 0.0.4.
    Text,
    /// `OpenMetrics`, version 1.0.0.
    OpenMetrics,
}

/// Appends all series to a page, sorted by name and labels.
pub(crate) fn render(page: &mut String, format: Format) {
    render_families(page, &families(), format);
}

pub(super) fn render_families(page: &mut String, families: &[Family], format: Format) {
    for family in families {
        // Writing to a string cannot fail.
        let _ = write_family(page, family, format);
    }
}

fn write_family(page: &mut String, Family { metric, series }: &Family, format: Format) -> std::fmt::Result {
    let Metric { name, help, kind, .. } = metric;
    let family = match format {
        Format::Text => name,
        // The family of a counter is named without the suffix of its sample.
        Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
    };
    let type_name = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Durations(_) => "histogram",
    };
    writeln!(page, "# HELP {family} {help}\n# TYPE {family} {type_name}")?;
    for series in series {
        let labels = render_labels(&series.labels);
        match &series.reading {
            Reading::Counter(Count { value, exemplar }) => {
                write!(page, "{name}{} {value}", braced(&labels))?;
                if format == Format::OpenMetrics
                    && let Some(exemplar) = exemplar
                {
                    write_exemplar(page, exemplar, &exemplar.value)?;
                }
                page.push('\n');
                write_created(page, family, &labels, series.created, format)?;
            }
            Reading::Gauge(value) => writeln!(page, "{name}{} {value}", braced(&labels))?,
            Reading::Durations(read) => {
                let histogram = Histogram { name, labels: &labels, bounds: kind.bounds(), read };
                histogram.write(page, format)?;
                write_created(page, family, &labels, series.created, format)?;
            }
        }
    }
    Ok(())
}

/// One series of a histogram.
struct Histogram<'a> {
    name: &'a str,
    labels: &'a str,
    bounds: &'a [u64],
    read: &'a Distribution,
}

impl Histogram<'_> {
    fn write(&self, page: &mut String, format: Format) -> std::fmt::Result {
        let Self { name, labels, .. } = self;
        let Distribution { buckets, sum, .. } = self.read;
        let mut cumulative = 0_u64;
        for (bucket, bound) in buckets.iter().zip(self.bounds) {
            cumulative = cumulative.wrapping_add(*bucket);
            let le = match format {
                Format::OpenMetrics if bound % 1_000_000_000 == 0 => {
                    format!("{}.0", Seconds(*bound))
                }
                _ => Seconds(*bound).to_string(),
            };
            self.write_bucket(page, format, &le, cumulative, Some(*bound))?;
        }
        let count = buckets.iter().fold(0_u64, |count, bucket| count.wrapping_add(*bucket));
        self.write_bucket(page, format, "+Inf", count, None)?;
        writeln!(page, "{name}_sum{} {}", braced(labels), Seconds(*sum))?;
        writeln!(page, "{name}_count{} {count}", braced(labels))
    }

    fn write_bucket(
        &self,
        page: &mut String,
        format: Format,
        le: &str,
        count: u64,
        bound: Option<u64>,
    ) -> std::fmt::Result {
        let Self { name, labels, .. } = self;
        let comma = if labels.is_empty() { "" } else { "," };
        write!(page, "{name}_bucket{{{labels}{comma}le=\"{le}\"}} {count}")?;
        if format == Format::OpenMetrics
            && let Some(exemplar) = self.exemplar(bound)
        {
            write_exemplar(page, exemplar, &Seconds(exemplar.value))?;
        }
        page.push('\n');
        Ok(())
    }

    /// The exemplar of this bucket; `None` is the bound of the last bucket.
    fn exemplar(&self, bound: Option<u64>) -> Option<&Exemplar> {
        let bound_of = |value: u64| self.bounds.iter().copied().find(|bound| value <= *bound);
        let mut exemplars = self.read.exemplars.iter();
        exemplars.find(|exemplar| bound_of(exemplar.value) == bound)
    }
}

/// The line that says since when a sum is counted, so that a series which is born with its value counts from zero. The
/// text format has none.
pub(crate) fn write_created(
    page: &mut String,
    family: &str,
    labels: &str,
    created: SystemTime,
    format: Format,
) -> std::fmt::Result {
    match format {
        Format::Text => Ok(()),
        Format::OpenMetrics => writeln!(page, "{family}_created{} {}", braced(labels), Timestamp(created)),
    }
}

fn write_exemplar(
    page: &mut String,
    Exemplar { ids, at, .. }: &Exemplar,
    value: &dyn std::fmt::Display,
) -> std::fmt::Result {
    let at = Timestamp(*at);
    write!(page, " # {{trace_id=\"{:032x}\",span_id=\"{:016x}\"}} {value} {at}", ids.trace, ids.span)
}

/// `name="value"` pairs; labels with an empty value are left out, as that means the same.
fn render_labels(labels: &Labels) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        push_label(&mut text, name, value);
    }
    text
}

/// Appends a `name="value"` pair, unless the value is empty.
pub(crate) fn push_label(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
}

/// The labels of a sample in braces, if it has any.
pub(crate) fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

/// A moment in seconds since 1970, with milliseconds.
struct Timestamp(SystemTime);

impl std::fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        write!(formatter, "{}.{:03}", since.as_secs(), since.subsec_millis())
    }
}

/// Nanoseconds written as seconds, exactly and without an exponent.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(formatter, "{seconds}");
        }
        write!(formatter, "{seconds}.{}", format!("{nanos:09}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ended, Shard, SpanIds, counter, durations, gauge};
    use super::*;
    use std::time::{Duration, Instant};

    static COUNTER: Metric = Metric {
        name: "text_test_total",
        help: "Counts.",
        kind: Kind::Counter,
        labels: &["kind", "code"],
        bounded: &[],
    };
    static GAUGE: Metric =
        Metric { name: "text_test_level", help: "Level.", kind: Kind::Gauge, labels: &[], bounded: &[] };
    static DURATIONS: Metric = Metric {
        name: "text_test_seconds",
        help: "Lasts.",
        kind: Kind::Durations(&[5_000_000, 1_000_000_000]),
        labels: &["kind"],
        bounded: &[],
    };

    /// The lines of the page that contain this name; other tests of the process use other metrics.
    fn lines_of(name: &str) -> Vec<String> {
        lines_in(Format::Text, name)
    }

    fn lines_in(format: Format, name: &str) -> Vec<String> {
        let mut page = String::new();
        render(&mut page, format);
        page.lines().filter(|line| line.contains(name)).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn in_open_metrics_the_family_of_a_counter_has_no_suffix_and_a_time_of_birth() {
        static OPEN: Metric =
            Metric { name: "text_test_suffix_total", help: "Counts.", kind: Kind::Counter, labels: &[], bounded: &[] };
        counter(&OPEN, &[]).add(1);
        let lines = lines_in(Format::OpenMetrics, "text_test_suffix");
        assert_eq!(
            lines[..3],
            ["# HELP text_test_suffix Counts.", "# TYPE text_test_suffix counter", "text_test_suffix_total 1"]
        );
        let created = lines[3].strip_prefix("text_test_suffix_created ").unwrap();
        assert!(created.parse::<f64>().unwrap() > 1e9, "{created}");
    }

    #[test]
    fn in_open_metrics_buckets_and_counters_have_exemplars() {
        static COUNT: Metric =
            Metric { name: "text_test_open_total", help: "Counts.", kind: Kind::Counter, labels: &[], bounded: &[] };
        static OPEN: Metric = Metric {
            name: "text_test_open_seconds",
            help: "Lasts.",
            kind: Kind::Durations(&[5_000_000, 1_000_000_000]),
            labels: &[],
            bounded: &[],
        };
        let ended = Ended { count: counter(&COUNT, &[]), duration: durations(&OPEN, &[]) };
        let ids = |trace| Some(SpanIds { trace, span: 0xb });
        let now = Instant::now();
        ended.observe(Shard::here(), Duration::from_millis(6), ids(0xa), now);
        ended.observe(Shard::here(), Duration::from_secs(2), ids(0xc), now);
        ended.observe(Shard::here(), Duration::from_millis(1), None, now);
        let lines = lines_in(Format::OpenMetrics, "text_test_open_seconds_bucket");
        assert_eq!(lines[0], r#"text_test_open_seconds_bucket{le="0.005"} 1"#);
        let assert_exemplar = |line: &str, head: &str, trace: &str, value: &str| {
            let (before, after) = line.split_once(" # ").unwrap();
            assert_eq!(before, head);
            let (labels, rest) = after.split_once("} ").unwrap();
            assert_eq!(labels, format!("{{trace_id=\"{trace:0>32}\",span_id=\"{:0>16}\"", "b"));
            let (seen, at) = rest.split_once(' ').unwrap();
            assert_eq!(seen, value);
            assert!(at.parse::<f64>().unwrap() > 1e9, "{at}");
        };
        assert_exemplar(&lines[1], r#"text_test_open_seconds_bucket{le="1.0"} 2"#, "a", "0.006");
        assert_exemplar(&lines[2], r#"text_test_open_seconds_bucket{le="+Inf"} 3"#, "c", "2");
        // The counter keeps its first one for a second.
        let counted = lines_in(Format::OpenMetrics, "text_test_open_total");
        assert_exemplar(&counted[0], "text_test_open_total 3", "a", "1");
        for name in ["text_test_open_seconds_bucket", "text_test_open_total "] {
            assert!(!lines_in(Format::Text, name).join("").contains(" # "));
        }
    }

    #[test]
    fn a_counter_is_on_the_page_at_zero_before_its_first_use() {
        let _ = counter(&COUNTER, &["a", ""]);
        counter(&COUNTER, &["b\"\\\n", "x"]).add(2);
        assert_eq!(
            lines_of("text_test_total"),
            [
                "# HELP text_test_total Counts.",
                "# TYPE text_test_total counter",
                r#"text_test_total{kind="a"} 0"#,
                r#"text_test_total{kind="b\"\\\n",code="x"} 2"#,
            ]
        );
    }

    #[test]
    fn a_gauge_may_fall_below_zero() {
        gauge(&GAUGE, &[]).add(-2);
        assert_eq!(lines_of("text_test_level").last().map(String::as_str), Some("text_test_level -2"));
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_a_sum_in_seconds_and_a_count() {
        let lasts = durations(&DURATIONS, &["a"]);
        lasts.observe(Duration::from_millis(5));
        lasts.observe(Duration::from_millis(1_500));
        assert_eq!(
            lines_of("text_test_seconds")[2..],
            [
                r#"text_test_seconds_bucket{kind="a",le="0.005"} 1"#,
                r#"text_test_seconds_bucket{kind="a",le="1"} 1"#,
                r#"text_test_seconds_bucket{kind="a",le="+Inf"} 2"#,
                r#"text_test_seconds_sum{kind="a"} 1.505"#,
                r#"text_test_seconds_count{kind="a"} 2"#,
            ]
        );
    }

    #[test]
    fn seconds_are_written_exactly() {
        for (nanos, text) in [(0, "0"), (1, "0.000000001"), (2_500_000_000, "2.5"), (u64::MAX, "18446744073.709551615")]
        {
            assert_eq!(Seconds(nanos).to_string(), text);
        }
    }
}
