//! The queue against a scripted collector, which keeps the numbers of the items that it took. The counters belong to the
//! process, so each test compares differences, and the tests take turns.

use super::super::answer::{Cause, Failure};
use super::*;
use crate::series::{self, Reading};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(all(unix, feature = "spool"))]
mod spooled;

static TURN: Mutex<()> = Mutex::new(());
static SCOPES: LazyLock<[InstrumentationScope; 2]> =
    LazyLock::new(|| ["ours", "theirs"].map(|name| InstrumentationScope::builder(name).build()));

const BOUNDS: Bounds = Bounds {
    capacity: 100,
    bytes: 1 << 20,
    batch: 10,
    batch_bytes: 1 << 16,
    delay: Duration::from_millis(20),
    concurrency: 4,
};

/// An item of a size, as a span whose id is its number.
struct Item {
    number: u64,
    size: usize,
    panics: bool,
}

impl Record for Item {
    fn size(&self) -> usize {
        self.size
    }

    fn scope(&self) -> &InstrumentationScope {
        &SCOPES[usize::from(self.number.is_multiple_of(3))]
    }

    fn encode(&self, to: &mut Vec<u8>) {
        assert!(!self.panics, "cannot be encoded");
        crate::export::wire::message(to, 2, |to| {
            crate::export::wire::bytes(to, 2, &self.number.to_be_bytes());
            crate::export::wire::bytes(to, 5, &vec![b'x'; self.size]);
        });
    }
}

type React = Box<dyn Fn(usize, &[u64], usize) -> Option<Answer> + Send + Sync>;

/// Answers by a function of the number of the request, its items and its length; `None` hangs.
struct Collector {
    react: React,
    requests: AtomicUsize,
    taken: Mutex<Vec<Vec<u64>>>,
    /// Requests that are being answered now, and the most there were.
    at_once: (AtomicUsize, AtomicUsize),
}

impl Collector {
    fn new(react: impl Fn(usize, &[u64], usize) -> Option<Answer> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            react: Box::new(react),
            requests: AtomicUsize::new(0),
            taken: Mutex::default(),
            at_once: Default::default(),
        })
    }

    /// Answers by a script, then accepts everything.
    fn scripted(script: Vec<Option<Answer>>) -> Arc<Self> {
        Self::new(move |request, _, _| script.get(request).cloned().unwrap_or(Some(ACCEPTED)))
    }

    fn batches(&self) -> Vec<usize> {
        self.taken.lock().unwrap().iter().map(Vec::len).collect()
    }

    fn numbers(&self) -> BTreeSet<u64> {
        self.taken.lock().unwrap().iter().flatten().copied().collect()
    }
}

impl Transport for Collector {
    async fn send(&self, parts: Vec<Bytes>) -> Answer {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let message = parts.concat();
        let numbers = numbers(&message);
        let (now, most) = &self.at_once;
        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let answer = (self.react)(request, &numbers, message.len());
        now.fetch_sub(1, Ordering::Relaxed);
        let Some(answer) = answer else {
            return std::future::pending().await;
        };
        if let Answer::Accepted { rejected, .. } = answer {
            let kept = numbers.len() - usize::try_from(rejected).unwrap().min(numbers.len());
            self.taken.lock().unwrap().push(numbers[..kept].to_vec());
        }
        answer
    }
}

const ACCEPTED: Answer = Answer::Accepted { rejected: 0, message: None };

fn failed(cause: Cause) -> Answer {
    Answer::Failed(Failure { cause, text: "it failed".to_owned(), retry_after: None })
}

/// The numbers in a request, each in the scope that it belongs to.
fn numbers(message: &[u8]) -> Vec<u64> {
    let request = ExportTraceServiceRequest::decode(message).unwrap();
    let [resource] = request.resource_spans.as_slice() else { panic!("{} resources", request.resource_spans.len()) };
    assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
    let mut numbers = Vec::new();
    for scope in &resource.scope_spans {
        let name = &scope.scope.as_ref().unwrap().name;
        for span in &scope.spans {
            let number = u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap());
            assert_eq!(name, if number.is_multiple_of(3) { "theirs" } else { "ours" });
            numbers.push(number);
        }
    }
    numbers
}

