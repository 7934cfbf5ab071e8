//! What a server layer was told.

use super::boundary::Trust;

#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) trust: Trust,
    /// Whether a trusted caller is told the ids of the span.
    pub(super) responds: bool,
    /// Routes of HTTP, services of gRPC.
    pub(super) skipped: Vec<String>,
    /// Paths of the methods of gRPC that there are.
    pub(super) declared: Vec<String>,
}

impl Settings {
    /// Whether a route, or a service, is left out.
    #[inline]
    pub(super) fn skips(&self, name: Option<&str>) -> bool {
        !self.skipped.is_empty() && name.is_some_and(|name| self.skipped.iter().any(|skipped| skipped == name))
    }

    /// Whether it was said that there is such a method.
    pub(super) fn declares(&self, path: &str) -> bool {
        self.declared.iter().any(|declared| declared == path)
    }
}
