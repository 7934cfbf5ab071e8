//! The codes that are known before anything happened.

use super::{Outcome, OutcomeClass};
use std::marker::PhantomData;

/// Further codes have no series before they occur.
const MOST: usize = 32;

/// Collects the codes of an error type: see [`Outcome::known_codes`].
#[derive(Debug, Default)]
pub struct KnownCodes {
    codes: Vec<(OutcomeClass, &'static str)>,
    types: Vec<&'static str>,
}

impl KnownCodes {
    /// Adds a code of operations that are rejected or failed; other classes have no codes.
    pub fn add(&mut self, class: OutcomeClass, code: &'static str) {
        let has_codes = matches!(class, OutcomeClass::Rejected | OutcomeClass::Failed);
        if has_codes && self.codes.len() < MOST && !self.codes.contains(&(class, code)) {
            self.codes.push((class, code));
        }
    }

    /// Whether the codes of a type are still to be added: an error may hold another one of its own type.
    #[doc(hidden)]
    pub fn enter(&mut self, name: &'static str) -> bool {
        let is_new = !self.types.contains(&name);
        if is_new {
            self.types.push(name);
        }
        is_new
    }

    pub(in crate::business) fn into_codes(self) -> Vec<(OutcomeClass, &'static str)> {
        self.codes
    }
}

/// The return type of a function, or its error.
#[derive(Debug)]
pub struct CodesOf<T>(PhantomData<fn() -> T>);

impl<T> CodesOf<T> {
    /// Used by the expansion of the attribute.
    #[expect(clippy::new_without_default, reason = "for the expansion only")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// First choice: the type has an outcome.
pub trait CodesByOutcome {
    /// Adds its codes.
    fn __ironcore_telemetry_codes(&self, codes: &mut KnownCodes);
}

impl<T: Outcome> CodesByOutcome for &CodesOf<T> {
    fn __ironcore_telemetry_codes(&self, codes: &mut KnownCodes) {
        T::known_codes(codes);
    }
}

/// Last choice: it has none.
pub trait NoCodes {
    /// Adds nothing.
    fn __ironcore_telemetry_codes(&self, codes: &mut KnownCodes);
}

impl<T> NoCodes for CodesOf<T> {
    fn __ironcore_telemetry_codes(&self, _: &mut KnownCodes) {}
}
