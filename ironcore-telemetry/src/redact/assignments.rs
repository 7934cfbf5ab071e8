//! Names beside values within a text: `password=…`, `"pin": "…"`, `?access_token=…`, and addresses with a user.

use super::bytes::{at, before, end_of, find, is_in_mask, start_near};
use super::keys::{KeyClass, Names};
use super::kind::Kind;
use std::ops::Range;

/// Names of credentials in the query of an address only.
const QUERY: &[&str] = &[
    "awsaccesskeyid",
    "sig",
    "signature",
    "x-amz-credential",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
];

/// The same, if the value is as long as a key and has a digit.
const QUERY_LONG: &[&str] = &["auth", "code", "key", "ticket"];

/// The longest name.
const LONGEST_NAME: usize = 64;

/// The shortest value of [`QUERY_LONG`].
const LONG: usize = 16;

/// Values that give nothing away.
const NOTHING: &[&[u8]] =
    &[b"", b"null", b"none", b"nil", b"true", b"false", b"undefined", b"some", b"redacted", b"hidden"];

/// How a masked value starts.
const MASKED: &[u8] = b"[REDACTED";

/// The name before the `=` or `:` at `sign`, without quotes.
fn name(text: &[u8], sign: usize) -> Range<usize> {
    let spaces = start_near(text, sign, 2, |byte| byte == b' ');
    let end = start_near(text, spaces, 6, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b'`' | b']'));
    let start = start_near(text, end, LONGEST_NAME, is_name);
    // The kind in a mask is no name.
    let start = if is_in_mask(text, start) { end } else { start };
    start..end
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// What the name before `sign` says about the value behind it.
pub(super) fn class_before(text: &[u8], sign: usize, names: &Names) -> KeyClass {
    let name = text.get(name(text, sign)).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
    if name.is_empty() { KeyClass::Plain } else { names.class_of(name) }
}

/// The secret behind the sign at `sign`.
pub(super) fn named(text: &[u8], sign: usize, names: &Names) -> Option<(Range<usize>, Kind)> {
    // `==`, `=>`, `::`
    if matches!(at(text, sign + 1), b'=' | b'>' | b':') || before(text, sign) == b':' {
        return None;
    }
    let place = name(text, sign);
    let name = text.get(place.clone())?;
    if !may_be_secret(name) && names.secret.is_empty() {
        return None;
    }
    let key = std::str::from_utf8(name).ok()?;
    let class = names.class_of(key);
    if class == KeyClass::Keystore {
        // `"mac": "…"` of 32 bytes; a MAC of a network card is shorter.
        let value = value(text, sign, key)?;
        return (value.len() >= 64).then_some((value, Kind::Keystore));
    }
    let is_query = at(text, sign) == b'=' && matches!(before(text, place.start), b'?' | b'&' | b';' | b'#');
    let in_list = |list: &[&str]| list.iter().any(|listed| key.eq_ignore_ascii_case(listed));
    if class != KeyClass::Secret && !(is_query && (in_list(QUERY) || in_list(QUERY_LONG))) {
        return None;
    }
    let value = value(text, sign, key)?;
    let is_long =
        || value.len() >= LONG && text.get(value.clone()).is_some_and(|value| value.iter().any(u8::is_ascii_digit));
    let is_known = class == KeyClass::Secret || in_list(QUERY);
    (is_known || is_long()).then_some((value.clone(), Kind::Named))
}

/// Letters of which a secret name has all of one row: most names have not.
const LETTERS: [u32; 25] = [
    letters("pas"),
    letters("pw"),
    letters("secrt"),
    letters("token"),
    letters("key"),
    letters("coki"),
    letters("mnoic"),
    letters("sed"),
    letters("auth"),
    letters("cred"),
    letters("bear"),
    letters("pin"),
    letters("pan"),
    letters("cv"),
    letters("csc"),
    letters("otp"),
    letters("jwt"),
    letters("wif"),
    letters("prv"),
    letters("priv"),
    letters("mac"),
    letters("sig"),
    letters("code"),
    letters("cardnume"),
    letters("cipher"),
];

/// A bit for each letter.
const fn letters(name: &str) -> u32 {
    let mut set = 0;
    let mut bytes = name.as_bytes();
    while let Some((byte, rest)) = bytes.split_first() {
        set |= 1 << (*byte & 31);
        bytes = rest;
    }
    set
}

