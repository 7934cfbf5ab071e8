//! What is masked and what is not, of generated and of hostile texts.

#![expect(clippy::cast_precision_loss, reason = "samples of numbers as text")]

mod generated;
mod ordinary;

use super::*;
use generated::{KINDS, Random, surrounded};

/// Samples of each kind, lines, words of prose. The deep tier takes what the promise says.
const QUICK: (usize, usize, usize) = (60, 3_000, 30_000);
const DEEP: (usize, usize, usize) = (2_000, 100_000, 1_000_000);

fn scrubbed(text: &str) -> String {
    scrubbed_as(KeyClass::Plain, text)
}

fn scrubbed_as(class: KeyClass, text: &str) -> String {
    let mut counts = Counts::new();
    let shown = Redaction::default().scrub(class, text, VALUE_LIMIT, &mut counts).into_owned();
    assert!(counts.iter().all(|(kind, _)| kind != Kind::Unscanned), "{text:?}");
    shown
}

fn scrubbed_in_place(text: &str) -> Cow<'_, str> {
    Redaction::default().scrub(KeyClass::Plain, text, VALUE_LIMIT, &mut Counts::new())
}

/// A value whose `Display` writes it in parts of these lengths.
struct InParts<'text>(&'text str, usize);

impl fmt::Display for InParts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .split_inclusive(|_| true)
            .collect::<Vec<_>>()
            .chunks(self.1)
            .try_for_each(|part| formatter.write_str(&part.concat()))
    }
}

