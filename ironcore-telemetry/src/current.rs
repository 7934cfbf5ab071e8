//! The business operation that a thread runs. It is kept beside the OpenTelemetry context, because it exists without a
//! span too, and because setting it costs a few instructions only.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static OPERATION: Cell<Option<&'static str>> = const { Cell::new(None) };
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
#[cfg(feature = "json-logs")]
pub(crate) fn operation() -> Option<&'static str> {
    OPERATION.get()
}
