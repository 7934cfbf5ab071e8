//! The instruments of the SDK as families of the page: one family for all instruments of a name, one series for all
//! points of one instrument with the same labels.

use super::claims::Claims;
use super::naming::{FamilyName, Kind, family_name, label_name, valid_label};
use super::number::{Float, Number};
use crate::redact::truncate;
use crate::scrub::{self, Class};
use crate::series::{Format, braced, push_label, write_created};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

/// The longest help in bytes.
const HELP_LIMIT: usize = 1024;
/// The longest value of a label in bytes. Prometheus refuses a whole page for a value or a number of
/// labels above its limits; these are below those of the shipped configuration.
pub(super) const VALUE_LIMIT: usize = 256;
/// The most labels of a series, without those that Prometheus adds.
pub(super) const LABELS_LIMIT: usize = 28;

/// A family with its series, by labels.
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) unit: Option<String>,
    /// Whether its series have a time of birth on the page.
    pub(super) is_dated: bool,
    pub(super) series: BTreeMap<Labels, Series>,
}

pub(super) type Labels = Vec<(String, String)>;

pub(super) struct Series {
    /// The name and the unit of its instrument, of which each scope has labels of its own.
    instrument: (String, String),
    pub(super) value: Value,
    pub(super) created: SystemTime,
}

/// The value of a series.
pub(super) enum Value {
    Number(Number),
    Histogram {
        bounds: Vec<f64>,
        /// Of each bucket, not cumulative; the last one is above all bounds.
        counts: Vec<u64>,
        sum: Number,
    },
}

/// The families of all instruments that may be on the page.
pub(super) fn gather(metrics: &ResourceMetrics, claims: &Claims) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::new();
    let mut scopes: Vec<_> = metrics.scope_metrics().collect();
    // The SDK has no order of scopes.
    scopes.sort_by_cached_key(|scope| scope_labels(scope.scope()));
    for scope in scopes {
        let of_scope = scope_labels(scope.scope());
        for metric in scope.metrics() {
            let Some((kind, points)) = points(metric) else {
                continue;
            };
            let FamilyName { base, unit } = family_name(metric.name(), metric.unit(), kind);
            let Some(is_observed) = claims.find(&base, kind.family_type()) else {
                continue;
            };
            let family = families.entry(base.clone()).or_insert_with(|| Family {
                kind,
                help: truncate(metric.description(), HELP_LIMIT).to_owned(),
                unit,
                is_dated: !is_observed && matches!(kind, Kind::Counter | Kind::Histogram),
                series: BTreeMap::new(),
            });
            let mut is_merged = true;
            for Point { attributes, value, created } in points {
                let instrument = (metric.name().to_owned(), metric.unit().to_owned());
                let series = Series { instrument, value, created };
                is_merged &= family.add(labels(&attributes, &of_scope), series);
            }
            if !is_merged {
                claims.say_duplicate(&base, scope.scope().name(), metric.name(), kind);
            }
        }
    }
    families
}

impl Family {
    /// Adds a series; false when there is one with its labels that it cannot be added to.
    fn add(&mut self, labels: Labels, series: Series) -> bool {
        match self.series.entry(labels) {
            Entry::Vacant(place) => {
                place.insert(series);
                true
            }
            // What two instruments count is not one thing.
            Entry::Occupied(place) if place.get().instrument != series.instrument => false,
            Entry::Occupied(mut place) => match (&mut place.get_mut().value, series.value) {
                (Value::Number(sum), Value::Number(value)) if self.kind == Kind::Counter => {
                    *sum = sum.plus(value);
                    true
                }
                (
                    Value::Histogram { bounds, counts, sum },
                    Value::Histogram { bounds: same, counts: more, sum: value },
                ) if *bounds == same => {
                    counts.iter_mut().zip(more).for_each(|(count, more)| *count = count.wrapping_add(more));
                    *sum = sum.plus(value);
                    true
                }
                _ => false,
            },
        }
    }

    /// The time of birth of each series that has one on the page, with an id of the series.
    pub(super) fn births(&mut self, base: &str) -> impl Iterator<Item = (u64, &mut SystemTime)> {
        let dated = self.series.iter_mut().filter(|_| self.is_dated);
        dated.map(move |(labels, series)| {
            let mut hasher = DefaultHasher::new();
            (base, labels).hash(&mut hasher);
            (hasher.finish(), &mut series.created)
        })
    }

    /// The number of lines that its series have on a page in `OpenMetrics`: with those of their times of birth.
    pub(super) fn samples(&self) -> usize {
        let birth = usize::from(self.is_dated);
        let lines = |series: &Series| match &series.value {
            Value::Number(_) => 1 + birth,
            // The buckets, the sum and the count.
            Value::Histogram { counts, .. } => counts.len() + 2 + birth,
        };
        self.series.values().map(lines).sum()
    }

