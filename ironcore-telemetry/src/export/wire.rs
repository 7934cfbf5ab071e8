//! The part of the protobuf wire format that OTLP needs, written straight to bytes. A field that has its default value is
//! left out, as proto3 asks; the `…_of_oneof` forms always write.

/// How a field's value is laid out.
#[derive(Clone, Copy)]
enum Layout {
    Varint = 0,
    Fixed64 = 1,
    Delimited = 2,
    Fixed32 = 5,
}

/// An integer, a boolean or an enum.
pub(crate) fn uint(to: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        uint_of_oneof(to, field, value);
    }
}

pub(crate) fn uint_of_oneof(to: &mut Vec<u8>, field: u32, value: u64) {
    tag(to, field, Layout::Varint);
    varint(to, value);
}

pub(crate) fn fixed32(to: &mut Vec<u8>, field: u32, value: u32) {
    if value != 0 {
        tag(to, field, Layout::Fixed32);
        to.extend_from_slice(&value.to_le_bytes());
    }
}

pub(crate) fn fixed64(to: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        tag(to, field, Layout::Fixed64);
        to.extend_from_slice(&value.to_le_bytes());
    }
}

pub(crate) fn double_of_oneof(to: &mut Vec<u8>, field: u32, value: f64) {
    tag(to, field, Layout::Fixed64);
    to.extend_from_slice(&value.to_le_bytes());
}

/// Bytes, or a string.
pub(crate) fn bytes(to: &mut Vec<u8>, field: u32, value: &[u8]) {
    if !value.is_empty() {
        bytes_of_oneof(to, field, value);
    }
}

pub(crate) fn bytes_of_oneof(to: &mut Vec<u8>, field: u32, value: &[u8]) {
    delimited(to, field, value.len());
    to.extend_from_slice(value);
}

/// The head of a field whose `length` bytes the caller appends.
pub(crate) fn delimited(to: &mut Vec<u8>, field: u32, length: usize) {
    tag(to, field, Layout::Delimited);
    varint(to, u64::try_from(length).unwrap_or(u64::MAX));
}

/// A message, also an empty one.
pub(crate) fn message(to: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(to, field, Layout::Delimited);
    // One byte is enough for most lengths; for the others the message is moved.
    let at = to.len();
    to.push(0);
    write(to);
    let end = to.len();
    let mut length = end.saturating_sub(at + 1);
    let longer = varint_len(length) - 1;
    to.resize(end + longer, 0);
    if longer > 0 {
        to.copy_within(at + 1..end, at + 1 + longer);
    }
    for byte in to.iter_mut().skip(at).take(longer + 1) {
        let rest = length >> 7;
        *byte = low_bits(length) | if rest > 0 { 0x80 } else { 0 };
        length = rest;
    }
}

fn tag(to: &mut Vec<u8>, field: u32, layout: Layout) {
    varint(to, u64::from(field << 3 | layout as u32));
}

#[inline]
fn varint(to: &mut Vec<u8>, value: u64) {
    let mut value = value;
    while value >= 0x80 {
        to.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    to.push(value.to_le_bytes()[0]);
}

/// The number of bytes of a length as varint.
pub(crate) fn varint_len(length: usize) -> usize {
    let bits = (usize::BITS - length.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

/// The first field of an encoded message, if it is a delimited one: its number, and where its value begins and ends.
#[cfg(all(unix, feature = "spool"))]
pub(crate) fn first_delimited(message: &[u8]) -> Option<(u32, std::ops::Range<usize>)> {
    let (tag, tag_length) = first_varint(message)?;
    if tag & 7 != Layout::Delimited as u64 {
        return None;
    }
    let (length, length_length) = first_varint(message.get(tag_length..)?)?;
    let start = tag_length + length_length;
    let end = start.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= message.len())?;
    Some((u32::try_from(tag >> 3).ok()?, start..end))
}

/// A varint at the beginning of some bytes, and its length.
#[cfg(all(unix, feature = "spool"))]
fn first_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            return Some((value, at + 1));
        }
    }
    None
}

fn low_bits(value: usize) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_length_have_the_shortest_length_prefix() {
        for length in [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152] {
            let mut written = vec![9];
            message(&mut written, 1, |to| to.resize(to.len() + length, 7));
            let mut expected = vec![9];
            delimited(&mut expected, 1, length);
            assert_eq!(expected.len(), 2 + varint_len(length), "{length}");
            expected.resize(expected.len() + length, 7);
            assert!(written == expected, "{length}");
        }
    }
}
