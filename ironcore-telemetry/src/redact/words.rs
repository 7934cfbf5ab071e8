//! The words of BIP-39. Nine of them in a row are a recovery phrase: in a million words of English technical prose the
//! longest row has six. The check sum is not asked: a phrase with one wrong word gives away as much.

use super::bytes::{HIGH, at, before, eight_of, is_in_mask, repeat, start_near};
use std::ops::Range;

/// The smallest number of words in a row that is masked.
pub(super) const PHRASE: usize = 9;

/// So many of them may be `true` or `false`.
const FLAGS: usize = 2;

/// The official English list, one word a line.
pub(super) const ENGLISH: &[u8] = include_bytes!("words/english.txt");

const WORDS: usize = 2048;

/// Spreads the words over [`TABLE`] so that no bucket has more than four; found by trying.
const SPREAD: u64 = 0x6ad4_ee04_1691_6a2b;

/// A word is its letters, from the low byte up: none has more than eight. Its product with [`SPREAD`] says which
/// bucket it is in (the high 11 bits) and what stands for it there (the next 16 bits), so that a test is one load. A
/// word outside of the list passes in one of 16,000 cases, nine in a row do not.
static TABLE: [u64; WORDS] = table();

/// Between two words of a phrase at most so many bytes that are no letters: ` 12. `, `", "`, `\r\n  - `.
const GAP: usize = 24;

/// The longest word.
const LONGEST: usize = 8;

/// Letters are not counted further than this.
const LONG: usize = 64;

const fn table() -> [u64; WORDS] {
    let mut table = [0; WORDS];
    let mut words = 0;
    let mut word = 0_u64;
    let mut letters = 0;
    let mut list = ENGLISH;
    while let Some((byte, rest)) = list.split_first() {
        list = rest;
        if *byte == b'\n' {
            let product = word.wrapping_mul(SPREAD);
            let (_, from_bucket) = table.split_at_mut(bucket(product));
            if let Some(bucket) = from_bucket.first_mut() {
                assert!(*bucket >> 48 == 0 && mark(product) != 0 && letters <= LONGEST, "a bucket has four places");
                *bucket = *bucket << 16 | mark(product);
                words += 1;
            }
            (word, letters) = (0, 0);
        } else {
            word |= (*byte as u64) << (8 * letters);
            letters += 1;
        }
    }
    assert!(words == WORDS, "the list is complete");
    table
}

const fn bucket(product: u64) -> usize {
    (product >> 53) as usize
}

const fn mark(product: u64) -> u64 {
    product >> 37 & 0xffff
}

/// Whether the eight bytes begin with a word of the list that ends there (or is eight letters long).
#[inline]
pub(super) fn begins_with_word(bytes: u64) -> bool {
    const LANES: u64 = 0x0001_0001_0001_0001;
    let other = no_letters(bytes);
    let kept = if other == 0 { u64::MAX } else { (other ^ (other - 1)) >> 8 };
    let product = (fold(bytes) & kept).wrapping_mul(SPREAD);
    // Zero in a lane says that the lane is the mark.
    let lanes = TABLE.get(bucket(product)).map_or(u64::MAX, |bucket| bucket ^ (mark(product) * LANES));
    (lanes.wrapping_sub(LANES) & !lanes & (LANES << 15)) != 0
}

/// Whether a word begins behind the first of the eight bytes: it is no letter, or the name of one (`w1=`).
#[inline]
pub(super) fn begins_elsewhere(bytes: u64) -> bool {
    let [first, second, ..] = bytes.to_le_bytes();
    !first.is_ascii_alphabetic() || second.is_ascii_digit()
}

const fn fold(bytes: u64) -> u64 {
    bytes | repeat(0x20)
}

/// The high bit of each byte that is no ASCII letter.
const fn no_letters(bytes: u64) -> u64 {
    let folded = fold(bytes);
    let low = folded & !HIGH;
    let letters = (low + repeat(0x80 - b'a')) & !(low + repeat(0x80 - b'z' - 1)) & !folded;
    !letters & HIGH
}

/// The row of listed words in `text` that the first word at or behind `start` belongs to, and whether it is a phrase.
pub(super) fn row(text: &[u8], start: usize) -> Option<(Range<usize>, bool)> {
    let from = if before(text, start).is_ascii_alphabetic() { Word::at(text, start).end } else { start };
    let middle = Word::next(text, from).filter(|word| word.is_listed)?;
    let (mut row, mut number, mut flags) = (middle.start..middle.end, 1, usize::from(middle.is_flag(text)));
    while let Some(word) = Word::next(text, row.end).filter(|word| word.is_listed) {
        (row.end, number, flags) = (word.end, number + 1, flags + usize::from(word.is_flag(text)));
    }
    while let Some(word) = Word::previous(text, row.start).filter(|word| word.is_listed) {
        (row.start, number, flags) = (word.start, number + 1, flags + usize::from(word.is_flag(text)));
    }
    let is_phrase = number >= PHRASE && number - flags >= PHRASE - FLAGS;
    Some((row, is_phrase))
}

