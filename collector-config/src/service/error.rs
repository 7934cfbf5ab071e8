//! Why an example service does not run.

use super::READY;
use crate::process::ProcessError;
use std::io;
use std::path::PathBuf;

/// Why an example service does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Cargo could not build it.
    #[error("`cargo build -p examples --bin {example}` failed ({reason}); see its output above")]
    Build {
        /// The name of the example.
        example: String,
        /// How Cargo ended, or why it could not be started.
        reason: String,
    },
    /// The run name is not a valid folder name.
    #[error("`{0}` cannot name a run folder: use letters, digits, `_` and `-`")]
    BadName(String),
    /// It could not be started.
    #[error(transparent)]
    Process(ProcessError),
    /// It ended before it was healthy.
    #[error("the service ended before it was healthy; the end of {}:\n{tail}", stdout.display())]
    Ended {
        /// How it ended, with the end of its standard error.
        source: Box<ProcessError>,
        /// The file with its log lines.
        stdout: PathBuf,
        /// The last lines of that file.
        tail: String,
    },
    /// It runs but did not become healthy.
    #[error("{url} is not healthy after {} s ({last}); the end of {}:\n{tail}", READY.as_secs(), stdout.display())]
    NotReady {
        /// The health check.
        url: String,
        /// The last answer of the health check.
        last: String,
        /// The file with its log lines.
        stdout: PathBuf,
        /// The last lines of that file.
        tail: String,
    },
    /// A signal arrived while it was built or started.
    #[error("interrupted by a signal")]
    Interrupted,
    /// A file or a port of the run could not be used.
    #[error("cannot {action}")]
    Io {
        /// What was attempted.
        action: String,
        /// The error of the operating system.
        source: io::Error,
    },
}
