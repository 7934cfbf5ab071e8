//! Run copies of configuration files whose programs expand no variables: the shipped text with other addresses and, for
//! tests, with shorter times. Structure, limits, matchers and labels are those of the shipped file.

use crate::addresses::{Addresses, Port};
use crate::options::Pace;
use crate::paths::cannot;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// The divisor of waits and windows at the quick pace: 5 min become 10 s.
const SPEEDUP: u64 = 30;
/// The keys with a wait or a window as their value.
const WAITS: [&str; 8] = [
    "for: ",
    "keep_firing_for: ",
    "group_wait: ",
    "group_interval: ",
    "repeat_interval: ",
    "interval: ",
    "offset ",
    // The window of a query to VictoriaLogs.
    "_time:",
];
/// The keys with the time between two scrapes or evaluations as their value. At the quick pace it is a second: less
/// would overload the exporters.
const INTERVALS: [&str; 2] = ["scrape_interval: ", "evaluation_interval: "];
pub(crate) const QUICK_INTERVAL: &str = "1s";

/// The differences between the shipped files and their run copies.
#[derive(Debug)]
pub(crate) struct RunConfig {
    /// Each usual address and its replacement.
    addresses: Vec<(String, String)>,
    pace: Pace,
}

impl RunConfig {
    /// Replaces every usual address by the one in `addresses`.
    pub(crate) fn new(addresses: &Addresses, pace: Pace) -> Self {
        let usual = |port: Port| format!("127.0.0.1:{}", port.usual());
        let replacement = |port: &Port| (usual(*port), addresses.address(*port).to_string());
        Self { addresses: Port::ALL.iter().map(replacement).collect(), pace }
    }

    /// Writes the run copy of a file and returns its path.
    pub(crate) fn copy(&self, shipped: &Path, copy: &Path) -> Result<PathBuf> {
        let text = fs::read_to_string(shipped).with_context(cannot("read", shipped))?;
        write(copy, &self.adapt(&text))
    }

    /// Writes the run copies of all files of a folder.
    pub(crate) fn copy_folder(&self, shipped: &Path, copy: &Path) -> Result<()> {
        for entry in fs::read_dir(shipped).with_context(cannot("read", shipped))? {
            let entry = entry.with_context(cannot("read", shipped))?;
            self.copy(&entry.path(), &copy.join(entry.file_name()))?;
        }
        Ok(())
    }

    /// The run copy of a text.
    pub(crate) fn adapt(&self, shipped: &str) -> String {
        let text = self.with_addresses(shipped);
        match self.pace {
            Pace::Shipped => text,
            Pace::Quick => accelerated(&text),
        }
    }

