//! A child process that does not outlive its owner. Its output goes to a log file.

use crate::query::Api;
use crate::{interrupt, process_tree};
use anyhow::{Context as _, Error, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to end after SIGTERM before it is killed.
pub const GRACE: Duration = Duration::from_secs(10);

/// How many of the last log lines an error shows.
const TAIL_LINES: usize = 15;

const POLL: Duration = Duration::from_millis(20);

/// The timeout of one health check.
const HEALTH: Duration = Duration::from_secs(2);

/// A process that has ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("{name} ended early ({status}); the end of {}:\n{tail}", log.display())]
struct Ended {
    name: String,
    status: ExitStatus,
    log: PathBuf,
    tail: String,
}

/// Whether a process ended because another program took its port after the port was chosen: its log says so.
pub(crate) fn is_port_conflict(error: &Error) -> bool {
    let ended: Option<&Ended> = error.downcast_ref();
    ended.is_some_and(|ended| ended.tail.to_ascii_lowercase().contains("address already in use"))
}

/// A running child. It ends with its owner: dropping it stops it, and even if the owner is killed by SIGKILL it gets
/// SIGTERM (where `setpriv` of util-linux exists).
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    stop_signal: Signal,
    /// Whether it has ended, so that nothing is left to stop.
    over: bool,
}

impl Process {
    /// Starts `command`, which [`command`] has created. Standard error is appended to `log`; `stdout` says where
    /// standard output goes.
    pub fn spawn(name: &str, command: Command, log: &Path, stdout: Output) -> Result<Self> {
        let open = || -> io::Result<(File, File)> {
            if let Some(folder) = log.parent() {
                fs::create_dir_all(folder)?;
            }
            // Appended: after a crash and a restart, the output before the crash is the interesting one.
            let file = File::options().create(true).append(true).open(log)?;
            Ok((file.try_clone()?, file))
        };
        let (first, second) = open().with_context(|| format!("cannot write {}", log.display()))?;
        let program = command.get_program().display().to_string();
        let mut command = command;
        command.stdin(Stdio::null()).stderr(first);
        match stdout {
            Output::Logged => command.stdout(second),
            Output::Piped => command.stdout(Stdio::piped()),
        };
        let child = spawn_on_lasting_thread(command).with_context(|| format!("cannot start {name} ({program})"))?;
        Ok(Self { name: name.into(), child, log: log.into(), stop_signal: Signal::TERM, over: false })
    }

    /// Stops the process by another signal than SIGTERM.
    pub(crate) fn with_stop_signal(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file with its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its standard output, once, if it was piped.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// An error, with the last lines of its log, if it no longer runs.
    pub fn check(&mut self) -> Result<()> {
        match self.try_wait().with_context(|| format!("cannot read the status of {}", self.name))? {
            None => Ok(()),
            Some(status) => {
                let (name, log) = (self.name.clone(), self.log.clone());
                Err(Ended { name, status, tail: tail(&log), log }.into())
            }
        }
    }

    /// Waits until its health check succeeds: `http://…` answers 200, or `tcp://…` accepts a connection.
    ///
    /// # Errors
    /// It has ended, the time is over, or a signal has arrived. The end of the log is in the error.
    pub(crate) fn wait_ready(&mut self, health: &str, deadline: Instant) -> Result<()> {
        let start = Instant::now();
        let client = Api::with_timeout(health, HEALTH);
        loop {
            // Checked first: if it has ended, another program on its port might answer.
            self.check()?;
            let Err(last) = client.health() else {
                return Ok(());
            };
            interrupt::check()?;
            if Instant::now() >= deadline {
                let (name, log) = (&self.name, self.log.display());
                let seconds = start.elapsed().as_secs();
                bail!("{name} is not ready after {seconds} s ({last:#}); the end of {log}:\n{}", tail(&self.log));
            }
            thread::sleep(POLL);
        }
    }

    /// How it ended, or `None` while it runs.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.over |= status.is_some();
        Ok(status)
    }

    /// Sends its stop signal (SIGTERM by default), waits for at most `grace`, then kills it. Returns how it ended.
    pub fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        let status = stop(&mut self.child, self.stop_signal, grace)?;
        self.over = true;
        Ok(status)
    }

    /// Kills it and its descendants (SIGKILL), as a crash would; they are gone when this returns.
    pub fn kill(&mut self) -> io::Result<()> {
        kill(&mut self.child)?;
        self.over = true;
        Ok(())
    }
}

