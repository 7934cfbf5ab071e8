//! The servers that `cargo stack up` leaves running. `down` stops them by pid, if the pid still belongs to the same
//! process.

use crate::addresses::{Addresses, Port, url};
use crate::error::Error;
use crate::options::Options;
use crate::paths;
use crate::process::GRACE;
use crate::process_id::ProcessId;
use crate::record::{self, RecordError, Server, State};
use crate::stack::{self, Stack};
use std::io;

/// The run name of `cargo stack up`.
pub const NAME: &str = "up";

/// Why a detached stack could not be started, found or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetachedError {
    /// The stack could not be started.
    #[error(transparent)]
    Start(#[from] Error),
    /// The record could not be read, written or removed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record was removed while the stack was starting.
    #[error("the record of the stack is missing: another `cargo stack` has stopped the servers")]
    Gone,
    /// A server could not be signalled.
    #[error("cannot stop {name} (pid {pid})")]
    Signal {
        /// The server.
        name: String,
        /// Its pid.
        pid: u32,
        /// The error of the operating system.
        source: io::Error,
    },
    /// There is no `/proc`.
    #[error("cannot identify {name} (pid {pid}) in /proc: a detached stack needs Linux; use compose.yaml elsewhere")]
    NoProc {
        /// The server.
        name: String,
        /// Its pid.
        pid: u32,
    },
}

/// Starts a stack that outlives this process, and records it.
///
/// # Errors
/// See [`DetachedError`]. No server is left running after an error.
pub fn up(options: &Options) -> Result<State, DetachedError> {
    // Checked before anything is built, and again under the lock of the run folder.
    record::ensure_not_running(&options.name)?;
    let options = Options { detached: true, ..options.clone() };
    let record_spawn = |addresses: &Addresses, servers: &[stack::Server]| {
        // After each spawn, so that `down` finds every server even if this process dies before the next one.
        recorded_state(addresses, servers)
            .and_then(|state| Ok(state.write(&options.name)?))
            .map_err(|error| Error::NotRecorded(Box::new(error)))
    };
    if let Err(error) = Stack::start_observed(&options, &record_spawn) {
        // A record without running servers would look like a crashed stack. Another `up` of this name keeps its record.
        if let Ok(Some(state)) = State::load(&options.name)
            && state.running().next().is_none()
        {
            let _ = State::remove(&options.name);
        }
        return Err(error.into());
    }
    State::load(&options.name)?.ok_or(DetachedError::Gone)
}

/// Stops the servers that still run, the last started first, and removes the record. Returns the names of those that
/// ran.
///
/// # Errors
/// See [`DetachedError`]; the record is kept after an error.
pub fn down(state: State, name: &str) -> Result<Vec<String>, DetachedError> {
    let mut stopped = Vec::new();
    for server in state.servers.into_iter().rev() {
        let ended = server.id.stop(server.stop.into(), GRACE);
        if ended.map_err(|source| DetachedError::Signal { name: server.name.clone(), pid: server.id.pid, source })? {
            stopped.push(server.name);
        }
        paths::remove_scratch(server.scratch.as_deref());
    }
    State::remove(name)?;
    Ok(stopped)
}

fn recorded_state(addresses: &Addresses, servers: &[stack::Server]) -> Result<State, DetachedError> {
    let server = |server: &stack::Server| {
        let (name, pid) = (server.process.name().to_owned(), server.process.pid());
        Ok(Server {
            id: ProcessId::from_pid(pid).ok_or_else(|| DetachedError::NoProc { name: name.clone(), pid })?,
            name,
            url: server.url.clone(),
            health: server.health.clone(),
            log: server.process.log().to_path_buf(),
            stop: server.process.stop_signal(),
            scratch: server.scratch.clone(),
        })
    };
    Ok(State {
        servers: servers.iter().map(server).collect::<Result<_, DetachedError>>()?,
        otlp_grpc_url: url(addresses.address(Port::OtlpGrpc)),
        otlp_http_url: url(addresses.address(Port::OtlpHttp)),
    })
}
