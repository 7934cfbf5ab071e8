//! What is said of the state of the exports: once per outage, and of losses at most once a minute for each reason.

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
        Self { signal: signal.name(), last_failure: None, losses: Default::default() }
    }

    pub(super) fn last_failure(&self) -> Option<String> {
        self.last_failure.clone()
    }

    pub(super) fn failed(&mut self, error: &str) {
        let (signal, error) = (self.signal, error.to_owned());
        if self.last_failure.replace(error.clone()).is_none() {
            worker::log(move || {
                tracing::warn!(target: "ironcore_telemetry", signal, error, "telemetry cannot be delivered");
            });
        }
    }

    pub(super) fn succeeded(&mut self) {
        let signal = self.signal;
        if self.last_failure.take().is_some() {
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
