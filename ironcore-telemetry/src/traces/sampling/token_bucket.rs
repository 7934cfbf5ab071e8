//! A limit of traces per second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A token bucket: it holds as many tokens as arrive in a second, but at least one, and is full at first. As in the
/// generic cell rate algorithm its level is one number, the time at which it will be full again, so that taking is one
/// atomic operation.
#[derive(Debug)]
pub(super) struct TokenBucket {
    started: Instant,
    /// Nanoseconds in which one token arrives.
    interval: u64,
    /// Nanoseconds in which an empty bucket fills, all but one token.
    all_but_one: u64,
    /// When it is full again, in nanoseconds since it was `started`.
    full_at: AtomicU64,
}

impl TokenBucket {
    /// A bucket into which `rate` tokens arrive in a second; `None` if none ever does.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time that is too long is the longest"
    )]
    pub(super) fn new(rate: f64) -> Option<Self> {
        const SECOND: f64 = 1e9;
        // Rounded up, so that the limit is never exceeded.
        let interval = (SECOND / rate).ceil();
        let all_but_one = (rate.max(1.0) - 1.0) * interval;
        let bucket = Self {
            started: Instant::now(),
            interval: interval as u64,
            all_but_one: all_but_one as u64,
            full_at: AtomicU64::new(0),
        };
        (rate > 0.0).then_some(bucket)
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&self) -> bool {
        self.take_at(self.started.elapsed())
    }

    /// The same at this time since the start.
    fn take_at(&self, time: Duration) -> bool {
        let now = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let take = |full_at: u64| {
            let full_at = full_at.max(now);
            (full_at - now <= self.all_but_one).then(|| full_at.saturating_add(self.interval))
        };
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &TokenBucket, tries: usize, time: Duration) -> usize {
        (0..tries).filter(|_| bucket.take_at(time)).count()
    }

    #[test]
    fn it_is_full_at_first_and_then_gives_what_arrives() {
        let bucket = TokenBucket::new(10.0).unwrap();
        assert_eq!(taken(&bucket, 100, Duration::ZERO), 10);
        assert_eq!(taken(&bucket, 100, Duration::from_millis(99)), 0);
        assert_eq!(taken(&bucket, 100, Duration::from_millis(100)), 1);
        assert_eq!(taken(&bucket, 100, Duration::from_millis(350)), 2);
        // Not more than it holds, however long nobody has asked.
        assert_eq!(taken(&bucket, 100, Duration::from_secs(3_600)), 10);
    }

    #[test]
    fn over_a_long_time_it_gives_the_rate_and_never_more_than_one_bucket_above_it() {
        for rate in [0.5, 1.0, 2.5, 7.0, 1_000.0] {
            let bucket = TokenBucket::new(rate).unwrap();
            let mut given = 0.0;
            for millisecond in 0..20_000_u32 {
                let time = Duration::from_millis(u64::from(millisecond));
                given += f64::from(u32::try_from(taken(&bucket, 3, time)).unwrap());
                assert!(given <= rate.max(1.0) + rate * time.as_secs_f64() + 1e-6, "{given} after {time:?} at {rate}");
            }
            assert!(given >= rate * 19.0, "{given} in 20 s at {rate}");
        }
    }

    #[test]
    fn a_rate_below_one_holds_one_token() {
        let bucket = TokenBucket::new(0.1).unwrap();
        assert_eq!(taken(&bucket, 10, Duration::ZERO), 1);
        assert_eq!(taken(&bucket, 10, Duration::from_millis(9_999)), 0);
        assert_eq!(taken(&bucket, 10, Duration::from_secs(10)), 1);
    }

    #[test]
    fn a_time_that_goes_back_gives_nothing() {
        let bucket = TokenBucket::new(1.0).unwrap();
        assert_eq!(taken(&bucket, 10, Duration::from_secs(100)), 1);
        assert_eq!(taken(&bucket, 10, Duration::from_secs(50)), 0);
    }

    #[test]
    fn it_is_exact_when_many_threads_take_at_once() {
        let bucket = TokenBucket::new(500.0).unwrap();
        let at_once = |time| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| taken(&bucket, 1_000, time))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
            })
        };
        assert_eq!(at_once(Duration::ZERO), 500);
        assert_eq!(at_once(Duration::from_millis(200)), 100);
    }

    #[test]
    fn without_a_rate_there_is_no_bucket_and_a_tiny_one_never_overflows() {
        for rate in [0.0, -0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            assert!(TokenBucket::new(rate).is_none(), "{rate}");
        }
        let bucket = TokenBucket::new(f64::MIN_POSITIVE).unwrap();
        assert_eq!(taken(&bucket, 3, Duration::ZERO), 1);
        assert_eq!(taken(&bucket, 3, Duration::from_secs(1 << 32)), 0);
    }
}
