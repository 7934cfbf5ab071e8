//! What is said of the state of the exports: of outages, and of losses for each reason, at most once a minute.

use super::super::account::{Account, Reason};
use crate::config::Signal;
use crate::worker;
use std::time::{Duration, Instant};

/// The shortest time between two lines on the same reason.
const BETWEEN: Duration = Duration::from_secs(60);

pub(super) struct Notes {
    signal: &'static str,
    /// Why the last attempt failed; `None` after one that succeeded.
    last_failure: Option<String>,
    /// When an outage was last said to have begun, and whether its end is to be said.
    outage: Option<(Instant, bool)>,
    losses: [Loss; Reason::ALL.len()],
}

/// What was said of one reason.
#[derive(Default)]
struct Loss {
    said: Option<(u64, Instant)>,
    /// What the collector said.
    because: Option<String>,
}

impl Notes {
    pub(super) fn new(signal: Signal) -> Self {
        Self { signal: signal.name(), last_failure: None, outage: None, losses: Default::default() }
    }

    pub(super) fn last_failure(&self) -> Option<String> {
        self.last_failure.clone()
    }

    pub(super) const fn has_failed(&self) -> bool {
        self.last_failure.is_some()
    }

    /// An attempt has failed that is repeated.
    pub(super) fn failed(&mut self, error: &str) {
        let (signal, error) = (self.signal, error.to_owned());
        let is_first = self.last_failure.replace(error.clone()).is_none();
        if is_first && self.outage.is_none_or(|(said, _)| said.elapsed() >= BETWEEN) {
            self.outage = Some((Instant::now(), true));
            worker::log(move || {
                tracing::warn!(target: "ironcore_telemetry", signal, error, "telemetry cannot be delivered");
            });
        }
    }

    /// The collector has refused a request: the loss is said.
    pub(super) fn refused(&mut self, error: &str) {
        self.last_failure = Some(error.to_owned());
    }

    pub(super) fn succeeded(&mut self) {
        self.last_failure = None;
        let signal = self.signal;
        if let Some((_, is_open @ true)) = &mut self.outage {
            *is_open = false;
            worker::log(move || tracing::info!(target: "ironcore_telemetry", signal, "telemetry is delivered again"));
        }
    }

    /// Why the collector did not take items.
    pub(super) fn because(&mut self, reason: Reason, text: String) {
        if let Some(loss) = self.losses.get_mut(reason as usize) {
            loss.because = Some(text);
        }
    }

    /// Says what was lost and is not said.
    pub(super) fn say_losses(&mut self, account: &Account) {
        for (reason, loss) in Reason::ALL.into_iter().zip(&mut self.losses) {
            let total = account.lost(reason);
            let is_news = match loss.said {
                None => total > 0,
                Some((said, at)) => total > said && at.elapsed() >= BETWEEN,
            };
            if is_news {
                loss.said = Some((total, Instant::now()));
                let (signal, reason, error) = (self.signal, reason.name(), loss.because.take());
                worker::log(move || {
                    tracing::error!(
                        target: "ironcore_telemetry",
                        signal, reason, error, dropped = total,
                        "telemetry was dropped: see telemetry_dropped_total"
                    );
                });
            }
        }
    }
}
