//! Context spans: the `tracing` spans that [`TelemetrySubscriber`](super::subscriber::TelemetrySubscriber) makes for
//! `Span::current()`. Entering one makes the OpenTelemetry context current in which it was made, with its operation or
//! request; it is no span of the trace itself.

use crate::current;
use crate::filter::CONTEXT_TARGET;
use opentelemetry::Context;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_core::callsite::{DefaultCallsite, Identifier};
use tracing_core::field::FieldSet;
use tracing_core::{Kind, Level, Metadata};

/// The name of a context span outside of an operation.
const REQUEST: &str = "request";

static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
static METADATA: Metadata<'static> = describe(REQUEST, &[]);

/// The description of a span of this name, to which these fields can be recorded. `ERROR`, so that no filter by level
/// removes it.
const fn describe(name: &'static str, fields: &'static [&'static str]) -> Metadata<'static> {
    let fields = FieldSet::new(fields, Identifier(&CALLSITE));
    Metadata::new(name, CONTEXT_TARGET, Level::ERROR, None, None, None, fields, Kind::SPAN)
}

/// The description of the context spans of an operation, or of a request. There is one for each operation of the
/// program, made once.
pub(super) fn metadata(operation: Option<&'static str>) -> &'static Metadata<'static> {
    static OF_OPERATIONS: Mutex<Option<HashMap<&'static str, &'static Metadata<'static>>>> = Mutex::new(None);
    let Some(name) = operation else {
        return &METADATA;
    };
    let mut known = OF_OPERATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default().entry(name);
    known.or_insert_with(|| {
        let fields = Vec::leak(current::fields_of(name));
        Box::leak(Box::new(describe(name, fields)))
    })
}

/// The mark of the context in which a context span is made: the first span that is built in it stands for the current
/// one.
#[derive(Debug, Clone)]
pub(super) struct StandsForCurrent(Arc<AtomicBool>);

impl StandsForCurrent {
    /// The current context, marked.
    pub(super) fn mark(context: &Context) -> Context {
        context.with_value(Self(Arc::new(AtomicBool::new(true))))
    }

    /// Whether the span that is built in this context is that of a context span.
    pub(super) fn take(context: &Context) -> bool {
        context.get::<Self>().is_some_and(|mark| mark.0.swap(false, Ordering::Relaxed))
    }
}