    /// Replaces the addresses in one pass, as a new address may equal a usual one.
    fn with_addresses(&self, text: &str) -> String {
        let mut copy = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let found = self.addresses.iter().find_map(|(usual, address)| {
                let after = rest.strip_prefix(usual.as_str())?;
                // 127.0.0.1:9090 must not match in 127.0.0.1:90901.
                (!after.starts_with(|next: char| next.is_ascii_digit())).then_some((after, address))
            });
            if let Some((after, address)) = found {
                copy.push_str(address);
                rest = after;
            } else {
                copy.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        copy
    }
}

/// Replaces the line `key: …`, at any depth, by `key: value`.
pub(crate) fn set_key(text: &str, key: &str, value: &str) -> Result<String> {
    let start = format!("{key}: ");
    let mut found = false;
    let copy = text
        .lines()
        .map(|line| {
            if line.trim_start().starts_with(&start) {
                found = true;
                let indent = line.len() - line.trim_start().len();
                format!("{}{start}{value}\n", " ".repeat(indent))
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    ensure!(found, "there is no line `{key}: …`, which the run copy must point at this machine");
    Ok(copy)
}

/// Removes a top-level key and its contents.
pub(crate) fn remove_key(text: &str, key: &str) -> String {
    let start = format!("{key}:");
    let mut inside = false;
    let kept = text.lines().filter(|line| {
        if !line.starts_with([' ', '#', '\t']) && !line.is_empty() {
            inside = line.starts_with(&start);
        }
        !inside
    });
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// Writes a file of a run and creates its folders.
pub(crate) fn write(path: &Path, text: &str) -> Result<PathBuf> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(cannot("create the folder", folder))?;
    }
    fs::write(path, text).with_context(cannot("write", path))?;
    Ok(path.to_path_buf())
}

/// Divides waits and windows, and replaces intervals.
fn accelerated(text: &str) -> String {
    let mut copy = text.to_owned();
    for key in WAITS {
        copy = replaced(&copy, key, "", |duration| format!("{}ms", duration.millis / SPEEDUP));
    }
    for key in INTERVALS {
        copy = replaced(&copy, key, "", |_| QUICK_INTERVAL.to_owned());
    }
    replaced(&copy, "[", "]", |duration| format!("{}ms", duration.millis / SPEEDUP))
}

/// Replaces every duration between `before`, as a whole word, and `after`.
fn replaced(text: &str, before: &str, after: &str, new: impl Fn(Duration) -> String) -> String {
    let mut copy = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(before) {
        let (head, tail) = rest.split_at(at + before.len());
        let is_word = !before.starts_with(|first: char| first.is_ascii_alphabetic())
            || !head[..at].ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_');
        copy.push_str(head);
        rest = tail;
        if is_word
            && let Some(duration) = Duration::parse_prefix(tail)
            && tail[duration.len..].starts_with(after)
        {
            copy.push_str(&new(duration));
            rest = &tail[duration.len..];
        }
    }
    copy.push_str(rest);
    copy
}

/// A duration as Prometheus writes it: one number and one unit.
#[derive(Clone, Copy)]
struct Duration {
    len: usize,
    millis: u64,
}

impl Duration {
    fn parse_prefix(text: &str) -> Option<Self> {
        const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().ok()?;
        let unit = &text[digits..];
        UNITS
            .iter()
            .find(|(name, _)| unit.starts_with(name))
            .map(|(name, millis)| Self { len: digits + name.len(), millis: number * millis })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pace: Pace) -> RunConfig {
        let addresses = Addresses::usual()
            // The new address of one is the usual address of the other.
            .with(Port::Prometheus, ([127, 0, 0, 1], 9093).into())
            .with(Port::Alertmanager, ([127, 0, 0, 1], 40000).into());
        RunConfig::new(&addresses, pace)
    }

    #[test]
    fn only_whole_usual_addresses_are_replaced_and_only_once() {
        assert_eq!(
            config(Pace::Shipped).adapt("a 127.0.0.1:9090, 127.0.0.1:9093/x 127.0.0.1:90901 [5m]"),
            "a 127.0.0.1:9093, 127.0.0.1:40000/x 127.0.0.1:90901 [5m]"
        );
    }

    #[test]
    fn the_quick_pace_shortens_waits_and_windows_but_not_names_and_texts() {
        let shipped = "record: job:x:rate5m\nexpr: rate(x[5m] offset 1h) > 5\nfor: 5m\nkeep_firing_for: 2m\n\
                       group_wait: 30s\ngroup_interval: 5m\nscrape_interval: 15s\n_time:5m x\ndescription: over 5 minutes\nlabels: [5]\n";
        assert_eq!(
            config(Pace::Quick).adapt(shipped),
            "record: job:x:rate5m\nexpr: rate(x[10000ms] offset 120000ms) > 5\nfor: 10000ms\nkeep_firing_for: 4000ms\n\
             group_wait: 1000ms\ngroup_interval: 10000ms\nscrape_interval: 1s\n_time:10000ms x\ndescription: over 5 minutes\nlabels: [5]\n"
        );
    }

    #[test]
    fn a_key_keeps_its_indent_and_a_missing_key_is_an_error() {
        let text = "global:\n  smtp_from: a\n  b: smtp_from: c\n";
        assert_eq!(set_key(text, "smtp_from", "d").unwrap(), "global:\n  smtp_from: d\n  b: smtp_from: c\n");
        let missing = set_key(text, "pagerduty_url", "d").unwrap_err().to_string();
        assert!(missing.contains("pagerduty_url"), "{missing}");
    }

    #[test]
    fn a_key_is_removed_with_its_contents() {
        assert_eq!(remove_key("a: 1\nb:\n  # c\n  - d\n\ne: 2\n", "b"), "a: 1\ne: 2\n");
    }
}
