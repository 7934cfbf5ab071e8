//! The pause after a failed attempt: it doubles up to a limit, is jittered, and honours what the collector asks for.

use super::answer::{Cause, Failure};
use rand::Rng;
use std::time::{Duration, Instant};

/// The longest first pause; it doubles with each further failure.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause that the collector did not ask for. Short: one request in a second or two is no load, and a collector that
/// has returned is found before the queue is full.
const LONGEST: Duration = Duration::from_secs(2);
/// The longest pause that the collector can ask for.
pub(crate) const LONGEST_HINT: Duration = Duration::from_secs(30);

/// When the next attempt may start.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// How often attempts have failed since the last success.
    failures: u32,
    began: Option<Instant>,
    until: Option<Instant>,
    /// Until when the collector asked to wait.
    asked_until: Option<Instant>,
}

impl Pause {
    /// An attempt that began at `began` has failed now.
    pub(super) fn failed(&mut self, failure: &Failure, attempt_began: Instant, now: Instant) {
        // Attempts that ran side by side fail together: they are one failure.
        if self.began.is_none_or(|began| attempt_began >= began) {
            self.failures += 1;
        }
        let longest = FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(8)).min(LONGEST);
        let jittered = longest.mul_f64(rand::rng().random_range(0.5..=1.0));
        let hint = failure.retry_after.filter(|_| failure.cause == Cause::Busy).map(|hint| hint.min(LONGEST_HINT));
        // Spread over a little more than what was asked for, so that not all services come back at once.
        let asked = hint.map(|hint| hint + jittered.min(hint / 8));
        self.began = Some(now);
        self.asked_until = self.asked_until.max(asked.map(|asked| now + asked));
        self.until = self.asked_until.max(Some(now + jittered));
    }

    /// An attempt has succeeded. One that began before the pause says nothing about it.
    pub(super) fn succeeded(&mut self, attempt_began: Instant) {
        if self.began.is_none_or(|began| attempt_began >= began) {
            *self = Self::default();
        }
    }

    /// Ends a pause, but for what the collector asked for: somebody waits.
    pub(super) fn cut_short(&mut self) {
        self.failures = 0;
        self.until = self.asked_until;
    }

    /// How long the pause still takes; zero without one.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(cause: Cause, retry_after: Option<u64>) -> Failure {
        Failure { cause, text: String::new(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn pauses_grow_with_jitter_and_stay_short() {
        let now = Instant::now();
        let mut pauses = Vec::new();
        let mut pause = Pause::default();
        for _ in 0..200 {
            pause.failed(&failure(Cause::Unreachable, None), now, now);
            pause.began = None;
            pauses.push(pause.left(now));
        }
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2, "{:?}", pauses[0]);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        let last = &pauses[100..];
        assert!(last.iter().all(|pause| *pause >= LONGEST / 2));
        assert!(last.iter().max() > last.iter().min(), "no jitter");
    }

    #[test]
    fn what_the_collector_asks_for_is_kept_up_to_a_limit() {
        let now = Instant::now();
        for (asked, least) in [(0, 0), (3, 3), (29, 29), (1 << 40, 30)] {
            let mut pause = Pause::default();
            pause.failed(&failure(Cause::Busy, Some(asked)), now, now);
            let left = pause.left(now);
            assert!(left >= Duration::from_secs(least) && left <= Duration::from_secs(35), "{asked}: {left:?}");
            pause.cut_short();
            assert_eq!(pause.left(now) >= Duration::from_secs(1), asked > 0, "{asked}");
        }
    }

    #[test]
    fn what_the_collector_asked_for_outlives_answers_to_attempts_that_began_before() {
        let (before, now) = (Instant::now(), Instant::now() + Duration::from_millis(5));
        let mut pause = Pause::default();
        pause.failed(&failure(Cause::Busy, Some(20)), before, now);
        let asked = pause.left(now);
        pause.succeeded(before);
        assert_eq!(pause.left(now), asked);
        pause.failed(&failure(Cause::Broken, None), before, now);
        pause.cut_short();
        assert_eq!(pause.left(now), asked);
        pause.succeeded(now);
        assert_eq!(pause.left(now), Duration::ZERO);
    }

    #[test]
    fn attempts_that_fail_together_count_once() {
        let before = Instant::now();
        let mut pause = Pause::default();
        for _ in 0..16 {
            pause.failed(&failure(Cause::Broken, None), before, before + Duration::from_millis(1));
        }
        assert_eq!(pause.failures, 1);
        pause.cut_short();
        assert_eq!(pause.left(before), Duration::ZERO);
    }
}
