//! Bytes and eights of bytes.

use super::MARK;

/// The high bit of each of eight bytes.
pub(super) const HIGH: u64 = repeat(0x80);

/// Eight times the same byte.
pub(super) const fn repeat(byte: u8) -> u64 {
    u64::MAX / 0xff * byte as u64
}

/// The byte at a place, zero outside of the text.
#[inline]
pub(super) fn at(text: &[u8], place: usize) -> u8 {
    text.get(place).copied().unwrap_or(0)
}

/// The byte before a place, zero at the start of the text.
pub(super) fn before(text: &[u8], place: usize) -> u8 {
    place.checked_sub(1).map_or(0, |place| at(text, place))
}

/// The eight bytes at a place, the first as the lowest.
#[inline]
pub(super) fn eight<const N: usize>(text: &[u8; N], place: usize) -> u64 {
    text.get(place..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The same of a text of any length, which zeros follow.
#[inline]
pub(super) fn eight_of(text: &[u8], place: usize) -> u64 {
    let rest = text.get(place..).unwrap_or_default();
    match rest.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => rest.iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)),
    }
}

/// Where the bytes from `start` on end that `belongs` accepts.
pub(super) fn end_of(text: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    start + text.get(start..).unwrap_or_default().iter().take_while(|byte| belongs(**byte)).count()
}

/// Where the bytes before `end` start that `belongs` accepts.
pub(super) fn start_of(text: &[u8], end: usize, belongs: impl Fn(u8) -> bool) -> usize {
    end - text.get(..end).unwrap_or_default().iter().rev().take_while(|byte| belongs(**byte)).count()
}

/// The same, if it is not further away than `most`; else the place so far away.
pub(super) fn start_near(text: &[u8], end: usize, most: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let near = text.get(end.saturating_sub(most)..end).unwrap_or_default();
    end - near.iter().rev().take_while(|byte| belongs(**byte)).count()
}

/// Whether a word may begin at a place: behind no letter and no digit, or behind an escape that ends with one (`\n`,
/// `%20`).
pub(super) fn is_boundary(text: &[u8], place: usize) -> bool {
    let back = |distance| place.checked_sub(distance).map_or(0, |place| at(text, place));
    match (back(3), back(2), back(1)) {
        (_, b'\\', b'n' | b'r' | b't') => true,
        (b'%', high, low) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => true,
        (.., byte) => !byte.is_ascii_alphanumeric(),
    }
}

/// Whether the letters at a place are the kind in a mask.
pub(super) fn is_in_mask(text: &[u8], place: usize) -> bool {
    let kind = start_near(text, place, 16, |byte| byte.is_ascii_lowercase() || byte == b'_');
    text.get(..kind).is_some_and(|before| before.ends_with(MARK.as_bytes()))
}

/// Whether `text` has `part`, in any case; `part` is in lower case.
pub(super) fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// Where `part` is in `text`, from `start` on.
pub(super) fn find(text: &[u8], start: usize, part: &[u8]) -> Option<usize> {
    text.get(start..)?.windows(part.len()).position(|window| window == part).map(|place| start + place)
}
