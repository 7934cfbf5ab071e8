//! The bounded queue between the threads that end spans and the telemetry thread, which encodes and exports them.
//!
//! Items wait as they are in the [inbox](Inbox), whose lock is held for a few instructions only. The telemetry thread takes
//! them all at once, encodes each of them once, and groups them to batches. A batch belongs to the queue until the collector
//! has answered, so that at every quiet point `ended == exported + dropped + queued`.

mod notes;
mod outbox;

use super::account::{Account, Reason};
use super::answer::Answer;
use super::batch::Batch;
use super::spool::Spool;
use crate::caught::caught;
use crate::config::{self, Queue as Bounds, Signal};
use crate::report::Ledger;
use crate::series::Shard;
use bytes::Bytes;
use opentelemetry::InstrumentationScope;
use outbox::{AttemptId, Outbox, Settled};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many items, and how many bytes, are encoded before other tasks of the telemetry thread have their turn.
const TURN: usize = 1024;
const TURN_BYTES: usize = 1024 * 1024;
/// Items wait in chunks of this many, so that the inbox grows without a copy of what is there.
const CHUNK: usize = 64;
/// How long a shutdown tries to reach a collector that has never been there.
pub(crate) const NEVER_REACHED: Duration = Duration::from_millis(500);

/// What a queue takes.
pub(crate) trait Record: Send + 'static {
    /// About how many bytes of memory it takes.
    fn size(&self) -> usize;
    /// The scope that it belongs to.
    fn scope(&self) -> &InstrumentationScope;
    /// Appends it as a field of the message of its scope.
    fn encode(&self, to: &mut Vec<u8>);
}

/// What sends the requests of a queue.
pub(crate) trait Transport: Send + Sync + 'static {
    /// Sends a message, whose parts follow each other.
    fn send(&self, parts: Vec<Bytes>) -> impl Future<Output = Answer> + Send;
}

/// Items that wait for export.
pub(crate) struct Queue<R> {
    bounds: Bounds,
    inbox: Mutex<Inbox<R>>,
    outbox: Mutex<Outbox<R>>,
    account: Account,
    /// There may be something to do.
    work: Arc<Notify>,
    /// Items have left the queue.
    settled: Notify,
}

/// What has ended and is not encoded.
struct Inbox<R> {
    chunks: Vec<Vec<R>>,
    count: usize,
    /// When the first of them arrived.
    since: Option<Instant>,
    /// Their size.
    size: usize,
    /// With how many of them a batch is full.
    due_at: usize,
    /// The number and the bytes of all that the queue holds.
    held: usize,
    held_bytes: usize,
    /// New items are refused.
    closed: bool,
}

impl<R: Record> Queue<R> {
    /// A queue whose requests begin with the encoded resource.
    pub(crate) fn new(bounds: Bounds, signal: Signal, resource: Bytes, spool: Option<&config::Spool>) -> Arc<Self> {
        let bounds = Bounds { batch: bounds.batch.min(bounds.capacity), ..bounds };
        let work = Arc::new(Notify::new());
        let spool = spool.and_then(|settings| Spool::new(settings, signal, Arc::clone(&work)));
        let account = Account::new(signal.name(), spool.is_some());
        let chunks = Vec::with_capacity(bounds.capacity.div_ceil(CHUNK));
        let inbox = Inbox {
            chunks,
            count: 0,
            since: None,
            size: 0,
            due_at: bounds.batch,
            held: 0,
            held_bytes: 0,
            closed: false,
        };
        Arc::new(Self {
            outbox: Mutex::new(Outbox::new(bounds, signal, resource, spool)),
            bounds,
            inbox: Mutex::new(inbox),
            account,
            work,
            settled: Notify::new(),
        })
    }

    /// Puts its bounds on `/metrics`.
    pub(crate) fn announce(&self) {
        self.account.note_capacity(self.bounds.capacity, self.bounds.bytes);
    }

