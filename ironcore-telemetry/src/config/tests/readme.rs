//! README's table of variables and the table of settings are the same.

use super::{ALL_FEATURES, Config, Settings, environment};
use crate::config::{not_acted_on, table};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap()
}

/// The variables of README's table, each with its default.
fn documented(readme: &str) -> BTreeMap<String, String> {
    let (_, section) = readme.split_once("\n## Configuration\n").unwrap();
    // The first table of the section; the next one is about log targets.
    let table = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let mut defaults = BTreeMap::new();
    for row in table.filter(|row| row.starts_with("| `")) {
        let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().split(", "));
        let (names, values) = (cells.next().unwrap(), cells.next().unwrap());
        let names: Vec<_> = names.map(|name| name.trim_matches('`').to_owned()).collect();
        let values: Vec<_> = values.map(|value| value.trim_matches('`').to_owned()).collect();
        // One default for all, or one for each.
        assert!(values.len() == 1 || values.len() == names.len(), "{row}");
        for (name, value) in names.into_iter().zip(values.into_iter().cycle()) {
            assert!(defaults.insert(name.clone(), value).is_none(), "{name} stands twice in README's table");
        }
    }
    defaults
}

/// The variables of the settings, each with its default.
fn in_force() -> BTreeMap<String, String> {
    let program = table::program();
    let shown = |default: String| default.replace(&program, "<program>");
    table::defaults().into_iter().map(|(name, default)| (name.to_owned(), shown(default))).collect()
}

#[test]
fn the_readme_lists_every_variable_with_its_default() {
    assert_eq!(documented(&readme()), in_force());
}

#[test]
fn the_readme_names_no_variable_that_does_not_exist() {
    let readme = readme();
    let words = readme.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_variable = |word: &&str| {
        let is_ours = word.starts_with("OTEL_") || word.starts_with("IRONCORE_") || *word == "RUST_LOG";
        // `OTEL_*` names a family.
        is_ours && !word.ends_with('_')
    };
    let known = in_force();
    let others: BTreeSet<_> = not_acted_on::variables().chain([not_acted_on::CONFIG_FILE]).collect();
    let is_known = |word: &&str| known.contains_key(*word) || others.contains(*word);
    let unknown: BTreeSet<_> = words.filter(is_variable).filter(|word| !is_known(word)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_readme_lists_every_variable_that_is_not_acted_on() {
    let readme = readme();
    let (_, section) = readme.split_once("\n## Configuration\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let (_, table) = section.split_once("\n| not acted on | what happens |\n").unwrap();
    let names = table.lines().take_while(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    let listed: BTreeSet<_> =
        names.flat_map(|cell| cell.split(", ")).map(|name| name.trim().trim_matches('`')).collect();
    let known: BTreeSet<_> = not_acted_on::variables().chain(["---"]).collect();
    assert_eq!(listed, known);
}

#[test]
fn every_variable_that_is_read_stands_in_the_table() {
    let read = RefCell::new(BTreeSet::new());
    let env = |name: &str| {
        read.borrow_mut().insert(name.to_owned());
        match name {
            "OTEL_METRICS_EXPORTER" => Some("prometheus,otlp".to_owned()),
            "OTEL_TRACES_SAMPLER" => Some("traceidratio".to_owned()),
            "IRONCORE_SPOOL_DIR" => Some("/spool".to_owned()),
            _ => None,
        }
    };
    Settings::resolve_for(ALL_FEATURES, &Config::default(), environment(&env)).unwrap().unwrap();
    let others = not_acted_on::variables().chain([not_acted_on::CONFIG_FILE]).map(ToOwned::to_owned);
    let known: BTreeSet<_> = in_force().into_keys().chain(others).collect();
    assert_eq!(read.into_inner(), known);
}

#[test]
fn every_default_can_be_set_by_its_variable() {
    // An empty list is shown as `none`, which is not how a variable sets it.
    for (name, default) in table::defaults() {
        if default == "none" && !name.ends_with("_COMPRESSION") {
            continue;
        }
        let env = |asked: &str| (asked == name).then(|| default.clone());
        let settings = Settings::resolve_for(ALL_FEATURES, &Config::default().strict(), environment(&env));
        assert!(settings.is_ok(), "{name}={default}");
    }
}
