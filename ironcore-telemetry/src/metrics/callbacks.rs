//! The callbacks of observable instruments. They are code of the user that may be slow, hang or panic, so they run on
//! threads of their own, before the SDK collects and without its lock; the SDK gets the values that they gave last.

use crate::caught::caught;
use crate::names;
use crate::series::{self, Counter, Gauge};
use crate::worker;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Callback};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// How long a collection waits for a callback that has begun.
const CALLBACK_LIMIT: Duration = Duration::from_millis(250);
/// How long a collection waits for all of them.
const COLLECTION_LIMIT: Duration = Duration::from_secs(1);
/// How long a callback waits for the threads that there are before one more is started.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a thread stays without a callback to run: longer than the usual interval of scrapes.
const IDLE: Duration = Duration::from_secs(90);
/// The most values of one callback: the SDK keeps fewer series, and a callback may never stop observing.
const MOST_VALUES: usize = 10_000;

thread_local! {
    /// Whether this thread runs callbacks: one that asks for the page would wait for itself.
    static RUNS_CALLBACKS: Cell<bool> = const { Cell::new(false) };
}

/// The callbacks of all instruments of a provider, and the threads that run them: as many as callbacks are slow at the
/// same time, and one for all that are quick.
pub(super) struct Callbacks {
    state: Mutex<State>,
    /// A callback waits for a thread.
    work: Condvar,
    /// No callback waits for a thread any more.
    done: Condvar,
    /// 1 while values are served that a callback should have replaced.
    degraded: Gauge,
    failures: Counter,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<u64, Entry>,
    next: u64,
    /// Those that wait for a thread.
    queue: VecDeque<u64>,
    threads: usize,
    idle: usize,
    last_started: Option<Instant>,
    is_degraded: bool,
}

/// What is known of one callback.
struct Entry {
    name: Arc<str>,
    /// Gone with the instrument, as one that the SDK refuses.
    callback: Weak<dyn Run>,
    phase: Phase,
    /// How often it has returned.
    runs: u64,
    /// The last collection has not waited for it.
    is_late: bool,
    /// What was logged about it.
    said: Vec<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Queued,
    Running(Instant),
}

/// What a callback has done wrong; each is logged once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Late,
    Panicked,
    TooMany,
}

