//! One line, written key by key into a buffer: a JSON object, logfmt, or text for a person. Text is copied in runs; only
//! what must be escaped is looked at character by character.

use crate::config::LogFormat;
use crate::redact::{VALUE_LIMIT, truncate};
use crate::scrub::{Class, LOGS};
use std::fmt::{self, Write as _};

/// A line that has this many bytes takes no further fields.
const LINE_LIMIT: usize = 64 * 1024 - VALUE_LIMIT;

/// The columns of a message that stands before fields in text for a person.
const MESSAGE_WIDTH: usize = 32;

/// Colours of a terminal (ECMA-48, SGR).
const DIM: &[u8] = b"\x1b[2m";
const BOLD: &[u8] = b"\x1b[1m";
const RESET: &[u8] = b"\x1b[0m";

/// A value of a member.
#[derive(Clone, Copy)]
pub(super) enum Value<'value> {
    Str(&'value str),
    Text(&'value dyn fmt::Display),
    U64(u64),
    I64(i64),
    F64(f64),
    Bool(bool),
    /// JSON already.
    Json(&'value [u8]),
}

impl Value<'_> {
    /// Appends the value as JSON, its secrets masked.
    pub(super) fn write(self, to: &mut Vec<u8>, class: Class) {
        match self {
            Self::Str(text) => quoted(to, &LOGS.text(class, text, VALUE_LIMIT)),
            Self::Text(value) => LOGS.display(class, value, VALUE_LIMIT, |text| quoted(to, text)),
            Self::U64(value) => match LOGS.number(class, value) {
                Some(mask) => quoted(to, mask),
                None => to.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            },
            Self::I64(value) => match u64::try_from(value) {
                Ok(value) => Self::U64(value).write(to, class),
                Err(_) => to.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            },
            Self::F64(value) => float(to, value),
            Self::Bool(value) => to.extend_from_slice(if value { b"true" } else { b"false" }),
            Self::Json(json) => to.extend_from_slice(json),
        }
    }

    /// Appends the value as JSON, a text without its quotes where `is_clear` says that it is clear without them.
    fn write_bare(self, to: &mut Vec<u8>, class: Class, is_clear: impl Fn(&[u8]) -> bool) {
        let start = to.len();
        self.write(to, class);
        let text = to.get(start..).unwrap_or_default();
        let inner = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        if inner.is_some_and(is_clear) {
            to.pop();
            to.remove(start);
        }
    }
}

/// Writes the members of one line.
pub(super) struct Line<'buffer> {
    buffer: &'buffer mut Vec<u8>,
    format: LogFormat,
    /// Whether its values are scanned for secrets.
    is_scanned: bool,
    is_cut: bool,
}

impl<'buffer> Line<'buffer> {
    /// Begins a line in an empty buffer.
    pub(super) fn begin(buffer: &'buffer mut Vec<u8>, format: LogFormat) -> Self {
        if format == LogFormat::Json {
            buffer.push(b'{');
        }
        Self { buffer, format, is_scanned: true, is_cut: false }
    }

    /// The values are those of closed sets, which hold no secret.
    pub(super) const fn is_closed(&mut self) {
        self.is_scanned = false;
    }

    /// Ends the line.
    pub(super) fn end(mut self) {
        if self.is_cut {
            self.key("truncated");
            self.buffer.extend_from_slice(b"true");
        }
        self.buffer.extend_from_slice(if self.format == LogFormat::Json { b"}\n" } else { b"\n" });
    }

    pub(super) fn member(&mut self, key: &str, class: Class, value: Value<'_>) {
        if self.buffer.len() > LINE_LIMIT {
            self.is_cut = true;
            return;
        }
        self.key(key);
        let class = if self.is_scanned { class } else { Class::NOT_SCANNED };
        match self.format {
            LogFormat::Json => value.write(self.buffer, class),
            LogFormat::Logfmt | LogFormat::Pretty { .. } => value.write_bare(self.buffer, class, is_one_word),
        }
    }

    /// The message, which text for a person has without a key and in a column of its own.
    pub(super) fn message(&mut self, value: Value<'_>) {
        let LogFormat::Pretty { colour } = self.format else {
            return self.member("message", Class::plain(), value);
        };
        self.separate();
        let start = self.buffer.len();
        value.write_bare(self.buffer, Class::plain(), |_| true);
        let text = self.buffer.get(start..).unwrap_or_default();
        let columns = String::from_utf8_lossy(text).chars().count();
        if colour {
            self.buffer.splice(start..start, BOLD.iter().copied());
            self.buffer.extend_from_slice(RESET);
        }
        self.buffer.extend(std::iter::repeat_n(b' ', MESSAGE_WIDTH.saturating_sub(columns)));
    }

