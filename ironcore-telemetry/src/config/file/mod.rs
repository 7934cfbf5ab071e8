//! Declarative configuration (`OTEL_CONFIG_FILE`): a file in the schema of OpenTelemetry in place of the `OTEL_*`
//! variables. What it says is read as the values of these variables, each with its line, so that every setting has one
//! meaning and one check. What telemetry does not do is refused by name.

mod exporters;
mod fault;
mod model;
mod section;
mod substitution;
#[cfg(test)]
mod tests;
mod yaml;

use crate::error::InitError;
use fault::Fault;
use std::collections::BTreeMap;
use std::io::Read as _;

/// The most that is read of a file, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;

/// What a file says, by the variables that it replaces.
#[derive(Debug)]
pub(super) struct ConfigFile {
    path: &'static str,
    values: BTreeMap<&'static str, (String, usize)>,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or says what telemetry cannot do: with line and column.
    pub(super) fn read(path: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, InitError> {
        let refused =
            |place: &str, allowed: String| InitError::invalid(super::not_acted_on::CONFIG_FILE, place, allowed);
        let text = text_of(path).map_err(|error| refused(path, format!("it cannot be read: {error}")))?;
        let values = values(&text, env);
        let values = values.map_err(|Fault { place, allowed }| refused(&format!("{path}:{place}"), allowed))?;
        // Telemetry starts once in a process, and names the file for as long as it lives.
        Ok(Self { path: Box::leak(path.to_owned().into_boxed_str()), values })
    }

    pub(super) const fn path(&self) -> &'static str {
        self.path
    }

    /// The text in place of a variable, and its line.
    pub(super) fn value(&self, variable: &str) -> Option<(&str, usize)> {
        self.values.get(variable).map(|(text, line)| (text.as_str(), *line))
    }
}

fn values(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<BTreeMap<&'static str, (String, usize)>, Fault> {
    model::read(&yaml::parse(text, env)?, env)
}

fn text_of(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(SIZE_LIMIT + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= SIZE_LIMIT) {
        Ok(text)
    } else {
        Err(std::io::Error::other("it has more than 1 MiB"))
    }
}
