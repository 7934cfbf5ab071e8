//! One pass over a text that finds where secrets may be. Most of a text is passed in steps of several bytes: every kind
//! of secret has a property that shows in any eight bytes within it, or a sign before it.
//!
//! - A token of at least twelve bytes has eight without white space, quotes or brackets.
//! - A number in groups has eight without a lower-case letter, and so has the label of a PEM block.
//! - A value is behind `=` or `:`.
//! - A recovery phrase has nine words of the list in a row, on at least 35 bytes: one word in every 30 bytes is looked
//!   up.

use super::assignments::{class_before, end_of_address, named, user_of_address};
use super::bytes::{HIGH, before, eight, eight_of, end_of, repeat, start_near, start_of};
use super::keys::{KeyClass, Names};
use super::kind::Kind;
use super::numbers::{REACH, SHORTEST_CARD, is_group, list, number};
use super::tokens::{SHORTEST_KEY, Token, aws_secret, credentials, is_run, letters_and_digits, pem};
use super::words;
use std::ops::Range;

/// A text shorter than this holds no secret: `pin=123`.
const SHORTEST: usize = 7;

/// Bytes that one step decides on. Windows of eight bytes begin every five bytes (tokens) and every eight or six
/// (groups).
const STEP: usize = 30;

/// Bytes that one step looks at.
const BLOCK: usize = 40;

/// Bytes below it separate tokens: white space, quotes, `(`, `)`, `&`, `*`. Bytes that begin a character outside of
/// ASCII count as separators too.
const FIRST_OF_TOKENS: u8 = b'+';

/// The shortest token that is looked at.
const TOKEN: u32 = 12;

/// So many beginnings of keys are followed in a run of token characters: the time of a scan stays in proportion to the
/// length of the text.
const TRIES: u32 = 8;

/// `---BEGIN PRIVATE KEY---`
const SHORTEST_LABEL: usize = 20;

/// Where a secret is.
pub(super) struct Found {
    pub(super) place: Range<usize>,
    pub(super) kind: Kind,
}

/// What most short texts fail: a token needs its length, a value its sign.
#[inline]
pub(super) fn may_hold_secret(text: &[u8]) -> bool {
    text.len() >= TOKEN as usize || (text.len() >= SHORTEST && text.iter().any(|byte| is_sign(*byte) != 0))
}

/// The secrets of a text, in their order, apart from each other.
pub(super) fn secrets(text: &[u8], class: KeyClass, names: &Names) -> Vec<Found> {
    let mut scan = Scan { text, class, names, found: Vec::new(), done: Done::default() };
    scan.run();
    if scan.found.is_empty() {
        return scan.found;
    }
    scan.found.sort_by_key(|found| (found.place.start, usize::MAX - found.place.end));
    scan.found.dedup_by(|next, kept| {
        let overlaps = next.place.start < kept.place.end;
        if overlaps {
            kept.place.end = kept.place.end.max(next.place.end);
            // What it is says more than how it is named, and what it is part of more than how it looks.
            if kept.kind == Kind::Named || next.kind == Kind::Keystore {
                kept.kind = next.kind;
            }
        }
        overlaps
    });
    scan.found
}

struct Scan<'text> {
    text: &'text [u8],
    class: KeyClass,
    names: &'text Names,
    found: Vec<Found>,
    done: Done,
}

/// Up to where each of these has been looked at.
#[derive(Default)]
struct Done {
    tokens: usize,
    groups: usize,
    lists: usize,
    rows: usize,
    /// The end of the address.
    address: usize,
    users: usize,
    named: usize,
    pem: usize,
}

