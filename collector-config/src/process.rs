//! A child process that does not outlive its owner: output in a log file, stopped by the pid that was recorded.

use crate::process_id::ProcessId;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};
use std::{env, io, thread};

/// How long a process may take to end after SIGTERM before it is killed.
pub const GRACE: Duration = Duration::from_secs(10);

/// How many of the last log lines an error shows.
const TAIL_LINES: usize = 15;

const POLL: Duration = Duration::from_millis(20);

/// Why a process is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program could not be started at all.
    #[error("cannot start {name} ({}): {source}", program.display())]
    Spawn {
        /// What it is called here.
        name: String,
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The log file could not be made.
    #[error("cannot write the log of {name} to {}: {source}", log.display())]
    Log {
        /// What it is called here.
        name: String,
        /// The file.
        log: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system does not say whether it runs.
    #[error("cannot ask the system about {name}: {source}")]
    Wait {
        /// What it is called here.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("{name} ended early ({status}); the end of {}:\n{tail}", log.display())]
    Ended {
        /// What it is called here.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Where its output is.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
}

impl ProcessError {
    /// Whether it ended because somebody else took its port between our choice and its start.
    #[must_use]
    pub fn is_port_conflict(&self) -> bool {
        matches!(self, Self::Ended { tail, .. } if tail.to_ascii_lowercase().contains("address already in use"))
    }
}

/// Whether a process ends with the one that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It does, even if its owner is killed by SIGKILL (where `setpriv` of util-linux exists).
    Scoped,
    /// It stays when its owner ends.
    Detached,
}

/// A running child. Dropping it stops it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    stop: StopSignal,
    over: bool,
}

/// What asks a process to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// SIGTERM.
    #[default]
    Terminate,
    /// SIGINT: to Postgres, SIGTERM means to wait until every client has gone.
    Interrupt,
}

impl From<StopSignal> for Signal {
    fn from(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Terminate => Self::TERM,
            StopSignal::Interrupt => Self::INT,
        }
    }
}

impl Process {
    /// Starts what `command` (made by [`command`]) says. Standard error goes to `log`; standard output too, unless the
    /// caller has piped it and takes it with [`Process::take_stdout`].
    ///
    /// # Errors
    /// If the log cannot be written or the program cannot be started.
    pub fn spawn(name: &str, command: Command, log: &Path, stdout: Output) -> Result<Self, ProcessError> {
        let open = || -> io::Result<(File, File)> {
            if let Some(folder) = log.parent() {
                fs::create_dir_all(folder)?;
            }
            // Appended to: what a server has said before its death is what one wants to read.
            let file = File::options().create(true).append(true).open(log)?;
            Ok((file.try_clone()?, file))
        };
        let (first, second) =
            open().map_err(|source| ProcessError::Log { name: name.into(), log: log.into(), source })?;

        let program = PathBuf::from(command.get_program());
        let mut command = command;
        command.stdin(Stdio::null()).stderr(first);
        match stdout {
            Output::Logged => command.stdout(second),
            Output::Piped => command.stdout(Stdio::piped()),
        };
        let child = spawn_on_lasting_thread(command).map_err(|source| ProcessError::Spawn {
            name: name.into(),
            program,
            source,
        })?;
        Ok(Self { name: name.into(), child, log: log.into(), stop: StopSignal::default(), over: false })
    }

    /// The same, asked to end by another signal than SIGTERM.
    #[must_use]
    pub fn stopping_by(mut self, signal: StopSignal) -> Self {
        self.stop = signal;
        self
    }

    /// What asks it to end.
    #[must_use]
    pub fn stop_signal(&self) -> StopSignal {
        self.stop
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file with its output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its standard output, once, if it was piped.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// [`ProcessError::Ended`], with the last lines of its log, if it does not.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        match self.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status)),
            Err(source) => Err(ProcessError::Wait { name: self.name.clone(), source }),
        }
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.over |= status.is_some();
        Ok(status)
    }

    /// Asks it to end (by SIGTERM, unless told otherwise), waits for at most `grace`, then kills it. Returns how it ended.
    ///
    /// # Errors
    /// If the system does not let us signal or wait.
    pub fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        let status = end(&mut self.child, self.stop.into(), grace)?;
        self.over = true;
        Ok(status)
    }

    /// Ends it and its descendants at once (SIGKILL), as a crash does; they are gone when this returns.
    ///
    /// # Errors
    /// If the system does not let us.
    pub fn kill(&mut self) -> io::Result<()> {
        kill(&mut self.child)?;
        self.over = true;
        Ok(())
    }

    /// Lets it run on without an owner.
    pub(crate) fn abandon(&mut self) {
        self.over = true;
    }

    /// Ends it now, as dropping it does.
    pub(crate) fn finish(&mut self) {
        if !self.over {
            // Nobody is left to hear of a failure, and the bounded wait is over either way.
            let _ = self.stop(GRACE);
            self.over = true;
        }
    }

    fn ended(&self, status: ExitStatus) -> ProcessError {
        ProcessError::Ended { name: self.name.clone(), status, log: self.log.clone(), tail: tail(&self.log) }
    }
}

/// Asks a child to end, waits for at most `grace`, then kills it. Returns how it ended.
///
/// # Errors
/// If the system does not let us signal or wait.
pub(crate) fn end(child: &mut Child, signal: Signal, grace: Duration) -> io::Result<ExitStatus> {
    // Not reaped before, its pid cannot have been given to another process.
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
        kill_process(pid, signal)?;
    }
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(POLL);
    }
    kill(child)
}

