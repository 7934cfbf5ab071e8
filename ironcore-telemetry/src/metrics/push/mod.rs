//! The push of metrics over OTLP: the SDK's instruments and our own series. A point stays until it is acknowledged: a
//! cumulative one is replaced by the next one of its series, a delta is added to it.

mod buckets;
mod own;
mod samples;
#[cfg(test)]
mod tests;

use super::births::Births;
use super::provider::pushed;
use super::reader::Reader;
use crate::config::{MetricsPush, Signal};
use crate::error::InitError;
use crate::export::{self, Answer, Cause, Client, Failure, LONGEST_HINT, NEVER_REACHED, Reason, Transport};
use crate::names;
use crate::series::{self, Counter, Registry};
use crate::worker;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use own::Own;
use rand::Rng;
use samples::{Id, Kind, Sample, request, samples};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// How long a push waits for the instruments; what comes later is in the next one.
const COLLECTION_LIMIT: Duration = Duration::from_secs(5);
/// The pause before the last push is tried again, and for how long it is.
const RETRY: Duration = Duration::from_millis(250);
const RETRY_LIMIT: Duration = Duration::from_secs(10);
/// Deltas that wait are at most as large as this many requests.
const WAITING_REQUESTS: usize = 4;
/// Requests are not made smaller than this, however little a collector takes.
const LEAST_BYTES: usize = 64 * 1024;

/// Pushes all metrics at an interval.
pub(crate) struct Push<T = Client> {
    transport: T,
    reader: Reader,
    /// The encoded resource, the head of each request.
    resource: Bytes,
    interval: Duration,
    timeout: Duration,
    /// The most bytes of a request by the settings.
    batch_bytes: usize,
    /// Locked during a push, so that none overlaps another one.
    state: tokio::sync::Mutex<State>,
    /// What the instruments have measured and is not in the state, by collection.
    collected: Mutex<Vec<Vec<Sample>>>,
    is_collecting: AtomicBool,
    /// Why the last push failed.
    failure: Mutex<Option<String>>,
    /// Whether a collector has ever answered.
    was_reached: AtomicBool,
    failures: Counter,
    exported: Counter,
    dropped: [(Reason, Counter); 3],
}

struct State {
    own: Own,
    births: Births<u64>,
    /// What is to be sent, by series. Between two pushes only deltas.
    waiting: BTreeMap<Id, Sample>,
    /// The most bytes of a request: of the settings, or fewer when the collector takes fewer.
    most_bytes: usize,
}

/// Why a push was not delivered as a whole.
struct Undelivered {
    text: String,
    /// After how long another attempt may succeed; `None` when it would not.
    retry: Option<Duration>,
}

impl Push {
    /// # Errors
    /// The endpoint cannot be used.
    pub(crate) fn new(
        settings: &MetricsPush,
        batch_bytes: usize,
        reader: Reader,
        resource: &Resource,
    ) -> Result<Arc<Self>, InitError> {
        let client = Client::new(&settings.otlp, Signal::Metrics)?;
        let resource = export::values::resource(resource);
        Ok(Self::with(client, settings, batch_bytes, reader, resource, series::process()))
    }
}

impl<T: Transport> Push<T> {
    fn with(
        transport: T,
        settings: &MetricsPush,
        batch_bytes: usize,
        reader: Reader,
        resource: Bytes,
        registry: &'static Registry,
    ) -> Arc<Self> {
        let signal = Signal::Metrics.name();
        let dropped =
            |reason: Reason| (reason, registry.counter(&names::TELEMETRY_DROPPED, &[signal, reason.name()], &[]));
        let state = State {
            own: Own::new(registry, settings.temporality, settings.histograms),
            births: Births::default(),
            waiting: BTreeMap::new(),
            most_bytes: batch_bytes,
        };
        Arc::new(Self {
            transport,
            reader,
            resource,
            interval: settings.interval,
            timeout: settings.timeout,
            batch_bytes,
            state: tokio::sync::Mutex::new(state),
            collected: Mutex::default(),
            is_collecting: AtomicBool::new(false),
            failure: Mutex::default(),
            was_reached: AtomicBool::new(false),
            exported: registry.counter(&names::TELEMETRY_EXPORTED, &[signal], &[]),
            failures: registry.counter(&names::TELEMETRY_EXPORT_FAILURES, &[signal], &[]),
            dropped: [Reason::Rejected, Reason::TooLarge, Reason::QueueBytes].map(dropped),
        })
    }

    /// Pushes at each interval; never returns.
    pub(crate) async fn pump(self: Arc<Self>) {
        let mut next = Instant::now() + first_wait(self.interval);
        loop {
            sleep_until(next).await;
            let began = Instant::now();
            let asked = Arc::clone(&self).attempt().await.err().and_then(|undelivered| undelivered.retry);
            next = (began + self.interval).max(Instant::now() + asked.unwrap_or_default());
        }
    }

