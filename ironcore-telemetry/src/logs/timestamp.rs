//! Timestamps of log lines.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as RFC 3339 in UTC, up to the second: what changes once a second.
type Second = [u8; 19];

thread_local! {
    static LAST: Cell<(u64, Second)> = const { Cell::new((u64::MAX, [0; 19])) };
}

/// Appends a moment as RFC 3339 in UTC, to the microsecond.
pub(super) fn write(to: &mut Vec<u8>, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (known, text) = LAST.get();
    let text = if known == since.as_secs() { text } else { second(since.as_secs()) };
    LAST.set((since.as_secs(), text));
    to.extend_from_slice(&text);
    to.push(b'.');
    let micros = since.subsec_micros();
    for place in [100_000, 10_000, 1_000, 100, 10, 1] {
        to.push(digit((micros / place).into()));
    }
    to.push(b'Z');
}

fn second(seconds: u64) -> Second {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00";
    let parts = [year / 100, year, month, day, second / 3600, second / 60 % 60, second % 60];
    for (at, part) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(parts) {
        if let Some(place) = text.get_mut(at..at + 2) {
            place.copy_from_slice(&[digit(part / 10), digit(part)]);
        }
    }
    text
}

/// The last digit.
fn digit(number: u64) -> u8 {
    let [low, ..] = (number % 10).to_le_bytes();
    b'0' + low
}

/// The Gregorian date of a day counted from 1970-01-01, by counting in eras of 400 years that begin on 1 March
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timestamps_are_utc_to_the_microsecond() {
        let at = |seconds, nanos| {
            let mut text = Vec::new();
            write(&mut text, UNIX_EPOCH + Duration::new(seconds, nanos));
            String::from_utf8(text).unwrap()
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_827_696, 123_456_789), "2000-02-29T12:34:56.123456Z");
        assert_eq!(at(951_827_696, 999_999_999), "2000-02-29T12:34:56.999999Z");
        assert_eq!(at(1_795_429_231, 999), "2026-11-23T10:20:31.000000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
    }
}
