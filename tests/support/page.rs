//! Samples of `/metrics` pages, and golden files.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

/// The value of one series on a page; the series is written as it stands there.
///
/// # Panics
/// When the page has no such series.
#[must_use]
#[track_caller]
pub fn sample(page: &str, series: &str) -> f64 {
    let line = page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {series} on\n{page}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("not a number: {line}"))
}

/// The `/metrics` page of a listener, with the head of the response; `None` where none is served.
#[must_use]
pub fn page_at(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    page.starts_with("HTTP/1.1 200").then_some(page)
}

/// Asserts the value of one series on a page.
///
/// # Panics
/// When the series is not there or has another value.
#[track_caller]
pub fn assert_sample(page: &str, series: &str, expected: u32) {
    let value = sample(page, series);
    assert!(is(value, expected), "{series} is {value}, not {expected}, on\n{page}");
}

/// Whether a sample is this count.
#[must_use]
pub fn is(value: f64, count: u32) -> bool {
    (value - f64::from(count)).abs() < f64::EPSILON
}

/// Compares a text with a file of `tests/golden/`; with `BLESS=1` in the environment it writes the file instead.
///
/// # Panics
/// When they differ.
pub fn assert_golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    let (mut expected, mut found) = (golden.lines(), text.lines());
    for number in 1.. {
        match (expected.next(), found.next()) {
            (None, None) => break,
            (expected, found) => assert_eq!(
                found,
                expected,
                "line {number}; if this is meant, run with BLESS=1 and read the change of {}",
                path.display()
            ),
        }
    }
}
