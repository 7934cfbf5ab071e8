//! Expressions in the shipped files.

use serde_json::Value;
use stack::paths;
use std::fs;
use std::path::{Path, PathBuf};

/// One expression and its place.
pub(crate) struct Expression {
    pub(crate) place: String,
    pub(crate) text: String,
}

/// The expressions of all dashboards for this data source, with values for their variables.
pub(crate) fn dashboards(datasource: &str) -> Vec<Expression> {
    let mut found = Vec::new();
    for entry in fs::read_dir(paths::config_dir().join("grafana/dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let board: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let variables = board["templating"]["list"].as_array().cloned();
        let variables: Vec<String> = variables
            .into_iter()
            .flatten()
            .filter_map(|variable| variable["name"].as_str().map(ToOwned::to_owned))
            .collect();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        for panel in panels(&board) {
            for target in panel["targets"].as_array().into_iter().flatten() {
                if let Some(text) = target["expr"].as_str()
                    && target["datasource"]["uid"] == datasource
                {
                    found.push(Expression {
                        place: format!("{file}: {}", panel["title"].as_str().unwrap_or("?")),
                        text: substitute(text, &variables),
                    });
                }
            }
        }
    }
    found
}

/// The panels, including those inside rows.
fn panels(board: &Value) -> Vec<&Value> {
    let all = board["panels"].as_array().into_iter().flatten();
    all.flat_map(|panel| {
        let inner = panel["panels"].as_array().into_iter().flatten();
        std::iter::once(panel).chain(inner)
    })
    .collect()
}

fn substitute(text: &str, variables: &[String]) -> String {
    let mut text = text.replace("$__rate_interval", "1m").replace("$__interval", "1m").replace("$__range", "1h");
    let mut by_length: Vec<&String> = variables.iter().collect();
    by_length.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for name in by_length {
        text = text.replace(&format!("${{{name}}}"), ".*").replace(&format!("${name}"), ".*");
    }
    text
}

/// The lines of all blocks of Markdown in this language.
pub(crate) fn blocks(language: &str) -> Vec<Expression> {
    let mut found = Vec::new();
    for path in files(&paths::config_dir(), ".md") {
        let text = fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(paths::config_dir()).unwrap().display();
        for block in text.split(&format!("\n```{language}\n")).skip(1) {
            let (block, _) = block.split_once("\n```").unwrap();
            found.extend(block.lines().map(|line| Expression { place: file.to_string(), text: line.to_owned() }));
        }
    }
    assert!(!found.is_empty(), "no block of {language}");
    found
}

/// The expressions of the alerts in a folder of rules, each a block below `expr: |`.
pub(crate) fn rules(folder: &str) -> Vec<Expression> {
    let mut found = Vec::new();
    for path in files(&paths::config_dir().join(folder), ".yml") {
        let text = fs::read_to_string(&path).unwrap();
        let mut name = "";
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(alert) = line.trim().strip_prefix("- alert: ") {
                name = alert;
            } else if line.trim() == "expr: |" {
                let indent = |line: &str| line.len() - line.trim_start().len();
                let mut expression = String::new();
                while let Some(inner) = lines.next_if(|next| indent(next) > indent(line)) {
                    expression.push_str(inner);
                    expression.push('\n');
                }
                found.push(Expression { place: format!("{folder}: {name}"), text: expression });
            }
        }
    }
    assert!(!found.is_empty(), "no rule in {folder}");
    found
}

/// A query of logs/queries.yaml.
#[derive(Default)]
pub(crate) struct Query {
    pub(crate) name: String,
    /// What is often written instead, in `LogQL`.
    pub(crate) usual: Option<String>,
    pub(crate) logql: String,
    pub(crate) logsql: String,
    /// The lines or the number that it finds after the events at the top of the file.
    pub(crate) answer: Option<usize>,
}

/// The queries of logs/queries.yaml.
pub(crate) fn queries() -> Vec<Query> {
    let text = fs::read_to_string(paths::config_dir().join("logs/queries.yaml")).unwrap();
    let entries = text.split("\n  - ").skip(1);
    entries
        .map(|entry| {
            let value = |key: &str| {
                let line = entry.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
                line.map(|value| value.trim_matches('\'').to_owned())
            };
            let required = |key: &str| value(key).unwrap_or_else(|| panic!("no {key} in {entry}"));
            Query {
                name: required("name"),
                usual: value("usual"),
                logql: required("logql"),
                logsql: required("logsql"),
                answer: value("answer").map(|answer| answer.parse().unwrap()),
            }
        })
        .collect()
}

/// All files below a folder with this ending, without `node_modules`.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("node_modules") {
                found.extend(files(&path, ending));
            }
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
