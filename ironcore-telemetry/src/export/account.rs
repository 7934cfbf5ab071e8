//! What became of the items of a signal, as counters: at every quiet point
//! `ended == exported + dropped + queued`.

use crate::names;
use crate::report::Ledger;
use crate::series::{self, Counter, Gauge, Shard};

/// Why an item was dropped: the values of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The queue held its most items.
    QueueFull,
    /// The queue held its most bytes.
    QueueBytes,
    /// The item alone is larger than a request may be.
    TooLarge,
    /// The collector took the request without it.
    Rejected,
    /// The collector refused the request.
    Refused,
    /// No attempt succeeded for too long.
    Expired,
    /// The time of the shutdown was up.
    Deadline,
    /// It ended after the shutdown.
    AfterShutdown,
    /// It could not be encoded.
    Internal,
}

impl Reason {
    pub(crate) const ALL: [Self; 9] = [
        Self::QueueFull,
        Self::QueueBytes,
        Self::TooLarge,
        Self::Rejected,
        Self::Refused,
        Self::Expired,
        Self::Deadline,
        Self::AfterShutdown,
        Self::Internal,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueBytes => "queue_bytes",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Deadline => "deadline",
            Self::AfterShutdown => "after_shutdown",
            Self::Internal => "internal",
        }
    }
}

/// What became of items that an earlier process has left in the spool: the values of the label `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    Exported,
    Dropped,
}

impl Recovery {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Dropped => "dropped",
        }
    }
}

/// The counters of one signal.
pub(super) struct Account {
    signal: &'static str,
    ended: Counter,
    exported: Counter,
    queued: Gauge,
    queued_bytes: Gauge,
    /// With a spool: what is queued and not written to it.
    at_risk: Option<Gauge>,
    recovered: Option<[Counter; 2]>,
    failures: Counter,
    dropped: [Counter; Reason::ALL.len()],
}

impl Account {
    pub(super) fn new(signal: &'static str, is_spooled: bool) -> Self {
        let recovered = |result: Recovery| series::counter(&names::TELEMETRY_RECOVERED, &[signal, result.name()]);
        Self {
            signal,
            ended: series::counter(&names::TELEMETRY_ENDED, &[signal]),
            exported: series::counter(&names::TELEMETRY_EXPORTED, &[signal]),
            queued: series::gauge(&names::TELEMETRY_QUEUED, &[signal]),
            queued_bytes: series::gauge(&names::TELEMETRY_QUEUED_BYTES, &[signal]),
            at_risk: is_spooled.then(|| series::gauge(&names::TELEMETRY_AT_RISK, &[signal])),
            recovered: is_spooled.then(|| [Recovery::Exported, Recovery::Dropped].map(recovered)),
            failures: series::counter(&names::TELEMETRY_EXPORT_FAILURES, &[signal]),
            dropped: Reason::ALL.map(|reason| series::counter(&names::TELEMETRY_DROPPED, &[signal, reason.name()])),
        }
    }

    /// The bounds of the queue, beside what it holds.
    pub(super) fn note_capacity(&self, items: usize, bytes: usize) {
        series::gauge(&names::TELEMETRY_QUEUE_CAPACITY, &[self.signal]).add(signed(items));
        series::gauge(&names::TELEMETRY_QUEUE_CAPACITY_BYTES, &[self.signal]).add(signed(bytes));
    }

    #[inline]
    pub(super) fn ended(&self, shard: Shard) {
        self.ended.add_at(shard, 1);
    }

    /// One item is in the queue.
    #[inline]
    pub(super) fn queued(&self, shard: Shard, bytes: usize) {
        self.queued.add_at(shard, 1);
        self.queued_bytes.add_at(shard, signed(bytes));
        if let Some(at_risk) = self.at_risk {
            at_risk.add_at(shard, 1);
        }
    }

    /// Items have left the queue that never had a place in the spool.
    pub(super) fn left_unspooled(&self, items: usize) {
        if let Some(at_risk) = self.at_risk {
            at_risk.add(-signed(items));
        }
    }

    /// What became of items of an earlier process. They are not of this one's ledger.
    pub(super) fn recovered(&self, items: usize, result: Recovery) {
        if let Some(counter) = self.recovered.as_ref().and_then(|counters| counters.get(result as usize)) {
            counter.add(unsigned(items));
        }
    }

    /// What the queue holds takes these bytes, and not those that were counted.
    pub(super) fn resized(&self, before: usize, now: usize) {
        self.queued_bytes.add(signed(now) - signed(before));
    }

    pub(super) fn exported(&self, items: usize) {
        self.exported.add(unsigned(items));
    }

    pub(super) fn dropped(&self, items: usize, reason: Reason) {
        if let Some(counter) = self.dropped.get(reason as usize) {
            counter.add(unsigned(items));
        }
    }

    /// What was dropped for this reason so far.
    pub(super) fn lost(&self, reason: Reason) -> u64 {
        self.dropped.get(reason as usize).map_or(0, |counter| counter.value())
    }

    /// Items have left the queue; where to is counted beside.
    pub(super) fn left(&self, items: usize, bytes: usize) {
        self.queued.add(-signed(items));
        self.queued_bytes.add(-signed(bytes));
    }

    pub(super) fn failed(&self) {
        self.failures.add(1);
    }

    /// The counts as they stand now.
    pub(super) fn ledger(&self) -> Ledger {
        let dropped = Reason::ALL.iter().zip(&self.dropped).map(|(reason, counter)| (reason.name(), counter.value()));
        let queued = u64::try_from(self.queued.value()).unwrap_or(0);
        let at_risk = self.at_risk.map_or(queued, |at_risk| u64::try_from(at_risk.value()).unwrap_or(0));
        Ledger {
            signal: self.signal,
            ended: self.ended.value(),
            exported: self.exported.value(),
            queued,
            spooled: queued.saturating_sub(at_risk),
            dropped: dropped.filter(|(_, count)| *count > 0).collect(),
            last_failure: None,
        }
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