fn push_sized(queue: &Queue<Item>, items: usize, size: usize) {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    for _ in 0..items {
        let item = Item { number: NUMBER.fetch_add(1, Ordering::Relaxed), size, panics: false };
        queue.push(item, size);
    }
}

fn push(queue: &Queue<Item>, items: usize) {
    push_sized(queue, items, 10);
}

/// The counts of this signal: `ended`, `exported`, `queued`, …, and those dropped by reason.
fn counts() -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    let is_bound = |name: &str| name.starts_with("telemetry_queue_capacity");
    let families = series::families();
    let families = families.iter().filter(|family| family.metric.name.starts_with("telemetry_"));
    for family in families.filter(|family| !is_bound(family.metric.name)) {
        for series in family.series.iter().filter(|series| series.labels[0].1 == "traces") {
            let value = match &series.reading {
                Reading::Counter(count) => i64::try_from(count.value).unwrap(),
                Reading::Gauge(value) => *value,
                Reading::Durations(_) => continue,
            };
            let name = family.metric.name.trim_start_matches("telemetry_").trim_end_matches("_total");
            let key = match series.labels.get(1) {
                Some((_, result)) if name == "recovered" => format!("recovered_{result}"),
                Some((_, reason)) => (*reason).to_string(),
                None => name.to_owned(),
            };
            counts.insert(key, value);
        }
    }
    counts
}

/// Runs a scenario on a queue and returns the counts that changed; the ledger must balance.
fn changes(bounds: Bounds, scenario: impl AsyncFnOnce(Arc<Queue<Item>>)) -> BTreeMap<String, i64> {
    changes_with(bounds, None, scenario)
}

fn changes_with(
    bounds: Bounds,
    spool: Option<&config::Spool>,
    scenario: impl AsyncFnOnce(Arc<Queue<Item>>),
) -> BTreeMap<String, i64> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let resource = opentelemetry_sdk::Resource::builder_empty().with_service_name("tests").build();
    let queue = Queue::new(bounds, Signal::Traces, crate::export::values::resource(&resource), spool);
    let before = counts();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = scenario(Arc::clone(&queue));
    let timed = async { tokio::time::timeout(Duration::from_secs(60), work).await };
    runtime.block_on(timed).unwrap();
    let mut changes = counts();
    for (name, value) in &mut changes {
        *value -= before.get(name).unwrap_or(&0);
    }
    let dropped: i64 = Reason::ALL.iter().map(|reason| changes[reason.name()]).sum();
    assert_eq!(changes["ended"], changes["exported"] + dropped + changes["queued"], "{changes:?}");
    assert_eq!(changes["queued"] == 0, changes["queued_bytes"] == 0, "{changes:?}");
    // What is still queued would change the counts of the next test.
    queue.abandon();
    runtime.shutdown_background();
    changes.retain(|name, value| *value != 0 && name != "queued_bytes");
    changes
}

/// Restarts the pump after a panic, as the telemetry thread does.
fn keep_pumping(queue: &Arc<Queue<Item>>, collector: &Arc<Collector>) {
    let (queue, collector) = (Arc::clone(queue), Arc::clone(collector));
    tokio::spawn(async move { while tokio::spawn(Arc::clone(&queue).pump(Arc::clone(&collector))).await.is_err() {} });
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn expected(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn everything_that_ended_is_exported() {
    let collector = Collector::scripted(vec![]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 25);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 25), ("exported", 25)]));
    assert_eq!(collector.numbers().len(), 25);
}

#[test]
fn items_wait_for_a_full_batch_or_the_delay() {
    let collector = Collector::scripted(vec![]);
    let mut bounds = Bounds { delay: Duration::from_secs(3_600), ..BOUNDS };
    let mut counts = changes(bounds, async |queue| {
        keep_pumping(&queue, &collector);
        for _ in 0..23 {
            push(&queue, 1);
            tokio::task::yield_now().await;
        }
        until(|| collector.batches().len() == 2).await;
        until(|| queue.inbox().held == 3).await;
    });
    assert_eq!(collector.batches(), [10, 10]);
    assert_eq!(counts, expected(&[("ended", 23), ("exported", 20), ("queued", 3)]));
    bounds.delay = Duration::from_millis(1);
    counts = changes(bounds, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 3);
        until(|| queue.inbox().held == 0).await;
    });
    assert_eq!(counts, expected(&[("ended", 3), ("exported", 3)]));
}

