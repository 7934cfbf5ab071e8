//! Values as log lines show them.

use std::time::Duration;

/// A duration in milliseconds, to the microsecond: no more digits than the clock has.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1_000.0
}
