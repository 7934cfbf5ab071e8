//! Output of the commands.

use anyhow::Error;
use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a line to standard output; an error if its reader is gone.
pub fn print_line(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Whether the reader of standard output is gone: there is nobody to tell an error.
pub fn is_closed(error: &Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