#[test]
fn a_flush_delivers_what_ended_before_it_under_traffic() {
    let collector = Collector::scripted(vec![Some(failed(Cause::Unreachable)), Some(failed(Cause::Busy))]);
    let bounds = Bounds { delay: Duration::from_secs(3_600), capacity: 1_000_000, ..BOUNDS };
    changes(bounds, async |queue| {
        keep_pumping(&queue, &collector);
        for number in 1..=7 {
            queue.push(Item { number: u64::MAX - number, size: 10, panics: false }, 10);
        }
        let (stop, busy) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&queue));
        let stopped = Arc::clone(&stop);
        let traffic = std::thread::spawn(move || {
            while stopped.load(Ordering::Relaxed) == 0 {
                push(&busy, 10);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        queue.flushed().await;
        let delivered = collector.numbers();
        stop.store(1, Ordering::Relaxed);
        traffic.join().unwrap();
        assert!((1..=7).all(|number| delivered.contains(&(u64::MAX - number))), "{delivered:?}");
        queue.drained().await;
    });
}

#[test]
fn a_failed_batch_is_kept_and_delivered_later_whatever_the_cause() {
    for cause in [Cause::Unreachable, Cause::Broken, Cause::Busy] {
        // Past what the first attempt of a flush cuts short.
        let collector = Collector::scripted(vec![Some(failed(cause)), Some(failed(cause))]);
        let changes = changes(BOUNDS, async |queue| {
            keep_pumping(&queue, &collector);
            push(&queue, 5);
            until(|| !collector.batches().is_empty()).await;
            queue.drained().await;
        });
        assert_eq!(changes, expected(&[("ended", 5), ("exported", 5), ("export_failures", 2)]), "{cause:?}");
    }
}

#[test]
fn a_refused_batch_is_dropped_at_once_and_the_next_one_is_sent() {
    let collector = Collector::scripted(vec![Some(Answer::Refused("no".to_owned()))]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 15);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 15), ("exported", 5), ("refused", 10), ("export_failures", 1)]));
}

#[test]
fn what_the_collector_rejects_of_a_batch_is_counted_apart() {
    for (rejected, exported) in [(3, 7), (10, 0), (u64::MAX, 0)] {
        let answer = Answer::Accepted { rejected, message: Some("bad ids".to_owned()) };
        let collector = Collector::scripted(vec![Some(answer)]);
        let changes = changes(BOUNDS, async |queue| {
            keep_pumping(&queue, &collector);
            push(&queue, 10);
            queue.drained().await;
        });
        let mut counts = expected(&[("ended", 10), ("exported", exported), ("rejected", 10 - exported)]);
        counts.retain(|_, count| *count != 0);
        assert_eq!(changes, counts);
    }
}

#[test]
fn a_transport_that_panics_costs_nothing() {
    let collector = Collector::new(|request, _, _| {
        assert!(request >= 2, "the transport has a fault");
        Some(ACCEPTED)
    });
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 12);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 12), ("exported", 12), ("export_failures", 2)]));
}

#[test]
fn an_item_that_cannot_be_encoded_costs_only_itself() {
    let collector = Collector::scripted(vec![]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 4);
        queue.push(Item { number: 0, size: 10, panics: true }, 10);
        push(&queue, 4);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 9), ("exported", 8), ("internal", 1)]));
}

#[test]
fn requests_are_bounded_in_bytes_and_an_item_that_is_larger_is_dropped_alone() {
    let largest = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&largest);
    let collector = Collector::new(move |_, _, length| {
        seen.fetch_max(length, Ordering::Relaxed);
        Some(ACCEPTED)
    });
    let bounds = Bounds { batch_bytes: 40_000, ..BOUNDS };
    let changes = changes(bounds, async |queue| {
        keep_pumping(&queue, &collector);
        push_sized(&queue, 20, 8_000);
        push_sized(&queue, 1, 40_000);
        push_sized(&queue, 20, 8_000);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 41), ("exported", 40), ("too_large", 1)]));
    assert!(largest.load(Ordering::Relaxed) <= 40_000);
}

