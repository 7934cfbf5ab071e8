//! The spool: what waits for export, also on disk, so that it survives the process.
//!
//! A batch is appended when it is cut, and marked when it has left the queue; what a process leaves unmarked, the next one
//! delivers. A thread of its own does all of it: neither a caller nor the telemetry thread waits for a disk. Each process
//! has a folder of its own below the configured one, held by a lock that ends with the process, and takes over the folders
//! that nobody holds. In it are [segments](segment) of records with checksums; a segment whose records have all left is
//! deleted, which needs no space. A record is in the page cache when it counts as written, which a killed process does not
//! take with it, and on the disk within [half a second](writer).
//!
//! No crate gives this, which acknowledges out of order, survives a kill and is bounded: `okaywal` 0.3 asks not to be used in
//! production, `yaque` 0.6 is a queue that keeps its place when it is dropped, `disk-queue` 0.1 takes 4 KiB at most, and
//! `commitlog` 0.2 knows no acknowledgements.

mod disk;
mod folder;
mod segment;
mod writer;

use super::batch::Batch;
use crate::caught::caught;
use crate::config::{self, Signal};
use crate::names;
use crate::series::{self, Gauge};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use writer::Writer;

/// The most bytes of requests of earlier processes that are in memory at the same time, unless one alone is larger.
const RECOVERED_BYTES: usize = 16 << 20;
/// How long the end of a process waits for the disk, each for what is being written and for what has left.
const END_LIMIT: Duration = Duration::from_millis(50);

/// The batches of one signal, on disk.
pub(super) struct Spool {
    shared: Arc<Shared>,
    /// Until it is started.
    writer: Option<Writer>,
}

/// A batch's place in the spool. The batch leaves it when the last of its parts is dropped.
pub(super) struct Place {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
}

/// One request. Its flags change under the lock of the state.
struct Entry {
    id: u64,
    /// How many items are at risk as long as it is not written; none of an earlier process.
    items: usize,
    /// The parts of the message, which share their memory with the batch; none of an earlier process.
    request: Vec<Bytes>,
    length: usize,
    is_written: AtomicBool,
    has_left: AtomicBool,
}

/// What the telemetry thread and the spool's share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// What is queued and not written.
    at_risk: Gauge,
    /// Wakes the telemetry thread.
    work: Arc<Notify>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// What is to be written.
    pending: VecDeque<Arc<Entry>>,
    /// Whether that has to wait for space, or for the disk to work again.
    is_stuck: bool,
    /// What was written and has left.
    left: Vec<Arc<Entry>>,
    /// What earlier processes have left.
    recovered: VecDeque<Batch>,
    /// The bytes of these, and of those that are being delivered.
    recovered_bytes: usize,
    /// Nothing more is written or marked but what has left already.
    is_closed: bool,
    has_ended: bool,
}

