//! Captures the spans, metrics and log lines of one test, separate from those of all other tests.
//!
//! ```
//! use ironcore_telemetry as telemetry;
//! use telemetry::testing::Capture;
//!
//! #[telemetry::instrument_business]
//! fn create_wallet(owner: &str) -> Result<(), String> {
//!     if owner.is_empty() { Err("no owner".to_owned()) } else { Ok(()) }
//! }
//!
//! let capture = Capture::new();
//! capture.run(|| create_wallet("alice")).unwrap();
//! capture.assert_operation("wallet.create", "ok");
//! capture.assert_absent("alice");
//! ```

mod instruments;
mod secrets;
mod tree;

use crate::business;
use crate::config::{Filter, LogFormat, LogLines, Sampler, Sampling};
use crate::current;
use crate::logs;
use crate::names;
use crate::recorder::{self, Measurements};
use crate::series::{Reading, Registry, Series};
use crate::traces::{self, BoxedLayer, HeadSampler, Stack, TelemetrySubscriber};
use opentelemetry::trace::{FutureExt, SpanContext, Status};
use opentelemetry::{Context, trace};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::Registry as Subscriber;
use tracing_subscriber::layer::SubscriberExt;

/// Captures the telemetry of the code that it runs, apart from that of all other tests, so that they may run in parallel.
/// It needs no `init`. Of the threads and tasks that the code spawns, it captures those that stay in the trace, by
/// `in_current_span`, a `tracing` span that is entered there, or [`saved_context`](crate::saved_context).
pub struct Capture {
    registry: &'static Registry,
    context: Context,
    dispatch: Dispatch,
    spans: Arc<Mutex<Vec<SpanData>>>,
    lines: Arc<Mutex<Vec<String>>>,
    measurements: Measurements,
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// The name: `{domain}.{operation}`, `{METHOD} {route}`, or that of a `tracing` span.
    pub name: String,
    /// The id of its trace, as 32 hexadecimal digits.
    pub trace_id: String,
    /// Its own id, as 16 hexadecimal digits.
    pub span_id: String,
    /// The id of its parent; `None` for the root span of a trace.
    pub parent_id: Option<String>,
    /// Whether its status is `Error`.
    pub is_error: bool,
    /// Its attributes as text, in the order they were set.
    pub attributes: Vec<(String, String)>,
    /// The names of its events.
    pub events: Vec<String>,
    /// The trace id and the span id of each span that it links to.
    pub links: Vec<(String, String)>,
}

impl Span {
    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Capture").field("spans", &self.spans()).finish_non_exhaustive()
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

impl Capture {
    /// A capture of every span, every metric, and log lines of every level.
    #[must_use]
    pub fn new() -> Self {
        instruments::install();
        let (spans, lines) = (Arc::default(), Arc::<Mutex<Vec<String>>>::default());
        let measurements = Measurements::default();
        // Leaked, as its series live as long as the process.
        let registry: &'static Registry = Box::leak(Box::new(Registry::new()));
        let sampler = HeadSampler::by(Sampler { root: Sampling::Always, follows_parent: true });
        let resource = Resource::builder_empty().build();
        let provider = traces::provider_with(sampler.clone(), resource, KeepSpans(Arc::clone(&spans)));
        let all = Filter { origin: "Capture", directives: "trace".to_owned() };
        let kept = Arc::clone(&lines);
        let keep = move |line: &[u8], _| locked(&kept).push(String::from_utf8_lossy(line).trim_end().to_owned());
        let filter = Filter { origin: "Capture", directives: "trace".to_owned() };
        let lines_of = LogLines { filter, format: LogFormat::Json, span_fields: true };
        // They cannot fail: `trace` is a valid filter.
        let layers: [Option<BoxedLayer<Subscriber>>; 3] = [
            traces::layer(&all, &provider).ok().map(|layer| Box::new(layer) as _),
            traces::span_events(&all).ok().map(|layer| Box::new(layer) as _),
            logs::layer(&lines_of, "capture", keep).ok().map(|layer| Box::new(layer) as _),
        ];
        let layers = Stack::new(layers.into_iter().flatten().collect());
        let dispatch = Dispatch::new(TelemetrySubscriber::capturing(Subscriber::default().with(layers)));
        let context = recorder::capture(
            registry,
            Box::new(traces::start_span(&provider, sampler)),
            dispatch.clone(),
            Arc::clone(&measurements),
        );
        current::set_fields_of(business::fields_of);
        Self { registry, context, dispatch, spans, lines, measurements }
    }

