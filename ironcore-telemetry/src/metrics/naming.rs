//! Names of families and labels, as the OpenTelemetry specification translates them for Prometheus
//! ("Prometheus and `OpenMetrics` Compatibility"), so that scrape and push lead to the same names.

use crate::redact::truncate;
use std::borrow::Cow;

/// The kind of an instrument, as far as its name depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A sum that only rises: `_total` on its samples.
    Counter,
    /// A sum that rises and falls.
    UpDown,
    /// `_ratio` when the unit is `1`.
    Gauge,
    Histogram,
}

impl Kind {
    /// The type of the family on the page.
    pub(super) const fn family_type(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDown | Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The name of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FamilyName {
    /// Of a counter without `_total`.
    pub(super) base: String,
    /// The unit in full, when the name ends in it.
    pub(super) unit: Option<String>,
}

/// The longest name of a family and of a label, in bytes. Prometheus refuses a whole page for a name that is longer than
/// its limit; ours are below those of the shipped configuration.
const NAME_LIMIT: usize = 200;
const LABEL_LIMIT: usize = 100;

/// Units of the `OpenTelemetry` conventions (UCUM), and their names in Prometheus.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
];

/// Units behind a slash.
const PER_UNITS: &[(&str, &str)] =
    &[("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// The name of an instrument's family: valid in Prometheus, with the unit and the suffix of its kind, each once.
pub(super) fn family_name(name: &str, unit: &str, kind: Kind) -> FamilyName {
    let mut words: Vec<&str> = words(name).collect();
    let unit_words = unit_words(unit);
    let (main, per) = unit_words.split_at(unit_words.len().min(1));
    let per = per.concat();
    let main = main.concat();
    if !main.is_empty() && !words.contains(&main.as_str()) {
        words.push(&main);
    }
    if !per.is_empty() && !words.contains(&per.as_str()) {
        words.extend(["per", &per]);
    }
    let is_ratio = kind == Kind::Gauge && unit == "1";
    let suffix = match kind {
        Kind::Counter => Some("total"),
        _ if is_ratio => Some("ratio"),
        _ => None,
    };
    if let Some(suffix) = suffix
        && words.iter().any(|word| *word != suffix)
    {
        words.retain(|word| *word != suffix);
    }
    if is_ratio && words != ["ratio"] {
        words.push("ratio");
    }
    let base = words.join("_");
    let base = truncate(&base, NAME_LIMIT).trim_end_matches('_');
    let base = if base.starts_with(|first: char| first.is_ascii_digit()) || base.is_empty() {
        format!("_{base}")
    } else {
        base.to_owned()
    };
    let full = match (main.as_str(), per.as_str()) {
        _ if is_ratio => "ratio".to_owned(),
        (main, "") => main.to_owned(),
        ("", per) => format!("per_{per}"),
        (main, per) => format!("{main}_per_{per}"),
    };
    let ends_in_unit = !full.is_empty() && base.ends_with(&format!("_{full}"));
    FamilyName { base, unit: ends_in_unit.then_some(full) }
}

/// The parts of a name between characters that a name cannot have, and between underscores.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|word| !word.is_empty())
}

/// The unit in full: what is measured, and per what. Either may be empty.
fn unit_words(unit: &str) -> [String; 2] {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |part: &str, table: &[(&str, &'static str)]| {
        let part = without_annotations(part);
        let known = table.iter().find(|(known, _)| *known == part.trim()).map(|(_, word)| (*word).to_owned());
        known.unwrap_or_else(|| words(&part).collect::<Vec<_>>().join("_"))
    };
    [word(main, UNITS), word(per, PER_UNITS)]
}

/// The unit without `{…}`, which only says what is counted.
fn without_annotations(unit: &str) -> Cow<'_, str> {
    let Some((before, after)) = unit.split_once('{') else {
        return Cow::Borrowed(unit);
    };
    let rest = after.split_once('}').map_or("", |(_, rest)| rest);
    Cow::Owned(before.to_owned() + &without_annotations(rest))
}

/// Labels that a page gives a meaning to.
const OF_THE_FORMAT: &[&str] = &["le", "quantile"];
/// Labels that Prometheus and the bridge set themselves.
const SET_BY_OTHERS: &[&str] = &["job", "instance", "otel_scope_name", "otel_scope_version", "otel_scope_schema_url"];

/// The label of an attribute: valid in Prometheus, and none that means something else. As Prometheus does, a label that
/// the scrape itself sets becomes `exported_…`.
pub(super) fn label_name(key: &str) -> String {
    let name = valid_label(key);
    if OF_THE_FORMAT.contains(&name.as_str()) {
        format!("_{name}")
    } else if SET_BY_OTHERS.contains(&name.as_str()) {
        format!("exported_{name}")
    } else {
        name
    }
}

/// The key with characters that a label can have. Names that begin with two underscores are Prometheus' own: there is
/// never more than one in a row.
pub(super) fn valid_label(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for c in key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }) {
        if c != '_' || !name.ends_with('_') {
            name.push(c);
        }
    }
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name.truncate(LABEL_LIMIT);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of the samples; of a histogram without `_bucket`, `_sum` and `_count`.
    fn sample_name(name: &str, unit: &str, kind: Kind) -> String {
        let base = family_name(name, unit, kind).base;
        if kind == Kind::Counter { base + "_total" } else { base }
    }