impl Spool {
    /// A spool that does nothing until it is [started](Self::start). `work` is notified when there is something to deliver.
    #[expect(clippy::unnecessary_wraps, reason = "there is none without the feature")]
    pub(super) fn new(settings: &config::Spool, signal: Signal, work: Arc<Notify>) -> Option<Self> {
        let at_risk = series::gauge(&names::TELEMETRY_AT_RISK, &[signal.name()]);
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), at_risk, work });
        let writer = Writer::new(Arc::clone(&shared), settings, signal);
        Some(Self { shared, writer: Some(writer) })
    }

    /// Starts the thread; once.
    pub(super) fn start(&mut self) {
        let Some(mut writer) = self.writer.take() else {
            return;
        };
        let body = move || {
            // A fault of ours costs its folder for this process, not the spool.
            while caught(|| writer.run()).is_none() {
                writer.reset();
            }
        };
        // Where no thread can be started, everything stays at risk, and counts as that.
        let _ = std::thread::Builder::new().name("ironcore-telemetry-spool".to_owned()).spawn(body);
    }

    /// Takes a request that is to be delivered, with the number of its items.
    pub(super) fn append(&self, request: Vec<Bytes>, items: usize) -> Arc<Place> {
        let length = request.iter().map(Bytes::len).sum();
        let mut state = self.shared.state();
        let entry = Entry {
            id: state.next_id(),
            items,
            request,
            length,
            is_written: AtomicBool::new(false),
            has_left: AtomicBool::new(false),
        };
        let entry = Arc::new(entry);
        state.pending.push_back(Arc::clone(&entry));
        drop(state);
        self.shared.changed.notify_all();
        Arc::new(Place { shared: Arc::clone(&self.shared), entry })
    }

    /// The next batch that an earlier process has left, if one is in memory.
    pub(super) fn next_recovered(&self) -> Option<Batch> {
        self.shared.state().recovered.pop_front()
    }

    /// Whether one is.
    pub(super) fn has_recovered(&self) -> bool {
        !self.shared.state().recovered.is_empty()
    }

    /// Waits a moment for what is being written. From then on it is frozen: what is written stays, for the next process,
    /// and nothing else comes.
    pub(super) fn close(&self) {
        let is_busy = |state: &mut State| !state.pending.is_empty() && !state.is_stuck && !state.has_ended;
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), END_LIMIT, is_busy);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        state.pending.clear();
        let recovered = std::mem::take(&mut state.recovered);
        drop(state);
        self.shared.changed.notify_all();
        // Without the lock, which their places take.
        drop(recovered);
    }

    /// Waits a moment until what has left is marked.
    pub(super) fn end(self) {
        self.close();
        if self.writer.is_none() {
            let is_running = |state: &mut State| !state.has_ended;
            drop(self.shared.changed.wait_timeout_while(self.shared.state(), END_LIMIT, is_running));
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Place {
    /// Whether the batch survives the process.
    pub(super) fn is_written(&self) -> bool {
        self.entry.is_written.load(Ordering::Relaxed)
    }

    /// Gives the place up: the batch is delivered, or dropped.
    pub(super) fn leave(&self) {
        let entry = &self.entry;
        let mut state = self.shared.state();
        if entry.has_left.swap(true, Ordering::Relaxed) {
            return;
        }
        if entry.is_recovered() {
            state.recovered_bytes = state.recovered_bytes.saturating_sub(entry.length);
        }
        if !entry.is_written.load(Ordering::Relaxed) {
            self.shared.add_at_risk(entry, -1);
            state.pending.retain(|pending| !Arc::ptr_eq(pending, entry));
        } else if !state.is_closed {
            state.left.push(Arc::clone(entry));
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Entry {
    /// The entry of a request that an earlier process has written.
    const fn recovered(id: u64, length: usize) -> Self {
        let (is_written, has_left) = (AtomicBool::new(true), AtomicBool::new(false));
        Self { id, items: 0, request: Vec::new(), length, is_written, has_left }
    }

    const fn is_recovered(&self) -> bool {
        self.request.is_empty()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Only an allocation can panic under the lock, and it leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_at_risk(&self, entry: &Entry, sign: i64) {
        self.at_risk.add(sign * i64::try_from(entry.items).unwrap_or(i64::MAX));
    }

    /// An entry was written. Returns whether it has left meanwhile, and is to be marked.
    fn written(&self, entry: &Arc<Entry>) -> bool {
        let mut state = self.state();
        let has_left = entry.has_left.load(Ordering::Relaxed);
        // What is closed was counted as it was then.
        if !has_left && !state.is_closed {
            state.pending.retain(|pending| !Arc::ptr_eq(pending, entry));
            entry.is_written.store(true, Ordering::Relaxed);
            self.add_at_risk(entry, -1);
        }
        drop(state);
        self.changed.notify_all();
        has_left
    }

    /// An entry can never be written. It stays at risk.
    fn refused(&self, entry: &Arc<Entry>) {
        self.state().pending.retain(|pending| !Arc::ptr_eq(pending, entry));
        self.changed.notify_all();
    }

    /// What was written is gone, and is to be written again.
    fn unwritten(&self, entries: Vec<Arc<Entry>>) {
        let mut state = self.state();
        for entry in entries.into_iter().filter(|entry| !entry.is_recovered()) {
            if !entry.has_left.load(Ordering::Relaxed) && entry.is_written.swap(false, Ordering::Relaxed) {
                self.add_at_risk(&entry, 1);
                state.pending.push_back(entry);
            }
        }
    }

    /// A request that an earlier process has left. Returns its entry.
    fn recovered(self: &Arc<Self>, request: &Bytes) -> Arc<Entry> {
        let mut state = self.state();
        let entry = Arc::new(Entry::recovered(state.next_id(), request.len()));
        state.recovered_bytes += request.len();
        drop(state);
        let place = Arc::new(Place { shared: Arc::clone(self), entry: Arc::clone(&entry) });
        // Bytes that are no request leave here.
        if let Some(batch) = Batch::recovered(request, place) {
            self.state().recovered.push_back(batch);
            self.work.notify_one();
        }
        entry
    }
}

impl State {
    const fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

#[cfg(test)]
mod tests;