    /// A member whose text needs no escapes.
    pub(super) fn clean(&mut self, key: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        if self.format != LogFormat::Json {
            self.key(key);
            return write(self.buffer);
        }
        self.separate();
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.extend_from_slice(b"\":\"");
        write(self.buffer);
        self.buffer.push(b'"');
    }

    /// Members that are ready, with their keys.
    pub(super) fn members(&mut self, ready: &[u8]) {
        self.separate();
        self.buffer.extend_from_slice(ready);
    }

    /// Text for a person, with a colour.
    pub(super) fn shown(&mut self, colour: &[u8], text: &[u8]) {
        self.separate();
        match self.format {
            LogFormat::Pretty { colour: true } => {
                self.buffer.extend_from_slice(colour);
                self.buffer.extend_from_slice(text);
                self.buffer.extend_from_slice(RESET);
            }
            _ => self.buffer.extend_from_slice(text),
        }
    }

    /// Text for a person that matters less.
    pub(super) fn dim(&mut self, text: &[u8]) {
        self.shown(DIM, text);
    }

    fn key(&mut self, key: &str) {
        self.separate();
        let key = truncate(key, VALUE_LIMIT);
        match self.format {
            LogFormat::Json => {
                self.buffer.push(b'"');
                escape(self.buffer, key);
                self.buffer.extend_from_slice(b"\":");
            }
            LogFormat::Logfmt | LogFormat::Pretty { .. } => {
                let is_dim = self.format == LogFormat::Pretty { colour: true };
                self.buffer.extend_from_slice(if is_dim { DIM } else { b"" });
                let plain = |byte: &u8| if is_one_word(&[*byte]) { *byte } else { b'_' };
                self.buffer.extend(key.as_bytes().iter().map(plain));
                self.buffer.push(b'=');
                self.buffer.extend_from_slice(if is_dim { RESET } else { b"" });
            }
        }
    }

    fn separate(&mut self) {
        let (least, separator) = if self.format == LogFormat::Json { (1, b',') } else { (0, b' ') };
        if self.buffer.len() > least {
            self.buffer.push(separator);
        }
    }
}

/// Whether an escaped text is clear without quotes.
fn is_one_word(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'=' | b'"' | b'\\'))
}

/// Appends bytes as hexadecimal digits.
pub(super) fn hex(to: &mut Vec<u8>, bytes: &[u8]) {
    /// The bytes that are converted at once: those of a trace id.
    const CHUNK: usize = 16;
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    for chunk in bytes.chunks(CHUNK) {
        let mut digits = [0; 2 * CHUNK];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(chunk) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        to.extend_from_slice(digits.get(..2 * chunk.len()).unwrap_or_default());
    }
}

/// Appends a number, as short as it can be read back. JSON cannot express NaN and infinity: they are text.
fn float(to: &mut Vec<u8>, value: f64) {
    /// Up to here, a number with three decimals is read back as it is written.
    const EXACT: f64 = 1e12;
    let thousandths = value * 1e3;
    let is_short = value.is_sign_positive() && value < EXACT && thousandths.fract() == 0.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, positive and below 1e15")]
    let whole = if is_short { thousandths as u64 } else { 0 };
    #[expect(clippy::cast_precision_loss, reason = "below 1e15")]
    #[expect(clippy::float_cmp, reason = "the number that is meant, or another way is taken")]
    let is_exact = is_short && whole as f64 / 1e3 == value;
    if is_exact {
        to.extend_from_slice(itoa::Buffer::new().format(whole / 1000).as_bytes());
        let decimals = [whole / 100 % 10, whole / 10 % 10, whole % 10].map(|digit| b'0' + digit.to_le_bytes()[0]);
        let shown = decimals.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        if shown > 0 {
            to.push(b'.');
            to.extend_from_slice(decimals.get(..shown).unwrap_or_default());
        }
    } else if value.is_finite() {
        let _ = write!(Plain(to), "{value}");
    } else {
        quoted(to, &value.to_string());
    }
}

/// A text as a JSON string.
fn quoted(to: &mut Vec<u8>, text: &str) {
    to.push(b'"');
    escape(to, text);
    to.push(b'"');
}

/// Text that needs no escapes.
struct Plain<'buffer>(&'buffer mut Vec<u8>);

