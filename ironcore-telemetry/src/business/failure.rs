//! One failure is one error line: which operation has logged a failure, so that the operations around it do not log the
//! same one again.
//!
//! An operation's failure is that of the operation inside it if that one was the last to fail inside the same call or
//! poll, and has failed with the same error: the text of the outer error is that of the inner one, or ends with it
//! behind `: `, as it does for an error that has it as source or in its message. Errors without a text are compared by
//! their codes.

use super::error_text::ErrorText;
use super::outcome::OutcomeClass;
use super::verdict::{Judgement, Verdict};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

/// What is known of the operations that ended inside of a stay in an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// No operation is entered.
    Outside,
    /// None has failed.
    Well,
    /// One has failed.
    Failed,
}

/// A failure that was logged as an error.
struct Logged {
    by: &'static str,
    code: &'static str,
    error: Option<ErrorText>,
}

thread_local! {
    /// The stay of this thread.
    static STAY: Cell<Stay> = const { Cell::new(Stay::Outside) };
    /// The stay that this thread has left last.
    static LEFT: Cell<Stay> = const { Cell::new(Stay::Outside) };
    /// The failure that makes a stay [`Stay::Failed`].
    static LOGGED: RefCell<Option<Logged>> = const { RefCell::new(None) };
}

/// Ends the stay when it is dropped, on the thread that has entered it.
pub(super) struct Entered {
    before: Stay,
    on_this_thread: PhantomData<*const ()>,
}

/// Begins a stay in an operation.
#[inline]
pub(super) fn enter() -> Entered {
    Entered { before: STAY.replace(Stay::Well), on_this_thread: PhantomData }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        LEFT.set(STAY.replace(self.before));
    }
}

/// Whether the text of an error that fails an operation is compared: with that of an operation inside it, or later, for
/// one around it. To be asked after the operation was left.
pub(super) fn is_compared() -> bool {
    LEFT.get() == Stay::Failed || STAY.get() != Stay::Outside
}

/// Tells the operation around this one how it ended. Returns the operation that has logged the same failure already.
#[inline]
pub(super) fn ended(by: &'static str, judgement: &Judgement) -> Option<&'static str> {
    if judgement.verdict.class == OutcomeClass::Failed {
        return failed(by, judgement);
    }
    None
}

#[cold]
fn failed(by: &'static str, judgement: &Judgement) -> Option<&'static str> {
    let was_inside = LEFT.get() == Stay::Failed;
    let is_inside = STAY.get() != Stay::Outside;
    if is_inside {
        STAY.set(Stay::Failed);
    }
    // Unreachable only while the thread ends.
    LOGGED
        .try_with(|logged| {
            let mut logged = logged.try_borrow_mut().ok()?;
            let known = logged.take().filter(|known| was_inside && known.is(judgement));
            let caused_by = known.as_ref().map(|known| known.by);
            if is_inside {
                let make = || Logged { by, code: judgement.verdict.code, error: judgement.error.as_deref().cloned() };
                *logged = Some(known.unwrap_or_else(make));
            }
            caused_by
        })
        .ok()
        .flatten()
}

impl Logged {
    /// Whether an operation has failed with the same error.
    fn is(&self, judgement: &Judgement) -> bool {
        match (&self.error, &judgement.error) {
            (Some(inner), Some(outer)) => outer.ends_with(inner),
            (None, None) => self.code == judgement.verdict.code,
            // The code of every error without an outcome says nothing. In doubt, one line too many.
            _ => self.code == judgement.verdict.code && self.code != Verdict::ERROR.code,
        }
    }
}