/// Ends a child and its descendants by SIGKILL. Returns how the child ended.
fn kill(child: &mut Child) -> io::Result<ExitStatus> {
    match ProcessId::of(child.id()) {
        Some(id) => id.kill_tree()?,
        // It has ended, or there is no `/proc` to list its descendants from.
        None => child.kill()?,
    }
    child.wait()
}

impl Drop for Process {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Where the standard output of a process goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the log, with standard error.
    Logged,
    /// To [`Process::take_stdout`].
    Piped,
}

/// A command for `program` that lives as long as `lifetime` says.
#[must_use]
pub fn command(program: &Path, lifetime: Lifetime) -> Command {
    let mut command = match lifetime {
        Lifetime::Scoped if setpriv_works() => {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        // Without setpriv it stays in our process group, so that at least Ctrl-C reaches it too.
        Lifetime::Scoped => return Command::new(program),
        Lifetime::Detached => Command::new(program),
    };
    // Out of the terminal's foreground group: Ctrl-C must not end it before its owner has said so, in the right order.
    command.process_group(0);
    command
}

/// What a child gets of the caller's environment, where it is set: enough to run, nothing that says what to do. The
/// caller's `DATABASE_URL` above all is somebody's data, its `*_PROXY` and `GOMEMLIMIT` are not meant for ours.
const INHERITED: [&str; 7] = ["PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// Leaves of the caller's environment only what every program needs.
pub fn clean_environment(command: &mut Command) {
    inherit(command, env::vars_os());
}

pub(crate) fn inherit(command: &mut Command, caller: impl IntoIterator<Item = (OsString, OsString)>) {
    let kept = caller.into_iter().filter(|(name, _)| INHERITED.iter().any(|kept| name == kept));
    command.env_clear().envs(kept);
}

/// `--flag=path` for any path, also one that is not UTF-8.
#[must_use]
pub fn argument(flag: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push(path);
    argument
}

/// The last lines of a log, for an error message.
#[must_use]
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
    if last.is_empty() { "(it wrote nothing)".into() } else { last.join("\n") }
}

/// Whether `setpriv` is there and knows `--pdeathsig` (the one of `BusyBox` does not).
fn setpriv_works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Linux sends the parent-death signal when the *thread* that forked ends, not the process. A test thread that starts a
/// shared stack ends long before its users do; hence one thread that forks for everybody and never ends.
fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // Who ordered has gone: then the child, if any, is dropped with the reply.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn shell(name: &str, script: &str) -> Process {
        let mut command = command(Path::new("sh"), Lifetime::Scoped);
        command.args(["-c", script]);
        let log = crate::paths::run_dir("process_tests").join(format!("{name}.log"));
        Process::spawn(name, command, &log, Output::Logged).unwrap()
    }

    #[test]
    fn a_process_ends_on_sigterm() {
        let mut process = shell("polite", "exec sleep 30");
        let status = process.stop(GRACE).unwrap();
        assert!(!status.success());
        assert!(process.try_wait().unwrap().is_some());
    }

    #[test]
    fn a_process_that_ignores_sigterm_is_killed() {
        let mut process = shell("stubborn", "trap '' TERM; echo ready; while true; do sleep 0.05; done");
        while !tail(process.log()).contains("ready") {
            thread::sleep(POLL);
        }
        let status = process.stop(Duration::from_millis(200)).unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    }

    #[test]
    fn an_early_end_is_reported_with_the_last_lines() {
        let mut process = shell("short", "echo one; echo bind: address already in use >&2; exit 3");
        let error = loop {
            match process.check() {
                Ok(()) => thread::sleep(POLL),
                Err(error) => break error,
            }
        };
        let text = error.to_string();
        assert!(text.contains("short ended early (exit status: 3)"), "{text}");
        assert!(text.contains("one\nbind: address already in use"), "{text}");
        assert!(error.is_port_conflict());
    }

    #[test]
    fn a_process_outlives_the_thread_that_started_it() {
        let mut process = thread::spawn(|| shell("shared", "exec sleep 30")).join().unwrap();
        thread::sleep(Duration::from_millis(200));
        process.check().unwrap();
    }

    #[test]
    fn a_killed_owner_takes_its_processes_along() {
        const OWNER: &str = "STACK_TEST_OWNER";
        if let Some(note) = env::var_os(OWNER) {
            // In the second process, the owner: it notes whom it owns and waits for its end.
            let process = shell("owned", "exec sleep 60");
            fs::write(note, format!("{}\n", process.pid())).unwrap();
            thread::sleep(Duration::from_mins(1));
            return;
        }
        if !setpriv_works() {
            return;
        }
        let note = crate::paths::run_dir("process_tests").join("owned.pid");
        fs::create_dir_all(note.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&note);
        let mut owner = Command::new(env::current_exe().unwrap())
            .args(["--exact", "process::tests::a_killed_owner_takes_its_processes_along"])
            .env(OWNER, &note)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = loop {
            // The line end says that the number is whole.
            let text = fs::read_to_string(&note).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n') {
                break pid.parse().unwrap();
            }
            assert!(owner.try_wait().unwrap().is_none(), "the owner has ended by itself");
            thread::sleep(POLL);
        };
        let child = ProcessId::of(pid).unwrap();
        owner.kill().unwrap();
        owner.wait().unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while child.is_running() {
            assert!(Instant::now() < deadline, "{child:?} has outlived its owner");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn dropping_a_process_stops_it() {
        let process = shell("dropped", "exec sleep 30");
        let pid = Pid::from_raw(process.pid().cast_signed()).unwrap();
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
