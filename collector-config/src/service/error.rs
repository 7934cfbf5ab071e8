//! Why the service does not run.

use super::READY;
use crate::process::ProcessError;
use std::io;
use std::path::PathBuf;

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Cargo could not build it.
    #[error("`cargo build -p examples --bin wallet_service` failed ({0}): its errors are above")]
    Build(String),
    /// The run name is not one.
    #[error("`{0}` cannot name a run folder: use letters, digits, `_` and `-`")]
    BadName(String),
    /// It could not be started.
    #[error(transparent)]
    Process(ProcessError),
    /// It ended before it was healthy.
    #[error("{error}\nthe end of {}:\n{tail}", stdout.display())]
    Ended {
        /// How, with the end of its standard error.
        error: Box<ProcessError>,
        /// Its log lines.
        stdout: PathBuf,
        /// The last of them.
        tail: String,
    },
    /// It runs but is not healthy.
    #[error("{url} is not healthy after {} s ({last}); the end of {}:\n{tail}", READY.as_secs(), stdout.display())]
    NotReady {
        /// The health check.
        url: String,
        /// What it said last.
        last: String,
        /// Its log lines.
        stdout: PathBuf,
        /// The last of them.
        tail: String,
    },
    /// A signal came while it was built or started.
    #[error("interrupted by a signal")]
    Interrupted,
    /// A file or a port of the run.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}
