//! Context spans: the `tracing` spans that [`TelemetrySubscriber`](super::subscriber::TelemetrySubscriber) makes for
//! `Span::current()`. Entering one makes the OpenTelemetry context current in which it was made, with its operation or
//! request; it is no span of the trace itself.

use crate::current;
use crate::filter::CONTEXT_TARGET;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
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
    static OF_OPERATIONS: RwLock<Option<HashMap<&'static str, &'static Metadata<'static>>>> = RwLock::new(None);
    let Some(name) = operation else {
        return &METADATA;
    };
    let known = OF_OPERATIONS.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(metadata) = known.as_ref().and_then(|known| known.get(name)) {
        return metadata;
    }
    drop(known);
    let mut known = OF_OPERATIONS.write().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_default().entry(name).or_insert_with(|| {
        let fields = Vec::leak(current::fields_of(name));
        Box::leak(Box::new(describe(name, fields)))
    })
}