#[test]
fn a_batch_that_is_too_large_for_the_collector_is_split_until_it_fits() {
    let collector = Collector::new(|_, numbers, length| {
        let too_large = || Answer::TooLarge(format!("{length} bytes, {} items", numbers.len()));
        Some(if length > 30_000 { too_large() } else { ACCEPTED })
    });
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push_sized(&queue, 32, 6_000);
        push_sized(&queue, 1, 40_000);
        // Between what was learned of the collector and what it takes.
        push_sized(&queue, 1, 28_000);
        push_sized(&queue, 32, 6_000);
        queue.drained().await;
    });
    assert_eq!((changes["exported"], changes["too_large"]), (65, 1));
    assert_eq!(collector.numbers().len(), 65);
}

#[test]
fn a_collector_that_takes_nothing_is_not_asked_for_each_item() {
    let collector = Collector::new(|_, _, _| Some(Answer::TooLarge("413".to_owned())));
    let changes = changes(Bounds { batch: 64, ..BOUNDS }, async |queue| {
        keep_pumping(&queue, &collector);
        push_sized(&queue, 64, 1_000);
        queue.drained().await;
    });
    assert_eq!(changes["too_large"], 64);
    assert!(collector.requests.load(Ordering::Relaxed) < 16);
}

#[test]
fn what_is_abandoned_while_answers_arrive_is_counted_once() {
    for _ in 0..50 {
        let collector = Collector::scripted(vec![]);
        let bounds = Bounds { capacity: 10_000, ..BOUNDS };
        changes(bounds, async |queue| {
            push(&queue, 500);
            let abandoning = Arc::clone(&queue);
            let began = Arc::new(std::sync::Barrier::new(2));
            let other = Arc::clone(&began);
            let thread = std::thread::spawn(move || {
                other.wait();
                abandoning.abandon();
            });
            keep_pumping(&queue, &collector);
            began.wait();
            tokio::task::yield_now().await;
            thread.join().unwrap();
            until(|| queue.inbox().held == 0).await;
        });
    }
}

#[test]
fn a_full_queue_drops_the_newest_and_counts_them() {
    let collector = Collector::scripted(vec![None]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 130);
        tokio::task::yield_now().await;
    });
    assert_eq!(changes, expected(&[("ended", 130), ("queue_full", 30), ("queued", 100)]));
}

#[test]
fn the_memory_of_the_queue_is_bounded_also_once_it_is_encoded() {
    let collector = Collector::scripted(vec![None]);
    let bounds = Bounds { bytes: 100_000, batch_bytes: 1 << 20, ..BOUNDS };
    let changes = changes(bounds, async |queue| {
        keep_pumping(&queue, &collector);
        push_sized(&queue, 12, 10_000);
        until(|| collector.requests.load(Ordering::Relaxed) > 0).await;
        push_sized(&queue, 2, 10_000);
        assert!(queue.inbox().held_bytes <= 101_000);
    });
    assert_eq!(changes["queue_bytes"] + changes["queued"], 14);
    assert!((9..=10).contains(&changes["queued"]), "{changes:?}");
}

#[test]
fn a_batch_abandoned_during_its_export_is_counted_once() {
    let collector = Collector::scripted(vec![None]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 14);
        until(|| collector.requests.load(Ordering::Relaxed) > 0).await;
        queue.abandon();
        queue.abandon();
    });
    assert_eq!(changes, expected(&[("ended", 14), ("deadline", 14)]));
}

#[test]
fn draining_ends_under_traffic_and_counts_late_items() {
    let collector = Collector::scripted(vec![]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 7);
        let busy = Arc::clone(&queue);
        let traffic = std::thread::spawn(move || {
            while !busy.inbox().closed {
                std::thread::yield_now();
            }
            push(&busy, 9);
        });
        queue.drained().await;
        traffic.join().unwrap();
    });
    assert_eq!(changes, expected(&[("ended", 16), ("exported", 7), ("after_shutdown", 9)]));
}