    /// Takes an item of this [size](Record::size) that has ended, or drops and counts it.
    #[inline]
    pub(crate) fn push(&self, item: R, size: usize) {
        let shard = Shard::here();
        self.account.ended(shard);
        let mut inbox = self.inbox();
        let refusal = if inbox.closed {
            Some(Reason::AfterShutdown)
        } else if inbox.held >= self.bounds.capacity {
            Some(Reason::QueueFull)
        } else if inbox.held_bytes + size > self.bounds.bytes {
            Some(Reason::QueueBytes)
        } else {
            None
        };
        if let Some(reason) = refusal {
            drop(inbox);
            return self.account.dropped(1, reason);
        }
        match inbox.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(item),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(item);
                inbox.chunks.push(chunk);
            }
        }
        inbox.count += 1;
        inbox.since.get_or_insert_with(Instant::now);
        let before = inbox.size;
        inbox.size += size;
        inbox.held += 1;
        inbox.held_bytes += size;
        let is_due =
            inbox.count == inbox.due_at || (before < self.bounds.batch_bytes && inbox.size >= self.bounds.batch_bytes);
        // Counted under the lock: the item must not leave before it has come.
        self.account.queued(shard, size);
        drop(inbox);
        if is_due {
            self.work.notify_one();
        }
    }

    /// Encodes and exports; never returns. Restarted after a panic, it goes on with what is there.
    pub(crate) async fn pump(self: Arc<Self>, transport: Arc<impl Transport>) {
        self.outbox().start_spool();
        loop {
            self.collect();
            loop {
                let Some((id, batch)) = self.outbox().next(Instant::now()) else {
                    break;
                };
                tokio::spawn(Arc::clone(&self).attempt(id, batch, Arc::clone(&transport)));
            }
            self.outbox().notes.say_losses(&self.account);
            if !self.has_full_batch() {
                let idle = self.outbox().idle_for(Instant::now());
                // Either is a reason to look again.
                let _ = tokio::time::timeout(idle, self.work.notified()).await;
            }
            // Waiting can be over at once, again and again.
            tokio::task::yield_now().await;
        }
    }

    async fn attempt(self: Arc<Self>, id: AttemptId, batch: Batch, transport: Arc<impl Transport>) {
        let mut attempt = Attempt { queue: &self, id, began: Instant::now(), answer: None };
        attempt.answer = Some(transport.send(batch.request()).await);
    }

    /// Whether what is not encoded fills a batch.
    fn has_full_batch(&self) -> bool {
        let taken = self.outbox().taken_count;
        let inbox = self.inbox();
        taken + inbox.count >= inbox.due_at
    }

    /// Encodes some of what has ended, and groups it to batches. Returns how many items it took.
    fn collect(&self) -> usize {
        let mut outbox = self.outbox();
        if outbox.taken_count == 0 {
            let room = Vec::with_capacity(self.bounds.capacity.div_ceil(CHUNK));
            let mut inbox = self.inbox();
            let chunks = std::mem::replace(&mut inbox.chunks, room);
            inbox.size = 0;
            outbox.taken_since = inbox.since.take();
            outbox.taken_count = std::mem::take(&mut inbox.count);
            drop(inbox);
            outbox.taken = chunks.into_iter().flatten();
        }
        let (mut sizes, mut lengths) = (0, 0);
        let mut lost = Settled::default();
        let mut encoded = Vec::with_capacity(1024);
        let mut collected = 0;
        while collected < TURN && lengths < TURN_BYTES {
            let Some(item) = outbox.take() else {
                break;
            };
            collected += 1;
            let size = item.size();
            encoded.clear();
            let dropped = if caught(|| item.encode(&mut encoded)).is_none() {
                Some(Reason::Internal)
            } else if encoded.len() > outbox.largest_item {
                Some(Reason::TooLarge)
            } else {
                None
            };
            if let Some(reason) = dropped {
                lost.items += 1;
                lost.bytes += size;
                self.account.dropped(1, reason);
                continue;
            }
            sizes += size;
            lengths += encoded.len();
            outbox.add(item.scope(), &encoded);
        }
        let mut inbox = self.inbox();
        inbox.held_bytes = (inbox.held_bytes + lengths).saturating_sub(sizes);
        inbox.due_at = outbox.missing_in_batch();
        drop(inbox);
        self.account.resized(sizes, lengths);
        self.account.left_unspooled(lost.items);
        self.leave(lost);
        // Until here: what is abandoned meanwhile must not be counted twice.
        drop(outbox);
        collected
    }

    /// Notes how an attempt has ended.
    fn settle(&self, id: AttemptId, began: Instant, answer: Answer) {
        if !matches!(answer, Answer::Accepted { .. }) {
            self.account.failed();
        }
        let mut outbox = self.outbox();
        let settled = outbox.settle(id, began, answer, &self.account);
        self.leave(settled);
        // As in `collect`.
        drop(outbox);
        self.work.notify_one();
    }

    /// Makes room for what has left.
    fn leave(&self, Settled { items, bytes }: Settled) {
        if items > 0 {
            let mut inbox = self.inbox();
            inbox.held = inbox.held.saturating_sub(items);
            inbox.held_bytes = inbox.held_bytes.saturating_sub(bytes);
            // Under the lock, as in `push`.
            self.account.left(items, bytes);
            drop(inbox);
        }
        self.settled.notify_waiters();
    }

    /// Waits until everything that has ended so far is delivered or dropped. On the telemetry thread.
    pub(crate) async fn flushed(&self) {
        let taken = self.outbox().taken_count;
        let mut left = taken + self.inbox().count;
        while left > 0 {
            // Not more: spans may end faster than they are encoded.
            left = left.saturating_sub(self.collect().max(1));
            tokio::task::yield_now().await;
        }
        let ticket = self.outbox().flush();
        self.work.notify_one();
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.outbox().has_settled(ticket) {
                return;
            }
            settled.await;
        }
    }

    /// Closes the queue, then waits as [`flushed`](Self::flushed), but not long for a collector that was never there.
    pub(crate) async fn drained(&self) {
        self.close();
        if tokio::time::timeout(NEVER_REACHED, self.flushed()).await.is_ok() {
            return;
        }
        while !self.outbox().was_never_reached() {
            if tokio::time::timeout(NEVER_REACHED, self.flushed()).await.is_ok() {
                return;
            }
        }
    }

    /// Refuses new items.
    pub(crate) fn close(&self) {
        self.inbox().closed = true;
    }

    /// Closes the queue, and drops what is left, but for what is in the spool: that stays queued, for the next process.
    pub(crate) fn abandon(&self) {
        let mut outbox = self.outbox();
        let cleared = outbox.clear();
        let mut inbox = self.inbox();
        inbox.closed = true;
        let left = Settled {
            items: inbox.held.saturating_sub(cleared.spooled.items),
            bytes: inbox.held_bytes.saturating_sub(cleared.spooled.bytes),
        };
        let chunks = std::mem::take(&mut inbox.chunks);
        inbox.count = 0;
        drop(inbox);
        self.account.dropped(left.items, Reason::Deadline);
        self.account.left_unspooled(left.items.saturating_sub(cleared.unspooled));
        self.leave(left);
        outbox.end_spool();
        drop(outbox);
        drop((chunks, cleared.taken));
    }

    /// What became of everything so far.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger { last_failure: self.outbox().notes.last_failure(), ..self.account.ledger() }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox<R>> {
        // Only an allocation can panic under the lock, and it leaves the state consistent.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locked before the inbox where both are.
    fn outbox(&self) -> MutexGuard<'_, Outbox<R>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt to send a batch. Dropped without an answer, because the transport panicked or its runtime has ended, it
/// returns the batch.
struct Attempt<'a, R: Record> {
    queue: &'a Queue<R>,
    id: AttemptId,
    began: Instant,
    answer: Option<Answer>,
}

impl<R: Record> Drop for Attempt<'_, R> {
    fn drop(&mut self) {
        let answer = self.answer.take().unwrap_or_else(|| Answer::broken("the attempt was broken off"));
        self.queue.settle(self.id, self.began, answer);
    }
}

#[cfg(test)]
mod tests;