impl Scan<'_> {
    fn run(&mut self) {
        let mut place = 0;
        let text = self.text;
        while let Some(block) = text.get(place..).and_then(|rest| rest.first_chunk()) {
            self.block(block, place);
            place += STEP;
        }
        while place < text.len() {
            // What is filled in is neither a token nor a group.
            let mut block = *b"a a a a a a a a a a a a a a a a a a a a ";
            let rest = text.get(place..).unwrap_or_default();
            if let Some(filled) = block.get_mut(..rest.len()) {
                filled.copy_from_slice(rest);
            }
            if let Some(behind) = block.get_mut(rest.len()) {
                *behind = b' ';
            }
            self.block(&block, place);
            place += STEP;
        }
    }

    #[inline]
    fn block(&mut self, block: &[u8; BLOCK], place: usize) {
        let first = separators(eight(block, 0));
        if first == 0 {
            self.window(place);
        }
        // Behind a separator a word begins.
        let (from, marks) = if first == 0 { (8, separators(eight(block, 8))) } else { (0, first) };
        let behind = from + (marks.trailing_zeros() / 8 + 1) as usize;
        let word = eight(block, behind);
        if marks == 0 || words::begins_with_word(word) || words::begins_elsewhere(word) {
            self.words(place + if marks == 0 { 0 } else { behind });
        }
        for offset in [5, 10, 15, 20, 25] {
            if separators(eight(block, offset)) == 0 {
                self.window(place + offset);
            }
        }
        for offset in [0, 8, 16, 24] {
            if lower_case(eight(block, offset)) == 0 {
                self.groups(place + offset);
            }
        }
        if block.first_chunk().is_some_and(have_sign) {
            self.signs(block, place);
        }
    }

    #[cold]
    #[inline(never)]
    fn signs(&mut self, block: &[u8; BLOCK], start: usize) {
        for offset in [0, 8, 16, 24] {
            let bytes = eight(block, offset);
            let mut marks = zeros(bytes ^ repeat(b':')) | zeros(bytes ^ repeat(b'='));
            while marks != 0 {
                let place = offset + (marks.trailing_zeros() / 8) as usize;
                // Only the lowest mark is exact; the last two bytes are the next block's.
                if block.get(place).is_some_and(|byte| is_sign(*byte) != 0) && place < STEP {
                    self.sign(start + place);
                }
                marks &= marks - 1;
            }
        }
    }

    /// A `:` or `=`.
    fn sign(&mut self, sign: usize) {
        if self.text.get(sign..).is_some_and(|rest| rest.starts_with(b"://")) {
            if sign >= self.done.address {
                self.done.address = end_of_address(self.text, sign);
            }
            if sign >= self.done.users {
                let (user, done) = user_of_address(self.text, sign, self.done.address);
                self.done.users = done;
                if let Some(user) = user {
                    self.add(user, Kind::UrlCredentials);
                }
            }
        } else if sign >= self.done.named
            && let Some((value, kind)) = named(self.text, sign, self.names)
        {
            self.done.named = value.end;
            self.add(value, kind);
        }
    }

    /// Eight bytes within one token.
    #[cold]
    #[inline(never)]
    fn window(&mut self, place: usize) {
        // Most are a word of a sentence: what separates it from its neighbours is near.
        let left = separators(eight_of(self.text, place.saturating_sub(8)));
        let right = separators(eight_of(self.text, place + 8));
        let near = left.leading_zeros() / 8 + right.trailing_zeros() / 8;
        if place < self.done.tokens || (place >= 8 && near + 8 < TOKEN) {
            return;
        }
        let from = start_of(self.text, place + 1, is_run).min(place);
        let run = from..end_of(self.text, place, is_run);
        self.done.tokens = run.end.max(place + 1);
        if run.len() < TOKEN as usize {
            return;
        }
        let bytes = self.text.get(run.clone()).unwrap_or_default();
        let is_long =
            run.len() >= SHORTEST_KEY || bytes.iter().filter(|byte| byte.is_ascii_digit()).count() >= SHORTEST_CARD;
        let mut tries = TRIES;
        let mut place = run.start;
        while is_long && place < run.end {
            let token = letters_and_digits(self.text, place);
            place = token.end.max(place + 1);
            if token.start < token.end
                && let Some((secret, kind)) = self.token(&token, run.end, &mut tries)
            {
                place = secret.end.max(place);
                self.add(secret, kind);
            }
        }
        if let Some((secret, kind)) = credentials(self.text, &run).or_else(|| aws_secret(self.text, &run)) {
            self.add(secret, kind);
        }
        // A phrase whose words no white space separates.
        let mut place = run.start;
        while run.len() >= STEP && place < run.end {
            self.words(place);
            place += STEP;
        }
    }

    fn token(&self, token: &Range<usize>, run: usize, tries: &mut u32) -> Option<(Range<usize>, Kind)> {
        let token = Token { text: self.text, start: token.start, end: token.end, run };
        let (secret, kind) = self.number(token.start).or_else(|| token.secret(tries))?;
        // The name is asked last: it costs most.
        let is_hash = || self.class == KeyClass::Hash || self.class_of(token.start) == KeyClass::Hash;
        (kind != Kind::PrivateKey || !is_hash()).then_some((secret, kind))
    }

    /// The card or the account that begins at `start`.
    fn number(&self, start: usize) -> Option<(Range<usize>, Kind)> {
        let (number, kind) = number(self.text, start)?;
        let has_groups = || self.text.get(number.clone()).is_some_and(|number| !number.iter().all(u8::is_ascii_digit));
        let is_amount = || self.class == KeyClass::Amount || self.class_of(start) == KeyClass::Amount;
        (kind != Kind::Card || has_groups() || !is_amount()).then_some((number, kind))
    }

    /// Eight bytes without a lower-case letter: cards, accounts, labels of PEM, lists of numbers.
    #[cold]
    #[inline(never)]
    fn groups(&mut self, place: usize) {
        if self.text.get(place..place + 8).is_some_and(|window| window.contains(&b',')) && place >= self.done.lists {
            let (list, is_key) = list(self.text, place);
            self.done.lists = list.end;
            if is_key && self.class != KeyClass::Hash && self.class_of(list.start) != KeyClass::Hash {
                self.add(list, Kind::PrivateKey);
            }
        }
        if place + 8 <= self.done.groups {
            return;
        }
        let start = start_near(self.text, place, REACH, is_group);
        let end = end_of(self.text.get(..place + REACH).unwrap_or(self.text), place, is_group);
        self.done.groups = end;
        let mut place = start;
        while place < end {
            let token = letters_and_digits(self.text.get(..end).unwrap_or_default(), place);
            place = token.end.max(place + 1);
            if !token.is_empty()
                && let Some((secret, kind)) = self.number(token.start)
            {
                place = secret.end;
                self.add(secret, kind);
            }
        }
        if end - start >= SHORTEST_LABEL
            && start >= self.done.pem
            && let Some((secret, kind)) = pem(self.text, &(start..end))
        {
            self.done.pem = secret.end;
            self.add(secret, kind);
        }
    }

    /// The word at `place` may belong to a phrase.
    #[cold]
    #[inline(never)]
    fn words(&mut self, place: usize) {
        if place >= self.done.rows
            && let Some((row, is_phrase)) = words::row(self.text, place)
        {
            self.done.rows = row.end;
            if is_phrase {
                self.add(row, Kind::Mnemonic);
            }
        }
    }

    /// What the name directly before a value says: `tx_hash=0x…`, `"tx_hash": "0x…"`, `sha256:…`, `/tx/…`.
    fn class_of(&self, value: usize) -> KeyClass {
        let is_opening = |byte| matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b'(' | b'[');
        let quotes = start_near(self.text, value, 4, is_opening);
        let sign = start_near(self.text, quotes, 2, |byte| byte == b' ');
        match before(self.text, sign) {
            b'=' | b':' | b'/' => class_before(self.text, sign - 1, self.names),
            _ => KeyClass::Plain,
        }
    }

    fn add(&mut self, place: Range<usize>, kind: Kind) {
        self.found.push(Found { place, kind });
    }
}

/// A function of its own: so the compiler compares 16 bytes at once.
#[inline(never)]
fn have_sign(bytes: &[u8; 32]) -> bool {
    bytes.iter().fold(0, |any, byte| any | is_sign(*byte)) != 0
}

const fn is_sign(byte: u8) -> u8 {
    (byte == b':') as u8 | (byte == b'=') as u8
}

/// Not zero if one of the bytes is zero. Only the lowest mark is exact.
const fn zeros(bytes: u64) -> u64 {
    bytes.wrapping_sub(repeat(1)) & !bytes & HIGH
}

/// Not zero if one of the bytes separates tokens. Only the lowest mark is exact.
const fn separators(bytes: u64) -> u64 {
    bytes.wrapping_sub(repeat(FIRST_OF_TOKENS)) & HIGH
}

/// Not zero if one of the bytes is a lower-case letter (or `{`, `|`, `}`, `~`).
const fn lower_case(bytes: u64) -> u64 {
    bytes.wrapping_add(repeat(0x80 - b'a')) & HIGH
}