#[test]
fn draining_gives_up_on_a_collector_that_was_never_there() {
    for (first, gives_up) in [(failed(Cause::Unreachable), true), (ACCEPTED, false)] {
        let collector = Collector::new(move |request, _, _| {
            Some(if request == 0 { first.clone() } else { failed(Cause::Unreachable) })
        });
        changes(BOUNDS, async |queue| {
            keep_pumping(&queue, &collector);
            push(&queue, 5);
            until(|| collector.requests.load(Ordering::Relaxed) > 0).await;
            push(&queue, 5);
            let drained = tokio::time::timeout(Duration::from_secs(3), queue.drained()).await;
            assert_eq!(drained.is_ok(), gives_up);
        });
    }
}

#[test]
fn requests_run_side_by_side_up_to_the_limit_while_batches_wait() {
    let collector = Collector::scripted(vec![]);
    let bounds = Bounds { capacity: 10_000, ..BOUNDS };
    let changes = changes(bounds, async |queue| {
        push(&queue, 2_000);
        keep_pumping(&queue, &collector);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 2_000), ("exported", 2_000)]));
    assert_eq!(collector.at_once.1.load(Ordering::Relaxed), bounds.concurrency);
}

#[test]
fn one_batch_that_always_fails_does_not_hold_up_the_others() {
    let poison = Arc::new(Mutex::new(None));
    let known = Arc::clone(&poison);
    let collector = Collector::new(move |_, numbers, _| {
        let first = *known.lock().unwrap().get_or_insert(numbers[0]);
        Some(if numbers.contains(&first) { failed(Cause::Broken) } else { ACCEPTED })
    });
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 60);
        until(|| collector.numbers().len() == 50).await;
        until(|| queue.inbox().held == 10).await;
    });
    assert_eq!((changes["exported"], changes["queued"]), (50, 10));
}

#[test]
fn a_batch_larger_than_the_queue_still_leaves_when_the_queue_is_full() {
    let collector = Collector::scripted(vec![]);
    let bounds = Bounds { capacity: 10, batch: 512, delay: Duration::from_secs(3_600), ..BOUNDS };
    let changes = changes(bounds, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 10);
        until(|| queue.inbox().held == 0).await;
    });
    assert_eq!(changes, expected(&[("ended", 10), ("exported", 10)]));
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, usize),
    Wait,
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..40_usize, 0..400_usize).prop_map(|(items, size)| Step::Push(items, size)),
        Just(Step::Wait),
        Just(Step::Flush),
    ]
}

async fn take(steps: Vec<Step>, queue: &Queue<Item>) {
    for step in steps {
        match step {
            Step::Push(items, size) => push_sized(queue, items, size),
            Step::Wait => tokio::time::sleep(Duration::from_millis(3)).await,
            Step::Flush => {
                let _ = tokio::time::timeout(Duration::from_millis(300), queue.flushed()).await;
            }
        }
    }
}

fn answer() -> impl Strategy<Value = Option<Answer>> {
    prop_oneof![
        6 => Just(Some(ACCEPTED)),
        1 => (0..20_u64).prop_map(|rejected| Some(Answer::Accepted { rejected, message: None })),
        1 => Just(Some(Answer::TooLarge("too large".to_owned()))),
        1 => Just(Some(Answer::Refused("refused".to_owned()))),
        1 => prop_oneof![Just(Cause::Unreachable), Just(Cause::Broken), Just(Cause::Busy)]
            .prop_map(|cause| Some(failed(cause))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn every_schedule_of_faults_leaves_the_ledger_exact(
        steps in prop::collection::vec(step(), 1..12),
        answers in prop::collection::vec(answer(), 0..12),
    ) {
        let collector = Collector::scripted(answers);
        let bounds = Bounds { bytes: 20_000, batch_bytes: 4_500, delay: Duration::from_millis(2), ..BOUNDS };
        let changes = changes(bounds, async |queue| {
            keep_pumping(&queue, &collector);
            take(steps, &queue).await;
            // It may give up: then the rest is dropped.
            queue.drained().await;
            queue.abandon();
        });
        let exported = changes.get("exported").copied().unwrap_or(0);
        prop_assert_eq!(i64::try_from(collector.numbers().len()).unwrap(), exported);
        prop_assert!(!changes.contains_key("queued"));
    }
}
