//! What became of the telemetry of the process.

use std::fmt;

/// What became of everything that was to be exported, since [`init`](crate::init): the result of
/// [`flush`](crate::TelemetryGuard::flush) and [`shutdown`](crate::TelemetryGuard::shutdown), and at any time of
/// [`ledger`](crate::TelemetryGuard::ledger).
///
/// It is no error: a service must not fail because of a span that was lost last week. Print it where it is not
/// [complete](Self::is_complete).
#[derive(Debug, Clone, Default)]
#[must_use = "print the report if it is not complete"]
pub struct Report {
    pub(crate) signals: Vec<Ledger>,
    /// Why the last metrics were not delivered over OTLP.
    pub(crate) metrics_failure: Option<String>,
}

/// What became of the items of one signal: `ended == exported + dropped + queued`, exactly, whenever nothing is being
/// recorded.
///
/// An item that was dropped while a request was on its way (reasons `deadline` and `expired`) may have arrived.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) signal: &'static str,
    pub(crate) ended: u64,
    pub(crate) exported: u64,
    pub(crate) queued: u64,
    /// What of the queued items is in the spool.
    pub(crate) spooled: u64,
    /// By reason; those that did not occur are absent.
    pub(crate) dropped: Vec<(&'static str, u64)>,
    pub(crate) last_failure: Option<String>,
}

impl Report {
    /// Whether all that ended so far was delivered: nothing was dropped, and nothing waits.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.metrics_failure.is_none() && self.signals.iter().all(Ledger::is_complete)
    }

    /// Whether nothing was lost, and nothing can be any more: what waits is in the spool, for the next process.
    pub(crate) fn is_safe(&self) -> bool {
        let is_safe = |ledger: &Ledger| ledger.queued == ledger.spooled && ledger.dropped_total() == 0;
        self.metrics_failure.is_none() && self.signals.iter().all(is_safe)
    }

    /// The ledger of a signal: `"traces"`. `None` when the signal is not exported.
    #[must_use]
    pub fn signal(&self, name: &str) -> Option<&Ledger> {
        self.signals.iter().find(|ledger| ledger.signal == name)
    }

    /// Why the last metrics could not be pushed over OTLP. The `/metrics` page is not affected.
    #[must_use]
    pub fn metrics_failure(&self) -> Option<&str> {
        self.metrics_failure.as_deref()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.signals.is_empty() && self.metrics_failure.is_none() {
            return formatter.write_str("no telemetry is exported");
        }
        for (at, ledger) in self.signals.iter().enumerate() {
            write!(formatter, "{}{ledger}", if at == 0 { "" } else { "; " })?;
        }
        if let Some(failure) = &self.metrics_failure {
            let separator = if self.signals.is_empty() { "" } else { "; " };
            write!(formatter, "{separator}metrics: the last push over OTLP was not delivered: {failure}")?;
        }
        Ok(())
    }
}

impl Ledger {
    /// `traces`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.signal
    }

    /// What ended: sampled spans.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.ended
    }

    /// What the collector has acknowledged.
    #[must_use]
    pub const fn exported(&self) -> u64 {
        self.exported
    }

    /// What waits, or is on its way.
    #[must_use]
    pub const fn queued(&self) -> u64 {
        self.queued
    }

    /// What of the [queued](Self::queued) items is in the spool: it survives a kill of the process, and what is left at its
    /// end is delivered by the next one. 0 without the feature `spool`.
    #[must_use]
    pub const fn spooled(&self) -> u64 {
        self.spooled
    }

    /// What was dropped for this reason: `queue_full`, `queue_bytes`, `too_large`, `rejected`, `refused`, `expired`,
    /// `deadline`, `after_shutdown` or `internal`. The README's table "What happens when" explains them.
    #[must_use]
    pub fn dropped(&self, reason: &str) -> u64 {
        self.dropped.iter().filter(|(name, _)| *name == reason).map(|(_, count)| count).sum()
    }

    /// What was dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }

    /// How the last export failed; `None` after one that succeeded.
    #[must_use]
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    fn is_complete(&self) -> bool {
        self.queued == 0 && self.dropped_total() == 0
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal, ended, exported, queued, spooled, .. } = self;
        write!(formatter, "{signal}: {ended} ended, {exported} exported")?;
        if *queued > 0 {
            write!(formatter, ", {queued} queued")?;
        }
        if *spooled > 0 {
            write!(formatter, " ({spooled} in the spool)")?;
        }
        if !self.dropped.is_empty() {
            write!(formatter, ", {} dropped (", self.dropped_total())?;
            for (at, (reason, count)) in self.dropped.iter().enumerate() {
                write!(formatter, "{}{reason} {count}", if at == 0 { "" } else { ", " })?;
            }
            formatter.write_str(")")?;
        }
        match &self.last_failure {
            Some(failure) if !self.is_complete() => write!(formatter, "; last failure: {failure}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(exported: u64, queued: u64, dropped: &[(&'static str, u64)]) -> Ledger {
        let dropped = dropped.to_vec();
        let ended = exported + queued + dropped.iter().map(|(_, count)| count).sum::<u64>();
        let last_failure = Some("connection refused".to_owned());
        Ledger { signal: "traces", ended, exported, queued, spooled: 0, dropped, last_failure }
    }

    fn report(ledger: Ledger) -> Report {
        Report { signals: vec![ledger], metrics_failure: None }
    }

    #[test]
    fn a_report_says_what_was_lost_and_why() {
        let report = report(ledger(900, 20, &[("queue_full", 70), ("refused", 10)]));
        let expected = "traces: 1000 ended, 900 exported, 20 queued, 80 dropped (queue_full 70, refused 10); last \
                        failure: connection refused";
        assert_eq!(report.to_string(), expected);
        assert!(!report.is_complete());
        let traces = report.signal("traces").unwrap();
        assert_eq!((traces.dropped("queue_full"), traces.dropped("expired"), traces.dropped_total()), (70, 0, 80));
        assert!(report.signal("logs").is_none());
    }

    #[test]
    fn a_report_without_a_loss_is_complete_and_names_no_failure() {
        let report = report(ledger(7, 0, &[]));
        assert_eq!(report.to_string(), "traces: 7 ended, 7 exported");
        assert!(report.is_complete());
    }

    #[test]
    fn what_waits_is_not_complete_and_safe_where_it_is_in_the_spool() {
        let waits = ledger(7, 2, &[]);
        let half = Ledger { spooled: 1, ..waits.clone() };
        let whole = Ledger { spooled: 2, ..waits.clone() };
        for (ledger, is_safe) in [(waits, false), (half, false), (whole.clone(), true)] {
            let report = report(ledger);
            assert!(!report.is_complete());
            assert_eq!(report.is_safe(), is_safe, "{report}");
        }
        let expected = "traces: 9 ended, 7 exported, 2 queued (2 in the spool); last failure: connection refused";
        assert_eq!(report(whole).to_string(), expected);
    }

    #[test]
    fn metrics_that_were_not_pushed_are_not_complete() {
        let report = Report { signals: vec![ledger(1, 0, &[])], metrics_failure: Some("HTTP status 404".to_owned()) };
        assert!(!report.is_complete());
        assert!(report.to_string().ends_with("; metrics: the last push over OTLP was not delivered: HTTP status 404"));
        assert_eq!(Report::default().to_string(), "no telemetry is exported");
    }
}
