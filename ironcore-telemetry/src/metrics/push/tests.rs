//! Pushes to a scripted collector.

use super::*;
use crate::config::{Histograms, Otlp, Protocol, Temporality, TlsFiles};
use crate::metrics::callbacks::Callbacks;
use crate::series::{self, Ended, Metric, Shard, SpanIds};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, NumberDataPoint, exemplar};
use opentelemetry_sdk::metrics::{self, SdkMeterProvider};
use proptest::prelude::*;
use prost::Message;
use samples::Point;
use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::AtomicUsize;
use tokio::runtime::{Builder, Runtime};

/// Only a test that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(60);
const DELTA: i32 = AggregationTemporality::Delta as i32;
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

static COUNT: Metric =
    Metric { name: "push_count_total", help: "Counts.", kind: series::Kind::Counter, labels: &["label"], bounded: &[] };
static LASTS: Metric = Metric {
    name: "push_lasts_seconds",
    help: "Lasts.",
    kind: series::Kind::Durations(&[5_000_000, 1_000_000_000]),
    labels: &["label"],
    bounded: &[],
};
static LEVEL: Metric =
    Metric { name: "push_level", help: "Level.", kind: series::Kind::Gauge, labels: &[], bounded: &[] };

/// What the collector does with a request.
type Judge = Box<dyn Fn(&[Sample], usize) -> Option<Answer> + Send + Sync>;

