//! Attributes and events that are known only while an operation or a request runs.

use crate::business::FieldValue;
use crate::current;
use crate::names;
use crate::redact::{VALUE_LIMIT, truncate};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};

/// A value of an attribute: a boolean, a number or text. A [`Secret`](crate::Secret) is none.
///
/// It is implemented for the integers, `f32`, `f64`, `bool`, `str`, `String` and references to them. An integer that does
/// not fit into 64 bits becomes text, so that amounts stay exact. Text longer than 8 KiB is cut. Format any other value
/// first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an attribute",
    label = "not a boolean, a number or text",
    note = "format it first, as in `&value.to_string()`; a `Secret` cannot be recorded at all"
)]
pub trait AttributeValue: FieldValue {}

impl<T: FieldValue + ?Sized> AttributeValue for T {}

/// Sets an attribute of the current operation or request, for what is known only inside of it. `tracing` spans in between
/// do not take it. It does nothing outside of an operation and a request, and where the trace is not sampled.
///
/// Set twice, the last value counts. Keys that the library sets itself (`ironcore.…`, `error.type`, `http.…`, `rpc.…`, …) cannot be set: such a key is
/// ignored. Never pass what identifies a person or opens a wallet: the value leaves the process.
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// #[telemetry::instrument_business]
/// fn send_payment(amount: u64) -> u64 {
///     let id = amount + 1; // known late
///     telemetry::set_attribute("payment.id", &id);
///     id
/// }
/// # send_payment(1);
/// ```
///
/// A secret does not compile:
///
/// ```compile_fail
/// ironcore_telemetry::set_attribute("seed", &ironcore_telemetry::Secret::new(String::new()));
/// ```
pub fn set_attribute(key: &'static str, value: &(impl AttributeValue + ?Sized)) {
    if names::is_own_attribute(key) {
        return;
    }
    with_recording_span(|context| context.span().set_attribute(KeyValue::new(key, value.to_value())));
}

/// Adds an event to the span of the current operation or request: a moment with a name and attributes. `tracing` spans in
/// between do not take it. It does nothing outside of an operation and a request, and where the trace is not sampled.
/// A span keeps its first 64 events.
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// #[telemetry::instrument_business]
/// fn execute_swap() {
///     telemetry::add_event("quote accepted", &[("venue", &"uniswap"), ("attempt", &2)]);
/// }
/// # execute_swap();
/// ```
pub fn add_event(name: &str, attributes: &[(&'static str, &dyn AttributeValue)]) {
    with_recording_span(|context| {
        let attributes = attributes.iter().map(|(key, value)| KeyValue::new(*key, value.to_value())).collect();
        // OTLP requires a name.
        let name = if name.is_empty() { "event" } else { truncate(name, VALUE_LIMIT) };
        context.span().add_event(name.to_owned(), attributes);
    });
}

/// Runs code for the span of the current operation or request, if it is recorded.
fn with_recording_span(code: impl FnOnce(&Context)) {
    // Cloned, so that the code may look at the current context in turn.
    let context = Context::current();
    if context.span().is_recording() {
        current::for_operation(|| code(&context));
    }
}