/// Whether it has the letters of a secret name.
pub(super) fn may_be_secret(name: &[u8]) -> bool {
    let letters = name.iter().filter(|byte| byte.is_ascii_alphabetic()).fold(0, |set, byte| set | 1_u32 << (byte & 31));
    LETTERS.iter().any(|needed| letters & needed == *needed)
}

/// Where the value behind `sign` is, without its quotes; nothing if it says nothing.
fn value(text: &[u8], sign: usize, key: &str) -> Option<Range<usize>> {
    let start = end_of(text, sign + 1, |byte| matches!(byte, b' ' | b'\t'));
    let is_tight = start == sign + 1 && before(text, sign) != b' ';
    let start = if text.get(start..)?.starts_with(b"Some(") { start + 5 } else { start };
    let first = at(text, start);
    let range = match first {
        b'"' | b'\'' | b'`' => start + 1..closing_quote(text, start + 1, first),
        b'\\' => {
            let quote = end_of(text, start, |byte| byte == b'\\');
            let closing = text.get(start..=quote)?;
            quote + 1..find(text, quote + 1, closing).unwrap_or(text.len())
        }
        b'[' | b'{' if !text.get(start..)?.starts_with(MASKED) => start..closing_bracket(text, start),
        _ if is_line(key) && at(text, sign) == b':' => {
            let is_line = |byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'\\' | b'`');
            start..end_of(text, start, is_line)
        }
        _ => {
            let end = end_of(text, start, is_bare);
            let value = text.get(start..end)?;
            if !is_tight && is_a_word(value) || is_placeholder(value) {
                return None;
            }
            start..end
        }
    };
    let value = text.get(range.clone())?;
    (!says_nothing(value)).then_some(range)
}

/// Whether a value gives nothing away: no value, a flag, a mask.
pub(super) fn says_nothing(value: &[u8]) -> bool {
    let is_mask = || match find(value, 0, MASKED) {
        Some(mask) => {
            let end = closing_bracket(value, mask);
            // `Bearer [REDACTED:bearer]`, `Secret([REDACTED])`
            let around = value.iter().take(mask).chain(value.iter().skip(end));
            around.clone().count() <= LONG && around.into_iter().all(|byte| !byte.is_ascii_digit() && *byte != b'=')
        }
        None => false,
    };
    NOTHING.iter().any(|word| value.eq_ignore_ascii_case(word))
        || value.iter().all(|byte| b"*.-xX?_ []{}".contains(byte))
        || is_mask()
}

/// Headers whose value is the rest of the line.
fn is_line(key: &str) -> bool {
    ["authorization", "cookie"].iter().any(|name| {
        key.len()
            .checked_sub(name.len())
            .and_then(|start| key.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(name))
    })
}

const fn is_bare(byte: u8) -> bool {
    !byte.is_ascii_whitespace()
        && !matches!(byte, b'&' | b',' | b';' | b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'<' | b'>' | b'\\' | b'|')
}

/// Whether it could be the next word of a sentence: `token: expected`, `password = get_password`.
fn is_a_word(value: &[u8]) -> bool {
    let value = value.strip_suffix(b".").or_else(|| value.strip_suffix(b":")).unwrap_or(value);
    let letters = value.get(1..).unwrap_or_default();
    let is_identifier =
        |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-' | b'(' | b'.' | b':' | b'/');
    value.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'&' | b'(' | b'*' | b'#' | b'@'))
        && letters.iter().all(is_identifier)
}

/// `$1`, `?`, `:token`, `%s`, `{token}`, `${TOKEN}`
fn is_placeholder(value: &[u8]) -> bool {
    let Some((first, rest)) = value.split_first() else { return true };
    match first {
        b'$' => rest.iter().all(u8::is_ascii_digit) || rest.starts_with(b"{"),
        b'?' | b'{' => true,
        b':' => rest.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_'),
        b'%' => rest.len() == 1,
        _ => false,
    }
}

/// Where the quote closes, or the text ends.
fn closing_quote(text: &[u8], start: usize, quote: u8) -> usize {
    let mut place = start;
    while place < text.len() {
        match at(text, place) {
            b'\\' => place += 1,
            byte if byte == quote => return place,
            _ => {}
        }
        place += 1;
    }
    text.len()
}

/// Behind the bracket that closes the one at `start`, or the end of the text.
fn closing_bracket(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for (place, byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + 1;
        }
    }
    text.len()
}

