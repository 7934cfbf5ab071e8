//! Finds text that looks like a secret. Made for tests: it prefers missing a rare form to reporting every hash.

/// The smallest number of words in a mnemonic.
const MNEMONIC_WORDS: usize = 12;

/// A kind of secret and its test.
type Check = (&'static str, fn(&str) -> bool);

/// The kind of secret that a text seems to hold.
pub(super) fn find(text: &str) -> Option<&'static str> {
    let checks: [Check; 6] = [
        ("a private key in PEM", |text| text.contains("PRIVATE KEY-----")),
        ("an extended private key", |text| words(text).any(is_extended_key)),
        ("a JSON web token", |text| words(text).any(is_web_token)),
        ("a bearer token", |text| {
            text.split("earer ").skip(1).any(|rest| words(rest).next().is_some_and(|word| word.len() >= 16))
        }),
        ("a card number", has_card_number),
        ("a mnemonic", has_mnemonic),
    ];
    checks.into_iter().find(|(_, check)| check(text)).map(|(kind, _)| kind)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))).filter(|word| !word.is_empty())
}

/// BIP 32: `xprv` or `tprv` and 107 characters of base 58.
fn is_extended_key(word: &str) -> bool {
    (word.starts_with("xprv") || word.starts_with("tprv")) && word.len() >= 100
}

/// RFC 7519: three parts separated by dots, the first a JSON object in base 64.
fn is_web_token(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    parts.len() == 3 && word.starts_with("eyJ") && parts.iter().all(|part| part.len() >= 4)
}

/// 15 or 16 digits, alone or in groups, with a valid check digit (Luhn, ISO/IEC 7812-1). Shorter and longer card
/// numbers are rare, and would make times in milliseconds and amounts suspicious.
fn has_card_number(text: &str) -> bool {
    let runs = text.split(|c: char| !(c.is_ascii_digit() || c == ' ' || c == '-'));
    runs.map(|run| run.chars().filter_map(|c| c.to_digit(10)).collect::<Vec<_>>())
        .any(|digits| matches!(digits.len(), 15 | 16) && luhn(&digits))
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    sum > 0 && sum.is_multiple_of(10)
}

/// Twelve consecutive words that could be in the list of BIP 39: 3 to 8 lower-case letters. English prose has shorter
/// words in between.
fn has_mnemonic(text: &str) -> bool {
    let mut run = 0;
    text.split(' ').any(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
        let could_be = (3..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase());
        run = if could_be { run + 1 } else { 0 };
        run >= MNEMONIC_WORDS
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn secrets_are_found() {
        let mnemonic = [
            "legal", "winner", "thank", "year", "wave", "sausage", "worth", "useful", "legal", "winner", "thank",
            "yellow",
        ];
        for (text, kind) in [
            (format!("\"{}\"", mnemonic.join(" ")), "a mnemonic"),
            ("-----BEGIN EC PRIVATE KEY-----".to_owned(), "a private key in PEM"),
            (format!("key=xprv{}", "9s21ZrQH143K".repeat(9)), "an extended private key"),
            ("t=eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK".to_owned(), "a JSON web token"),
            ("authorization: Bearer 0123456789abcdef0123".to_owned(), "a bearer token"),
            ("card 4111 1111 1111 1111".to_owned(), "a card number"),
        ] {
            assert_eq!(find(&text), Some(kind), "{text}");
        }
    }

    #[test]
    fn ids_times_and_prose_are_not_secrets() {
        for text in [
            r#"{"timestamp":"2026-11-23T06:35:27.010087Z","trace_id":"04a6dcbd01f739f7b265da7095f5d39b","duration_ms":0.166}"#,
            "0xde0b295669a9fd93d5f28d9ec85e40f4cb697bae",
            "sent 1000000000000000000 wei at 1795414048170",
            "the collector did not take everything before the deadline that was given to it",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
