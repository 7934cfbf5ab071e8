//! Secrets that are numbers: cards, bank accounts, and the bytes of a key as a list.

use super::bytes::{at, before, end_of, is_boundary, start_of};
use super::kind::Kind;
use std::ops::Range;

/// How far a card, an account number or the label of a key reaches to either side of one of its bytes.
pub(super) const REACH: usize = 64;

/// Digits of the shortest card number.
pub(super) const SHORTEST_CARD: usize = 14;

/// Lengths of IBANs (ISO 13616 registry).
const IBANS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Upper-case letters, digits and what stands between their groups.
pub(super) const fn is_group(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.')
}

/// The card or the account whose first character is at `start`, where a group begins.
pub(super) fn number(text: &[u8], start: usize) -> Option<(Range<usize>, Kind)> {
    let first = at(text, start);
    if !(first.is_ascii_digit() || first.is_ascii_uppercase()) || !is_boundary(text, start) {
        return None;
    }
    if first.is_ascii_digit() {
        return card(text, start).map(|end| (start..end, Kind::Card));
    }
    iban(text, start).map(|end| (start..end, Kind::Iban))
}

/// The end of a card number: ranges of the issuers, check digit (Luhn, ISO/IEC 7812-1), groups as they are printed. A
/// number without groups has 14 to 16 digits: longer ones are ids, times and amounts in the smallest unit.
fn card(text: &[u8], start: usize) -> Option<usize> {
    // Networks have numbers that begin with 2 to 6.
    if !matches!(at(text, start), b'2'..=b'6') {
        return None;
    }
    // Behind a point it is a fraction.
    if before(text, start) == b'.' && start.checked_sub(2).is_some_and(|place| at(text, place).is_ascii_digit()) {
        return None;
    }
    let mut digits = [0_u8; 19];
    let mut groups = [0_usize; 6];
    let (mut number, mut group, mut place) = (0, 0, start);
    let mut end = None;
    loop {
        let byte = at(text, place);
        if byte.is_ascii_digit() {
            let (Some(digit), Some(length)) = (digits.get_mut(number), groups.get_mut(group)) else { break };
            *digit = byte - b'0';
            *length += 1;
            number += 1;
        } else {
            let found = digits.get(..number).zip(groups.get(..=group));
            if !byte.is_ascii_alphanumeric()
                && found
                    .is_some_and(|(digits, groups)| is_card(digits, groups) && !(group == 0 && has_unit(text, place)))
            {
                end = Some(place);
            }
            if !matches!(byte, b' ' | b'-' | b'.') || !at(text, place + 1).is_ascii_digit() {
                break;
            }
            group += 1;
        }
        place += 1;
    }
    end
}

/// Whether a unit stands behind a number.
fn has_unit(text: &[u8], end: usize) -> bool {
    const UNITS: &[&[u8]] =
        &[b"bytes", b"gwei", b"lamports", b"ms", b"msat", b"msats", b"ns", b"sat", b"satoshis", b"sats", b"us", b"wei"];
    let start = end_of(text, end, |byte| byte == b' ');
    let word = text.get(start..end_of(text, start, |byte| byte.is_ascii_alphabetic())).unwrap_or_default();
    UNITS.iter().any(|unit| word.eq_ignore_ascii_case(unit))
}

fn is_card(digits: &[u8], groups: &[usize]) -> bool {
    let are_fours = |last: &usize, first: &[usize]| *last <= 4 && first.iter().all(|group| *group == 4);
    let is_printed = match groups {
        [_] => digits.len() <= 16,
        [4, 6, 4 | 5] | [6, 13] => true,
        _ => groups.split_last().is_some_and(|(last, first)| are_fours(last, first)),
    };
    // An amount in the smallest unit ends with zeros.
    let is_round = digits.iter().rev().take_while(|digit| **digit == 0).count() >= 6;
    is_printed && !is_round && is_issued(digits) && luhn(digits)
}

/// Whether a card network has numbers that begin so and have this length.
fn is_issued(digits: &[u8]) -> bool {
    let first = |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    match digits.len() {
        14 => matches!(first(3), 300..=305 | 309) || matches!(first(2), 36 | 38 | 39),
        15 => matches!(first(2), 34 | 37),
        16..=19 => {
            let is_any = matches!(first(2), 62 | 64 | 65 | 36 | 38 | 39)
                || matches!(first(4), 3528..=3589 | 6011 | 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763);
            let is_visa = matches!(digits.len(), 16 | 19) && first(1) == 4;
            let is_mastercard = digits.len() == 16 && (matches!(first(2), 51..=55) || matches!(first(4), 2221..=2720));
            is_any || is_visa || is_mastercard
        }
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let places = digits.iter().rev().enumerate();
    let sum: u32 = places.map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit })).sum();
    sum > 0 && sum.is_multiple_of(10)
}

/// The end of an IBAN: length of its country, check digits (ISO 7064, mod 97).
fn iban(text: &[u8], start: usize) -> Option<usize> {
    let country: &[u8; 2] = text.get(start..)?.first_chunk()?;
    if !at(text, start + 2).is_ascii_digit() || !at(text, start + 3).is_ascii_digit() {
        return None;
    }
    let length = IBANS.iter().find(|(code, _)| *code == country)?.1;
    let mut characters = [0_u8; 34];
    let mut place = start;
    for character in characters.get_mut(..length)? {
        if matches!(at(text, place), b' ' | b'-') {
            place += 1;
        }
        *character = at(text, place);
        if !character.is_ascii_uppercase() && !character.is_ascii_digit() {
            return None;
        }
        place += 1;
    }
    let (head, tail) = characters.get(..length)?.split_at_checked(4)?;
    let remainder = tail.iter().chain(head).fold(0_u32, |rest, character| match character {
        b'0'..=b'9' => (rest * 10 + u32::from(character - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    (remainder == 1 && !at(text, place).is_ascii_alphanumeric()).then_some(place)
}

/// The list of numbers around `place`, and whether it is 32 or 64 bytes: the `Debug` of a key.
pub(super) fn list(text: &[u8], place: usize) -> (Range<usize>, bool) {
    let belongs = |byte: u8| byte.is_ascii_digit() || matches!(byte, b',' | b' ' | b'\n');
    let list = start_of(text, place, belongs)..end_of(text, place, belongs);
    let is_closed = before(text, list.start) == b'[' && at(text, list.end) == b']';
    let is_key = is_closed && text.get(list.clone()).is_some_and(are_bytes_of_a_key);
    (list, is_key)
}

fn are_bytes_of_a_key(list: &[u8]) -> bool {
    /// As `{:#?}` writes 64 numbers, deeply indented.
    const LONGEST: usize = 64 * 32;
    if list.len() > LONGEST {
        return false;
    }
    let list = std::str::from_utf8(list).unwrap_or_default().trim().trim_end_matches(',');
    let are_bytes = list.split(',').all(|byte| byte.trim().parse::<u8>().is_ok());
    are_bytes && matches!(list.split(',').count(), 32 | 64)
}