impl Callbacks {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            degraded: series::gauge(&names::TELEMETRY_DEGRADED, &[names::METRIC_CALLBACKS]),
            failures: series::counter(&names::TELEMETRY_EXPORT_FAILURES, &["metrics"]),
        })
    }

    /// Adds the callback of an instrument; returns the one that the SDK gets instead.
    pub(super) fn register<T: Copy + Send + Sync + 'static>(
        &self,
        name: Arc<str>,
        callback: Callback<T>,
    ) -> impl Fn(&dyn AsyncInstrument<T>) + Send + Sync + use<T> {
        let observed = Arc::new(Observed { callback, last: Mutex::default() });
        let weak: Weak<dyn Run> = Arc::<Observed<T>>::downgrade(&observed);
        let entry = Entry { name, callback: weak, phase: Phase::Idle, runs: 0, is_late: false, said: Vec::new() };
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.entries.insert(id, entry);
        move |observer| observed.replay(observer)
    }

    /// Runs the callbacks that do not run already, side by side, and waits until they have returned, or for so long
    /// that none of them can hold up the page. Called by a callback it does nothing.
    pub(super) fn refresh(self: &Arc<Self>) {
        if RUNS_CALLBACKS.get() {
            return;
        }
        let deadline = Instant::now() + COLLECTION_LIMIT;
        let mut state = self.lock();
        let wanted = state.enqueue();
        self.work.notify_all();
        loop {
            let now = Instant::now();
            let Some(wait) = state.left(&wanted, now).map(|left| left.min(deadline.saturating_duration_since(now)))
            else {
                break;
            };
            let is_hopeless = self.help(&mut state, now).is_err() && state.threads == 0;
            if wait.is_zero() || is_hopeless {
                break;
            }
            state = self.done.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        let late = state.judge(&wanted);
        let change = i64::from(state.has_late()) - i64::from(state.is_degraded);
        state.is_degraded = state.has_late();
        drop(state);
        self.degraded.add(change);
        for name in late {
            say(name, Fault::Late);
        }
    }

    /// Starts a thread if callbacks wait and those that there are have been busy for a while.
    fn help(self: &Arc<Self>, state: &mut State, now: Instant) -> io::Result<()> {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < PATIENCE;
        let is_served = state.idle > 0 || (state.threads > 0 && state.last_started.is_some_and(is_recent));
        if state.queue.is_empty() || is_served || state.threads >= state.entries.len() {
            return Ok(());
        }
        let callbacks = Arc::clone(self);
        let thread = Builder::new().name("ironcore-telemetry-callback".to_owned());
        thread.spawn(move || callbacks.work())?;
        state.threads += 1;
        state.last_started = Some(now);
        Ok(())
    }

    /// A thread that runs callbacks.
    fn work(&self) {
        RUNS_CALLBACKS.set(true);
        let mut state = self.lock();
        loop {
            state.idle += 1;
            let waited = self.work.wait_timeout_while(state, IDLE, |state| state.queue.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            let Some((id, callback)) = state.take() else {
                state.threads -= 1;
                return;
            };
            drop(state);
            // What it has captured may be dropped here, and panic.
            let result = caught(move || callback.run()).unwrap_or(Err(Fault::Panicked));
            if result == Err(Fault::Panicked) {
                self.failures.add(1);
            }
            state = self.lock();
            if let Some((name, fault)) = state.finish(id, result) {
                say(name, fault);
            }
            if state.queue.is_empty() {
                self.done.notify_all();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of the user runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Queues the callbacks that do nothing. Returns all, with the number of their runs so far.
    fn enqueue(&mut self) -> Vec<(u64, u64)> {
        self.entries.retain(|_, entry| entry.phase != Phase::Idle || entry.callback.strong_count() > 0);
        for (id, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.phase == Phase::Idle) {
            entry.phase = Phase::Queued;
            self.queue.push_back(*id);
        }
        self.entries.iter().map(|(id, entry)| (*id, entry.runs)).collect()
    }

    /// Takes the next callback, which is running from now on.
    fn take(&mut self) -> Option<(u64, Arc<dyn Run>)> {
        while let Some(id) = self.queue.pop_front() {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            if let Some(callback) = entry.callback.upgrade() {
                entry.phase = Phase::Running(Instant::now());
                return Some((id, callback));
            }
            entry.phase = Phase::Idle;
        }
        None
    }

    /// Notes that a callback has returned. Returns what there is to say about it.
    fn finish(&mut self, id: u64, result: Result<(), Fault>) -> Option<(Arc<str>, Fault)> {
        let entry = self.entries.get_mut(&id)?;
        entry.phase = Phase::Idle;
        entry.runs += 1;
        let fault = result.err()?;
        entry.is_news(fault).then(|| (Arc::clone(&entry.name), fault))
    }

    /// How long to wait before looking again; `None` when no callback is worth it.
    fn left(&self, wanted: &[(u64, u64)], now: Instant) -> Option<Duration> {
        let left = wanted.iter().filter_map(|(id, runs)| {
            let entry = self.entries.get(id).filter(|entry| entry.runs == *runs)?;
            match entry.phase {
                Phase::Idle => None,
                Phase::Queued => Some(PATIENCE),
                Phase::Running(since) => {
                    let left = CALLBACK_LIMIT.saturating_sub(now.saturating_duration_since(since));
                    (!left.is_zero()).then_some(left)
                }
            }
        });
        left.min()
    }

    /// Marks those that have not returned. Returns the names of the ones that are late for the first time.
    fn judge(&mut self, wanted: &[(u64, u64)]) -> Vec<Arc<str>> {
        let mut late = Vec::new();
        for (id, runs) in wanted {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.is_late = entry.runs == *runs && entry.phase != Phase::Idle;
                if entry.is_late && entry.is_news(Fault::Late) {
                    late.push(Arc::clone(&entry.name));
                }
            }
        }
        late
    }

    fn has_late(&self) -> bool {
        self.entries.values().any(|entry| entry.is_late)
    }
}

impl Entry {
    fn is_news(&mut self, fault: Fault) -> bool {
        let is_news = !self.said.contains(&fault);
        if is_news {
            self.said.push(fault);
        }
        is_news
    }
}

/// Says once what is wrong with a callback.
fn say(instrument: Arc<str>, fault: Fault) {
    worker::log(move || match fault {
        Fault::Late => tracing::warn!(
            target: "ironcore_telemetry",
            instrument = &*instrument,
            "a callback of an observable instrument has not returned in time: its last values are served; \
             telemetry_degraded is 1 while that is so"
        ),
        Fault::Panicked => tracing::error!(
            target: "ironcore_telemetry",
            instrument = &*instrument,
            "a callback of an observable instrument panicked: its values are missing; further panics are counted in \
             telemetry_export_failures_total"
        ),
        Fault::TooMany => tracing::warn!(
            target: "ironcore_telemetry",
            instrument = &*instrument,
            most = MOST_VALUES,
            "a callback of an observable instrument gives too many values: further ones are left out"
        ),
    });
}

/// A callback of an instrument of any type.
trait Run: Send + Sync {
    /// Calls it and keeps its values, if it has given all.
    fn run(&self) -> Result<(), Fault>;
}

struct Observed<T> {
    callback: Callback<T>,
    /// The values of the last run that has ended.
    last: Mutex<Arc<Vec<Value<T>>>>,
}

type Value<T> = (T, Vec<KeyValue>);

impl<T: Copy + Send + Sync + 'static> Run for Observed<T> {
    fn run(&self) -> Result<(), Fault> {
        let recording = Recording(Mutex::default());
        let result = caught(|| (self.callback)(&recording)).ok_or(Fault::Panicked);
        let mut values = recording.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if result.is_err() {
            // Neither half a set, nor old values for ever.
            values.clear();
        }
        let has_too_many = values.len() > MOST_VALUES;
        values.truncate(MOST_VALUES);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(values);
        if has_too_many { Err(Fault::TooMany) } else { result }
    }
}

impl<T: Copy> Observed<T> {
    fn replay(&self, observer: &dyn AsyncInstrument<T>) {
        let last = Arc::clone(&self.last.lock().unwrap_or_else(PoisonError::into_inner));
        for (value, attributes) in last.iter() {
            observer.observe(*value, attributes);
        }
    }
}

/// Keeps what a callback observes.
struct Recording<T>(Mutex<Vec<Value<T>>>);

impl<T: Copy + Send + Sync> AsyncInstrument<T> for Recording<T> {
    fn observe(&self, value: T, attributes: &[KeyValue]) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() <= MOST_VALUES {
            values.push((value, attributes.to_vec()));
        }
    }
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Callbacks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Barrier, mpsc};

    /// Longer than anything here takes, even on a busy machine.
    const LONG: Duration = Duration::from_secs(120);

    /// Registers a callback; returns what the SDK would see.
    fn register<F: Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static>(
        callbacks: &Callbacks,
        callback: F,
    ) -> impl Fn() -> Vec<u64> + use<F> {
        let replay = callbacks.register("instrument".into(), Box::new(callback));
        move || {
            let recording = Recording(Mutex::default());
            replay(&recording);
            recording.0.into_inner().unwrap().into_iter().map(|(value, _)| value).collect()
        }
    }

    /// Collects until it has come so far.
    fn refresh_until(callbacks: &Arc<Callbacks>, is_there: impl Fn() -> bool) {
        let started = Instant::now();
        callbacks.refresh();
        while !is_there() {
            assert!(started.elapsed() < LONG, "it never comes");
            callbacks.refresh();
        }
    }

    #[test]
    fn slow_callbacks_run_side_by_side() {
        let callbacks = Callbacks::new();
        let barrier = Arc::new(Barrier::new(8));
        let seen: Vec<_> = (0..8)
            .map(|number| {
                let barrier = Arc::clone(&barrier);
                // Returns when all eight are inside.
                register(&callbacks, move |observer| {
                    barrier.wait();
                    observer.observe(number, &[]);
                })
            })
            .collect();
        refresh_until(&callbacks, || seen.iter().zip(0..).all(|(seen, number)| seen() == [number]));
        assert!(callbacks.lock().threads <= 8);
    }

    #[test]
    fn one_that_hangs_keeps_its_last_values_and_is_not_called_again_and_the_others_go_on() {
        let callbacks = Callbacks::new();
        let (resume, hanging) = mpsc::channel::<()>();
        let (hanging, hangs) = (Mutex::new(hanging), Arc::new(AtomicBool::new(false)));
        let calls = Arc::new(AtomicU64::new(0));
        let (counted, asked) = (Arc::clone(&calls), Arc::clone(&hangs));
        let hung = register(&callbacks, move |observer| {
            let call = counted.fetch_add(1, Ordering::Relaxed) + 1;
            observer.observe(call, &[]);
            if asked.load(Ordering::Relaxed) {
                let _ = hanging.lock().unwrap().recv();
            }
            observer.observe(100, &[]);
        });
        let sound_calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sound_calls);
        let sound = register(&callbacks, move |observer| {
            counted.fetch_add(1, Ordering::Relaxed);
            observer.observe(5, &[]);
        });
        refresh_until(&callbacks, || hung().len() == 2 && !callbacks.lock().is_degraded);
        let (before, sound_before) = (calls.load(Ordering::Relaxed), sound_calls.load(Ordering::Relaxed));
        let last = hung();
        hangs.store(true, Ordering::Relaxed);
        for _ in 0..20 {
            callbacks.refresh();
            assert_eq!(hung(), last, "half a set");
            assert!(callbacks.lock().is_degraded);
        }
        assert_eq!(calls.load(Ordering::Relaxed), before + 1);
        refresh_until(&callbacks, || sound_calls.load(Ordering::Relaxed) >= sound_before + 20);
        assert_eq!(sound(), [5]);
        assert!(callbacks.lock().threads <= 2);
        // It returns late, and its values count.
        hangs.store(false, Ordering::Relaxed);
        drop(resume);
        refresh_until(&callbacks, || hung() != last && !callbacks.lock().is_degraded);
        assert_eq!(hung()[1], 100);
    }

    #[test]
    fn one_that_panics_has_no_values_and_its_thread_goes_on() {
        struct Bomb;

        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("the payload panics too");
            }
        }

        let callbacks = Callbacks::new();
        let panics = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&panics);
        let faulty = register(&callbacks, move |observer| {
            observer.observe(1, &[]);
            if asked.load(Ordering::Relaxed) {
                panic_any(Bomb);
            }
        });
        let sound = register(&callbacks, |observer| observer.observe(5, &[]));
        refresh_until(&callbacks, || faulty() == [1] && sound() == [5]);
        panics.store(true, Ordering::Relaxed);
        refresh_until(&callbacks, || faulty().is_empty() && sound() == [5]);
        panics.store(false, Ordering::Relaxed);
        refresh_until(&callbacks, || faulty() == [1]);
    }

    #[test]
    fn one_may_collect_and_register_others() {
        let callbacks = Callbacks::new();
        let (inner, inside) = (Arc::clone(&callbacks), Arc::new(Mutex::new(Vec::new())));
        let registered = Arc::clone(&inside);
        let seen = register(&callbacks, move |observer| {
            inner.refresh();
            registered.lock().unwrap().push(register(&inner, |observer| observer.observe(7, &[])));
            observer.observe(1, &[]);
        });
        refresh_until(&callbacks, || seen() == [1] && inside.lock().unwrap().iter().any(|seen| seen() == [7]));
    }

    #[test]
    fn one_that_never_stops_observing_takes_a_bounded_memory() {
        let callbacks = Callbacks::new();
        let seen = register(&callbacks, |observer| {
            (0..2 * MOST_VALUES).for_each(|_| observer.observe(1, &[]));
        });
        refresh_until(&callbacks, || seen().len() == MOST_VALUES);
    }

    #[test]
    fn one_whose_instrument_is_gone_is_forgotten() {
        let callbacks = Callbacks::new();
        let seen = register(&callbacks, |observer| observer.observe(1, &[]));
        refresh_until(&callbacks, || seen() == [1]);
        drop(seen);
        refresh_until(&callbacks, || callbacks.lock().entries.is_empty());
    }
}
