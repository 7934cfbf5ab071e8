//! What the formats of all propagators are read with.

/// A hexadecimal number of up to 32 digits in lower case; unlike `from_str_radix`, without a sign or upper case.
pub(super) fn lower_hex(digits: &[u8]) -> Option<u128> {
    if digits.len() > 32 {
        return None;
    }
    digits.iter().try_fold(0_u128, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// Without optional white space (RFC 9110, `OWS`) around it: blanks and tabs only.
pub(super) fn trim_ows(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
