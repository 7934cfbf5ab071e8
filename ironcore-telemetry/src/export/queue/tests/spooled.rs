//! The queue with a spool, over several processes' lives.

use super::*;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use std::fs;
use std::path::PathBuf;

/// A spool in a folder that is deleted at the end.
struct Folder(config::Spool);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let program = std::env::current_exe().unwrap();
        let name = format!("queue-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = program.parent().unwrap().join("spools").join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(config::Spool { folder, bytes: 1 << 30 })
    }

    /// Waits until no segment is left: the thread of the spool removes them after the answer.
    fn is_emptied(&self) {
        for _ in 0..6_000 {
            if self.segments().is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("left: {:?}", self.segments());
    }

    fn segments(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.0.folder.join("traces/0")).into_iter().flatten();
        folder.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some()).collect()
    }

    /// Runs a process's queue until the end, at which it is abandoned. Returns its counts and its report.
    fn run(&self, bounds: Bounds, scenario: impl AsyncFnOnce(Arc<Queue<Item>>)) -> (BTreeMap<String, i64>, Ledger) {
        let mut ledger = None;
        let changes = changes_with(bounds, Some(&self.0), async |queue| {
            let before = queue.ledger();
            scenario(Arc::clone(&queue)).await;
            queue.abandon();
            let after = queue.ledger();
            ledger =
                Some(Ledger { queued: after.queued - before.queued, spooled: after.spooled - before.spooled, ..after });
        });
        (changes, ledger.unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0.folder);
    }
}

fn absent() -> Arc<Collector> {
    Collector::new(|_, _, _| Some(failed(Cause::Unreachable)))
}

async fn nothing_at_risk(queue: &Queue<Item>) {
    until(|| {
        let ledger = queue.ledger();
        ledger.queued == ledger.spooled
    })
    .await;
}

#[test]
fn what_is_delivered_leaves_nothing_behind() {
    let (folder, collector) = (Folder::new(), Collector::scripted(vec![Some(failed(Cause::Busy))]));
    let (changes, ledger) = folder.run(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 55);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 55), ("exported", 55), ("export_failures", 1)]));
    assert_eq!((ledger.queued, ledger.spooled), (0, 0));
    folder.is_emptied();
}

#[test]
fn what_is_left_at_the_end_is_queued_in_the_spool_and_the_next_process_delivers_it() {
    let folder = Folder::new();
    let (changes, ledger) = folder.run(BOUNDS, async |queue| {
        keep_pumping(&queue, &absent());
        push(&queue, 47);
        queue.drained().await;
        nothing_at_risk(&queue).await;
    });
    assert_eq!((changes["ended"], changes["queued"], changes.get("deadline")), (47, 47, None));
    assert_eq!((ledger.queued, ledger.spooled), (47, 47));

    let collector = Collector::scripted(vec![Some(failed(Cause::Unreachable)), Some(failed(Cause::Broken))]);
    let (changes, ledger) = folder.run(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        push(&queue, 10);
        until(|| collector.numbers().len() == 57).await;
        queue.drained().await;
    });
    // It is not in the ledger of the second one; `exported` stands twice, as the result comes second.
    assert_eq!((changes["ended"], changes.get("queued"), ledger.queued), (10, None, 0));
    assert_eq!(collector.numbers().len(), 57);
    folder.is_emptied();
}

#[test]
fn what_was_not_written_is_dropped_at_the_end_and_counted() {
    let folder = Folder::new();
    fs::write(folder.0.folder.join("traces"), "a file in the place of the folder").unwrap();
    let (changes, ledger) = folder.run(BOUNDS, async |queue| {
        keep_pumping(&queue, &absent());
        push(&queue, 25);
        queue.drained().await;
    });
    assert_eq!((changes["ended"], changes["deadline"], changes.get("queued")), (25, 25, None));
    assert_eq!((changes.get("at_risk"), ledger.queued, ledger.spooled), (None, 0, 0));
}

#[test]
fn what_waits_behind_others_is_written_when_it_is_due() {
    let folder = Folder::new();
    folder.run(BOUNDS, async |queue| {
        keep_pumping(&queue, &absent());
        // Fewer than a batch each time, while the first one waits.
        for round in 1..5 {
            push(&queue, 3);
            nothing_at_risk(&queue).await;
            assert_eq!(queue.inbox().held, 3 * round);
        }
    });
}

