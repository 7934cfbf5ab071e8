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

/// A value whose `Display` writes it in parts of these lengths.
struct InParts<'text>(&'text str, usize);

impl fmt::Display for InParts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.split_inclusive(|_| true).collect::<Vec<_>>().chunks(self.1).try_for_each(|part| formatter.write_str(&part.concat()))
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
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.iter().take(40).cloned().collect::<Vec<_>>().join("\n"));
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
    assert!(masked.len() <= most, "{} of {}: {:#?}", masked.len(), texts.len(), masked.iter().take(20).map(|text| (text, scrubbed(text))).collect::<Vec<_>>());
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