    /// Appends the family to a page.
    pub(super) fn write(&self, page: &mut String, base: &str, format: Format) -> std::fmt::Result {
        let sample = if self.kind == Kind::Counter { format!("{base}_total") } else { base.to_owned() };
        let family = if format == Format::Text { sample.as_str() } else { base };
        if !self.help.is_empty() {
            let help = self.help.replace('\\', "\\\\").replace('\n', "\\n");
            let help = if format == Format::Text { help } else { help.replace('"', "\\\"") };
            writeln!(page, "# HELP {family} {help}")?;
        }
        writeln!(page, "# TYPE {family} {}", self.kind.family_type())?;
        if let Some(unit) = self.unit.as_deref().filter(|_| format == Format::OpenMetrics) {
            writeln!(page, "# UNIT {family} {unit}")?;
        }
        for (labels, Series { value, created, .. }) in &self.series {
            let mut text = String::new();
            for (name, value) in labels {
                push_label(&mut text, name, value);
            }
            match value {
                Value::Number(number) => writeln!(page, "{sample}{} {number}", braced(&text))?,
                Value::Histogram { bounds, counts, sum } => {
                    write_buckets(page, base, &text, bounds, counts, format)?;
                    let count = counts.iter().fold(0_u64, |sum, count| sum.wrapping_add(*count));
                    let text = braced(&text);
                    writeln!(page, "{base}_sum{text} {sum}\n{base}_count{text} {count}")?;
                }
            }
            if self.is_dated {
                write_created(page, base, &text, *created, format)?;
            }
        }
        Ok(())
    }
}

fn write_buckets(
    page: &mut String,
    base: &str,
    labels: &str,
    bounds: &[f64],
    counts: &[u64],
    format: Format,
) -> std::fmt::Result {
    let bounds = bounds.iter().map(|bound| Float(*bound)).chain([Float(f64::INFINITY)]);
    let comma = if labels.is_empty() { "" } else { "," };
    let mut cumulative = 0_u64;
    for (bound, count) in bounds.zip(counts) {
        cumulative = cumulative.wrapping_add(*count);
        let bound = if format == Format::Text { bound.to_string() } else { bound.canonical() };
        writeln!(page, "{base}_bucket{{{labels}{comma}le=\"{bound}\"}} {cumulative}")?;
    }
    Ok(())
}

/// One point of an instrument.
struct Point {
    attributes: Vec<KeyValue>,
    value: Value,
    created: SystemTime,
}

/// The points of an instrument; `None` for what the page cannot have, which no instrument becomes without a view.
fn points(metric: &Metric) -> Option<(Kind, Vec<Point>)> {
    match metric.data() {
        AggregatedMetrics::F64(data) => points_of(data),
        AggregatedMetrics::U64(data) => points_of(data),
        AggregatedMetrics::I64(data) => points_of(data),
    }
}

fn points_of<T: Copy + Into<Number>>(data: &MetricData<T>) -> Option<(Kind, Vec<Point>)> {
    let number = |attributes: Vec<KeyValue>, value: T, created: SystemTime| Point {
        attributes,
        value: Value::Number(value.into()),
        created,
    };
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            let points = points.map(|point| number(point.attributes().cloned().collect(), point.value(), gauge.time()));
            Some((Kind::Gauge, points.collect()))
        }
        MetricData::Sum(sum) => {
            let kind = if sum.is_monotonic() { Kind::Counter } else { Kind::UpDown };
            let points = sum.data_points();
            let points =
                points.map(|point| number(point.attributes().cloned().collect(), point.value(), sum.start_time()));
            Some((kind, points.collect()))
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points().map(|point| {
                let mut counts: Vec<_> = point.bucket_counts().collect();
                if counts.is_empty() {
                    // An instrument that asks for no bounds: everything is in the one bucket.
                    counts.push(point.count());
                }
                let value = Value::Histogram { bounds: point.bounds().collect(), counts, sum: point.sum().into() };
                Point { attributes: point.attributes().cloned().collect(), value, created: histogram.start_time() }
            });
            Some((Kind::Histogram, points.collect()))
        }
        MetricData::ExponentialHistogram(_) => None,
    }
}

/// The labels of a point, sorted. Values of attributes whose keys become the same label are joined, as the specification
/// says; an empty value is the same as none.
fn labels(attributes: &[KeyValue], of_scope: &[(String, String)]) -> Labels {
    let mut attributes: Vec<_> =
        attributes.iter().map(|attribute| (attribute.key.as_str(), &attribute.value)).collect();
    attributes.sort_by_key(|(key, _)| *key);
    attributes.dedup_by_key(|(key, _)| *key);
    let mut labels: BTreeMap<String, String> = of_scope.iter().cloned().collect();
    for (key, value) in attributes {
        let value = value.as_str();
        let value = scrub::label(Class::of(key), &value, VALUE_LIMIT);
        let is_full = labels.len() >= LABELS_LIMIT;
        match labels.entry(label_name(key)) {
            Entry::Vacant(_) if is_full || value.is_empty() => {}
            Entry::Vacant(place) => {
                place.insert(value.into_owned());
            }
            Entry::Occupied(mut place) => {
                let joined = format!("{};{value}", place.get());
                truncate(&joined, VALUE_LIMIT).clone_into(place.get_mut());
            }
        }
    }
    labels.into_iter().collect()
}

