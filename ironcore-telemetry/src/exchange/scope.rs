//! The context in which an exchange runs.

use crate::names::attribute;
use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, ContextGuard, KeyValue};
use std::borrow::Cow;

/// The context in which an exchange runs.
#[derive(Debug)]
pub struct Scope {
    pub(super) context: Context,
    /// Whether the span of the context is the exchange's own. It is another's for a request that is sent while the
    /// current span is not sampled.
    pub(super) owns_span: bool,
}

impl Scope {
    /// Makes it current until the guard is dropped.
    #[inline]
    pub(crate) fn enter(&self) -> ContextGuard {
        self.context.clone().attach()
    }

    /// The context.
    #[inline]
    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    /// Renames the exchange's own span.
    #[cfg(feature = "grpc")]
    pub(crate) fn rename_span(&self, name: &'static str) {
        if self.owns_span {
            self.context.span().update_name(name);
        }
    }

    /// Ends the exchange's own span: with the status of the protocol, with `error.type`, and as an error or not.
    #[inline]
    pub(crate) fn end_span(&self, status: Option<KeyValue>, error: Option<Cow<'static, str>>, is_error: bool) {
        let span = self.context.span();
        if let Some(status) = status {
            span.set_attribute(status);
        }
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
        }
        if is_error {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}