impl fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends text with escapes for characters that would end the string or the line, and for those that would change how a
/// terminal or a person reads the line.
fn escape(to: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    loop {
        let (clean, careful) = rest.split_at_checked(clean_prefix(rest.as_bytes())).unwrap_or((rest, ""));
        to.extend_from_slice(clean.as_bytes());
        let mut characters = careful.chars();
        let Some(character) = characters.next() else {
            return;
        };
        escape_character(to, character);
        rest = characters.as_str();
    }
}

fn escape_character(to: &mut Vec<u8>, character: char) {
    match character {
        '"' => to.extend_from_slice(b"\\\""),
        '\\' => to.extend_from_slice(b"\\\\"),
        '\n' => to.extend_from_slice(b"\\n"),
        '\r' => to.extend_from_slice(b"\\r"),
        '\t' => to.extend_from_slice(b"\\t"),
        hidden if is_hidden(hidden) => {
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                to.extend_from_slice(b"\\u");
                hex(to, &unit.to_be_bytes());
            }
        }
        visible => to.extend_from_slice(visible.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// The length of the prefix that can be copied. Whatever follows it begins a character.
fn clean_prefix(bytes: &[u8]) -> usize {
    const WORD: usize = 8;
    let words = bytes.chunks_exact(WORD);
    // Most text is ASCII: eight bytes at a time.
    let clean = words.take_while(|word| word.first_chunk::<WORD>().is_some_and(|word| is_clean_ascii(*word))).count();
    let clean = clean * WORD;
    let rest = bytes.get(clean..).unwrap_or_default();
    clean + rest.iter().position(|byte| needs_care(*byte)).unwrap_or(rest.len())
}

/// Whether eight bytes are all visible ASCII, without quote and backslash.
fn is_clean_ascii(word: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let special = has_zero(word ^ (ONES * 0x22)) | has_zero(word ^ (ONES * 0x5c)) | has_zero(word ^ (ONES * 0x7f));
    (word | control | special) & HIGH == 0
}

/// Whether a byte is a character that is escaped, or the first byte of some that are.
const fn needs_care(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef | 0xf3)
}

/// Control characters (C0, DEL, C1), line and paragraph separator, the bidirectional controls, and characters that are
/// not seen.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' |
            '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line_in(format: LogFormat, write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut buffer = Vec::new();
        let mut line = Line::begin(&mut buffer, format);
        write(&mut line);
        line.end();
        String::from_utf8(buffer).unwrap()
    }

    fn object(write: impl FnOnce(&mut Line<'_>)) -> String {
        line_in(LogFormat::Json, write)
    }

    fn string(text: &str) -> String {
        object(|object| object.member("a", Class::plain(), Value::Str(text)))
    }

    #[test]
    fn members_are_separated_by_commas_and_the_line_is_closed() {
        let line = object(|object| {
            object.member("a", Class::plain(), Value::Str("x"));
            object.member("b", Class::plain(), Value::U64(7));
            object.clean("c", |to| hex(to, &[0, 0x9f, 0xfa]));
            object.member("d", Class::plain(), Value::I64(-7));
            object.member("e", Class::plain(), Value::F64(0.5));
            object.member("f", Class::plain(), Value::F64(f64::NAN));
            object.member("g", Class::plain(), Value::Bool(true));
            object.members(b"\"h\":1");
        });
        assert_eq!(
            line,
            "{\"a\":\"x\",\"b\":7,\"c\":\"009ffa\",\"d\":-7,\"e\":0.5,\"f\":\"NaN\",\"g\":true,\"h\":1}\n"
        );
    }

    #[test]
    fn no_value_can_forge_a_line_or_control_a_terminal() {
        let text = "\"}\n{\r\u{1b}[31m\u{2028}\u{202e}\u{7f}\u{9b}";
        let expected = "{\"a\":\"\\\"}\\n{\\r\\u001b[31m\\u2028\\u202e\\u007f\\u009b\"}\n";
        assert_eq!(string(text), expected);
        assert_eq!(object(|object| object.member("a", Class::plain(), Value::Text(&text))), expected);
    }

    #[test]
    fn characters_that_are_not_seen_are_escaped() {
        let hidden = "\u{200b}\u{200f}\u{2060}\u{2064}\u{feff}\u{e0001}\u{e007f}\u{61c}";
        let escaped = "\\u200b\\u200f\\u2060\\u2064\\ufeff\\udb40\\udc01\\udb40\\udc7f\\u061c";
        assert_eq!(string(hidden), format!("{{\"a\":\"{escaped}\"}}\n"));
    }

    #[test]
    fn a_long_value_is_truncated_at_a_character_boundary() {
        for long in ["é".repeat(VALUE_LIMIT), format!("a{}z", "é".repeat(VALUE_LIMIT))] {
            let fit = (VALUE_LIMIT - usize::from(long.starts_with('a'))) / 2;
            for line in [string(&long), object(|object| object.member("a", Class::plain(), Value::Text(&long)))] {
                assert_eq!(line.matches('é').count(), fit);
                assert!(!line.contains('z'), "nothing follows the truncated text");
            }
        }
    }

    #[test]
    fn a_value_is_not_formatted_beyond_its_limit() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    formatter.write_str("0123456789")?;
                }
            }
        }
        let line = object(|object| object.member("a", Class::plain(), Value::Text(&Endless)));
        assert_eq!(line.len(), VALUE_LIMIT + "{\"a\":\"\"}\n".len());
    }

    #[test]
    fn a_line_is_bounded_and_says_so() {
        let long = "x".repeat(VALUE_LIMIT);
        let line = object(|object| (0..100).for_each(|_| object.member("a", Class::plain(), Value::Str(&long))));
        assert!(line.len() < 64 * 1024 && line.ends_with(",\"truncated\":true}\n"), "{}", line.len());
    }

    fn with_everything(line: &mut Line<'_>) {
        line.message(Value::Text(&"said \"no\"\n\u{1b}[2J"));
        line.member("asset", Class::plain(), Value::Str("btc"));
        line.member("note", Class::plain(), Value::Str("two words"));
        line.member("odd key=", Class::plain(), Value::Str("a=b"));
        line.member("empty", Class::plain(), Value::Str(""));
        line.member("amount", Class::plain(), Value::U64(7));
    }

    #[test]
    fn logfmt_has_quotes_where_a_reader_needs_them() {
        let line = line_in(LogFormat::Logfmt, with_everything);
        let expected =
            r#"message="said \"no\"\n\u001b[2J" asset=btc note="two words" odd_key_="a=b" empty="" amount=7"#;
        assert_eq!(line, format!("{expected}\n"));
    }

    #[test]
    fn a_line_for_a_person_begins_with_its_message_and_has_no_foreign_control_character() {
        let plain = line_in(LogFormat::Pretty { colour: false }, with_everything);
        let expected =
            r#"said \"no\"\n\u001b[2J           asset=btc note="two words" odd_key_="a=b" empty="" amount=7"#;
        assert_eq!(plain, format!("{expected}\n"));
        let coloured = line_in(LogFormat::Pretty { colour: true }, with_everything);
        let without_ours = [DIM, BOLD, RESET]
            .iter()
            .fold(coloured, |line, colour| line.replace(std::str::from_utf8(colour).unwrap(), ""));
        assert_eq!(without_ours, plain);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_number_is_read_back(value in any::<f64>(), thousandths in -9_000_000_000_i64..9_000_000_000) {
            #[expect(clippy::cast_precision_loss, reason = "any number will do")]
            for value in [value, thousandths as f64 / 1e3, thousandths as f64 / 1e2, thousandths as f64] {
                let mut shown = Vec::new();
                float(&mut shown, value);
                let shown = String::from_utf8(shown).unwrap();
                prop_assert_eq!(shown.trim_matches('"'), value.to_string());
            }
        }

        #[test]
        fn every_text_is_read_back_and_nothing_hidden_is_in_the_line(text in "(?s).{0,40}", parts in any::<bool>()) {
            let line = object(|object| {
                // As a key it may be the name of a secret, whose value is masked.
                object.member(&text, Class::NOT_SCANNED, Value::Str("x"));
                if parts {
                    let (first, second) = text.split_at(text.char_indices().nth(7).map_or(0, |(at, _)| at));
                    object.member("the value", Class::plain(), Value::Text(&format_args!("{first}{second}")));
                } else {
                    object.member("the value", Class::plain(), Value::Str(&text));
                }
            });
            let body = line.strip_suffix('\n').unwrap();
            prop_assert!(!body.chars().any(is_hidden), "{line:?}");
            let read: serde_json::Value = serde_json::from_str(body).unwrap();
            prop_assert_eq!(read[&text].as_str(), Some("x"));
            prop_assert_eq!(read["the value"].as_str(), Some(text.as_str()));
        }
    }
}