/// Letters and digits only, with one space between words.
fn plain(text: &str) -> String {
    let words: Vec<_> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Whether the shown text has a part of the secret: of a phrase four words, of anything else twelve characters.
fn gives_away(shown: &str, secret: &generated::Secret) -> bool {
    let lower = shown.to_ascii_lowercase();
    if secret.parts.len() > 5 && secret.parts[0].split(' ').count() == 4 {
        let letters: String = lower.chars().map(|c| if c.is_ascii_alphabetic() { c } else { ' ' }).collect();
        let words: Vec<_> = letters.split(' ').filter(|word| !matches!(*word, "" | "word")).collect();
        let shown = words.join(" ");
        return secret.parts.iter().any(|part| shown.contains(part.as_str()));
    }
    let shown = plain(&lower);
    secret.parts.iter().any(|part| {
        let part = plain(&part.to_ascii_lowercase());
        let piece = part.len().min(12);
        (0..=part.len() - piece).any(|start| shown.contains(&part[start..start + piece]))
    })
}

fn every_kind_is_found((samples, ..): (usize, usize, usize)) {
    let mut random = Random(14);
    let mut missed = Vec::new();
    for (kind, make) in KINDS {
        for _ in 0..samples {
            let secret = make(&mut random);
            let text = surrounded(&mut random, &secret);
            let shown = scrubbed(&text);
            let mut buffer = String::new();
            let in_parts = InParts(&text, 1 + random.below(20));
            let parts = Redaction::default().scrub_display(
                KeyClass::Plain,
                format_args!("{in_parts}"),
                VALUE_LIMIT,
                &mut buffer,
                &mut Counts::new(),
            );
            assert_eq!(parts, shown);
            if gives_away(&shown, &secret) || shown == text {
                missed.push(format!("{kind}: {text}\n   {shown}"));
            }
            assert_eq!(scrubbed(&shown), shown, "a second scan changes {kind}: {text}");
        }
    }
    assert!(
        missed.is_empty(),
        "{} missed:\n{}",
        missed.len(),
        missed.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
}

fn nothing_ordinary_is_masked((_, lines, words): (usize, usize, usize)) {
    let mut random = Random(39);
    let mut texts: Vec<_> = (0..lines).map(|_| ordinary::line(&mut random)).collect();
    let mut left = words;
    while left > 0 {
        let length = left.min(5 + random.below(40));
        texts.push(ordinary::prose(&mut random, length));
        left -= length;
    }
    let masked: Vec<_> = texts.iter().filter(|text| scrubbed(text) != **text).collect();
    let most = texts.len() / 100_000;
    assert!(
        masked.len() <= most,
        "{} of {}: {:#?}",
        masked.len(),
        texts.len(),
        masked.iter().take(20).map(|text| (text, scrubbed(text))).collect::<Vec<_>>()
    );
}

#[test]
fn generated_secrets_of_every_kind_are_masked() {
    every_kind_is_found(QUICK);
}

#[test]
#[ignore = "deep tier"]
fn two_thousand_secrets_of_every_kind_are_masked() {
    every_kind_is_found(DEEP);
}

#[test]
fn ordinary_lines_and_prose_are_shown() {
    nothing_ordinary_is_masked(QUICK);
}

#[test]
#[ignore = "deep tier"]
fn of_100_000_lines_and_a_million_words_all_are_shown() {
    nothing_ordinary_is_masked(DEEP);
}

/// Pieces that secrets, escapes and syntax are made of.
const PIECES: &[&str] = &[
    "password",
    "token",
    "=",
    ":",
    "://",
    "@",
    "\"",
    "\\\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "&",
    "?",
    " ",
    "  ",
    "\n",
    "\\n",
    "%20",
    "\\u200b",
    "\u{200b}",
    "é",
    "日",
    "🔑",
    "Bearer ",
    "Basic ",
    "eyJhbGciOiJIUzI1NiJ9",
    ".",
    "-",
    "_",
    "0x",
    "4111",
    "1111 ",
    "GB82",
    "WEST",
    "1234",
    ",",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "-----END ",
    "AKIA",
    "IOSFODNN7EXAMPLE",
    "sk-",
    "xprv",
    "legal winner thank year wave sausage worth",
    "useful",
    "yellow ",
    "[REDACTED:",
    "[REDACTED:named]",
    "private key ",
    "4Z7cXSdfzRT8nxfB1pkDvQ3sKjgVQ2sVn1m8e1uWq7iM",
    "/tx/",
    "tx_hash",
    "mac",
    "123456789:AA",
    "Some(",
    "$1",
    "a.b@c.de",
];

fn hostile(random: &mut Random) -> String {
    (0..random.below(24)).map(|_| random.one(PIECES)).collect()
}

#[test]
fn hostile_texts_are_masked_once_and_stay_within_their_limit() {
    let rules = Redaction { emails: true, ..Redaction::default() };
    let mut random = Random(7);
    for _ in 0..20_000 {
        let text = hostile(&mut random);
        let (limit, class) =
            ([16, 64, VALUE_LIMIT][random.below(3)], [KeyClass::Plain, KeyClass::Hash][random.below(2)]);
        let mut counts = Counts::new();
        let once = rules.scrub(class, &text, limit, &mut counts).into_owned();
        assert!(once.len() <= limit, "{text:?}");
        assert!(counts.iter().all(|(kind, _)| kind != Kind::Unscanned), "{text:?}");
        if limit == VALUE_LIMIT {
            assert_eq!(rules.scrub(class, &once, limit, &mut Counts::new()), once, "{text:?}");
            assert!(once.len() <= text.len() + 26 * counts.iter().map(|(_, number)| number as usize).sum::<usize>());
        }
    }
}

#[test]
fn a_key_is_masked_whatever_stands_around_it() {
    let mut random = Random(8);
    for _ in 0..3_000 {
        let key = random.hex(64);
        let text = format!("{} {key} {}", hostile(&mut random), hostile(&mut random));
        // Only a name lets a hash pass.
        let shown = scrubbed(&text);
        assert!(!shown.contains(&key) || text.contains("tx_hash") || text.contains("/tx/"), "{text:?}");
    }
}

#[test]
fn a_secret_that_the_limit_cuts_is_masked_whole() {
    let mut random = Random(9);
    for (kind, make) in KINDS {
        for _ in 0..20 {
            let secret = make(&mut random);
            let shown_of_it = random.below(60);
            let text = format!("{} {}", "é ".repeat(400), secret.text);
            let limit = text.len() - secret.text.len() + shown_of_it.min(secret.text.len());
            let shown = Redaction::default().scrub(KeyClass::Plain, &text, limit, &mut Counts::new()).into_owned();
            assert!(shown.len() <= limit);
            assert!(!gives_away(&shown, &secret), "{kind}: {} | {}", secret.text, shown.trim_start_matches("é "));
        }
    }
}

#[test]
fn the_time_of_a_scan_grows_with_the_length_and_no_faster() {
    let of = |piece: &str, length: usize| {
        let text = piece.repeat(length / piece.len() + 1);
        let start = std::time::Instant::now();
        let shown = Redaction::default().scrub(KeyClass::Plain, &text, text.len(), &mut Counts::new());
        std::hint::black_box(shown);
        start.elapsed()
    };
    for piece in PIECES.iter().chain(&[
        "a",
        "A",
        "7",
        "password=",
        "x://",
        "1, ",
        "{\"a\":",
        "abandon ",
        "eyJ.",
        "A1-",
        "sk-",
        "eyJ-",
        "12345678:",
        "-----BEGIN PRIVATE KEY-----",
        "pin: [",
        "AKIA-",
        "a@b.c ",
    ]) {
        let best = |length| (0..2).map(|_| of(piece, length)).min().unwrap();
        let (short, long) = (best(1 << 10).max(std::time::Duration::from_micros(50)), best(1 << 14));
        // Sixteen times the length; squared it would be 256 times the time.
        assert!(long < short * 16 * 8, "{piece:?}: {short:?} {long:?}");
    }
}

#[test]
fn a_name_decides_over_a_value() {
    assert_eq!(scrubbed_as(KeyClass::Secret, "anything at all"), "[REDACTED:named]");
    assert_eq!(scrubbed_as(KeyClass::Secret, ""), "");
    assert_eq!(scrubbed_as(KeyClass::Secret, "[REDACTED:named]"), "[REDACTED:named]");
    let hash = "ab".repeat(32);
    assert_eq!(scrubbed(&hash), "[REDACTED:private_key]");
    assert_eq!(scrubbed_as(KeyClass::Hash, &hash), hash);
    assert_eq!(scrubbed_as(KeyClass::Keystore, &hash), "[REDACTED:keystore]");
    assert_eq!(scrubbed_as(KeyClass::Keystore, "02:00:5e:10:00:01"), "02:00:5e:10:00:01");
    assert_eq!(scrubbed_as(KeyClass::Amount, "4111111111111111"), "4111111111111111");
    assert_eq!(scrubbed_as(KeyClass::Plain, "4111111111111111"), "[REDACTED:card]");
    let json = format!(r#"{{"tx_hash": "0x{hash}", "key": "0x{hash}"}}"#);
    assert_eq!(scrubbed(&json), format!(r#"{{"tx_hash": "0x{hash}", "key": "[REDACTED:private_key]"}}"#));
}

#[test]
fn what_is_not_masked_is_not_copied() {
    let text = "created wallet 7 for alice";
    let shown = Redaction::default().scrub(KeyClass::Plain, text, VALUE_LIMIT, &mut Counts::new());
    assert!(matches!(shown, Cow::Borrowed(same) if std::ptr::eq(same, text)));
    let cut = Redaction::default().scrub(KeyClass::Plain, text, 7, &mut Counts::new());
    assert!(matches!(cut, Cow::Borrowed("created")));
    let line = "GET /v1/wallets/3f2a with tx_hash=0xde0b295669a9fd93d5f28d9ec85e40f4cb697bae for 10.0.0.7, twice";
    let allocated = allocation_counter::measure(|| assert_eq!(scrubbed_in_place(line), line));
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn each_secret_is_counted_by_its_kind() {
    let mut counts = Counts::new();
    let text = "pin=1234 4111 1111 1111 1111, 5105105105105100";
    let shown = Redaction::default().scrub(KeyClass::Plain, text, VALUE_LIMIT, &mut counts);
    assert_eq!(shown, "pin=[REDACTED:named] [REDACTED:card], [REDACTED:card]");
    let counted: Vec<_> = counts.iter().map(|(kind, number)| (kind.name(), number)).collect();
    assert_eq!(counted, [("card", 2), ("named", 1)]);
    assert!(Kind::ALL.iter().all(|kind| kind.mask() == format!("[REDACTED:{}]", kind.name())));
}

#[test]
fn a_value_that_panics_or_never_ends_is_masked_as_far_as_it_came() {
    struct Panics;
    impl fmt::Display for Panics {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("pin=1234 ")?;
            panic!("half-way")
        }
    }
    struct Endless;
    impl fmt::Display for Endless {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                formatter.write_str("4111 1111 1111 1111, ")?;
            }
        }
    }
    let rules = Redaction::default();
    let mut buffer = String::new();
    let shown = rules.scrub_display(KeyClass::Plain, format_args!("{Panics}"), 64, &mut buffer, &mut Counts::new());
    assert_eq!(shown, "pin=[REDACTED:named] <panicked>");
    let shown = rules.scrub_display(KeyClass::Plain, format_args!("{Endless}"), 64, &mut buffer, &mut Counts::new());
    assert!(shown.starts_with("[REDACTED:card]") && shown.len() <= 64, "{shown}");
    assert!(buffer.capacity() < 4_096);
}

#[test]
fn electronic_mail_is_masked_on_request() {
    let text = "to alice.b+x@example.com, and https://u:p@db.example.com/ or @handle or a@b";
    assert!(scrubbed(text).starts_with("to alice.b+x@example.com, and https://[REDACTED:url_credentials]@db"));
    let rules = Redaction { emails: true, ..Redaction::default() };
    let shown = rules.scrub(KeyClass::Plain, text, VALUE_LIMIT, &mut Counts::new());
    assert_eq!(shown, "to [REDACTED:email], and https://[REDACTED:url_credentials]@db.example.com/ or @handle or a@b");
}

#[test]
fn forms_in_which_keys_are_logged_are_masked() {
    let bytes = format!("{:?}", (0..32_u8).map(|byte| byte.wrapping_mul(37)).collect::<Vec<_>>());
    for (text, shown) in [
        (bytes.as_str(), "[[REDACTED:private_key]]"),
        ("digest=[1, 2, 3]", "digest=[1, 2, 3]"),
        ("GET /?X-Amz-Signature=0a1b&x=1", "GET /?X-Amz-Signature=[REDACTED:named]&x=1"),
        ("Basic dXNlcjpwYXNz", "[REDACTED:named]"),
        ("bot 110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw7", "bot [REDACTED:api_key]"),
        (
            "https://api.telegram.org/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw7/x",
            "https://api.telegram.org/bot[REDACTED:api_key]/x",
        ),
    ] {
        let shown = shown.replace("Basic", "").replace(
            "[REDACTED:named]",
            if text.starts_with("Basic") { "Basic [REDACTED:basic]" } else { "[REDACTED:named]" },
        );
        assert_eq!(scrubbed(text), shown, "{text}");
    }
}

#[test]
fn an_address_has_no_user_no_query_and_no_fragment() {
    for (text, shown) in [
        ("no address", "no address"),
        ("GET https://user:pw@node/?api_key=s3cr3t failed", "GET https://node/ failed"),
        ("for url (https://node:8545/v3?key=s3cr3t)", "for url (https://node:8545/v3)"),
        ("https://node/a/b#s3cr3t", "https://node/a/b"),
        ("at 'redis://:s3cr3t@cache:6379/0'.", "at 'redis://cache:6379/0'."),
        ("jdbc:postgresql://db/wallets?user=u&password=s3cr3t, twice", "jdbc:postgresql://db/wallets, twice"),
        ("postgres://u:s3@cr3t@db, mysql://s3cr3t@db", "postgres://db, mysql://db"),
        ("postgres://u:s3cr3t/s3cr3t?s3cr3t@db/x", "postgres://db/x"),
        ("a://b/c://u:s3cr3t@d?s3cr3t", "a://b/c://d"),
        ("https://[::1]:8080/@me", "https://[::1]:8080/@me"),
        ("https://node/@me", "https://node/@me"),
        ("https://é:s3cr3t@é/é?é\u{a0}é", "https://é/é\u{a0}é"),
        ("https://", "https://"),
        ("://?", "://"),
    ] {
        assert_eq!(without_credentials(text), shown, "{text}");
    }
}
