//! Why a stack does not start.

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
    /// A program of a package of the system is missing.
    #[error(transparent)]
    NotInstalled(#[from] NotInstalled),
    /// What a server needs before its start could not be made.
    #[error("{what} ended with {status}: {said}")]
    Prepare {
        /// What was run.
        what: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// A server could not be started or ended early.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run name is not one.
    #[error("`{0}` cannot name a run folder: use letters, digits, `_` and `-`")]
    BadName(String),
    /// Another process uses the run folder.
    #[error("another process runs a stack named `{0}`: choose another name or end that one")]
    NameInUse(String),
    /// A shipped file and the code that makes its run copy have drifted apart.
    #[error("alertmanager.yml has no line `{0}: …` that the run copy could lead to this machine")]
    NoLine(&'static str),
    /// A run copy would send alerts to somebody.
    #[error("the copy of alertmanager.yml would send alerts away from this machine: `{0}`")]
    LeavesTheMachine(String),
    /// It runs already.
    #[error("already up ({names}): see `cargo stack status`, end it with `cargo stack down`")]
    AlreadyUp {
        /// The servers that run.
        names: String,
    },
    /// The system is not part of the stack.
    #[error("{0} was not started with this stack")]
    NotStarted(&'static str),
    /// A usual port is not free.
    #[error(
        "{address} ({what}) is taken: end the program that listens there (`ss -ltnp 'sport = :{port}'` names it), \
         or run `cargo stack down` if it is an earlier stack; `cargo demo -- --mode native` needs none of the usual ports",
        port = address.port()
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// What we want it for.
        what: &'static str,
    },
    /// A server runs but does not become healthy.
    #[error("{name} is not ready after {} s ({last}); the end of {}:\n{tail}", waited.as_secs(), log.display())]
    NotReady {
        /// The server.
        name: String,
        /// How long it was given.
        waited: Duration,
        /// What its health check said last.
        last: String,
        /// Its output.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// The record of a detached stack could not be written.
    #[error(transparent)]
    NotRecorded(Box<dyn std::error::Error + Send + Sync>),
    /// A signal came while the servers were starting.
    #[error("interrupted by a signal")]
    Interrupted,
    /// A file or folder of the run.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn is_port_conflict(&self) -> bool {
        matches!(self, Self::Process(error) if error.is_port_conflict())
    }
}

pub(crate) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { what, path, source }
}
