//! One mapping of the file: its keys are taken one by one, and one that is left is refused.

use super::fault::{Fault, Place};
use super::yaml::{Key, Node, Value};

/// A mapping that is being read.
pub(super) struct Section<'a> {
    path: String,
    place: Place,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
}

/// A value of a mapping.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub(super) path: String,
    pub(super) node: &'a Node,
}

impl<'a> Section<'a> {
    pub(super) fn of_root(node: &'a Node) -> Result<Self, Fault> {
        Entry { path: String::new(), node }.section()
    }

    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// The value of a key; `None` when it is left out or null.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'a>> {
        self.take_or_null(key).filter(|entry| !matches!(entry.node.value, Value::Null))
    }

    /// The value of a key that is there, null too: so a choice without settings is written.
    pub(super) fn take_or_null(&mut self, key: &'static str) -> Option<Entry<'a>> {
        self.known.push(key);
        let (_, node) = self.entries.iter().find(|(found, _)| found.name == key)?;
        Some(Entry { path: joined(&self.path, key), node })
    }

    /// Refuses a key that telemetry does not act on, unless it is null.
    pub(super) fn refuse(&mut self, key: &'static str, why: &str) -> Result<(), Fault> {
        self.take(key).map_or(Ok(()), |entry| Err(entry.fault(why)))
    }

    /// Refuses what is left.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let Some((key, _)) = self.entries.iter().find(|(key, _)| !self.known.contains(&key.name.as_str())) else {
            return Ok(());
        };
        let instead = match self.known.as_slice() {
            [] => format!("{} has no settings", self.path),
            known => format!("use one of {}", known.join(", ")),
        };
        Err(Fault::new(key.place, format!("{} is not supported; {instead}", joined(&self.path, &key.name))))
    }
}

impl<'a> Entry<'a> {
    /// The only choice of a mapping with one key, such as the exporter of a processor, and its settings.
    pub(super) fn choice(&self) -> Result<(&'a str, Self), Fault> {
        match &self.node.value {
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => Ok((key.name.as_str(), Self { path: joined(&self.path, &key.name), node })),
                _ => Err(self.fault("choose exactly one")),
            },
            _ => Err(self.fault("write a mapping with one key")),
        }
    }

    pub(super) fn section(&self) -> Result<Section<'a>, Fault> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::Text(_) | Value::List(_) => return Err(self.fault("write a mapping")),
        };
        Ok(Section { path: self.path.clone(), place: self.node.place, entries, known: Vec::new() })
    }

    /// Refuses every setting of a choice that has none.
    pub(super) fn require_no_settings(&self) -> Result<(), Fault> {
        self.section()?.finish()
    }

    pub(super) fn list(&self) -> Result<Vec<Self>, Fault> {
        let Value::List(nodes) = &self.node.value else {
            return Err(self.fault("write a list"));
        };
        let entry = |(index, node)| Self { path: format!("{}[{index}]", self.path), node };
        Ok(nodes.iter().enumerate().map(entry).collect())
    }

    pub(super) fn text(&self) -> Result<&'a str, Fault> {
        match &self.node.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.fault("write a single value")),
        }
    }

    /// A time limit in milliseconds; `None` for 0, which the schema has as no limit.
    pub(super) fn time_limit(&self) -> Result<Option<u64>, Fault> {
        self.number().map(|limit| (limit > 0).then_some(limit))
    }

    /// A whole number of milliseconds or things.
    pub(super) fn number(&self) -> Result<u64, Fault> {
        self.text()?.parse().map_err(|_| self.fault("use a whole number"))
    }

    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        match self.text()? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.fault("use true or false")),
        }
    }

    /// Requires one value: telemetry does nothing else.
    pub(super) fn require(&self, only: &str) -> Result<(), Fault> {
        if self.text()? == only { Ok(()) } else { Err(self.fault(&format!("only {only} is supported"))) }
    }

    pub(super) const fn line(&self) -> usize {
        self.node.place.line
    }

    pub(super) fn fault(&self, allowed: &str) -> Fault {
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        Fault::new(self.node.place, format!("{path}: {allowed}"))
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
