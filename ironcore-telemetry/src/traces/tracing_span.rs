//! The OpenTelemetry spans of `tracing` spans.

use crate::current;
use crate::flag;
use opentelemetry::trace::{Span, SpanBuilder, SpanContext, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};
use std::borrow::Cow;
use std::cell::Cell;
use std::time::SystemTime;

thread_local! {
    static ASKED: Cell<bool> = const { Cell::new(false) };
    static STANDS_FOR_CURRENT: Cell<bool> = const { Cell::new(false) };
}

/// Runs code in which the span that is built is that of a context span.
pub(super) fn standing_for_current<R>(code: impl FnOnce() -> R) -> R {
    let _stands = flag::raise(&STANDS_FOR_CURRENT);
    code()
}

/// Whether the span of a context is that of a `tracing` span, and so not that of an operation or a request.
pub(super) fn is_tracing_span(context: &Context) -> bool {
    ASKED.set(false);
    // A span cannot be asked for its type; this one leaves a note when it is asked whether it records.
    context.span().is_recording();
    ASKED.take()
}

/// Starts the spans.
pub(super) struct TracingTracer(pub(super) SdkTracer);

impl Tracer for TracingTracer {
    type Span = TracingSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> TracingSpan {
        if STANDS_FOR_CURRENT.take() {
            let ids = parent.span().span_context().clone();
            return TracingSpan::Current { ids, context: parent.clone() };
        }
        let span = self.0.build_with_context(builder, parent);
        let parent = span.is_recording().then(|| parent.clone());
        TracingSpan::Own { span, parent }
    }
}

/// The span of a `tracing` span.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(super) enum TracingSpan {
    /// A span of its own. The parent is kept while the span is recorded: it may hold its own parent in turn.
    Own { span: SdkSpan, parent: Option<Context> },
    /// Of a context span: stands for the span of the context in which it was made, and does not end it.
    Current { ids: SpanContext, context: Context },
}

impl TracingSpan {
    /// The context whose span gets what is recorded here, if it is not this one.
    fn passes_on(&self) -> Option<&Context> {
        match self {
            Self::Own { parent, .. } => parent.as_ref().filter(|_| current::is_for_operation()),
            Self::Current { context, .. } => Some(context),
        }
    }

    fn own(&mut self) -> Option<&mut SdkSpan> {
        match self {
            Self::Own { span, .. } => Some(span),
            Self::Current { .. } => None,
        }
    }

    /// The own span, for what is not meant for an operation.
    fn own_if_meant(&mut self) -> Option<&mut SdkSpan> {
        self.own().filter(|_| !current::is_for_operation())
    }
}

impl Span for TracingSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, timestamp: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(other) = self.passes_on() {
            other.span().add_event_with_timestamp(name, timestamp, attributes);
        } else if let Some(span) = self.own_if_meant() {
            span.add_event_with_timestamp(name, timestamp, attributes);
        }
    }

    fn span_context(&self) -> &SpanContext {
        match self {
            Self::Own { span, .. } => span.span_context(),
            Self::Current { ids, .. } => ids,
        }
    }

    fn is_recording(&self) -> bool {
        match self {
            Self::Own { span, .. } => {
                ASKED.set(true);
                span.is_recording()
            }
            Self::Current { context, .. } => context.span().is_recording(),
        }
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some(other) = self.passes_on() {
            other.span().set_attribute(attribute);
        } else if let Some(span) = self.own_if_meant() {
            span.set_attribute(attribute);
        }
    }

    fn set_status(&mut self, status: Status) {
        match self {
            Self::Own { span, .. } => span.set_status(status),
            Self::Current { context, .. } => context.span().set_status(status),
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        // The name of an operation or a request is not changed from outside.
        if let Some(span) = self.own() {
            span.update_name(new_name);
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        match self {
            Self::Own { span, .. } => span.add_link(span_context, attributes),
            Self::Current { context, .. } => context.span().add_link(span_context, attributes),
        }
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if let Self::Own { span, parent } = self {
            span.end_with_timestamp(timestamp);
            *parent = None;
        }
    }
}
