//! Why a stack does not start, and how an error is printed with its sources.

use crate::native::BuildError;
use crate::packaged::NotInstalled;
use crate::process::ProcessError;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Why the servers could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A binary is missing and could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A program from a package of the operating system is missing.
    #[error(transparent)]
    NotInstalled(#[from] NotInstalled),
    /// A preparation step of a server failed.
    #[error("{command} ended with {status}: {output}")]
    Prepare {
        /// The command of the step.
        command: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        output: String,
    },
    /// A server could not be started or ended early.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run name is not a valid folder name.
    #[error("`{0}` cannot name a run folder: use letters, digits, `_` and `-`")]
    BadName(String),
    /// Another process uses the run folder.
    #[error("another process runs a stack named `{0}`: choose another name or stop that one")]
    NameInUse(String),
    /// The shipped alertmanager.yml lacks a line that the run copy must replace.
    #[error("alertmanager.yml has no line `{0}: …`, which the run copy must point at this machine")]
    NoLine(&'static str),
    /// The run copy would send alerts to another machine.
    #[error("the run copy of alertmanager.yml would send alerts to another machine: `{0}`")]
    LeavesTheMachine(String),
    /// A detached stack of this name already runs.
    #[error("already up ({names}): see `cargo stack status`, stop it with `cargo stack down`")]
    AlreadyUp {
        /// The servers that run.
        names: String,
    },
    /// The system is not part of the stack.
    #[error("{0} was not started with this stack")]
    NotStarted(&'static str),
    /// A usual port is not free.
    #[error(
        "{address} ({purpose}) is taken: stop the program that listens there (`ss -ltnp 'sport = :{port}'` names it), \
         or run `cargo stack down` if it is an earlier stack; `cargo demo -- --mode native` uses free ports instead",
        port = address.port()
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// What the stack needs it for.
        purpose: &'static str,
    },
    /// A server runs but did not become healthy.
    #[error("{name} is not ready after {} s ({last}); the end of {}:\n{tail}", waited.as_secs(), log.display())]
    NotReady {
        /// The server.
        name: String,
        /// How long it was given.
        waited: Duration,
        /// The last answer of its health check.
        last: String,
        /// The file with its output.
        log: PathBuf,
        /// The last lines of that file.
        tail: String,
    },
    /// The record of a detached stack could not be written.
    #[error(transparent)]
    NotRecorded(Box<dyn std::error::Error + Send + Sync>),
    /// A signal arrived while the servers were starting.
    #[error("interrupted by a signal")]
    Interrupted,
    /// A file or folder of the run could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn is_port_conflict(&self) -> bool {
        matches!(self, Self::Process(error) if error.is_port_conflict())
    }
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { action, path, source }
}

/// The message of an error and of all its sources, for a user: errors do not repeat their source in their message.
#[must_use]
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let message = source.to_string();
        // Errors of other crates do repeat it.
        if !text.ends_with(&message) {
            // After the last lines of a log, a source starts a line of its own.
            text.push_str(if text.contains('\n') { "\n" } else { ": " });
            text.push_str(&message);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_each_source_once() {
        let denied = io::Error::new(io::ErrorKind::PermissionDenied, "denied");
        let error = io_error("write", Path::new("/x"))(denied);
        assert_eq!(error_chain(&error), "cannot write /x: denied");
        let repeated = Error::NotRecorded(Box::new(error));
        assert_eq!(error_chain(&repeated), "cannot write /x: denied");
    }
}
