//! The business operation that a thread runs. It is kept beside the OpenTelemetry context, because it exists without a
//! span too, and because setting it costs a few instructions only.

use crate::flag;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;

thread_local! {
    static OPERATION: Cell<Option<&'static str>> = const { Cell::new(None) };
    static FOR_OPERATION: Cell<bool> = const { Cell::new(false) };
}

/// Leaves the operation when it is dropped, on the thread that has entered it.
#[must_use = "dropped at once, it leaves at once"]
pub(crate) struct Entered {
    before: Option<&'static str>,
    on_this_thread: PhantomData<*const ()>,
}

/// Makes this the operation of the thread until the guard is dropped.
#[inline]
pub(crate) fn enter(operation: &'static str) -> Entered {
    Entered { before: OPERATION.replace(Some(operation)), on_this_thread: PhantomData }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        OPERATION.set(self.before);
    }
}

/// The innermost operation of this thread.
pub(crate) fn operation() -> Option<&'static str> {
    OPERATION.get()
}

/// The operation in which a `tracing` span was taken by `Span::current()`: log lines on other tasks and threads name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TakenIn {
    pub(crate) operation: Option<&'static str>,
    /// The id of the OpenTelemetry span that it carries.
    pub(crate) span_id: [u8; 8],
}

/// The fields that an operation declares, by its name.
type FieldsOf = fn(&str) -> Vec<&'static str>;

static FIELDS_OF: OnceLock<FieldsOf> = OnceLock::new();

/// Sets who knows the fields of the operations; the first one stays.
pub(crate) fn set_fields_of(fields_of: FieldsOf) {
    let _ = FIELDS_OF.set(fields_of);
}

/// The fields that an operation declares.
pub(crate) fn fields_of(operation: &str) -> Vec<&'static str> {
    FIELDS_OF.get().map(|fields_of| fields_of(operation)).unwrap_or_default()
}

/// Runs code whose attributes and events are meant for the operation or request that is current, not for a `tracing`
/// span inside of it: such spans pass them on.
pub(crate) fn for_operation<R>(code: impl FnOnce() -> R) -> R {
    let _for_operation = flag::raise(&FOR_OPERATION);
    code()
}

/// Whether this code runs [for the operation](for_operation).
pub(crate) fn is_for_operation() -> bool {
    FOR_OPERATION.get()
}
