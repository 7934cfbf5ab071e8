//! The record of a detached stack: its servers, and whether each is still the same process.

use crate::error::Error;
use crate::paths;
use crate::process::StopSignal;
use crate::process_id::ProcessId;
use crate::query::Http;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

/// The record of a detached stack, in `target/stack/<name>/state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The servers, in the order of their start.
    pub servers: Vec<Server>,
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`.
    pub otlp_grpc_url: String,
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`.
    pub otlp_http_url: String,
}

/// One server of a detached stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Such as `jaeger`.
    pub name: String,
    /// The process.
    pub id: ProcessId,
    /// The address for users.
    pub url: String,
    /// The health check: `http://…` must answer 200, `tcp://…` must accept a connection.
    pub health: String,
    /// The file with its output.
    pub log: PathBuf,
    /// The signal that stops it.
    pub stop: StopSignal,
    /// A folder outside of the run folder, removed when the server has stopped.
    pub scratch: Option<PathBuf>,
}

/// The condition of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs and its health check answers 200.
    Healthy,
    /// It runs, but its health check fails for this reason.
    Unhealthy(String),
    /// It does not run.
    Stopped,
}

/// The record could not be read, written or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct RecordError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl State {
    /// Reads the record, if there is one.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn load(name: &str) -> Result<Option<Self>, RecordError> {
        let path = Self::path(name);
        let failed = |source| RecordError { action: "read", path: path.clone(), source };
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes the record. It is renamed into place, so that a reader never sees a part of it.
    pub(crate) fn write(&self, name: &str) -> Result<(), RecordError> {
        let path = Self::path(name);
        let new = path.with_extension("json.new");
        serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|json| fs::write(&new, json))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|source| RecordError { action: "write", path, source })
    }

    /// Removes the record.
    pub(crate) fn remove(name: &str) -> Result<(), RecordError> {
        let path = Self::path(name);
        fs::remove_file(&path).map_err(|source| RecordError { action: "remove", path, source })
    }

    /// The servers that still run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.id.is_running())
    }

    /// The path of the record.
    #[must_use]
    pub fn path(name: &str) -> PathBuf {
        paths::run_dir(name).join("state.json")
    }
}

/// An error if a server of the recorded stack of this name runs.
pub(crate) fn ensure_not_running(name: &str) -> Result<(), Error> {
    // A record that cannot be read names no running server.
    let state = State::load(name).ok().flatten();
    let running: Vec<&str> = state.iter().flat_map(State::running).map(|server| server.name.as_str()).collect();
    if running.is_empty() {
        return Ok(());
    }
    Err(Error::AlreadyUp { names: running.join(", ") })
}

impl Server {
    /// Its condition now.
    #[must_use]
    pub fn condition(&self) -> Condition {
        if !self.id.is_running() {
            return Condition::Stopped;
        }
        match Http::new(Duration::from_secs(2)).health(&self.health) {
            Ok(()) => Condition::Healthy,
            Err(reason) => Condition::Unhealthy(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let state = State {
            servers: vec![Server {
                name: "jaeger".into(),
                id: ProcessId { pid: 7, started: 12_345, boot: "b".into() },
                url: "http://127.0.0.1:16686".into(),
                health: "http://127.0.0.1:13133/status".into(),
                log: "/t/jaeger.log".into(),
                stop: StopSignal::Terminate,
                scratch: None,
            }],
            otlp_grpc_url: "http://127.0.0.1:4317".into(),
            otlp_http_url: "http://127.0.0.1:4318".into(),
        };
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
    }
}
