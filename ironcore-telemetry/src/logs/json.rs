//! One JSON object, written key by key into a buffer.

use crate::caught::caught;
use crate::redact::{PANICKED, VALUE_LIMIT, truncate};
use std::fmt::{self, Write};

/// Writes the members of one object.
pub(super) struct Object<'buffer> {
    buffer: &'buffer mut String,
}

impl<'buffer> Object<'buffer> {
    /// Opens an object in an empty buffer.
    pub(super) fn open(buffer: &'buffer mut String) -> Self {
        buffer.push('{');
        Self { buffer }
    }

    /// Closes the object and the line.
    pub(super) fn close(self) {
        self.buffer.push_str("}\n");
    }

    /// A member whose value is text.
    pub(super) fn text(&mut self, key: &str, value: &dyn fmt::Display) {
        self.key(key);
        write_text(self.buffer, value);
    }

    /// A member whose value is JSON already.
    pub(super) fn json(&mut self, key: &str, value: &str) {
        self.key(key);
        self.buffer.push_str(value);
    }

    /// A member whose value is a number or a boolean.
    pub(super) fn plain(&mut self, key: &str, value: &dyn fmt::Display) {
        self.key(key);
        let _ = write!(self.buffer, "{value}");
    }

    fn key(&mut self, key: &str) {
        if !self.buffer.ends_with('{') {
            self.buffer.push(',');
        }
        self.buffer.push('"');
        let _ = Escaped { buffer: self.buffer, left: VALUE_LIMIT }.write_str(key);
        self.buffer.push_str("\":");
    }
}

/// Writes a value as a JSON string.
pub(super) fn write_text(buffer: &mut String, value: &dyn fmt::Display) {
    buffer.push('"');
    let mut escaped = Escaped { buffer, left: VALUE_LIMIT };
    // The value's `Display` may fail or panic half-way; the text written until then stays.
    if caught(|| write!(escaped, "{value}").is_ok()).is_none() {
        buffer.push_str(PANICKED);
    }
    buffer.push('"');
}

/// Escapes characters that would end the string or the line, and those that would change how a terminal or a person
/// reads the line (control characters, line separators, bidirectional controls).
struct Escaped<'buffer> {
    buffer: &'buffer mut String,
    left: usize,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = truncate(text, self.left);
        self.left = if kept.len() < text.len() { 0 } else { self.left - kept.len() };
        for character in kept.chars() {
            match character {
                '"' => self.buffer.push_str("\\\""),
                '\\' => self.buffer.push_str("\\\\"),
                '\n' => self.buffer.push_str("\\n"),
                '\r' => self.buffer.push_str("\\r"),
                '\t' => self.buffer.push_str("\\t"),
                // JSON escapes units of UTF-16: a tag is two of them.
                hidden if is_hidden(hidden) => {
                    for unit in hidden.encode_utf16(&mut [0; 2]) {
                        write!(self.buffer, "\\u{unit:04x}")?;
                    }
                }
                visible => self.buffer.push(visible),
            }
        }
        Ok(())
    }
}

/// Control characters (C0, DEL, C1), line and paragraph separator, the bidirectional controls, and characters without
/// width or glyph: zero-width spaces and joiners, invisible operators, the byte order mark, tags.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(write: impl FnOnce(&mut Object<'_>)) -> String {
        let mut buffer = String::new();
        let mut object = Object::open(&mut buffer);
        write(&mut object);
        object.close();
        buffer
    }

    #[test]
    fn members_are_separated_by_commas_and_the_line_is_closed() {
        let line = object(|object| {
            object.text("a", &"x");
            object.plain("b", &7);
        });
        assert_eq!(line, "{\"a\":\"x\",\"b\":7}\n");
    }

    #[test]
    fn no_value_can_forge_a_line_or_control_a_terminal() {
        let line = object(|object| object.text("a", &"\"}\n{\r\u{1b}[31m\u{2028}\u{202e}\u{7f}\u{9b}"));
        assert_eq!(line, "{\"a\":\"\\\"}\\n{\\r\\u001b[31m\\u2028\\u202e\\u007f\\u009b\"}\n");
    }

    #[test]
    fn no_invisible_character_stays() {
        let hidden = ('\u{200b}'..='\u{200f}').chain('\u{2060}'..='\u{2064}').chain('\u{e0000}'..='\u{e007f}');
        for character in hidden.chain(['\u{feff}', '\u{61c}', '\u{2028}', '\u{202a}', '\u{2069}']) {
            let line = object(|object| object.text("a", &format_args!("a{character}b")));
            assert!(line.is_ascii() && line.contains("a\\u") && line.ends_with("b\"}\n"), "{line}");
        }
        let line = object(|object| object.text("a", &"\u{200b}\u{feff}\u{e0041}"));
        assert_eq!(line, "{\"a\":\"\\u200b\\ufeff\\udb40\\udc41\"}\n");
    }

    #[test]
    fn a_long_value_is_truncated_at_a_character_boundary() {
        let line = object(|object| object.text("a", &"é".repeat(VALUE_LIMIT)));
        assert_eq!(line.matches('é').count(), VALUE_LIMIT / 2);
        let line = object(|object| object.text("a", &format_args!("a{}z", "é".repeat(VALUE_LIMIT))));
        assert_eq!(line.matches('é').count(), (VALUE_LIMIT - 1) / 2);
        assert!(!line.contains('z'), "nothing follows the truncated text");
    }
}
