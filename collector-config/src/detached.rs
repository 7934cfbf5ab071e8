//! What `cargo stack up` leaves running, and how `status` and `down` find it again: by pid, if it is still the same
//! process.

use std::{
    fs, io,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use serde::{Deserialize, Serialize};

use crate::{
    addresses::{Addresses, Port},
    paths,
    process::{GRACE, StopSignal},
    query::Http,
    stack::{self, Options, Stack},
};

/// The run name of `cargo stack up`.
pub const NAME: &str = "up";

const POLL: Duration = Duration::from_millis(50);

/// What is recorded about a detached stack, in `target/stack/<name>/state.json`.
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
    /// What a user opens.
    pub url: String,
    /// What answers while it is well: `http://…` with 200, `tcp://…` by accepting a connection.
    pub health: String,
    /// Its output.
    pub log: PathBuf,
    /// What asks it to end.
    pub stop: StopSignal,
    /// A folder outside of the run folder, to be removed at the end.
    pub scratch: Option<PathBuf>,
}

/// One process for all time: a pid is given again, a pid with its start and its boot is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks since the boot.
    pub started: u64,
    /// Which boot.
    pub boot: String,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs and its health check answers 200.
    Healthy,
    /// It runs, but its health check says something else.
    Unhealthy(String),
    /// It does not run.
    Stopped,
}

/// Why a detached stack could not be started, found or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetachedError {
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] stack::Error),
    /// The record could not be read, written or removed.
    #[error("cannot {what} {}: {source}", path.display())]
    Record {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
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
    #[error(
        "cannot identify {name} (pid {pid}) in /proc: a detached stack needs Linux; use compose.yaml elsewhere"
    )]
    NoProc {
        /// The server.
        name: String,
        /// Its pid.
        pid: u32,
    },
}

impl State {
    /// Starts a stack that stays, and records it.
    ///
    /// # Errors
    /// See [`DetachedError`]. Nothing is left running then.
    pub fn up(options: &Options) -> Result<Self, DetachedError> {
        // Before anything is built. It is asked again under the lock of the run folder.
        not_running(&options.name)?;
        let options = Options {
            detached: true,
            ..options.clone()
        };
        let record = |addresses: &Addresses, servers: &[stack::Server]| {
            // After each spawn: whatever ends us before the next one, `down` knows what runs.
            Self::record(addresses, servers, &options.name)
                .map_err(|error| stack::Error::NotRecorded(Box::new(error)))
        };
        if let Err(error) = Stack::start_noting(&options, &record) {
            // A record of what does not run would be read as a stack that has died. Not so if another `up` has the name.
            if let Ok(Some(state)) = Self::load(&options.name)
                && !state.servers.iter().any(|server| server.id.is_running())
            {
                let _ = fs::remove_file(Self::path(&options.name));
            }
            return Err(error.into());
        }
        Self::load(&options.name)?.ok_or_else(|| DetachedError::Record {
            what: "find",
            path: Self::path(&options.name),
            source: io::ErrorKind::NotFound.into(),
        })
    }

