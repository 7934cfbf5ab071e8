//! The part of the queue that belongs to the telemetry thread: encoded items, as batches that wait and that are on their
//! way.

use super::super::account::{Account, Reason, Recovery};
use super::super::answer::{Answer, Cause};
use super::super::batch::{Batch, Open};
use super::super::pause::Pause;
use super::super::spool::Spool;
use super::notes::Notes;
use crate::config::{Queue as Bounds, Signal};
use bytes::Bytes;
use opentelemetry::InstrumentationScope;
use std::collections::VecDeque;
use std::iter::Flatten;
use std::time::{Duration, Instant};
use std::vec;

/// A batch that reached the collector and could not be delivered for this long is dropped, so that one that always fails
/// does not occupy the others' place.
const MAX_AGE: Duration = Duration::from_secs(600);
/// A request of this size that is too large is not split further.
const LEAST_BYTES: usize = 16 * 1024;
/// Room for what frames the items in a request, besides the heads of the resource and the scopes.
const FRAME: usize = 1024;
/// After a request was too large, each one that is taken lets the next ones be larger by this part.
const REGROWTH: usize = 64;

/// Each attempt to send a batch has its own.
pub(super) type AttemptId = u64;

/// Items that have left the queue.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Settled {
    pub(super) items: usize,
    /// As they were counted.
    pub(super) bytes: usize,
}

impl Settled {
    fn all(batch: &Batch) -> Self {
        Self { items: batch.count(), bytes: batch.len() }
    }

    fn add(&mut self, other: Self) {
        self.items += other.items;
        self.bytes += other.bytes;
    }
}

/// What the outbox held when it was [cleared](Outbox::clear).
pub(super) struct Cleared<R> {
    /// What was not encoded, to be dropped without a lock.
    pub(super) taken: Flatten<vec::IntoIter<Vec<R>>>,
    /// What is in the spool, also of earlier calls.
    pub(super) spooled: Settled,
    /// How many items had a place in the spool, and were not written.
    pub(super) unspooled: usize,
}

pub(super) struct Outbox<R> {
    bounds: Bounds,
    /// The encoded resource, the head of each request.
    resource: Bytes,
    spool: Option<Spool>,
    /// Whether the last batch was of an earlier process: those and new ones take turns.
    was_recovered: bool,
    /// What the spool keeps for the next process.
    kept: Settled,
    /// Items that were taken out of the inbox and are not encoded.
    pub(super) taken: Flatten<vec::IntoIter<Vec<R>>>,
    pub(super) taken_count: usize,
    /// When the first of them arrived.
    pub(super) taken_since: Option<Instant>,
    open: Open,
    ready: VecDeque<Batch>,
    in_flight: Vec<(AttemptId, Batch)>,
    /// The id of the open batch.
    next_id: u64,
    attempts: AttemptId,
    /// The most bytes of one item.
    pub(super) largest_item: usize,
    /// The most bytes of a batch: fewer while the collector takes fewer.
    most_bytes: usize,
    /// How many requests may be on their way: one after a failure, more with each success while batches wait.
    window: usize,
    pause: Pause,
    /// Whether a collector has ever answered.
    was_reached: bool,
    pub(super) notes: Notes,
}

impl<R> Outbox<R> {
    pub(super) fn new(bounds: Bounds, signal: Signal, resource: Bytes, spool: Option<Spool>) -> Self {
        let most_bytes = bounds.batch_bytes.saturating_sub(resource.len() + FRAME).max(LEAST_BYTES);
        Self {
            bounds,
            resource,
            spool,
            was_recovered: false,
            kept: Settled::default(),
            taken: Vec::new().into_iter().flatten(),
            taken_count: 0,
            taken_since: None,
            open: Open::default(),
            ready: VecDeque::new(),
            in_flight: Vec::new(),
            next_id: 1,
            attempts: 0,
            largest_item: most_bytes,
            most_bytes,
            window: 1,
            pause: Pause::default(),
            was_reached: false,
            notes: Notes::new(signal),
        }
    }

    /// How many more items fill the open batch.
    pub(super) fn missing_in_batch(&self) -> usize {
        self.bounds.batch.saturating_sub(self.open.count()).max(1)
    }

