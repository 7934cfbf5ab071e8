//! Which process it is: its pid, and what tells it from a later process with the same pid.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

const POLL: Duration = Duration::from_millis(20);

/// How long the system may take to remove a process after SIGKILL. A busy machine, or one that writes a large core dump,
/// takes seconds.
const REMOVAL: Duration = Duration::from_mins(1);

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

impl ProcessId {
    /// The process that has this pid now; `None` if there is none (or it has ended and waits to be reaped).
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: Stat::of(pid)?.started, boot: boot()? })
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends it: `signal`, then, after `grace`, SIGKILL, which ends its descendants as well. Returns whether there was
    /// something to end.
    pub(crate) fn stop(&self, signal: Signal, grace: Duration) -> io::Result<bool> {
        if !self.is_running() {
            return Ok(false);
        }
        self.signal(signal)?;
        if !self.is_gone_within(grace) {
            self.kill_tree()?;
        }
        Ok(true)
    }

    /// Ends it and all its descendants by SIGKILL and waits until they are gone: a server whose parent process alone is
    /// killed may leave workers that hold its sockets, files and shared memory for a while.
    ///
    /// # Errors
    /// If a signal is refused, or one of them is still there after a minute.
    pub fn kill_tree(&self) -> io::Result<()> {
        // Stopped first, so that it starts no other while they are listed.
        self.signal(Signal::STOP)?;
        let mut tree = descendants(self.pid)?;
        tree.push(self.clone());
        for process in &tree {
            process.signal(Signal::KILL)?;
        }
        match tree.iter().find(|process| !process.is_gone_within(REMOVAL)) {
            None => Ok(()),
            Some(left) => Err(io::Error::other(format!("process {} survives SIGKILL", left.pid))),
        }
    }

    /// Sends a signal, unless the process has ended.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        // Asked before each signal: the pid may be somebody else's by now.
        let (true, Some(pid)) = (self.is_running(), Pid::from_raw(self.pid.cast_signed())) else {
            return Ok(());
        };
        match kill_process(pid, signal) {
            // It has ended by itself since it was asked for.
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_gone_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }
}

/// The children of a process, their children, and so on.
fn descendants(pid: u32) -> io::Result<Vec<ProcessId>> {
    let boot = boot().ok_or(io::ErrorKind::NotFound)?;
    let mut children: HashMap<u32, Vec<ProcessId>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended since the folder was read has no children either.
        let Some(Stat { parent, started }) = Stat::of(pid) else {
            continue;
        };
        children.entry(parent).or_default().push(ProcessId { pid, started, boot: boot.clone() });
    }
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            found.push(child);
        }
    }
    Ok(found)
}

fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned())
}

/// What `/proc/PID/stat` says of a process that runs.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// In clock ticks since the boot.
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields 4 and 22. Field 2, the name, may contain blanks and brackets, so fields are counted from its end. A zombie
    /// has ended.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        if matches!(fields.next()?, "Z" | "X") {
            return None;
        }
        Some(Self { parent: fields.next()?.parse().ok()?, started: fields.nth(17)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn parent_and_start_are_read_whatever_the_program_is_called() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        assert_eq!(Stat::parse(stat), Some(Stat { parent: 1, started: 98_765 }));
        assert_eq!(Stat::parse(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn a_process_with_the_pid_of_another_start_is_left_alone() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let earlier = ProcessId { started: id.started - 1, ..id.clone() };
        assert!(!earlier.stop(Signal::TERM, REMOVAL).unwrap());
        assert!(id.is_running());
        // The child stays a zombie until it is reaped: that counts as ended.
        assert!(id.stop(Signal::TERM, REMOVAL).unwrap());
        assert!(!id.is_running());
        child.wait().unwrap();
    }

    #[test]
    fn descendants_are_gone_when_the_kill_returns_also_those_of_other_sessions() {
        // A child with a child of its own, and one that has left the session, as the workers of Postgres do.
        let script = "sh -c 'sleep 60 & echo $!; wait' & setsid sleep 60 & echo $!; wait";
        let mut parent = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(parent.stdout.take().unwrap()).lines().take(2);
        let children: Vec<_> = lines.map(|line| ProcessId::of(line.unwrap().parse().unwrap()).unwrap()).collect();
        ProcessId::of(parent.id()).unwrap().kill_tree().unwrap();
        assert!(children.iter().all(|child| !child.is_running()), "{children:?}");
        parent.wait().unwrap();
    }
}