#[test]
fn each_request_has_a_number_and_keeps_it_when_it_is_recovered() {
    let folder = Folder::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let collector = || {
        let seen = Arc::clone(&seen);
        let collector = Collector::scripted(vec![]);
        Arc::new(Recording { collector, seen })
    };
    folder.run(BOUNDS, async |queue| {
        keep_pumping(&queue, &absent());
        push(&queue, 30);
        nothing_at_risk(&queue).await;
    });
    folder.run(BOUNDS, async |queue| {
        let collector = collector();
        tokio::spawn(Arc::clone(&queue).pump(Arc::clone(&collector)));
        until(|| collector.collector.numbers().len() == 30).await;
        push(&queue, 10);
        queue.drained().await;
    });
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    // Three of the first instance, one of the second.
    assert_eq!(seen, [1, 1, 2, 3]);
}

/// A collector that keeps the numbers of the requests.
struct Recording {
    collector: Arc<Collector>,
    seen: Arc<Mutex<Vec<i64>>>,
}

impl Transport for Recording {
    async fn send(&self, parts: Vec<Bytes>) -> Answer {
        let request = ExportTraceServiceRequest::decode(parts.concat().as_slice()).unwrap();
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let attributes = scopes.flat_map(|scope| &scope.scope.as_ref().unwrap().attributes);
        let numbers: BTreeSet<_> = attributes
            .filter(|attribute| attribute.key == "ironcore.request.number")
            .map(|attribute| match &attribute.value.as_ref().unwrap().value {
                Some(Value::IntValue(number)) => *number,
                other => panic!("{other:?}"),
            })
            .collect();
        // All scopes of a request have the same.
        assert_eq!(numbers.len(), 1);
        self.seen.lock().unwrap().extend(numbers);
        self.collector.send(parts).await
    }
}

#[test]
fn what_is_recovered_and_what_is_new_take_turns() {
    let folder = Folder::new();
    let bounds = Bounds { capacity: 2_000, concurrency: 1, ..BOUNDS };
    folder.run(bounds, async |queue| {
        keep_pumping(&queue, &absent());
        push(&queue, 500);
        nothing_at_risk(&queue).await;
    });
    let collector = Collector::scripted(vec![]);
    folder.run(bounds, async |queue| {
        push(&queue, 100);
        keep_pumping(&queue, &collector);
        queue.drained().await;
        // The new ones have not waited for all of the old ones.
        let taken = collector.numbers().len();
        assert!((100..500).contains(&taken), "{taken}");
        until(|| collector.numbers().len() == 600).await;
    });
    folder.is_emptied();
}

#[test]
fn what_is_recovered_and_too_large_or_refused_is_split_or_dropped_and_counted() {
    let folder = Folder::new();
    folder.run(BOUNDS, async |queue| {
        keep_pumping(&queue, &absent());
        push_sized(&queue, 20, 5_000);
        nothing_at_risk(&queue).await;
    });
    let refusals = AtomicUsize::new(0);
    let collector = Collector::new(move |_, _, length| {
        Some(match length {
            40_000.. => Answer::TooLarge("too large".to_owned()),
            _ if refusals.fetch_add(1, Ordering::Relaxed) == 1 => Answer::Refused("no".to_owned()),
            _ => ACCEPTED,
        })
    });
    let (changes, _) = folder.run(BOUNDS, async |queue| {
        keep_pumping(&queue, &collector);
        until(|| folder.segments().is_empty()).await;
    });
    let dropped = 20 - i64::try_from(collector.numbers().len()).unwrap();
    assert!(dropped > 0);
    assert_eq!((changes.get("ended"), changes.get("refused"), changes["recovered_dropped"]), (None, None, dropped));
    assert_eq!(changes["recovered_exported"], 20 - dropped);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(30) })]

    #[test]
    fn every_schedule_of_faults_over_two_lives_loses_nothing_unseen(
        steps in prop::collection::vec(step(), 1..8),
        answers in prop::collection::vec(answer(), 0..10),
    ) {
        let folder = Folder::new();
        let collector = Collector::scripted(answers);
        let bounds = Bounds { bytes: 20_000, batch_bytes: 4_500, delay: Duration::from_millis(2), ..BOUNDS };
        let (changes, ledger) = folder.run(bounds, async |queue| {
            keep_pumping(&queue, &collector);
            take(steps, &queue).await;
        });
        let exported = changes.get("exported").copied().unwrap_or(0);
        prop_assert_eq!(i64::try_from(collector.numbers().len()).unwrap(), exported);
        prop_assert_eq!(ledger.queued, ledger.spooled);
        let healthy = Collector::scripted(vec![]);
        let left = usize::try_from(ledger.spooled).unwrap();
        folder.run(bounds, async |queue| {
            keep_pumping(&queue, &healthy);
            // What was split may come as a whole.
            until(|| healthy.numbers().len() >= left).await;
            until(|| folder.segments().is_empty()).await;
        });
        prop_assert!(healthy.numbers().len() >= left);
    }
}