    /// Pushes once.
    ///
    /// # Errors
    /// Why the push failed.
    pub(crate) async fn push(self: Arc<Self>) -> Result<(), String> {
        self.attempt().await.map_err(|undelivered| undelivered.text)
    }

    /// The last push, which is tried again for a while; not for long where no collector was ever reached.
    ///
    /// # Errors
    /// Why the push failed.
    pub(crate) async fn finish(self: Arc<Self>) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let Err(Undelivered { text, retry }) = Arc::clone(&self).attempt().await else {
                return Ok(());
            };
            let limit = if self.was_reached.load(Ordering::Relaxed) { RETRY_LIMIT } else { NEVER_REACHED };
            let Some(pause) = retry.filter(|_| began.elapsed() < limit) else {
                return Err(text);
            };
            sleep(pause.max(RETRY)).await;
        }
    }

    /// Why the last push failed; `None` after one that succeeded.
    pub(crate) fn last_failure(&self) -> Option<String> {
        self.failure().clone()
    }

    /// Pushes in a task of its own: a caller that does not wait any longer must not break it off.
    async fn attempt(self: Arc<Self>) -> Result<(), Undelivered> {
        let pushing = tokio::spawn(async move { self.run().await });
        let broken = |_| Err(Undelivered { text: "the push was broken off".to_owned(), retry: None });
        pushing.await.unwrap_or_else(broken)
    }

    async fn run(self: Arc<Self>) -> Result<(), Undelivered> {
        let mut state = self.state.lock().await;
        let deadline = Instant::now() + self.timeout;
        self.collect_instruments().await;
        let collected = std::mem::take(&mut *self.collected());
        for instruments in collected {
            state.take(instruments);
        }
        let own = state.own.read();
        state.add(samples(vec![own]));
        let result = self.send(&mut state, deadline).await;
        let lost = state.keep_deltas(WAITING_REQUESTS.saturating_mul(self.batch_bytes));
        self.drop_points(Reason::QueueBytes, lost);
        drop(state);
        self.note(&result);
        result
    }

    /// Reads the SDK's instruments, on a thread that may block. One that does not end does so once.
    async fn collect_instruments(self: &Arc<Self>) {
        if self.is_collecting.swap(true, Ordering::Acquire) {
            return;
        }
        let this = Arc::clone(self);
        let collecting = tokio::task::spawn_blocking(move || {
            let instruments = this.instruments();
            this.collected().push(instruments);
            this.is_collecting.store(false, Ordering::Release);
        });
        let _ = timeout(COLLECTION_LIMIT.min(self.timeout / 2), collecting).await;
    }

    fn instruments(&self) -> Vec<Sample> {
        self.reader.refresh();
        // Where the instruments cannot be collected, only our own series are sent.
        let Some(measured) = self.reader.gather() else {
            return Vec::new();
        };
        let measured = ExportMetricsServiceRequest::from(&measured).resource_metrics;
        let mut samples = samples(pushed(measured.into_iter().flat_map(|resource| resource.scope_metrics).collect()));
        samples.iter_mut().for_each(Sample::scrub);
        samples
    }

    /// Sends what waits, in as many requests as it needs; what was delivered waits no more.
    async fn send(&self, state: &mut State, deadline: Instant) -> Result<(), Undelivered> {
        let mut result = Ok(());
        let mut requests = state.cut(self.resource.len());
        while let Some(ids) = requests.pop_front() {
            let message = request(&self.resource, ids.iter().filter_map(|id| state.waiting.get(id)));
            let length = message.len();
            let answer = timeout_at(deadline, self.transport.send(vec![Bytes::from(message)])).await;
            let answer = answer.unwrap_or_else(|_| Answer::broken("the time for a push was up"));
            let is_unreachable = matches!(&answer, Answer::Failed(failure) if failure.cause == Cause::Unreachable);
            self.was_reached.fetch_or(!is_unreachable, Ordering::Relaxed);
            match answer {
                Answer::Accepted { rejected, message } => {
                    state.acknowledge(&ids);
                    let rejected = usize::try_from(rejected).unwrap_or(usize::MAX).min(ids.len());
                    self.exported.add(u64::try_from(ids.len() - rejected).unwrap_or(u64::MAX));
                    if rejected > 0 {
                        self.drop_points(Reason::Rejected, rejected);
                        let message = message.unwrap_or_default();
                        let text = format!("the collector rejected {rejected} data points: {message}");
                        result = Err(Undelivered { text, retry: None });
                    }
                }
                Answer::TooLarge(text) => {
                    if let Some((first, second)) = halves(&ids) {
                        state.most_bytes = state.most_bytes.min(length / 2).max(LEAST_BYTES.min(self.batch_bytes));
                        requests.push_front(second);
                        requests.push_front(first);
                    } else {
                        state.acknowledge(&ids);
                        self.drop_points(Reason::TooLarge, ids.len());
                        result = Err(Undelivered { text, retry: None });
                    }
                }
                // Others may pass, and what is in this one may pass as a part of the next one.
                Answer::Refused(text) => result = Err(Undelivered { text, retry: None }),
                Answer::Failed(Failure { cause, text, retry_after }) => {
                    let hint = retry_after.filter(|_| cause == Cause::Busy).map(|hint| hint.min(LONGEST_HINT));
                    result = Err(Undelivered { text, retry: Some(hint.unwrap_or_default()) });
                    // The request may be what the connection breaks of: the others are sent.
                    if cause == Cause::Unreachable || hint.is_some() || Instant::now() >= deadline {
                        return result;
                    }
                }
            }
        }
        result
    }

    fn drop_points(&self, reason: Reason, points: usize) {
        let counter = self.dropped.iter().find(|(of, _)| *of == reason);
        if let Some((_, counter)) = counter.filter(|_| points > 0) {
            counter.add(u64::try_from(points).unwrap_or(u64::MAX));
        }
    }

    /// Says once when pushes begin to fail, and when they end to.
    fn note(&self, result: &Result<(), Undelivered>) {
        let error = result.as_ref().err().map(|undelivered| undelivered.text.clone());
        let before = std::mem::replace(&mut *self.failure(), error.clone());
        match (before, error) {
            (before, Some(error)) => {
                self.failures.add(1);
                if before.is_none() {
                    worker::log(move || {
                        tracing::warn!(target: "ironcore_telemetry", error, "metrics cannot be delivered over OTLP; the next push carries them");
                    });
                }
            }
            (Some(_), None) => {
                worker::log(|| tracing::info!(target: "ironcore_telemetry", "metrics are delivered over OTLP again"));
            }
            (None, None) => {}
        }
    }

    fn collected(&self) -> MutexGuard<'_, Vec<Vec<Sample>>> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> MutexGuard<'_, Option<String>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds what the instruments have measured to what waits, in place of what is older and no delta.
    fn take(&mut self, mut instruments: Vec<Sample>) {
        self.waiting.retain(|_, sample| sample.is_delta());
        if let Some(earliest) = instruments.iter_mut().map(Sample::time).min() {
            let series = instruments.iter_mut().filter_map(|sample| {
                let id = sample.id().whole();
                sample.birth().map(|birth| (id, birth))
            });
            self.births.date(series, earliest);
        }
        self.add(instruments);
    }

    fn add(&mut self, samples: Vec<Sample>) {
        for sample in samples {
            match self.waiting.entry(sample.id()) {
                Entry::Vacant(place) => drop(place.insert(sample)),
                Entry::Occupied(mut place) => {
                    let older = place.insert(sample);
                    if !matches!(older.head.kind, Kind::Gauge) {
                        place.get_mut().point.add(older.point);
                    }
                }
            }
        }
    }

    /// Cuts what waits to requests within the limit; a point that is larger has a request of its own.
    fn cut(&self, resource: usize) -> VecDeque<Vec<Id>> {
        let mut requests = VecDeque::new();
        let (mut ids, mut length) = (Vec::new(), resource);
        let mut last = None;
        for (id, sample) in &self.waiting {
            let mut head = if last == Some(&sample.head) { 0 } else { sample.head.len() };
            if !ids.is_empty() && length + head + sample.len() > self.most_bytes {
                requests.push_back(std::mem::take(&mut ids));
                (length, head) = (resource, sample.head.len());
            }
            ids.push(*id);
            length += head + sample.len();
            last = Some(&sample.head);
        }
        requests.extend((!ids.is_empty()).then_some(ids));
        requests
    }

    /// These are delivered, or lost.
    fn acknowledge(&mut self, ids: &[Id]) {
        for id in ids {
            self.waiting.remove(id);
        }
    }

    /// Keeps the deltas that were not delivered, as far as there is room. Returns how many were lost.
    fn keep_deltas(&mut self, most_bytes: usize) -> usize {
        let (mut bytes, mut lost) = (0, 0);
        self.waiting.retain(|_, sample| {
            let fits = bytes + sample.len() <= most_bytes;
            let is_kept = sample.is_delta() && fits;
            bytes += if is_kept { sample.len() } else { 0 };
            lost += usize::from(sample.is_delta() && !fits);
            is_kept
        });
        lost
    }
}

/// The time to the first push: a whole interval long on average, so that services that start together are spread over one.
fn first_wait(interval: Duration) -> Duration {
    interval.mul_f64(rand::rng().random_range(0.5..1.5))
}

/// Two halves of a request; `None` for one point.
fn halves(ids: &[Id]) -> Option<(Vec<Id>, Vec<Id>)> {
    let (first, second) = ids.split_at_checked(ids.len() / 2).filter(|(first, _)| !first.is_empty())?;
    Some((first.to_vec(), second.to_vec()))
}