    /// What was recorded, if anything.
    ///
    /// # Errors
    /// [`DetachedError::Record`].
    pub fn load(name: &str) -> Result<Option<Self>, DetachedError> {
        let path = Self::path(name);
        let failed = |source| DetachedError::Record {
            what: "read",
            path: path.clone(),
            source,
        };
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Stops what still runs, the last started first, and removes the record. Returns the names of those that ran.
    ///
    /// # Errors
    /// See [`DetachedError`]; the record stays then.
    pub fn down(self, name: &str) -> Result<Vec<String>, DetachedError> {
        let mut stopped = Vec::new();
        for server in self.servers.into_iter().rev() {
            let ended = server.id.stop(server.stop.into());
            if ended.map_err(|source| DetachedError::Signal {
                name: server.name.clone(),
                pid: server.id.pid,
                source,
            })? {
                stopped.push(server.name);
            }
            if let Some(scratch) = &server.scratch {
                // In a folder for what is temporary: the system removes what we cannot.
                let _ = paths::remove_dir(scratch);
            }
        }
        let path = Self::path(name);
        fs::remove_file(&path).map_err(|source| DetachedError::Record {
            what: "remove",
            path,
            source,
        })?;
        Ok(stopped)
    }

    /// Where the record is.
    #[must_use]
    pub fn path(name: &str) -> PathBuf {
        paths::run_dir(name).join("state.json")
    }

    fn record(
        addresses: &Addresses,
        servers: &[stack::Server],
        name: &str,
    ) -> Result<(), DetachedError> {
        let server = |server: &stack::Server| {
            let (name, pid) = (server.process.name().to_owned(), server.process.pid());
            Ok(Server {
                id: ProcessId::of(pid).ok_or_else(|| DetachedError::NoProc {
                    name: name.clone(),
                    pid,
                })?,
                name,
                url: server.url.clone(),
                health: server.health.clone(),
                log: server.process.log().to_path_buf(),
                stop: server.process.stop_signal(),
                scratch: server.scratch.clone(),
            })
        };
        let state = Self {
            servers: servers
                .iter()
                .map(server)
                .collect::<Result<_, DetachedError>>()?,
            otlp_grpc_url: stack::url(addresses.of(Port::OtlpGrpc)),
            otlp_http_url: stack::url(addresses.of(Port::OtlpHttp)),
        };
        // Renamed into place, so that the record is never half of one.
        let (path, new) = (
            Self::path(name),
            Self::path(name).with_extension("json.new"),
        );
        serde_json::to_vec_pretty(&state)
            .map_err(io::Error::from)
            .and_then(|json| fs::write(&new, json))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|source| DetachedError::Record {
                what: "write",
                path,
                source,
            })
    }
}

/// Whether no server of a detached stack of this name runs.
pub(crate) fn not_running(name: &str) -> Result<(), stack::Error> {
    // What cannot be read names nobody who runs.
    let servers = State::load(name).ok().flatten().map(|state| state.servers);
    let running: Vec<String> = servers
        .into_iter()
        .flatten()
        .filter(|server| server.id.is_running())
        .map(|server| server.name)
        .collect();
    if running.is_empty() {
        return Ok(());
    }
    Err(stack::Error::AlreadyUp {
        names: running.join(", "),
    })
}

impl Server {
    /// How it is now.
    #[must_use]
    pub fn condition(&self) -> Condition {
        if !self.id.is_running() {
            return Condition::Stopped;
        }
        match Http::new(Duration::from_secs(2)).health(&self.health) {
            Ok(()) => Condition::Healthy,
            Err(why) => Condition::Unhealthy(why),
        }
    }
}

impl ProcessId {
    /// The process that has this pid now; `None` if there is none (or it has ended and waits to be reaped).
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()?
            .trim()
            .to_owned();
        Some(Self {
            pid,
            started: start_of(&stat)?,
            boot,
        })
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends it: `signal`, then, after a grace, SIGKILL. Returns whether there was something to end.
    fn stop(&self, signal: Signal) -> io::Result<bool> {
        for (signal, grace) in [(signal, GRACE), (Signal::KILL, Duration::from_secs(2))] {
            // Asked before each signal: the pid may be somebody else's by now.
            let (true, Some(pid)) = (self.is_running(), Pid::from_raw(self.pid.cast_signed()))
            else {
                return Ok(signal == Signal::KILL);
            };
            match kill_process(pid, signal) {
                // It has ended by itself since it was asked for.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
            let deadline = Instant::now() + grace;
            while self.is_running() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
        }
        if self.is_running() {
            Err(io::Error::other("it survives SIGKILL"))
        } else {
            Ok(true)
        }
    }
}

/// Field 22 of `/proc/PID/stat`. Field 2, the name, may contain blanks and brackets, so one counts from its end. A zombie
/// has ended.
fn start_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_state_survives_its_file() {
        let state = State {
            servers: vec![Server {
                name: "jaeger".into(),
                id: ProcessId {
                    pid: 7,
                    started: 12_345,
                    boot: "b".into(),
                },
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

    #[test]
    fn the_start_is_read_whatever_the_program_is_called() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        assert_eq!(start_of(stat), Some(98_765));
        assert_eq!(start_of(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn a_process_with_the_pid_of_another_start_is_left_alone() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let earlier = ProcessId {
            started: id.started - 1,
            ..id.clone()
        };
        assert!(!earlier.stop(Signal::TERM).unwrap());
        assert!(id.is_running());
        // The child stays a zombie until it is reaped: that counts as ended.
        assert!(id.stop(Signal::TERM).unwrap());
        assert!(!id.is_running());
        child.wait().unwrap();
    }
}