/// The labels that say which scope an instrument is of, at most half of all.
fn scope_labels(scope: &InstrumentationScope) -> Labels {
    let mut labels = BTreeMap::new();
    for (name, value) in [
        ("otel_scope_name", Some(scope.name())),
        ("otel_scope_version", scope.version()),
        ("otel_scope_schema_url", scope.schema_url()),
    ] {
        labels.insert(name.to_owned(), value.unwrap_or_default());
    }
    let attributes: Vec<_> = scope.attributes().map(|attribute| (&attribute.key, attribute.value.as_str())).collect();
    for (key, value) in &attributes {
        if labels.len() < LABELS_LIMIT / 2 {
            labels.entry(valid_label(&format!("otel_scope_{key}"))).or_insert(value);
        }
    }
    let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
    labels.map(|(name, value)| (name, truncate(value, VALUE_LIMIT).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::callbacks::Callbacks;
    use crate::metrics::meters::Provider;
    use crate::metrics::reader::Reader;
    use opentelemetry::metrics::{Meter, MeterProvider};
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use std::sync::Arc;

    /// The families of what has been recorded.
    fn gathered(record: impl FnOnce(&Meter)) -> BTreeMap<String, Family> {
        let (callbacks, claims) = (Callbacks::new(), Arc::<Claims>::default());
        let reader = Reader::new(Arc::clone(&callbacks));
        let sdk = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        let provider = Provider::new(sdk, callbacks, Some(Arc::clone(&claims)));
        record(&provider.meter("users"));
        reader.refresh();
        gather(&reader.gather().unwrap(), &claims)
    }

    fn values(families: &BTreeMap<String, Family>, base: &str) -> Vec<String> {
        let value = |series: &Series| match &series.value {
            Value::Number(number) => number.to_string(),
            Value::Histogram { counts, .. } => counts.iter().sum::<u64>().to_string(),
        };
        families.get(base).map(|family| family.series.values().map(value).collect()).unwrap_or_default()
    }

    #[test]
    fn what_two_instruments_count_is_never_added_up() {
        let families = gathered(|meter| {
            meter.u64_counter("orders.placed").build().add(1, &[]);
            meter.u64_counter("orders.total.placed").build().add(10, &[]);
            meter.f64_histogram("lasts").with_unit("s").build().record(1.0, &[]);
            meter.f64_histogram("lasts.seconds").with_unit("s").build().record(2.0, &[]);
            let one = meter.u64_counter("one").build();
            one.add(1, &[KeyValue::new("k.1", "v")]);
            one.add(2, &[KeyValue::new("k-1", "v")]);
        });
        let orders = values(&families, "orders_placed");
        assert!(orders == ["1"] || orders == ["10"], "{orders:?}");
        assert_eq!(values(&families, "lasts_seconds"), ["1"]);
        assert_eq!(values(&families, "one"), ["3"], "the points of one instrument are added up");
    }

    #[test]
    fn an_instrument_that_the_sdk_refuses_takes_no_name() {
        let long = "u".repeat(64);
        let families = gathered(|meter| {
            let _ = meter.f64_histogram("a").with_unit("{\u{e9}}").build();
            let _ = meter.f64_histogram("b").with_boundaries(vec![2.0, 1.0]).build();
            let _ = meter.f64_histogram("c").with_boundaries(vec![1.0, f64::NAN]).build();
            let _ = meter.f64_histogram("d").with_boundaries(vec![f64::INFINITY]).build();
            let _ = meter.f64_histogram("e").with_boundaries(vec![1.0, 1.0]).build();
            let _ = meter.f64_histogram("f").with_unit(format!("{{{long}}}")).build();
            for name in ["a", "b", "c", "d", "e", "f"] {
                meter.u64_gauge(name).build().record(1, &[]);
            }
        });
        for name in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(values(&families, name), ["1"], "{name}");
        }
    }

    #[test]
    fn the_samples_of_a_family_are_its_lines_in_open_metrics() {
        let families = gathered(|meter| {
            meter.u64_counter("counter").build().add(1, &[]);
            meter.u64_gauge("gauge").build().record(1, &[]);
            meter.f64_histogram("histogram").with_boundaries(vec![1.0]).build().record(1.0, &[]);
            let _ = meter.u64_observable_counter("seen").with_callback(|seen| seen.observe(1, &[])).build();
        });
        assert_eq!(families.len(), 4);
        for (base, family) in &families {
            let mut page = String::new();
            family.write(&mut page, base, Format::OpenMetrics).unwrap();
            let lines = page.lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(family.samples(), lines, "{page}");
        }
    }
}
