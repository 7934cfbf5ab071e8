//! What is wrong with a file, and where.

use std::fmt;

/// A line and a column, both counted from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// Of a line counted from 1 and a column counted from 0, as the parser counts them.
    pub(super) const fn new(line: usize, column: usize) -> Self {
        Self { line, column: column + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    /// The key that it is about and what is allowed.
    pub(super) allowed: String,
}

impl Fault {
    pub(super) fn new(place: Place, allowed: impl Into<String>) -> Self {
        Self { place, allowed: allowed.into() }
    }
}