    /// The next item that is to be encoded.
    pub(super) fn take(&mut self) -> Option<R> {
        let item = self.taken.next()?;
        self.taken_count -= 1;
        Some(item)
    }

    /// Adds an encoded item.
    pub(super) fn add(&mut self, scope: &InstrumentationScope, item: &[u8]) {
        if !self.open.fits(scope, item.len(), (self.bounds.batch, self.most_bytes)) {
            self.cut();
        }
        self.open.push(scope, item, self.taken_since, self.spool.is_some().then_some(self.next_id));
        if self.open.count() >= self.bounds.batch {
            self.cut();
        }
    }

    /// Ends the open batch.
    fn cut(&mut self) {
        if self.open.count() > 0 {
            let mut batch = self.open.cut(self.next_id, &self.resource);
            batch.place = self.spool.as_ref().map(|spool| spool.append(batch.request(), batch.count()));
            self.ready.push_back(batch);
            self.next_id += 1;
        }
    }

    /// The batch that is to be sent now: a full one, else the open one if it is due.
    pub(super) fn next(&mut self, now: Instant) -> Option<(AttemptId, Batch)> {
        let is_due = self.due_in(now).is_some_and(|left| left.is_zero());
        // While others wait it may grow, but what is not cut is not in the spool.
        if is_due && self.spool.is_some() {
            self.cut();
        }
        if self.in_flight.len() >= self.window || !self.pause.left(now).is_zero() {
            return None;
        }
        if is_due && self.ready.is_empty() {
            self.cut();
        }
        let batch = self.next_recovered().or_else(|| self.ready.pop_front())?;
        self.was_recovered = batch.is_recovered();
        self.attempts += 1;
        self.in_flight.push((self.attempts, batch.clone()));
        Some((self.attempts, batch))
    }

    /// A batch that an earlier process has left, when its turn is.
    fn next_recovered(&self) -> Option<Batch> {
        if self.was_recovered && !self.ready.is_empty() {
            return None;
        }
        self.spool.as_ref()?.next_recovered()
    }

    /// The time until the open batch is due; `None` when it is empty.
    fn due_in(&self, now: Instant) -> Option<Duration> {
        let since = self.open.since()?;
        Some(self.bounds.delay.saturating_sub(now.saturating_duration_since(since)))
    }

