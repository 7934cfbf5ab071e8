//! The options of a server layer.

use super::boundary::Trust;

#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) trust: Trust,
    /// Whether the response to a trusted caller carries the ids of the span.
    pub(super) sends_trace_response: bool,
    /// Routes of HTTP, services of gRPC.
    pub(super) skipped: Vec<String>,
    /// Names the routes of HTTP requests that no router has matched.
    #[cfg(feature = "http")]
    pub(super) route_by: Option<super::http::RouteBy>,
    /// Paths of gRPC methods that are known from the start.
    pub(super) declared: Vec<String>,
}

impl Options {
    /// Whether a route, or a service, is skipped.
    #[inline]
    pub(super) fn skips(&self, name: Option<&str>) -> bool {
        !self.skipped.is_empty() && name.is_some_and(|name| self.skipped.iter().any(|skipped| skipped == name))
    }

    /// Whether the path is one of the declared methods.
    pub(super) fn declares(&self, path: &str) -> bool {
        self.declared.iter().any(|declared| declared == path)
    }
}
