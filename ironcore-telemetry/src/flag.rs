//! A flag of the thread that is raised for as long as its guard lives.

use std::cell::Cell;
use std::thread::LocalKey;

/// Puts the flag back when it is dropped, also while a panic unwinds.
#[must_use = "dropped at once, it is put back at once"]
pub(crate) struct Raised {
    flag: &'static LocalKey<Cell<bool>>,
    before: bool,
}

/// Raises the flag until the guard is dropped.
pub(crate) fn raise(flag: &'static LocalKey<Cell<bool>>) -> Raised {
    Raised { flag, before: flag.replace(true) }
}

impl Raised {
    /// Whether the flag was raised already.
    pub(crate) const fn was_raised(&self) -> bool {
        self.before
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.flag.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_guard_leaves_the_flag_raised_for_the_outer_one() {
        thread_local! {
            static FLAG: Cell<bool> = const { Cell::new(false) };
        }
        let outer = raise(&FLAG);
        for _ in 0..2 {
            assert!(raise(&FLAG).was_raised());
        }
        assert!(FLAG.get() && !outer.was_raised());
        drop(outer);
        assert!(!FLAG.get());
    }
}
