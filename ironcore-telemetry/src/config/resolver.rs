//! Precedence: code, then environment, then default. Where each value came from is recorded for the start-up line.

use super::setting::Setting;
use crate::error::InitError;
use std::fmt;

/// Reads settings by precedence.
pub(super) struct Resolver<'env> {
    env: &'env dyn Fn(&str) -> Option<String>,
    features: &'env [&'static str],
    report: Vec<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The `Config` method.
    Code(&'static str),
    Variable(&'static str),
    /// The default; with the variable that would change it.
    Default(&'static str),
}

/// A value that is known before the setting's own variables are read.
pub(super) enum Given<'a, T> {
    /// A text to parse.
    Text(Origin, &'a str),
    /// A value that is set in code.
    Value {
        method: &'static str,
        value: T,
        /// Lists the allowed values when this one is not.
        check: Result<(), String>,
    },
}

impl<'env> Resolver<'env> {
    /// A resolver for the environment `env` in a build with these cargo features.
    pub(super) const fn new(env: &'env dyn Fn(&str) -> Option<String>, features: &'env [&'static str]) -> Self {
        Self { env, features, report: Vec::new() }
    }

    /// The value by environment or default.
    pub(super) fn read<T>(&mut self, setting: &Setting<T>) -> Result<T, InitError> {
        self.read_with(setting, None)
    }

    /// The given value, else by environment or default.
    pub(super) fn read_with<T>(&mut self, setting: &Setting<T>, given: Option<Given<'_, T>>) -> Result<T, InitError> {
        self.read_with_origin(setting, given).map(|(value, _)| value)
    }

    /// The same, with the origin of the value.
    pub(super) fn read_with_origin<T>(
        &mut self,
        setting: &Setting<T>,
        given: Option<Given<'_, T>>,
    ) -> Result<(T, Origin), InitError> {
        let (value, origin) = match (given, self.variable(setting)) {
            (Some(Given::Value { method, value, check }), _) => {
                let shown = || setting.reported(&value).unwrap_or_default();
                check.map_err(|allowed| InitError::invalid(method, shown(), allowed))?;
                (value, Origin::Code(method))
            }
            (Some(Given::Text(origin, text)), _) => (parse(setting, origin, text)?, origin),
            (None, Some((name, text))) => (parse(setting, Origin::Variable(name), &text)?, Origin::Variable(name)),
            (None, None) => {
                let variable = setting.variables.last().copied().unwrap_or_default();
                ((setting.default)(), Origin::Default(variable))
            }
        };
        if let Some(shown) = setting.reported(&value) {
            self.note(setting.key, &shown, origin);
        }
        Ok((value, origin))
    }

    /// The first variable of a setting that is set and not empty: an empty one counts as unset, as OpenTelemetry
    /// specifies it.
    pub(super) fn variable<T>(&self, setting: &Setting<T>) -> Option<(&'static str, String)> {
        setting.variables.iter().find_map(|name| {
            let value = (self.env)(name)?;
            (!value.trim().is_empty()).then(|| (*name, value.trim().to_owned()))
        })
    }

    /// Refuses a value whose cargo feature is not compiled in. `instead` is the way out without the feature.
    pub(super) fn require(
        &self,
        feature: &'static str,
        value: &str,
        origin: Origin,
        instead: impl FnOnce() -> String,
    ) -> Result<(), InitError> {
        if self.features.contains(&feature) {
            return Ok(());
        }
        let is_default = matches!(origin, Origin::Default(_));
        let (name, value) = (origin.name(), value.to_owned());
        Err(InitError::MissingFeature { name, value, is_default, feature, instead: instead() })
    }

    /// Records one value for the start-up line.
    pub(super) fn note(&mut self, key: &str, shown: &str, origin: Origin) {
        self.report.push(format!("{key}={shown}({origin})"));
    }

    /// What is in force and where each value came from, in one line.
    pub(super) fn report(self) -> String {
        self.report.join(" ")
    }
}

fn parse<T>(setting: &Setting<T>, origin: Origin, text: &str) -> Result<T, InitError> {
    (setting.parse)(text).map_err(|allowed| InitError::invalid(origin.name(), setting.refused(text), allowed))
}

impl Origin {
    /// The method or variable to name in an error.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Code(name) | Self::Variable(name) | Self::Default(name) => name,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Code(_) => "code",
            Self::Variable(name) => name,
            Self::Default(_) => "default",
        })
    }
}
