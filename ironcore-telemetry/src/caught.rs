//! Code of users that runs where only telemetry needs it: its panics end here and never reach the business.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of a user; `None` when it panicked. Built with `panic = "abort"`, a panic ends the process all the same.
#[inline]
pub(crate) fn caught<R>(run: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Drops what was thrown, which may panic once more; what is thrown then is leaked.
#[cold]
fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        mem::forget(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload panics too");
        }
    }

    #[test]
    fn a_panic_ends_here_even_if_its_payload_panics_when_it_is_dropped() {
        assert_eq!(caught(|| 7), Some(7));
        assert_eq!(caught(|| -> u8 { panic!("no") }), None);
        assert_eq!(caught(|| -> u8 { panic_any(Bomb) }), None);
    }
}