    #[test]
    fn a_name_has_its_unit_and_the_suffix_of_its_kind_once() {
        use Kind::{Counter, Gauge, Histogram, UpDown};
        for (name, unit, kind, expected) in [
            ("http.server.request.duration", "s", Histogram, "http_server_request_duration_seconds"),
            ("request_duration_seconds", "s", Histogram, "request_duration_seconds"),
            ("orders.placed", "{order}", Counter, "orders_placed_total"),
            ("orders_total", "", Counter, "orders_total"),
            ("jobs", "1", Counter, "jobs_total"),
            ("sent", "By", Counter, "sent_bytes_total"),
            ("sent_bytes_total", "By", Counter, "sent_bytes_total"),
            ("total", "", Counter, "total_total"),
            ("cache_hit_ratio", "1", Gauge, "cache_hit_ratio"),
            ("cpu.utilization", "1", Gauge, "cpu_utilization_ratio"),
            ("ratio", "1", Gauge, "ratio"),
            ("queue.size", "1", UpDown, "queue_size"),
            ("spread", "1", Histogram, "spread"),
            ("uptime_days", "d", Gauge, "uptime_days"),
            ("throughput_bytes_per_second", "By/s", Gauge, "throughput_bytes_per_second"),
            ("throughput", "By/s", Gauge, "throughput_bytes_per_second"),
            ("requests", "{request}/s", Gauge, "requests_per_second"),
            ("requests_per_second", "1/s", Gauge, "requests_per_second"),
            ("price", "USD/h", Gauge, "price_USD_per_hour"),
            ("speed", "m/{lap}", Gauge, "speed_meters"),
            ("sent", "By{payload}", Gauge, "sent_bytes"),
            ("temp_celsius", "Cel", Gauge, "temp_celsius"),
            ("load", "%", Gauge, "load_percent"),
            ("queue_bytes_pending", "By", Gauge, "queue_bytes_pending"),
            ("length", "furlong", Gauge, "length_furlong"),
            ("length", "[ft_i]", Gauge, "length_ft_i"),
            ("a..b--c__d/e", "", Gauge, "a_b_c_d_e"),
        ] {
            assert_eq!(sample_name(name, unit, kind), expected, "{name} in {unit}");
        }
        for (unit, word) in UNITS.iter().filter(|(_, word)| !word.is_empty()) {
            assert_eq!(sample_name("level", unit, Gauge), format!("level_{word}"));
            assert_eq!(sample_name(&format!("level_{word}"), unit, Gauge), format!("level_{word}"));
            for (per, per_word) in PER_UNITS {
                let expected = format!("level_{word}_per_{per_word}");
                assert_eq!(sample_name("level", &format!("{unit}/{per}"), Gauge), expected);
                assert_eq!(sample_name(&expected, &format!("{unit}/{per}"), Gauge), expected);
            }
        }
    }

    #[test]
    fn the_unit_is_declared_when_the_name_ends_in_it() {
        for (name, unit, expected) in [
            ("lasts", "s", Some("seconds")),
            ("sent", "By/s", Some("bytes_per_second")),
            ("hits", "1", Some("ratio")),
            ("queue_bytes_pending", "By", None),
            ("seconds", "s", None),
            ("level", "", None),
        ] {
            assert_eq!(family_name(name, unit, Kind::Gauge).unit.as_deref(), expected, "{name} in {unit}");
        }
    }

    #[test]
    fn every_label_name_becomes_valid_and_means_nothing_else() {
        for (given, valid) in [
            ("a.b", "a_b"),
            ("1digit", "_1digit"),
            ("", "_"),
            ("a:b", "a_b"),
            ("le", "_le"),
            ("quantile", "_quantile"),
            ("job", "exported_job"),
            ("otel.scope.name", "exported_otel_scope_name"),
            ("__name__", "_name_"),
            ("a__b", "a_b"),
            ("métal", "m_tal"),
            ("ok_1", "ok_1"),
        ] {
            assert_eq!(label_name(given), valid, "{given}");
        }
    }
}