/// Where the address whose `://` is at `colon` ends: at white space, quotes, a mask.
pub(super) fn end_of_address(text: &[u8], colon: usize) -> usize {
    let end = end_of(text, colon, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'`' | b'<' | b'>'));
    text.get(..end).and_then(|text| find(text, colon, MASKED)).unwrap_or(end)
}

/// The user of the address whose `://` is at `colon`, if it has one, and up to where no other can have one. One
/// address may stand within another: `jdbc:x://host/?next=y://user@host`.
pub(super) fn user_of_address(text: &[u8], colon: usize, end: usize) -> (Option<Range<usize>>, usize) {
    let (text, start) = (text.get(..end).unwrap_or_default(), colon + 3);
    let authority = end_of(text, start, |byte| !matches!(byte, b'/' | b'?' | b'#'));
    let inside = text.get(start..authority).unwrap_or_default();
    let port = inside.iter().position(|byte| *byte == b':').and_then(|colon| inside.get(colon + 1..));
    // What stands behind the first `:` and is no port is a password, which may contain anything.
    let has_password = at(text, start) != b'[' && port.is_some_and(|port| !port.iter().all(u8::is_ascii_digit));
    let searched = if has_password { end } else { authority };
    let user = text.get(start..searched).unwrap_or_default().iter().rposition(|byte| *byte == b'@');
    let user = user.map(|length| start..start + length).filter(|user| !user.is_empty());
    let done = user.as_ref().map_or(searched, |user| user.end);
    (user, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (text, names) = (text.as_bytes(), Names::default());
        let values: Vec<_> = (0..text.len())
            .filter(|sign| matches!(text[*sign], b'=' | b':'))
            .filter_map(|sign| named(text, sign, &names))
            .map(|(value, _)| String::from_utf8(text[value].to_vec()).unwrap())
            .collect();
        values.join("|")
    }

    #[test]
    fn the_value_beside_a_secret_name_is_found() {
        for (text, value) in [
            ("password=hunter2 x", "hunter2"),
            ("password=hunter2&x=1", "hunter2"),
            ("password = 'hun ter2'", "hun ter2"),
            (r#"{"pin":"1234","n":1}"#, "1234"),
            (r#"{"pin":1234,"n":1}"#, "1234"),
            (r#"{\"pin\": \"12 34\"}"#, "12 34"),
            (r#"Login { password: "hun\"ter2", id: 7 }"#, r#"hun\"ter2"#),
            (r#"token: Some("abc"), next: None"#, "abc"),
            ("authorization: Digest realm=x, nonce=y\nnext", "Digest realm=x, nonce=y"),
            ("Cookie: a=b; c=d", "a=b; c=d"),
            ("secrets: [\"a\", \"b\"] n", "[\"a\", \"b\"]"),
            ("password: hunter2", "hunter2"),
            ("password=\"never closed", "never closed"),
            ("params[password]=x1", "x1"),
            ("?key=AIzaSyD4x8aZl29dkLqW&key=short", "AIzaSyD4x8aZl29dkLqW"),
        ] {
            assert_eq!(shown(text), value, "{text}");
        }
    }

    #[test]
    fn what_is_no_value_or_says_nothing_is_left() {
        for text in [
            "unexpected token: expected identifier",
            "password: must be longer",
            "if token == other",
            "token => x",
            "secret::value",
            "password=",
            "password: None",
            "token=null&x",
            "WHERE token = $1",
            "password = ?",
            "password: \"***\"",
            "token=[REDACTED:named]",
            "token: Secret([REDACTED])",
            "password: {}",
            "pin=true",
            "authorization: Bearer [REDACTED:bearer]",
            "sha256=abc",
            "?key=short",
        ] {
            assert_eq!(shown(text), "", "{text}");
        }
    }

    #[test]
    fn the_user_of_an_address_is_found() {
        for (text, user) in [
            ("https://user:pw@node/", Some("user:pw")),
            ("redis://:s3cr3t@cache:6379/0", Some(":s3cr3t")),
            ("postgres://u:s3cr3t/s3cr3t?s3cr3t@db/x", Some("u:s3cr3t/s3cr3t?s3cr3t")),
            ("https://ghp_x@github.com/a", Some("ghp_x")),
            ("https://node:8545/@me", None),
            ("https://[::1]:8080/@me", None),
            ("https://node/a@b", None),
            ("https://@node", None),
        ] {
            let colon = text.find("://").unwrap();
            let (found, _) = user_of_address(text.as_bytes(), colon, end_of_address(text.as_bytes(), colon));
            assert_eq!(found.map(|user| &text[user]), user, "{text}");
        }
    }
}