/// A collector that keeps what it has accepted. A request without an answer hangs.
struct Collector {
    judge: Judge,
    accepted: Mutex<Vec<Sample>>,
    /// The length of each request.
    lengths: Mutex<Vec<usize>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Transport for Arc<Collector> {
    async fn send(&self, parts: Vec<Bytes>) -> Answer {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let message = parts.concat();
        let request = ExportMetricsServiceRequest::decode(message.as_slice()).unwrap();
        let [of_resource] = request.resource_metrics.try_into().unwrap();
        assert_eq!(of_resource.resource.unwrap().attributes.len(), 1);
        let points = samples(of_resource.scope_metrics);
        self.lengths.lock().unwrap().push(message.len());
        tokio::task::yield_now().await;
        let answer = match (self.judge)(&points, message.len()) {
            Some(answer) => answer,
            None => pending().await,
        };
        if matches!(answer, Answer::Accepted { .. }) {
            self.accepted.lock().unwrap().extend(points);
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

/// A push to a collector, with a registry and a provider of its own.
struct Scene {
    push: Arc<Push<Arc<Collector>>>,
    collector: Arc<Collector>,
    registry: &'static Registry,
    provider: SdkMeterProvider,
    runtime: Runtime,
}

impl Scene {
    fn new(settings: &MetricsPush, batch_bytes: usize, judge: Judge) -> Self {
        let registry: &'static Registry = Box::leak(Box::new(Registry::new()));
        let reader = Reader::with_temporality(
            Callbacks::new(),
            match settings.temporality {
                Temporality::Cumulative => metrics::Temporality::Cumulative,
                Temporality::Delta => metrics::Temporality::Delta,
                Temporality::LowMemory => metrics::Temporality::LowMemory,
            },
        );
        let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        let resource = export::values::resource(&Resource::builder_empty().with_service_name("wallets").build());
        let collector = Arc::new(Collector {
            judge,
            accepted: Mutex::default(),
            lengths: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let push = Push::with(Arc::clone(&collector), settings, batch_bytes, reader, resource, registry);
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        Self { push, collector, registry, provider, runtime }
    }

    fn push(&self) -> Result<(), String> {
        let pushing = Arc::clone(&self.push).push();
        self.runtime.block_on(async { timeout(PATIENCE, pushing).await.unwrap() })
    }

    fn count(&self, label: &str, amount: u64) {
        self.registry.counter(&COUNT, &[label], &[]).add(amount);
    }

    fn dropped(&self, reason: Reason) -> u64 {
        self.registry.counter(&names::TELEMETRY_DROPPED, &["metrics", reason.name()], &[]).value()
    }

    /// What was accepted so far of the test's own metrics, by name and attributes, in the order of arrival.
    fn accepted(&self) -> HashMap<(String, String), Vec<Sample>> {
        let mut by_series: HashMap<_, Vec<_>> = HashMap::new();
        for sample in self.collector.accepted.lock().unwrap().iter() {
            let name = name(sample);
            if !name.starts_with("telemetry_") {
                by_series.entry((name, label(sample))).or_default().push(sample.clone());
            }
        }
        by_series
    }

    fn series(&self, name: &str, label: &str) -> Vec<Sample> {
        self.accepted().remove(&(name.to_owned(), label.to_owned())).unwrap_or_default()
    }
}

fn name(sample: &Sample) -> String {
    opentelemetry_proto::tonic::metrics::v1::Metric::decode(sample.head.fields.as_slice()).unwrap().name
}

/// The text of its only attribute.
fn label(sample: &Sample) -> String {
    let attributes = match &sample.point {
        Point::Number(point) => &point.attributes,
        Point::Histogram(point) => &point.attributes,
        Point::Exponential(point) => &point.attributes,
    };
    let value = attributes.first().and_then(|attribute| attribute.value.clone()).and_then(|value| value.value);
    match value {
        Some(any_value::Value::StringValue(text)) => text,
        _ => String::new(),
    }
}

fn number(sample: &Sample) -> &NumberDataPoint {
    match &sample.point {
        Point::Number(point) => point,
        other => panic!("{other:?}"),
    }
}

fn integer(sample: &Sample) -> i64 {
    match number(sample).value {
        Some(Value::AsInt(value)) => value,
        other => panic!("{other:?}"),
    }
}

fn settings(temporality: Temporality, histograms: Histograms) -> MetricsPush {
    let otlp = Otlp {
        endpoint: String::new(),
        protocol: Protocol::Grpc,
        compressed: false,
        headers: Vec::new(),
        headers_file: None,
        tls: TlsFiles::default(),
        timeout: Duration::from_secs(10),
    };
    let (interval, timeout) = (Duration::from_secs(60), PATIENCE);
    MetricsPush { otlp, interval, timeout, temporality, histograms }
}

fn explicit(temporality: Temporality) -> MetricsPush {
    settings(temporality, Histograms::Explicit)
}

#[expect(clippy::unnecessary_wraps, reason = "a collector may also hang")]
fn yes(_: &[Sample], _: usize) -> Option<Answer> {
    Some(Answer::Accepted { rejected: 0, message: None })
}

#[expect(clippy::unnecessary_wraps, reason = "a collector may also hang")]
fn failed(cause: Cause, retry_after: Option<u64>) -> Option<Answer> {
    let retry_after = retry_after.map(Duration::from_secs);
    Some(Answer::Failed(Failure { cause, text: "no".to_owned(), retry_after }))
}

/// Answers in this order, then accepts.
fn script(answers: impl IntoIterator<Item = Option<Answer>>) -> Judge {
    let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
    Box::new(move |points, length| {
        let scripted = answers.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| yes(points, length))
    })
}

const BATCH: usize = 7 << 19;

/// What happens before one push, and what the collector answers.
#[derive(Debug, Clone)]
struct Round {
    counts: Vec<(usize, u64)>,
    /// In nanoseconds.
    lasts: Vec<(usize, u64)>,
    measured: Vec<u32>,
    observed: u32,
    answers: Vec<u8>,
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let nanos = prop_oneof![0_u64..100, 100_000_u64..200_000, 0_u64..200_000_000_000];
    let round = (
        prop::collection::vec((0_usize..3, 0_u64..1_000), 0..4),
        prop::collection::vec((0_usize..2, nanos), 0..4),
        prop::collection::vec(0_u32..10_000, 0..3),
        0_u32..5,
        prop::collection::vec(0_u8..8, 0..4),
    );
    let round = round.prop_map(|(counts, lasts, measured, observed, answers)| Round {
        counts,
        lasts,
        measured,
        observed,
        answers,
    });
    prop::collection::vec(round, 1..8)
}

fn scripted(answer: u8, points: &[Sample], length: usize) -> Option<Answer> {
    match answer {
        0 => failed(Cause::Unreachable, None),
        1 => failed(Cause::Broken, None),
        2 => failed(Cause::Busy, Some(1)),
        3 => Some(Answer::Refused("never".to_owned())),
        // A point that is too large alone would be lost.
        4 if points.len() > 1 => Some(Answer::TooLarge("large".to_owned())),
        _ => yes(points, length),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deltas_add_up_to_what_was_counted_whatever_fails(
        rounds in rounds(),
        temporality in prop_oneof![Just(Temporality::Delta), Just(Temporality::LowMemory)],
        histograms in prop_oneof![Just(Histograms::Explicit), Just(Histograms::Exponential)],
    ) {
        let answers = Arc::new(Mutex::new(VecDeque::<u8>::new()));
        let upcoming = Arc::clone(&answers);
        let judge: Judge = Box::new(move |points, length| {
            scripted(upcoming.lock().unwrap().pop_front().unwrap_or(u8::MAX), points, length)
        });
        let scene = Scene::new(&settings(temporality, histograms), BATCH, judge);
        let meter = scene.provider.meter("users");
        let (counter, histogram) = (meter.u64_counter("measured").build(), meter.f64_histogram("sizes").build());
        let observed = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&observed);
        let _observable = meter
            .u64_observable_counter("observed")
            .with_callback(move |observer| observer.observe(u64::try_from(seen.load(Ordering::SeqCst)).unwrap(), &[]))
            .build();
        let labels = ["a", "b", "c"];
        let (mut counted, mut lasted, mut measured) = ([0_u64; 3], [(0_u64, 0_u64); 2], (0_u64, 0_u64));
        for round in &rounds {
            for (at, amount) in &round.counts {
                scene.count(labels[*at], *amount);
                counted[*at] += amount;
            }
            for (at, nanos) in &round.lasts {
                scene.registry.durations(&LASTS, &[labels[*at]], &[]).observe(Duration::from_nanos(*nanos));
                lasted[*at] = (lasted[*at].0 + 1, lasted[*at].1 + nanos);
            }
            for value in &round.measured {
                counter.add(u64::from(*value), &[KeyValue::new("k", "v")]);
                histogram.record(f64::from(*value), &[]);
                measured = (measured.0 + 1, measured.1 + u64::from(*value));
            }
            observed.fetch_add(usize::try_from(round.observed).unwrap(), Ordering::SeqCst);
            answers.lock().unwrap().extend(&round.answers);
            let _ = scene.push();
        }
        answers.lock().unwrap().clear();
        prop_assert_eq!(scene.push(), Ok(()));

        let of = |name: &str, label: &str| scene.series(name, label);
        let sum = |samples: &[Sample]| samples.iter().map(integer).sum::<i64>().cast_unsigned();
        for (label, counted) in labels.iter().zip(counted) {
            prop_assert_eq!(sum(&of("push_count", label)), counted);
        }
        prop_assert_eq!(sum(&of("measured", "v")), measured.1);
        let observations = of("observed", "");
        let last = observations.last().map_or(0, integer).cast_unsigned();
        let value = if temporality == Temporality::Delta { sum(&observations) } else { last };
        prop_assert_eq!(value, u64::try_from(observed.load(Ordering::SeqCst)).unwrap());
        for (label, (count, nanos)) in labels.iter().zip(lasted) {
            let (found, seconds) = totals(&of("push_lasts", label));
            prop_assert_eq!(found, count);
            prop_assert!((seconds - series::seconds(nanos)).abs() < 1e-6, "{seconds} {nanos}");
        }
        let (found, sizes) = totals(&of("sizes", ""));
        prop_assert_eq!((found, sizes), (measured.0, f64::from(u32::try_from(measured.1).unwrap())));

        for samples in scene.accepted().values() {
            let times: Vec<_> = samples.iter().map(|sample| (sample.is_delta(), times(sample))).collect();
            prop_assert!(times.iter().all(|(_, (start, end))| *start > 0 && start <= end), "{times:?}");
            let overlap = times.windows(2).find(|pair| pair[0].0 && pair[1].1.0 < pair[0].1.1);
            prop_assert!(overlap.is_none(), "{overlap:?}");
        }
    }
}

/// The count of all points, by their buckets too, and their sum.
fn totals(samples: &[Sample]) -> (u64, f64) {
    let total = |sample: &Sample| match &sample.point {
        Point::Histogram(point) => {
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
            (point.count, point.sum.unwrap())
        }
        Point::Exponential(point) => {
            let buckets: u64 = point.positive.iter().flat_map(|buckets| &buckets.bucket_counts).sum();
            assert_eq!(buckets + point.zero_count, point.count);
            (point.count, point.sum.unwrap())
        }
        Point::Number(point) => panic!("{point:?}"),
    };
    samples.iter().map(total).fold((0, 0.0), |(count, sum), (more, seconds)| (count + more, sum + seconds))
}

/// When the point begins and ends.
fn times(sample: &Sample) -> (u64, u64) {
    match &sample.point {
        Point::Number(point) => (point.start_time_unix_nano, point.time_unix_nano),
        Point::Histogram(point) => (point.start_time_unix_nano, point.time_unix_nano),
        Point::Exponential(point) => (point.start_time_unix_nano, point.time_unix_nano),
    }
}

#[test]
fn cumulative_points_begin_when_their_series_was_born() {
    let scene = Scene::new(&explicit(Temporality::Cumulative), BATCH, script([]));
    let counter = scene.provider.meter("users").u64_counter("orders").build();
    scene.count("a", 2);
    counter.add(1, &[KeyValue::new("k", "old")]);
    scene.push().unwrap();
    scene.count("a", 3);
    scene.count("b", 4);
    counter.add(1, &[KeyValue::new("k", "new")]);
    scene.push().unwrap();
    let points =
        |name, label| scene.series(name, label).iter().map(|one| (integer(one), times(one))).collect::<Vec<_>>();
    let old = points("push_count", "a");
    assert_eq!(old.iter().map(|(value, _)| *value).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(old[0].1.0, old[1].1.0, "it was born once");
    for (name, before, after) in [("push_count", "a", "b"), ("orders", "old", "new")] {
        let (before, after) = (points(name, before), points(name, after));
        assert_eq!((before.len(), after.len()), (2, 1), "{name}");
        let born = after[0].1.0;
        assert!(before[0].1.1 <= born && born <= after[0].1.1, "{name}: {before:?} {after:?}");
    }
    let samples = scene.series("push_count", "a");
    assert_eq!(samples[0].head.kind, Kind::Sum(CUMULATIVE, true));
}

#[test]
fn a_delta_covers_the_pushes_that_failed_and_what_rests_is_not_sent() {
    let scene = Scene::new(&explicit(Temporality::Delta), BATCH, script([yes(&[], 0), failed(Cause::Broken, None)]));
    let level = scene.registry.gauge(&LEVEL, &[]);
    level.add(7);
    scene.count("a", 2);
    scene.count("b", 1);
    scene.push().unwrap();
    scene.count("a", 3);
    assert_eq!(scene.push(), Err("no".to_owned()));
    scene.count("a", 4);
    scene.push().unwrap();
    scene.push().unwrap();
    let counts = scene.series("push_count", "a");
    assert_eq!(counts.iter().map(integer).collect::<Vec<_>>(), [2, 7]);
    assert_eq!(times(&counts[0]).1, times(&counts[1]).0, "nothing lies between them");
    assert_eq!(counts[0].head.kind, Kind::Sum(DELTA, true));
    assert_eq!(scene.series("push_count", "b").len(), 1);
    let levels = scene.series("push_level", "");
    assert_eq!(levels.iter().map(integer).collect::<Vec<_>>(), [7, 7, 7]);
    assert!(levels.iter().all(|sample| sample.head.kind == Kind::Gauge));
}

#[test]
fn what_rises_and_falls_is_cumulative_beside_deltas() {
    for temporality in [Temporality::Delta, Temporality::LowMemory] {
        let scene = Scene::new(&explicit(temporality), BATCH, script([failed(Cause::Broken, None)]));
        let open = scene.provider.meter("users").i64_up_down_counter("open").build();
        open.add(2, &[]);
        let _ = scene.push();
        open.add(3, &[]);
        scene.push().unwrap();
        let points = scene.series("open", "");
        assert_eq!(points.iter().map(integer).collect::<Vec<_>>(), [5]);
        assert_eq!(points[0].head.kind, Kind::Sum(CUMULATIVE, false));
    }
}

#[test]
fn durations_go_out_in_exponential_buckets_on_request() {
    let scene = Scene::new(&settings(Temporality::Cumulative, Histograms::Exponential), BATCH, script([]));
    let lasts = scene.registry.durations(&LASTS, &["a"], &[]);
    for nanos in [1_000, 1_000_000_000, 1_000_000_001, 300_000_000_000] {
        lasts.observe(Duration::from_nanos(nanos));
    }
    scene.push().unwrap();
    let points = scene.series("push_lasts", "a");
    let [Sample { point: Point::Exponential(point), head }] = points.as_slice() else { panic!("{points:?}") };
    assert_eq!(head.kind, Kind::Exponential(CUMULATIVE));
    assert_eq!((point.count, point.zero_count, point.scale), (4, 1, 3));
    assert!(point.zero_threshold > 1e-4 && point.zero_threshold < 2e-4);
    let buckets = point.positive.clone().unwrap();
    // One second ends the bucket before the one at zero.
    assert_eq!((buckets.offset, &buckets.bucket_counts[..2]), (-1, &[1, 1][..]));
    assert_eq!((buckets.bucket_counts.len(), buckets.bucket_counts.last()), (58, Some(&1)), "above all bounds");
}

#[test]
fn exemplars_of_counters_and_histograms_have_their_trace_and_belong_to_their_delta() {
    let scene = Scene::new(&explicit(Temporality::Delta), BATCH, script([]));
    let ended = Ended {
        count: scene.registry.counter(&COUNT, &["a"], &[]),
        duration: scene.registry.durations(&LASTS, &["a"], &[]),
    };
    let observe = |ids| {
        ended.observe(Shard::here(), Duration::from_secs(2), ids, std::time::Instant::now());
        scene.push().unwrap();
    };
    observe(Some(SpanIds { trace: 0xa, span: 0xb }));
    observe(None);
    let exemplars = |sample: &Sample| match &sample.point {
        Point::Number(point) => point.exemplars.clone(),
        Point::Histogram(point) => point.exemplars.clone(),
        Point::Exponential(point) => point.exemplars.clone(),
    };
    for (name, value) in [("push_count", exemplar::Value::AsInt(1)), ("push_lasts", exemplar::Value::AsDouble(2.0))] {
        let points = scene.series(name, "a");
        let [first, second] = points.as_slice() else { panic!("{points:?}") };
        let [exemplar] = &exemplars(first)[..] else { panic!("{first:?}") };
        assert_eq!(
            (&exemplar.trace_id[..], &exemplar.span_id[..]),
            (&0xa_u128.to_be_bytes()[..], &0xb_u64.to_be_bytes()[..])
        );
        assert_eq!(exemplar.value, Some(value));
        assert!(exemplars(second).is_empty(), "{second:?}");
    }
}

/// Many series with long labels.
fn count_many(scene: &Scene) -> usize {
    for at in 0..400 {
        scene.count(&format!("{at:0>500}"), 1);
    }
    400
}

#[test]
fn requests_are_bounded_in_bytes_and_every_point_arrives_once() {
    const MOST: usize = 64 << 10;
    let scene = Scene::new(&explicit(Temporality::Cumulative), MOST, script([]));
    let series = count_many(&scene);
    scene.push().unwrap();
    let lengths = scene.collector.lengths.lock().unwrap().clone();
    assert!(lengths.len() >= 4 && lengths.iter().all(|length| *length <= MOST), "{lengths:?}");
    assert!(lengths.iter().rev().skip(1).all(|length| *length > MOST / 2), "{lengths:?}");
    let accepted = scene.accepted();
    assert_eq!((accepted.len(), accepted.values().map(Vec::len).sum()), (series, series));
}

#[test]
fn a_request_that_is_too_large_is_split_and_a_point_that_is_too_large_is_dropped_alone() {
    const TAKEN: usize = 80 << 10;
    let judge: Judge =
        Box::new(
            |points, length| {
                if length > TAKEN { Some(Answer::TooLarge("large".to_owned())) } else { yes(points, length) }
            },
        );
    let scene = Scene::new(&explicit(Temporality::Delta), BATCH, judge);
    let series = count_many(&scene);
    scene.count(&"x".repeat(2 * TAKEN), 1);
    assert_eq!(scene.push(), Err("large".to_owned()));
    assert_eq!(scene.accepted().len(), series);
    assert_eq!(scene.dropped(Reason::TooLarge), 1);
    let before = scene.collector.lengths.lock().unwrap().len();
    count_many(&scene);
    scene.push().unwrap();
    let lengths = scene.collector.lengths.lock().unwrap()[before..].to_vec();
    assert!(lengths.iter().all(|length| *length <= TAKEN), "the next requests are smaller: {lengths:?}");
    assert!(scene.accepted().values().all(|points| points.len() == 2));
}

#[test]
fn points_that_the_collector_rejects_are_counted_and_said() {
    let answer = Answer::Accepted { rejected: 3, message: Some("too old".to_owned()) };
    let scene = Scene::new(&explicit(Temporality::Delta), BATCH, script([Some(answer)]));
    count_many(&scene);
    assert_eq!(scene.push(), Err("the collector rejected 3 data points: too old".to_owned()));
    assert_eq!(scene.dropped(Reason::Rejected), 3);
    let exported = scene.registry.counter(&names::TELEMETRY_EXPORTED, &["metrics"], &[]).value();
    let sent = u64::try_from(scene.collector.accepted.lock().unwrap().len()).unwrap();
    assert_eq!(exported, sent - 3);
    scene.push().unwrap();
    assert!(scene.push.last_failure().is_none());
    assert!(scene.accepted().values().all(|points| points.len() == 1), "they are not sent again");
}

#[test]
fn a_push_that_hangs_ends_with_its_time_and_loses_nothing() {
    let settings = MetricsPush { timeout: Duration::from_millis(50), ..explicit(Temporality::Delta) };
    let scene = Scene::new(&settings, BATCH, script([None]));
    scene.count("a", 2);
    assert_eq!(scene.push(), Err("the time for a push was up".to_owned()));
    scene.count("a", 3);
    scene.push().unwrap();
    assert_eq!(scene.series("push_count", "a").iter().map(integer).collect::<Vec<_>>(), [5]);
}

#[test]
fn pushes_never_overlap_and_one_whose_caller_went_away_goes_on() {
    let scene = Scene::new(&explicit(Temporality::Delta), BATCH, script([]));
    scene.runtime.block_on(async {
        scene.count("a", 1);
        // The state is locked like during a push.
        let state = scene.push.state.lock().await;
        let abandoned = tokio::spawn(Arc::clone(&scene.push).push());
        let others = [0; 4].map(|_| tokio::spawn(Arc::clone(&scene.push).push()));
        tokio::task::yield_now().await;
        abandoned.abort();
        assert!(abandoned.await.is_err());
        drop(state);
        for other in others {
            timeout(PATIENCE, other).await.unwrap().unwrap().unwrap();
        }
    });
    assert_eq!(scene.collector.most_at_once.load(Ordering::SeqCst), 1);
    assert_eq!(scene.collector.lengths.lock().unwrap().len(), 5, "the abandoned one too");
    assert_eq!(scene.series("push_count", "a").len(), 1);
}

#[test]
fn what_the_collector_asks_for_is_waited_for_up_to_a_limit() {
    let answers = [failed(Cause::Busy, Some(3)), failed(Cause::Busy, Some(1 << 40)), failed(Cause::Broken, Some(9))];
    let scene = Scene::new(&explicit(Temporality::Cumulative), BATCH, script(answers));
    for asked in [3, 30, 0] {
        let undelivered = scene.runtime.block_on(Arc::clone(&scene.push).attempt()).unwrap_err();
        assert_eq!(undelivered.retry, Some(Duration::from_secs(asked)));
    }
    scene.push().unwrap();
}

#[test]
fn services_that_start_together_push_at_different_times() {
    let waits: Vec<_> = (0..100).map(|_| first_wait(Duration::from_secs(60))).collect();
    assert!(waits.iter().all(|wait| (30..=90).contains(&wait.as_secs())));
    assert!(waits.iter().max().unwrap().abs_diff(*waits.iter().min().unwrap()) > Duration::from_secs(30));
}

#[test]
fn the_last_push_is_tried_again_but_not_long_without_a_collector() {
    let answers = [failed(Cause::Unreachable, None), failed(Cause::Broken, None)];
    let scene = Scene::new(&explicit(Temporality::Cumulative), BATCH, script(answers));
    scene.count("a", 1);
    let finish = |scene: &Scene| {
        let finishing = Arc::clone(&scene.push).finish();
        scene.runtime.block_on(async { timeout(PATIENCE, finishing).await.unwrap() })
    };
    assert_eq!(finish(&scene), Ok(()));
    assert_eq!(scene.series("push_count", "a").len(), 1);
    let absent: Judge = Box::new(|_, _| failed(Cause::Unreachable, None));
    let scene = Scene::new(&explicit(Temporality::Cumulative), BATCH, absent);
    assert_eq!(finish(&scene), Err("no".to_owned()));
    let refused: Judge = Box::new(|_, _| Some(Answer::Refused("never".to_owned())));
    let scene = Scene::new(&explicit(Temporality::Cumulative), BATCH, refused);
    assert_eq!(finish(&scene), Err("never".to_owned()));
    assert_eq!(scene.collector.lengths.lock().unwrap().len(), 1);
}

#[test]
fn deltas_that_wait_are_bounded_and_those_that_do_not_fit_are_counted() {
    const MOST: usize = 64 << 10;
    let absent: Judge = Box::new(|_, _| failed(Cause::Unreachable, None));
    let scene = Scene::new(&explicit(Temporality::Delta), MOST, absent);
    let series = count_many(&scene);
    for _ in 0..2 {
        scene.count(&"y".repeat(400), 1);
        let _ = scene.push();
    }
    let waiting = scene.runtime.block_on(async {
        let state = scene.push.state.lock().await;
        let bytes: usize = state.waiting.values().map(Sample::len).sum();
        assert!(bytes <= WAITING_REQUESTS * MOST, "{bytes}");
        state.waiting.values().filter(|sample| name(sample) == "push_count").count()
    });
    assert_eq!(waiting, series + 1, "they fit");
    for at in 0..1_000 {
        scene.count(&format!("{at:0>499}"), 1);
    }
    let _ = scene.push();
    let waiting = scene.runtime.block_on(async {
        let state = scene.push.state.lock().await;
        let bytes: usize = state.waiting.values().map(Sample::len).sum();
        assert!(bytes <= WAITING_REQUESTS * MOST, "{bytes}");
        state.waiting.values().filter(|sample| name(sample) == "push_count").count()
    });
    let lost = usize::try_from(scene.dropped(Reason::QueueBytes)).unwrap();
    assert!(lost > 0 && waiting + lost >= series + 1_001, "{waiting} wait, {lost} are lost");
}

#[test]
fn instruments_that_cannot_be_collected_leave_our_own_series() {
    let scene = Scene::new(&explicit(Temporality::Cumulative), BATCH, script([]));
    scene.count("a", 1);
    scene.provider.shutdown().unwrap();
    scene.push().unwrap();
    assert_eq!(scene.series("push_count", "a").len(), 1);
}

#[test]
fn attributes_of_instruments_have_no_secrets_and_series_that_become_the_same_are_added_up() {
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        let scene = Scene::new(&explicit(temporality), BATCH, script([]));
        let meter = scene.provider.meter("users");
        let (counter, gauge) = (meter.u64_counter("orders").build(), meter.u64_gauge("open").build());
        for secret in ["hunter2", "hunter3"] {
            counter.add(2, &[KeyValue::new("password", secret)]);
            gauge.record(7, &[KeyValue::new("password", secret)]);
        }
        counter.add(1, &[KeyValue::new("note", "x".repeat(100_000))]);
        scene.push().unwrap();
        let all = format!("{:?}", scene.accepted());
        assert!(!all.contains("hunter"), "{all}");
        let mut orders: Vec<_> = scene.accepted().into_iter().filter(|((name, _), _)| name == "orders").collect();
        orders.sort_by_key(|((_, label), _)| label.len());
        let [(_, masked), ((_, note), long)] = orders.as_slice() else { panic!("{orders:?}") };
        assert_eq!(masked.iter().map(integer).collect::<Vec<_>>(), [4]);
        assert_eq!((note.len(), long.len()), (crate::redact::VALUE_LIMIT, 1));
        let open: Vec<_> = scene.accepted().into_iter().filter(|((name, _), _)| name == "open").collect();
        assert!(open.len() == 1 && open[0].1.iter().map(integer).eq([7]), "{open:?}");
    }
}
