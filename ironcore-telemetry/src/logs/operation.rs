//! The business operation that a thread's log lines belong to. Apart from the span's context, as it is there without a
//! span too, and setting it costs a few instructions.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static CURRENT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Ends the stay in an operation when it is dropped, on the thread that entered.
#[must_use = "dropped at once, it leaves at once"]
pub(crate) struct Entered {
    before: Option<&'static str>,
    on_this_thread: PhantomData<*const ()>,
}

/// Lines written on this thread carry the operation from here on.
#[inline]
pub(crate) fn enter(operation: &'static str) -> Entered {
    Entered {
        before: CURRENT.replace(Some(operation)),
        on_this_thread: PhantomData,
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// The innermost operation that this thread is in.
pub(super) fn current() -> Option<&'static str> {
    CURRENT.get()
}
