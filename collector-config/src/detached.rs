//! What `cargo stack up` leaves running, and how `down` ends it: by pid, if it is still the same process.

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
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] Error),
    /// Its record could not be read, written or removed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Its record has gone while it was starting.
    #[error("the record of the stack has gone: another `cargo stack` has ended it")]
    Gone,
    /// A server could not be signalled.
    #[error("cannot end {name} (pid {pid}): {source}")]
    Signal {
        /// The server.
        name: String,
        /// Its pid.
        pid: u32,
        /// What the system says.
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

/// Starts a stack that stays, and records it.
///
/// # Errors
/// See [`DetachedError`]. Nothing is left running then.
pub fn up(options: &Options) -> Result<State, DetachedError> {
    // Before anything is built. It is asked again under the lock of the run folder.
    record::not_running(&options.name)?;
    let options = Options { detached: true, ..options.clone() };
    let note = |addresses: &Addresses, servers: &[stack::Server]| {
        // After each spawn: whatever ends us before the next one, `down` knows what runs.
        state_of(addresses, servers)
            .and_then(|state| Ok(state.write(&options.name)?))
            .map_err(|error| Error::NotRecorded(Box::new(error)))
    };
    if let Err(error) = Stack::start_noting(&options, &note) {
        // A record of what does not run would be read as a stack that has died. Not so if another `up` has the name.
        if let Ok(Some(state)) = State::load(&options.name)
            && state.running().next().is_none()
        {
            let _ = State::remove(&options.name);
        }
        return Err(error.into());
    }
    State::load(&options.name)?.ok_or(DetachedError::Gone)
}

/// Stops what still runs, the last started first, and removes the record. Returns the names of those that ran.
///
/// # Errors
/// See [`DetachedError`]; the record stays then.
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

fn state_of(addresses: &Addresses, servers: &[stack::Server]) -> Result<State, DetachedError> {
    let server = |server: &stack::Server| {
        let (name, pid) = (server.process.name().to_owned(), server.process.pid());
        Ok(Server {
            id: ProcessId::of(pid).ok_or_else(|| DetachedError::NoProc { name: name.clone(), pid })?,
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
        otlp_grpc_url: url(addresses.of(Port::OtlpGrpc)),
        otlp_http_url: url(addresses.of(Port::OtlpHttp)),
    })
}