    /// Runs code and captures its telemetry on this thread.
    pub fn run<R>(&self, code: impl FnOnce() -> R) -> R {
        let _current = self.context.clone().attach();
        tracing::dispatcher::with_default(&self.dispatch, code)
    }

    /// Runs a future and captures its telemetry, on all threads that poll it.
    pub async fn run_async<F: Future>(&self, future: F) -> F::Output {
        future.with_context(self.context.clone()).with_subscriber(self.dispatch.clone()).await
    }

    /// The ended spans, in the order in which they ended.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        locked(&self.spans).iter().map(Span::from_sdk).collect()
    }

    /// The log lines, one JSON object each.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        locked(&self.lines).clone()
    }

    /// The value of a counter or a gauge, or the count of a histogram, summed over all series with these labels. Zero
    /// when no series has them.
    #[must_use]
    pub fn value(&self, metric: &str, labels: &[(&str, &str)]) -> i64 {
        let series = self.series(metric);
        let matching = series.iter().filter(|series| {
            labels.iter().all(|(name, value)| series.labels.iter().any(|(key, actual)| key == name && actual == value))
        });
        let read = |reading: &Reading| match reading {
            Reading::Counter(count) => i64::try_from(count.value).unwrap_or(i64::MAX),
            Reading::Gauge(value) => *value,
            Reading::Durations(read) => i64::try_from(read.buckets.iter().sum::<u64>()).unwrap_or(i64::MAX),
        };
        matching.map(|series| read(&series.reading)).sum()
    }

    /// The measurements of an OpenTelemetry instrument of your own that have these attributes, in their order. The
    /// instrument must be made after the first capture of the process, as an instrument keeps the meter provider of its
    /// birth; observable instruments are not captured.
    ///
    /// ```
    /// # use ironcore_telemetry::testing::Capture;
    /// let capture = Capture::new();
    /// capture.run(|| {
    ///     let jobs = opentelemetry::global::meter("wallets").u64_counter("jobs").build();
    ///     jobs.add(2, &[opentelemetry::KeyValue::new("kind", "payout")]);
    /// });
    /// assert_eq!(capture.measurements("jobs", &[("kind", "payout")]), [2.0]);
    /// ```
    #[must_use]
    pub fn measurements(&self, instrument: &str, attributes: &[(&str, &str)]) -> Vec<f64> {
        let measurements = locked(&self.measurements);
        let of_instrument = measurements.iter().filter(|measurement| measurement.instrument == instrument);
        let has = |of: &[(String, String)], (key, value): &(&str, &str)| of.iter().any(|(k, v)| k == key && v == value);
        of_instrument
            .filter(|measurement| attributes.iter().all(|wanted| has(&measurement.attributes, wanted)))
            .map(|measurement| measurement.value)
            .collect()
    }

    fn series(&self, metric: &str) -> Vec<Series> {
        let families = self.registry.families().into_iter();
        families.filter(|family| family.metric.name == metric).flat_map(|family| family.series).collect()
    }

    /// Asserts that exactly one operation of this name ended, with this outcome: in the spans, in the counter and in
    /// the histogram.
    ///
    /// # Panics
    /// When none, more than one, or one with another outcome ended.
    #[track_caller]
    pub fn assert_operation(&self, name: &str, outcome: &str) {
        let spans: Vec<_> = self.spans().into_iter().filter(|span| span.name == name).collect();
        let outcomes: Vec<_> = spans.iter().filter_map(|span| span.attribute(names::attribute::OUTCOME)).collect();
        assert!(
            outcomes == [outcome],
            "expected one operation {name} that ended {outcome}; found {outcomes:?} among {:#?}",
            self.spans()
        );
        let (domain, operation) = name.split_once('.').unwrap_or((name, ""));
        let labels = [("domain", domain), ("operation", operation), ("outcome", outcome)];
        for metric in [names::BUSINESS_OPERATIONS.name, names::BUSINESS_OPERATION_DURATION.name] {
            let value = self.value(metric, &labels);
            assert!(value == 1, "expected 1 in {metric} of {name} that ended {outcome}; found {value}");
        }
    }

    /// The ended spans as a tree of names, two spaces a level; what started first comes first. A span whose parent has not
    /// ended stands at the top.
    #[must_use]
    pub fn tree(&self) -> String {
        tree::tree(&locked(&self.spans))
    }

    /// Asserts that the ended spans are this tree of names. How far the text as a whole is indented does not matter.
    ///
    /// ```
    /// # use ironcore_telemetry as telemetry;
    /// # use telemetry::testing::Capture;
    /// #[telemetry::instrument_business]
    /// fn execute_swap() {
    ///     tracing::info_span!("quote").in_scope(|| ());
    /// }
    ///
    /// let capture = Capture::new();
    /// capture.run(execute_swap);
    /// capture.assert_tree(
    ///     "swap.execute
    ///        quote",
    /// );
    /// ```
    ///
    /// # Panics
    /// When they are another one.
    #[track_caller]
    pub fn assert_tree(&self, expected: &str) {
        let tree = self.tree();
        let levels = (tree::levels(&tree), tree::levels(expected));
        assert!(levels.0 == levels.1, "expected the spans\n{expected}\nfound\n{tree}");
    }

    /// Asserts that a label of a metric has only these values.
    ///
    /// # Panics
    /// When it has another one.
    #[track_caller]
    pub fn assert_label_within(&self, metric: &str, label: &str, allowed: &[&str]) {
        let series = self.series(metric);
        for (_, value) in series.iter().flat_map(|series| &series.labels).filter(|(name, _)| *name == label) {
            assert!(allowed.contains(&value.as_ref()), "{metric} has {label}={value:?}; allowed: {allowed:?}");
        }
    }

    /// Asserts that a text, such as a secret, is in no span, no metric and no log line.
    ///
    /// # Panics
    /// When it is in one.
    #[track_caller]
    pub fn assert_absent(&self, text: &str) {
        for (place, emitted) in self.everything() {
            assert!(!emitted.contains(text), "{text:?} is in {place}: {emitted}");
        }
    }

    /// Asserts that no span, no metric and no log line holds text that looks like a secret: a private key in PEM, an
    /// extended private key, a JSON web token, a bearer token, a card number, or a mnemonic of 12 words.
    ///
    /// # Panics
    /// When one does.
    #[track_caller]
    #[expect(clippy::panic, reason = "an assertion for tests")]
    pub fn assert_no_secrets(&self) {
        for (place, emitted) in self.everything() {
            if let Some(kind) = secrets::find(&emitted) {
                panic!("{place} holds what looks like {kind}");
            }
        }
    }

    /// All captured telemetry as text, each piece with the name of its kind.
    fn everything(&self) -> Vec<(&'static str, String)> {
        let spans = self.spans().into_iter().map(|span| ("a span", format!("{span:?}")));
        let lines = self.log_lines().into_iter().map(|line| ("a log line", line));
        let measured = locked(&self.measurements);
        let measured: Vec<_> = measured.iter().map(|one| ("a metric", format!("{:?}", one.attributes))).collect();
        let families = self.registry.families();
        let labels = families
            .iter()
            .flat_map(|family| &family.series)
            .map(|series| ("a metric", format!("{:?}", series.labels)));
        spans.chain(lines).chain(labels).chain(measured).collect()
    }
}

impl Span {
    fn from_sdk(span: &SpanData) -> Self {
        let parent = span.parent_span_id;
        let (trace_id, span_id) = ids(&span.span_context);
        Self {
            name: span.name.to_string(),
            trace_id,
            span_id,
            parent_id: (parent != trace::SpanId::INVALID).then(|| parent.to_string()),
            is_error: matches!(span.status, Status::Error { .. }),
            attributes: span.attributes.iter().map(|pair| (pair.key.to_string(), pair.value.to_string())).collect(),
            events: span.events.iter().map(|event| event.name.to_string()).collect(),
            links: span.links.iter().map(|link| ids(&link.span_context)).collect(),
        }
    }
}

fn ids(span: &SpanContext) -> (String, String) {
    (span.trace_id().to_string(), span.span_id().to_string())
}

/// A failed assertion in another thread does not spoil the capture.
fn locked<T>(captured: &Mutex<T>) -> MutexGuard<'_, T> {
    captured.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the ended spans of a capture.
#[derive(Debug)]
struct KeepSpans(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for KeepSpans {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        locked(&self.0).push(traces::last_values(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
