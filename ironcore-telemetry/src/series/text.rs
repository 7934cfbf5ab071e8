//! The Prometheus text format, version 0.0.4.

use super::registry::{Distribution, Family, Labels, Reading, families};
use super::{Kind, Metric};
use std::fmt::Write;

/// Appends all series to a page, sorted by name and labels.
pub(crate) fn render(page: &mut String) {
    render_families(page, &families());
}

pub(super) fn render_families(page: &mut String, families: &[Family]) {
    for family in families {
        // Writing to a string cannot fail.
        let _ = write_family(page, family);
    }
}

fn write_family(page: &mut String, Family { metric, series }: &Family) -> std::fmt::Result {
    let Metric {
        name, help, kind, ..
    } = metric;
    let type_name = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Durations(_) => "histogram",
    };
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {type_name}")?;
    for series in series {
        let labels = render_labels(&series.labels);
        match &series.reading {
            Reading::Counter(value) => writeln!(page, "{name}{} {value}", braced(&labels))?,
            Reading::Gauge(value) => writeln!(page, "{name}{} {value}", braced(&labels))?,
            Reading::Durations(read) => write_histogram(page, name, &labels, kind.bounds(), read)?,
        }
    }
    Ok(())
}

fn write_histogram(
    page: &mut String,
    name: &str,
    labels: &str,
    bounds: &[u64],
    Distribution { buckets, sum, .. }: &Distribution,
) -> std::fmt::Result {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut below = 0_u64;
    for (bucket, bound) in buckets.iter().zip(bounds) {
        below = below.wrapping_add(*bucket);
        writeln!(
            page,
            "{name}_bucket{{{labels}{comma}le=\"{}\"}} {below}",
            Seconds(*bound)
        )?;
    }
    let count = buckets
        .iter()
        .fold(0_u64, |count, bucket| count.wrapping_add(*bucket));
    writeln!(page, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}")?;
    writeln!(page, "{name}_sum{} {}", braced(labels), Seconds(*sum))?;
    writeln!(page, "{name}_count{} {count}", braced(labels))
}

/// `name="value"` pairs; an empty value means the same as no label and is left out.
fn render_labels(labels: &Labels) -> String {
    let mut text = String::new();
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

fn braced(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
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
        write!(
            formatter,
            "{seconds}.{}",
            format!("{nanos:09}").trim_end_matches('0')
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shard, counter, durations, gauge};
    use super::*;
    use std::time::{Duration, Instant};

    static COUNTER: Metric = Metric {
        name: "text_test_total",
        help: "Counts.",
        kind: Kind::Counter,
        labels: &["kind", "code"],
    };
    static GAUGE: Metric = Metric {
        name: "text_test_level",
        help: "Level.",
        kind: Kind::Gauge,
        labels: &[],
    };
    static DURATIONS: Metric = Metric {
        name: "text_test_seconds",
        help: "Lasts.",
        kind: Kind::Durations(&[5_000_000, 1_000_000_000]),
        labels: &["kind"],
    };

    /// The lines of the page that speak of one metric; other tests of the process have their own.
    fn lines_of(name: &str) -> Vec<String> {
        let mut page = String::new();
        render(&mut page);
        page.lines()
            .filter(|line| line.contains(name))
            .map(ToOwned::to_owned)
            .collect()
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
        assert_eq!(
            lines_of("text_test_level").last().map(String::as_str),
            Some("text_test_level -2")
        );
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_a_sum_in_seconds_and_a_count() {
        let lasts = durations(&DURATIONS, &["a"]);
        lasts.record(
            Shard::here(),
            Duration::from_millis(5),
            None,
            Instant::now(),
        );
        lasts.record(
            Shard::here(),
            Duration::from_millis(1_500),
            None,
            Instant::now(),
        );
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
        for (nanos, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (2_500_000_000, "2.5"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(Seconds(nanos).to_string(), text);
        }
    }
}