    /// For how long there is nothing to do unless something happens. What arrives is looked for once a delay.
    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        let may_send = self.in_flight.len() < self.window;
        let waits = if self.ready.is_empty() { self.due_in(now) } else { Some(Duration::ZERO) };
        match waits.filter(|_| may_send) {
            Some(due) => due.max(self.pause.left(now)).min(self.bounds.delay),
            None => self.bounds.delay,
        }
    }

    /// Makes everything due, also after a failure that the collector did not ask to wait for. Returns the id below which
    /// everything is meant.
    pub(super) fn flush(&mut self) -> u64 {
        self.cut();
        self.pause.cut_short();
        self.next_id
    }

    /// Whether no batch below this id is left.
    pub(super) fn has_settled(&self, ticket: u64) -> bool {
        let in_flight = self.in_flight.iter().map(|(_, batch)| batch);
        self.ready.iter().chain(in_flight).all(|batch| batch.id >= ticket)
    }

    /// Whether no attempt ever came to a collector, the last one has failed, and none is on its way.
    pub(super) fn was_never_reached(&self) -> bool {
        !self.was_reached && self.in_flight.is_empty() && self.notes.has_failed()
    }

    /// Notes the answer to a batch. Returns what has left the queue.
    pub(super) fn settle(&mut self, id: AttemptId, began: Instant, answer: Answer, account: &Account) -> Settled {
        let Some(at) = self.in_flight.iter().position(|(attempt, _)| *attempt == id) else {
            // Abandoned meanwhile, and counted then.
            return Settled::default();
        };
        let (_, batch) = self.in_flight.swap_remove(at);
        match answer {
            Answer::Accepted { rejected, message } => {
                self.succeeded(began);
                let settled = Settled::all(&batch);
                let rejected = usize::try_from(rejected).unwrap_or(usize::MAX).min(settled.items);
                if batch.is_recovered() {
                    account.recovered(settled.items - rejected, Recovery::Exported);
                    account.recovered(rejected, Recovery::Dropped);
                    return Settled::default();
                }
                account.exported(settled.items - rejected);
                account.dropped(rejected, Reason::Rejected);
                if let Some(message) = message.filter(|_| rejected > 0) {
                    self.notes.because(Reason::Rejected, message);
                }
                settled
            }
            Answer::TooLarge(text) => self.too_large(&batch, text, account),
            Answer::Refused(text) => {
                self.was_reached = true;
                self.notes.refused(&text);
                self.notes.because(Reason::Refused, text);
                lost(&batch, Reason::Refused, account)
            }
            Answer::Failed(failure) => {
                let now = Instant::now();
                self.window = 1;
                self.pause.failed(&failure, began, now);
                self.was_reached |= failure.cause != Cause::Unreachable;
                let settled = self.again(batch, failure.cause, now, account);
                self.notes.failed(&failure.text);
                settled
            }
        }
    }

    fn succeeded(&mut self, began: Instant) {
        self.was_reached = true;
        self.pause.succeeded(began);
        self.notes.succeeded();
        self.most_bytes = (self.most_bytes + self.most_bytes / REGROWTH).min(self.largest_item);
        if !self.ready.is_empty() || self.spool.as_ref().is_some_and(Spool::has_recovered) {
            self.window = (self.window * 2).min(self.bounds.concurrency);
        }
    }

    /// Splits a batch that the collector cannot take as a whole; the next ones are smaller too.
    fn too_large(&mut self, batch: &Batch, text: String, account: &Account) -> Settled {
        self.was_reached = true;
        let bytes = batch.len();
        let halves = if bytes > LEAST_BYTES { batch.clone().split() } else { None };
        if let Some((first, second)) = halves {
            self.most_bytes = self.most_bytes.min(bytes / 2).max(LEAST_BYTES);
            self.ready.push_front(second);
            self.ready.push_front(first);
            Settled::default()
        } else {
            self.notes.because(Reason::TooLarge, text);
            lost(batch, Reason::TooLarge, account)
        }
    }

    /// Keeps a batch for another attempt.
    fn again(&mut self, batch: Batch, cause: Cause, now: Instant, account: &Account) -> Settled {
        match cause {
            Cause::Unreachable => {
                let mut batch = batch;
                batch.failing_since = None;
                self.ready.push_front(batch);
            }
            // The batch may be what the connection breaks of: the others go first.
            Cause::Broken | Cause::Busy => {
                let mut batch = batch;
                let since = *batch.failing_since.get_or_insert(now);
                if now.saturating_duration_since(since) >= MAX_AGE {
                    return lost(&batch, Reason::Expired, account);
                }
                self.ready.push_back(batch);
            }
        }
        Settled::default()
    }

    /// Drops everything, but for what is in the spool, which keeps it for the next process.
    pub(super) fn clear(&mut self) -> Cleared<R> {
        self.cut();
        if let Some(spool) = &self.spool {
            spool.close();
        }
        let mut unspooled = 0;
        for batch in self.ready.drain(..).chain(self.in_flight.drain(..).map(|(_, batch)| batch)) {
            let Some(place) = batch.place.as_ref().filter(|_| !batch.is_recovered()) else {
                continue;
            };
            if place.is_written() {
                self.kept.add(Settled::all(&batch));
            } else {
                unspooled += batch.count();
            }
            place.leave();
        }
        let taken = std::mem::replace(&mut self.taken, Vec::new().into_iter().flatten());
        self.taken_count = 0;
        Cleared { taken, spooled: self.kept, unspooled }
    }

    /// Begins to deliver what earlier processes have left, and to keep what this one has.
    pub(super) fn start_spool(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.start();
        }
    }

    /// Waits until the spool knows what has left, so that the next process does not deliver it once more.
    pub(super) fn end_spool(&mut self) {
        if let Some(spool) = self.spool.take() {
            spool.end();
        }
    }
}

/// Counts the items of a batch that is dropped.
fn lost(batch: &Batch, reason: Reason, account: &Account) -> Settled {
    if batch.is_recovered() {
        account.recovered(batch.count(), Recovery::Dropped);
        return Settled::default();
    }
    let settled = Settled::all(batch);
    account.dropped(settled.items, reason);
    settled
}
