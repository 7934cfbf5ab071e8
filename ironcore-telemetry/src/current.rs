//! The business operation that a thread is in. Apart from the span's context, as it is there without a span too, and
//! setting it costs a few instructions.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static OPERATION: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Ends the stay in an operation when it is dropped, on the thread that entered.
#[must_use = "dropped at once, it leaves at once"]
pub(crate) struct Entered {
    before: Option<&'static str>,
    on_this_thread: PhantomData<*const ()>,
}

/// The thread is in the operation from here on.
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

/// The innermost operation that this thread is in.
#[cfg(feature = "json-logs")]
pub(crate) fn operation() -> Option<&'static str> {
    OPERATION.get()
}
