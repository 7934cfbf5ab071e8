//! Precedence: code, then environment, then default. Where each value came from is recorded for the start-up line, and
//! so is what of the environment is not in force.

#[cfg(feature = "config-file")]
use super::file::ConfigFile;
use super::not_acted_on::CONFIG_FILE;
use super::notices::{Ignored, Notices};
use super::parse::Parsed;
use super::setting::{Setting, Show, shown};
use crate::error::InitError;
use std::fmt;

/// The variable whose entries are settings of their own.
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Reads settings by precedence.
pub(super) struct Resolver<'env> {
    env: &'env dyn Fn(&str) -> Option<String>,
    features: &'env [&'static str],
    /// Stands in for the variables of OpenTelemetry.
    #[cfg(feature = "config-file")]
    file: Option<ConfigFile>,
    /// Whether a variable that cannot be used is an error. A value from code always is.
    strict: bool,
    report: Vec<String>,
    notices: Notices,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The `Config` method.
    Code(&'static str),
    Variable(&'static str),
    /// The line of the configuration file.
    #[cfg(feature = "config-file")]
    File {
        path: &'static str,
        line: usize,
    },
    /// The default; with the variable that would change it.
    Default(&'static str),
}

/// A value that is set in code, by the `Config` method that is named first.
pub(super) enum Given<'a, T> {
    /// A text to parse.
    Text(&'static str, &'a str),
    /// A value, and whether it is allowed; the error lists what is.
    Value(&'static str, T, Result<(), String>),
}

impl<'env> Resolver<'env> {
    /// A resolver for the environment `env` in a build with these cargo features.
    pub(super) fn new(env: &'env dyn Fn(&str) -> Option<String>, features: &'env [&'static str]) -> Self {
        Self {
            env,
            features,
            #[cfg(feature = "config-file")]
            file: None,
            strict: false,
            report: Vec::new(),
            notices: Notices::default(),
        }
    }

    /// Reads the configuration file, if one is set.
    ///
    /// # Errors
    /// It cannot be used, or the cargo feature for it is not compiled in: it is never ignored.
    #[cfg_attr(
        not(feature = "config-file"),
        expect(clippy::needless_pass_by_ref_mut, reason = "reads it with the feature")
    )]
    pub(super) fn read_file(&mut self) -> Result<(), InitError> {
        let Some(path) = self.env_variable(CONFIG_FILE) else {
            return Ok(());
        };
        #[cfg(feature = "config-file")]
        {
            self.file = Some(ConfigFile::read(&path, self.env)?);
            Ok(())
        }
        #[cfg(not(feature = "config-file"))]
        Err(Self::missing("config-file", &path, Origin::Variable(CONFIG_FILE), "unset it".to_owned()))
    }

    /// From here on a variable that cannot be used is an error.
    pub(super) const fn be_strict(&mut self) {
        self.strict = true;
    }

    pub(super) const fn is_strict(&self) -> bool {
        self.strict
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
        let found = self.read_unnoted(setting, given)?;
        self.note_value(setting, &found.0, found.1);
        Ok(found)
    }

    /// The text from code, else by the setting's own variable, else the one that the list of resource attributes holds,
    /// else the default.
    pub(super) fn read_listed<T>(
        &mut self,
        setting: &Setting<T>,
        in_code: Option<(&'static str, &str)>,
        listed: Option<&str>,
    ) -> Result<T, InitError> {
        let (value, origin) = match in_code {
            Some((method, text)) => in_code_text(setting, method, text)?,
            None => self.by_environment(setting, listed)?,
        };
        self.note_value(setting, &value, origin);
        Ok(value)
    }

    /// As [`read_with_origin`](Self::read_with_origin), for a value that may not be the one in force: the caller notes
    /// the one that is.
    pub(super) fn read_unnoted<T>(
        &mut self,
        setting: &Setting<T>,
        given: Option<Given<'_, T>>,
    ) -> Result<(T, Origin), InitError> {
        match given {
            Some(Given::Value(method, value, check)) => {
                let shown = || setting.reported(&value).unwrap_or_default();
                check.map_err(|allowed| InitError::invalid(method, shown(), allowed))?;
                Ok((value, Origin::Code(method)))
            }
            Some(Given::Text(method, text)) => in_code_text(setting, method, text),
            None => self.by_environment(setting, None),
        }
    }

    /// The value of the first variable that can be used, as if the others were not set; then the one of the list of
    /// resource attributes, then the default.
    fn by_environment<T>(&mut self, setting: &Setting<T>, listed: Option<&str>) -> Result<(T, Origin), InitError> {
        let set = setting.variables.iter().filter_map(|name| self.lookup(name));
        let of_list =
            || self.lookup(RESOURCE_ATTRIBUTES).map_or(Origin::Variable(RESOURCE_ATTRIBUTES), |(_, origin)| origin);
        let texts: Vec<_> = set.chain(listed.map(|text| (text.to_owned(), of_list()))).collect();
        let mut ignored = Vec::new();
        let mut found = None;
        for (text, origin) in texts {
            let refused = match parsed(setting, &text) {
                Ok(value) => {
                    found = Some((value, origin));
                    break;
                }
                Err(refused) => refused,
            };
            let (name, value) = (origin.name(), setting.refused(&text));
            #[cfg(feature = "config-file")]
            if let Origin::File { path, line } = origin {
                let allowed = format!("{value:?} as {} is not allowed; {}", setting.key, refused.allowed);
                return Err(InitError::invalid(name, format!("{path}:{line}"), allowed));
            }
            if self.strict {
                return Err(InitError::invalid(name, value, refused.allowed));
            }
            ignored.push((name, value, refused.allowed));
            if let Some(rest) = refused.rest {
                found = Some((rest, origin));
                break;
            }
        }
        let unset = Origin::Default(setting.variables.last().copied().unwrap_or_default());
        let (value, origin) = found.unwrap_or_else(|| ((setting.default)(), unset));
        for (name, text, allowed) in ignored {
            let used = match (&setting.show, origin) {
                (Show::Plain(show), _) => format!("{} ({origin})", show(&value)),
                (Show::Secret | Show::Unreported, Origin::Default(_)) => "nothing".to_owned(),
                (Show::Secret | Show::Unreported, _) => origin.to_string(),
            };
            self.notices.ignore(Ignored { name, value: text, allowed, used });
        }
        Ok((value, origin))
    }

    /// The text of a variable, or of the configuration file in its place.
    pub(super) fn variable(&self, name: &'static str) -> Option<String> {
        self.lookup(name).map(|(text, _)| text)
    }

    /// With a configuration file the variables of OpenTelemetry count only where the file names them.
    fn lookup(&self, name: &'static str) -> Option<(String, Origin)> {
        #[cfg(feature = "config-file")]
        if let Some(file) = &self.file {
            if let Some((text, line)) = file.value(name) {
                let origin = Origin::File { path: file.path(), line };
                return (!text.is_empty()).then(|| (text.to_owned(), origin));
            }
            if name.starts_with("OTEL_") {
                return None;
            }
        }
        self.env_variable(name).map(|text| (text, Origin::Variable(name)))
    }

    /// The text of a variable that is set and not empty: an empty one counts as unset, as OpenTelemetry specifies it.
    fn env_variable(&self, name: &str) -> Option<String> {
        let value = (self.env)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Whether a cargo feature is compiled in.
    pub(super) fn has(&self, feature: &str) -> bool {
        self.features.contains(&feature)
    }

    /// The error for a value whose cargo feature is not compiled in. `instead` is the way out without the feature.
    pub(super) fn missing(feature: &'static str, value: &str, origin: Origin, instead: String) -> InitError {
        let is_default = matches!(origin, Origin::Default(_));
        InitError::MissingFeature { name: origin.name(), value: value.to_owned(), is_default, feature, instead }
    }

    /// Ignores a value of the environment in favour of `used`; in strict mode it is the error.
    ///
    /// # Errors
    /// `error`, in strict mode.
    pub(super) fn ignore(
        &mut self,
        (name, value): (&'static str, &str),
        allowed: impl Into<String>,
        used: impl Into<String>,
        error: impl FnOnce() -> InitError,
    ) -> Result<(), InitError> {
        if self.strict {
            return Err(error());
        }
        self.notices.ignore(Ignored { name, value: shown(value), allowed: allowed.into(), used: used.into() });
        Ok(())
    }

    /// The variable that asks for a value, or whose unusable value has given way to the default. What is in force then
    /// gives way to what is compiled in: without strict mode no variable keeps `init` from working.
    pub(super) fn forgiven<T>(&self, setting: &Setting<T>, origin: Origin) -> Option<&'static str> {
        match origin {
            Origin::Variable(variable) => Some(variable),
            Origin::Default(_) => setting.variables.iter().copied().find(|name| self.lookup(name).is_some()),
            Origin::Code(_) => None,
            #[cfg(feature = "config-file")]
            Origin::File { .. } => None,
        }
        .filter(|_| !self.strict)
    }

    /// Ignores a value whose cargo feature is not compiled in, in favour of `used`. Of a default only what has led to it
    /// is said.
    pub(super) fn forgive<T>(
        &mut self,
        setting: &Setting<T>,
        (variable, value, origin): (&'static str, &str, Origin),
        allowed: impl Into<String>,
        used: &str,
    ) {
        if matches!(origin, Origin::Variable(_)) {
            let (value, allowed) = (shown(value), allowed.into());
            self.notices.ignore(Ignored { name: variable, value, allowed, used: used.to_owned() });
        }
        self.notices.correct_used(setting.variables, used);
    }

    /// Records a variable whose value telemetry does not act on.
    pub(super) fn not_acted_on(&mut self, variable: &'static str) {
        self.notices.not_acted_on(variable);
    }

    /// Records an endpoint on another host that is sent to without TLS.
    pub(super) fn unencrypted(&mut self, endpoint: &str) {
        self.notices.unencrypted(endpoint);
    }

    /// Records one value for the start-up line.
    pub(super) fn note(&mut self, key: &str, shown: &str, origin: Origin) {
        self.report.push(format!("{key}={shown}({origin})"));
    }

    /// Records the value of a setting for the start-up line.
    pub(super) fn note_value<T>(&mut self, setting: &Setting<T>, value: &T, origin: Origin) {
        if let Some(shown) = setting.reported(value) {
            self.note(setting.key, &shown, origin);
        }
    }

    /// What is in force and where each value came from, in one line; and what is not.
    pub(super) fn finish(self) -> (String, Notices) {
        (self.report.join(" "), self.notices)
    }
}

fn in_code_text<T>(setting: &Setting<T>, method: &'static str, text: &str) -> Result<(T, Origin), InitError> {
    let value = (setting.parse)(text);
    let value = value.map_err(|refused| InitError::invalid(method, setting.refused(text), refused.allowed))?;
    Ok((value, Origin::Code(method)))
}

/// The value of a variable. Its bytes that are not UTF-8 have become replacement characters, which nobody has meant.
fn parsed<T>(setting: &Setting<T>, text: &str) -> Parsed<T> {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err("use text in UTF-8".into());
    }
    (setting.parse)(text)
}

impl Origin {
    /// The method or variable to name in an error.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Code(name) | Self::Variable(name) | Self::Default(name) => name,
            #[cfg(feature = "config-file")]
            Self::File { .. } => CONFIG_FILE,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Code(_) => "code",
            Self::Variable(name) => name,
            #[cfg(feature = "config-file")]
            Self::File { path, line } => return write!(formatter, "{path}:{line}"),
            Self::Default(_) => "default",
        })
    }
}
