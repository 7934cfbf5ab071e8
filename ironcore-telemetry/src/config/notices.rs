//! What the environment says and telemetry does not do, for the log lines at the start.

/// What of the environment is not in force.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// Values that cannot be used.
    pub(crate) ignored: Vec<Ignored>,
    /// Variables with usable values that telemetry does not act on.
    pub(crate) not_acted_on: Vec<&'static str>,
    /// Endpoints on other hosts that are sent to without TLS, where nobody has said that this is meant.
    pub(crate) unencrypted: Vec<String>,
}

/// A value of the environment that cannot be used, and is ignored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    /// The variable, or the `Config` method that the environment contradicts.
    pub(crate) name: &'static str,
    /// The value, bounded; `[REDACTED]` where it may hold a secret.
    pub(crate) value: String,
    /// The allowed values.
    pub(crate) allowed: String,
    /// What is in force in its place.
    pub(crate) used: String,
}

impl Notices {
    /// Each value once: two signals read the same variable.
    pub(super) fn ignore(&mut self, ignored: Ignored) {
        if !self.ignored.iter().any(|known| known.name == ignored.name && known.value == ignored.value) {
            self.ignored.push(ignored);
        }
    }

    /// Corrects what is in force in the place of what these variables say.
    pub(super) fn correct_used(&mut self, variables: &[&'static str], used: &str) {
        for ignored in self.ignored.iter_mut().filter(|ignored| variables.contains(&ignored.name)) {
            used.clone_into(&mut ignored.used);
        }
    }

    pub(super) fn not_acted_on(&mut self, variable: &'static str) {
        if !self.not_acted_on.contains(&variable) {
            self.not_acted_on.push(variable);
        }
    }

    pub(super) fn unencrypted(&mut self, endpoint: &str) {
        if !self.unencrypted.iter().any(|known| known == endpoint) {
            self.unencrypted.push(endpoint.to_owned());
        }
    }

    /// The names of all ignored variables, for the start-up line; `None` when there are none.
    pub(crate) fn ignored_names(&self) -> Option<String> {
        let names: Vec<_> = self.ignored.iter().map(|ignored| ignored.name).collect();
        (!names.is_empty()).then(|| names.join(","))
    }

    /// The variables that are not acted on, for the start-up line; `None` when there are none.
    pub(crate) fn not_acted_on_names(&self) -> Option<String> {
        (!self.not_acted_on.is_empty()).then(|| self.not_acted_on.join(","))
    }
}
