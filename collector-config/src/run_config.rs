//! The run copy of `prometheus.yml`: the shipped file with other addresses and intervals, so that its structure, limits
//! and labels are the real ones wherever it runs.

use std::{net::SocketAddr, path::Path, time::Duration};

/// What differs from the shipped file.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    /// Where the service's `/metrics` is.
    pub(crate) scrape: SocketAddr,
    /// Where Jaeger's is.
    pub(crate) jaeger_metrics: SocketAddr,
    /// Where Prometheus itself listens.
    pub(crate) prometheus: SocketAddr,
    /// Scrape and evaluation interval, if not the shipped ones.
    pub(crate) interval: Option<Duration>,
    /// The folder of the rule files, which the shipped file names relative to itself.
    pub(crate) rules: &'a Path,
}

/// A text that should be in the shipped file is not.
#[derive(Debug, thiserror::Error)]
#[error(
    "prometheus.yml has {found} times `{text}` where the run copy needs exactly one; adapt src/run_config.rs to the new file"
)]
pub struct NoSuchText {
    text: &'static str,
    found: usize,
}

/// The run copy.
pub(crate) fn prometheus(shipped: &str, changes: &Changes<'_>) -> Result<String, NoSuchText> {
    let target = |address: SocketAddr| format!("targets: [\"{address}\"]");
    // A JSON string is a YAML string, whatever the path contains.
    let rules = serde_json::Value::from(changes.rules.join("*.yml").to_string_lossy()).to_string();

    // Each text is looked up in the shipped file, not in the outcome of the ones before: a new address may equal an old one.
    let mut edits = vec![
        ("targets: [\"127.0.0.1:9464\"]", target(changes.scrape)),
        (
            "targets: [\"127.0.0.1:8888\"]",
            target(changes.jaeger_metrics),
        ),
        ("targets: [\"127.0.0.1:9090\"]", target(changes.prometheus)),
        ("- rules/*.yml", format!("- {rules}")),
    ];
    if let Some(interval) = changes.interval {
        let millis = interval.as_millis();
        edits.push((
            "scrape_interval: 15s",
            format!("scrape_interval: {millis}ms"),
        ));
        edits.push((
            "evaluation_interval: 15s",
            format!("evaluation_interval: {millis}ms"),
        ));
    }

    let mut places = Vec::with_capacity(edits.len());
    for (text, replacement) in edits {
        match *shipped
            .match_indices(text)
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
            .as_slice()
        {
            [at] => places.push((at, text.len(), replacement)),
            ref all => {
                return Err(NoSuchText {
                    text,
                    found: all.len(),
                });
            }
        }
    }
    places.sort_unstable_by_key(|&(at, ..)| at);
    let mut copy = String::with_capacity(shipped.len());
    let mut rest = 0;
    for (at, len, replacement) in places {
        copy.push_str(&shipped[rest..at]);
        copy.push_str(&replacement);
        rest = at + len;
    }
    copy.push_str(&shipped[rest..]);
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;

    fn changes(interval: Option<Duration>) -> Changes<'static> {
        Changes {
            scrape: ([127, 0, 0, 1], 9090).into(),
            jaeger_metrics: ([127, 0, 0, 1], 40002).into(),
            prometheus: ([127, 0, 0, 1], 40003).into(),
            interval,
            rules: Path::new("/some where/rules"),
        }
    }

    fn shipped() -> String {
        std::fs::read_to_string(paths::config_dir().join("prometheus/prometheus.yml")).unwrap()
    }

    #[test]
    fn the_run_copy_differs_in_addresses_intervals_and_rules_alone() {
        let shipped = shipped();
        let copy = prometheus(&shipped, &changes(Some(Duration::from_secs(1)))).unwrap();
        let differing: Vec<&str> = copy
            .lines()
            .zip(shipped.lines())
            .filter(|(new, old)| new != old)
            .map(|(new, _)| new.trim())
            .collect();
        assert_eq!(copy.lines().count(), shipped.lines().count());
        assert_eq!(
            differing,
            [
                "scrape_interval: 1000ms",
                "evaluation_interval: 1000ms",
                "- \"/some where/rules/*.yml\"",
                "- targets: [\"127.0.0.1:9090\"]",
                "- targets: [\"127.0.0.1:40002\"]",
                "- targets: [\"127.0.0.1:40003\"]",
            ]
        );
    }

    #[test]
    fn the_shipped_intervals_stay_unless_others_are_asked_for() {
        let copy = prometheus(&shipped(), &changes(None)).unwrap();
        assert!(copy.contains("scrape_interval: 15s") && copy.contains("evaluation_interval: 15s"));
    }

    #[test]
    fn a_text_that_is_not_in_the_file_is_an_error_that_names_it() {
        let error = prometheus("global: {}", &changes(None)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("0 times `targets: [\"127.0.0.1:9464\"]`"),
            "{error}"
        );
    }
}