/// The words of the list that `text` begins with and ends with, flags apart, and whether it has nothing else.
pub(super) fn at_the_ends(text: &[u8]) -> (usize, usize, bool) {
    let (mut leading, mut trailing) = (0, 0);
    let (mut from, mut to) = (0, text.len());
    while let Some(word) = Word::next(text, from).filter(|word| word.is_listed) {
        (from, leading) = (word.end, leading + usize::from(!word.is_flag(text)));
    }
    let is_whole = from > 0 && Word::next(text, from).is_none();
    while let Some(word) = Word::previous(text, to).filter(|word| word.is_listed) {
        (to, trailing) = (word.start, trailing + usize::from(!word.is_flag(text)));
    }
    (leading, trailing, is_whole)
}

/// Letters in a row, without those that belong to an escape.
struct Word {
    start: usize,
    end: usize,
    is_listed: bool,
}

impl Word {
    /// `true` and `false` are in the list, and many in a row in what programs write.
    fn is_flag(&self, text: &[u8]) -> bool {
        let word = text.get(self.start..self.end).unwrap_or_default();
        word.eq_ignore_ascii_case(b"true") || word.eq_ignore_ascii_case(b"false")
    }

    /// Whether it is a letter that names a word: `w1=legal w2=winner`.
    fn is_name(&self, text: &[u8]) -> bool {
        self.end == self.start + 1 && at(text, self.end).is_ascii_digit()
    }

    /// The letters from `start` on; none if something else stands there.
    fn at(text: &[u8], start: usize) -> Self {
        let bytes = eight_of(text, start);
        let other = no_letters(bytes);
        if other == 0 {
            return Self::long(text, start);
        }
        let letters = (other.trailing_zeros() / 8) as usize;
        let escaped = escaped(text, start, letters);
        let bytes = if escaped == 0 { bytes } else { eight_of(text, start + escaped) };
        let (start, end) = (start + escaped, start + letters);
        let is_mask = at(text, end) == b']' && is_in_mask(text, start);
        Self { start, end, is_listed: start < end && !is_mask && begins_with_word(bytes) }
    }

    /// The same of eight letters or more.
    #[cold]
    fn long(text: &[u8], start: usize) -> Self {
        let rest = text.get(start..).unwrap_or_default().iter().take(LONG);
        let end = start + rest.take_while(|byte| byte.is_ascii_alphabetic()).count();
        let start = start + escaped(text, start, end - start);
        let is_listed = (1..=LONGEST).contains(&(end - start)) && begins_with_word(eight_of(text, start));
        Self { start, end, is_listed }
    }

    /// The first word at or behind `from`, if no more than a gap stands before it.
    fn next(text: &[u8], from: usize) -> Option<Self> {
        let mut start = from;
        while start <= from + GAP && start < text.len() {
            if at(text, start).is_ascii_alphabetic() {
                let word = Self::at(text, start);
                if word.start < word.end && !word.is_name(text) {
                    return Some(word);
                }
                start = word.end;
            } else {
                start += 1;
            }
        }
        None
    }

    /// The last word that ends at or before `to`, if no more than a gap stands behind it.
    fn previous(text: &[u8], to: usize) -> Option<Self> {
        let mut end = to;
        while end > 0 && end + GAP >= to {
            let start = start_near(text, end, LONG, |byte| byte.is_ascii_alphabetic());
            if start < end {
                let word = Self::at(text, start);
                if word.start < end && !word.is_name(text) {
                    return Some(Self { end, is_listed: word.is_listed && word.end == end, ..word });
                }
                end = start;
            } else {
                end -= 1;
            }
        }
        None
    }
}

/// How many of the letters from `start` on belong to an escape: `\n`, `%2C`, `\u200b`, `\u{200b}`.
#[inline]
fn escaped(text: &[u8], start: usize, letters: usize) -> usize {
    let last = before(text, start);
    if last == b'\\' || last == b'%' || last == b'{' || last.is_ascii_hexdigit() {
        return escape(text, start, last).min(letters);
    }
    0
}

#[cold]
fn escape(text: &[u8], start: usize, last: u8) -> usize {
    let hex = start_near(text, start, 5, |byte| byte.is_ascii_hexdigit());
    let digits = start - hex;
    let is_behind = |open: &[u8]| text.get(..hex).is_some_and(|before| before.ends_with(open));
    match (last, at(text, start)) {
        (b'\\', b'n' | b'r' | b't') => 1,
        (b'\\', b'u') if at(text, start + 1) == b'{' => 1,
        (b'\\', b'u') => 5,
        (b'%', letter) if letter.is_ascii_hexdigit() => 2,
        (_, letter) if !letter.is_ascii_hexdigit() => 0,
        _ if is_behind(b"%") && digits == 1 => 1,
        _ if is_behind(b"\\u{") => LONG,
        _ if is_behind(b"\\u") => 4_usize.saturating_sub(digits),
        _ => 0,
    }
}
