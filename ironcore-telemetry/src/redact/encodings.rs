//! Bytes as text.

/// Base 64 in both alphabets (RFC 4648), up to the first character that is of neither.
pub(super) fn base64(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut number) = (0_u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        number += 6;
        if number >= 8 {
            number -= 8;
            let [.., low] = (bits >> number).to_be_bytes();
            decoded.push(low);
        }
    }
    decoded
}

/// Base 58, as Bitcoin writes it: `N` bytes, if it is so many.
pub(super) fn base58<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    const DIGITS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0; N];
    for character in text {
        let mut carry = DIGITS.iter().position(|digit| digit == character)?;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * DIGITS.len();
            [.., *byte] = carry.to_be_bytes();
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(bytes)
}