/// Signals a child to stop, waits for at most `grace`, then kills it. Returns how it ended.
pub(crate) fn stop(child: &mut Child, signal: Signal, grace: Duration) -> io::Result<ExitStatus> {
    // As long as the child is not reaped, its pid cannot belong to another process.
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

/// Waits for a child to exit. After `limit`, if there is one, or after a signal to this process, the child is stopped.
///
/// # Errors
/// [`interrupt::error`] after a signal, [`io::ErrorKind::TimedOut`] after the limit, or the error of the operating system.
pub(crate) fn wait(child: &mut Child, limit: Option<Duration>) -> io::Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let reason = if interrupt::requested() {
            interrupt::error()
        } else if limit.is_some_and(|limit| start.elapsed() >= limit) {
            io::ErrorKind::TimedOut.into()
        } else {
            thread::sleep(POLL);
            continue;
        };
        stop(child, Signal::TERM, GRACE)?;
        return Err(reason);
    }
}

/// Kills a child and its descendants (SIGKILL). Returns how the child ended.
fn kill(child: &mut Child) -> io::Result<ExitStatus> {
    let killed = process_tree::kill(child.id());
    // Does nothing to a child that has ended.
    child.kill()?;
    let status = child.wait()?;
    killed.map(|()| status)
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.over {
            // A destructor cannot report a failure, and the bounded wait is over either way.
            let _ = self.stop(GRACE);
        }
    }
}

/// Where the standard output of a process goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the log, with standard error.
    Logged,
    /// To a pipe, which [`Process::take_stdout`] returns.
    Piped,
}

/// A command for `program` that ends with this process, by the signal `stop`.
pub fn command(program: &Path, stop: Signal) -> Command {
    if !setpriv_works() {
        // It stays in this process group, so that at least Ctrl-C reaches it too.
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let stop = if stop == Signal::INT { "INT" } else { "TERM" };
    command.args(["--pdeathsig", stop, "--"]).arg(program);
    // Not in the terminal's foreground group: Ctrl-C must not end it before its owner stops everything in the right
    // order.
    command.process_group(0);
    command
}

/// The variables that a child inherits: enough to run, none that configures it. The user's `DATABASE_URL` may point at
/// real data, and the user's `*_PROXY` and `GOMEMLIMIT` are not meant for these servers.
const INHERITED: [&str; 7] = ["PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// Removes all variables of this process from the environment of a command, except those that every program needs.
pub fn clean_environment(command: &mut Command) {
    inherit(command, env::vars_os());
}

pub(crate) fn inherit(command: &mut Command, environment: impl IntoIterator<Item = (OsString, OsString)>) {
    let kept = environment.into_iter().filter(|(name, _)| INHERITED.iter().any(|kept| name == kept));
    command.env_clear().envs(kept);
}

/// `--flag=path` for any path, even one that is not UTF-8.
pub fn argument(flag: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push(path);
    argument
}

/// The last lines of a log, for an error message.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
    if last.is_empty() { "(it wrote nothing)".into() } else { last.join("\n") }
}

/// Whether `setpriv` exists and supports `--pdeathsig` (the one of `BusyBox` does not).
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
/// shared stack ends long before the other tests; hence one thread, which never ends, forks for all callers.
fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

    let spawner = SPAWNER.get_or_init(|| {
        let (orders, received) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in received {
                // If the caller no longer waits, the child is dropped with the reply.
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
        let mut command = command(Path::new("sh"), Signal::TERM);
        command.args(["-c", script]);
        let log = crate::paths::run_dir("process_tests").join(format!("{name}.log"));
        // The log is appended to, so lines of an earlier run would remain.
        let _ = fs::remove_file(&log);
        Process::spawn(name, command, &log, Output::Logged).unwrap()
    }

    #[test]
    fn a_process_stops_on_sigterm() {
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
    fn an_early_end_is_reported_with_the_last_log_lines() {
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
        assert!(is_port_conflict(&error));
    }

    #[test]
    fn a_process_outlives_the_thread_that_started_it() {
        let mut process = thread::spawn(|| shell("shared", "exec sleep 30")).join().unwrap();
        thread::sleep(Duration::from_millis(200));
        process.check().unwrap();
    }

    #[test]
    fn killing_the_owner_ends_its_processes() {
        const OWNER: &str = "STACK_TEST_OWNER";
        if let Some(note) = env::var_os(OWNER) {
            // In the second process, the owner: it writes down the pid of its child and waits until it is killed.
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
            .args(["--exact", "process::tests::killing_the_owner_ends_its_processes"])
            .env(OWNER, &note)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = loop {
            // The line end shows that the number is complete.
            let text = fs::read_to_string(&note).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n') {
                break pid.parse().unwrap();
            }
            assert!(owner.try_wait().unwrap().is_none(), "the owner ended by itself");
            thread::sleep(POLL);
        };
        let child = process_tree::Running::find(pid).unwrap();
        owner.kill().unwrap();
        owner.wait().unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while child.is_running() {
            assert!(Instant::now() < deadline, "{child:?} outlives its owner");
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

    #[test]
    fn a_child_that_takes_too_long_is_stopped() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let error = wait(&mut child, Some(Duration::from_millis(100))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(child.try_wait().unwrap().is_some());
    }
}
