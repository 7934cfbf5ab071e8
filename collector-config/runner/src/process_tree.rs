//! The identity of a process: its pid, and what distinguishes it from a later process with the same pid.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

const POLL: Duration = Duration::from_millis(20);

/// How long the operating system may take to remove a process after SIGKILL. A busy machine, or one that writes a large
/// core dump, takes seconds.
const REMOVAL: Duration = Duration::from_mins(1);

/// Identifies one process uniquely: a pid is reused, a pid with its start time and boot is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks since the boot.
    pub started: u64,
    /// The id of the boot.
    pub boot: String,
}

impl ProcessId {
    /// The process that has this pid now; `None` if there is none, or if it is a zombie.
    #[must_use]
    pub fn from_pid(pid: u32) -> Option<Self> {
        Some(Self { pid, started: Stat::read(pid)?.started, boot: boot()? })
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        Self::from_pid(self.pid).as_ref() == Some(self)
    }

    /// Sends `signal`, and after `grace` SIGKILL to the process and its descendants. Returns whether the process was
    /// running.
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

    /// Kills it and all its descendants (SIGKILL) and waits until they are gone: when only the parent of a server is
    /// killed, its workers may hold sockets, files and shared memory for a while.
    ///
    /// # Errors
    /// If a signal is refused, or one of them is still there after a minute. All that can be killed are killed.
    pub fn kill_tree(&self) -> io::Result<()> {
        let mut tree = vec![self.clone()];
        // Each is stopped before its children are listed, so that it starts no other.
        let listed = self.stop_tree(&mut tree);
        // Also after an error: a stopped process must not stay.
        let killed: Vec<_> = tree.iter().map(|process| process.signal(Signal::KILL)).collect();
        listed?;
        killed.into_iter().collect::<io::Result<()>>()?;
        match tree.iter().find(|process| !process.is_gone_within(REMOVAL)) {
            None => Ok(()),
            Some(left) => Err(io::Error::other(format!("process {} survives SIGKILL", left.pid))),
        }
    }

    /// Stops it and its descendants (SIGSTOP) and adds the descendants to `tree`, until a look finds no new one.
    fn stop_tree(&self, tree: &mut Vec<Self>) -> io::Result<()> {
        let mut stopped = 0;
        while stopped < tree.len() {
            for process in tree.iter().skip(stopped) {
                process.signal(Signal::STOP)?;
            }
            stopped = tree.len();
            let new = descendants(self.pid)?.into_iter().filter(|found| !tree.contains(found)).collect::<Vec<_>>();
            tree.extend(new);
        }
        Ok(())
    }

    /// Sends a signal, unless the process has ended.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        // Checked before each signal: the pid may belong to another process by now.
        let (true, Some(pid)) = (self.is_running(), Pid::from_raw(self.pid.cast_signed())) else {
            return Ok(());
        };
        match kill_process(pid, signal) {
            // It has ended by itself since the check.
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
        // A process that has ended since the folder was read has no children either.
        let Some(Stat { parent, started }) = Stat::read(pid) else {
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

/// The fields of `/proc/PID/stat` of a running process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// In clock ticks since the boot.
    started: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields 3, 4, 20 and 22. Field 2, the name, may contain spaces and parentheses, so fields are counted from its
    /// end. A zombie counts as ended once its last thread has ended.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let threads: u32 = fields.nth(15)?.parse().ok()?;
        let started = fields.nth(1)?.parse().ok()?;
        let has_ended = state == "X" || (state == "Z" && threads <= 1);
        (!has_ended).then_some(Self { parent, started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn parent_and_start_time_are_read_for_any_program_name() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        assert_eq!(Stat::parse(stat), Some(Stat { parent: 1, started: 98_765 }));
        let zombie = stat.replace(" S ", " Z ");
        assert_eq!(Stat::parse(&zombie), None);
        let with_threads = zombie.replace(" 20 0 1 0 ", " 20 0 2 0 ");
        assert_eq!(Stat::parse(&with_threads), Some(Stat { parent: 1, started: 98_765 }));
    }

    #[test]
    fn a_later_process_with_the_same_pid_is_not_signalled() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let id = ProcessId::from_pid(child.id()).unwrap();
        let earlier = ProcessId { started: id.started - 1, ..id.clone() };
        assert!(!earlier.stop(Signal::TERM, REMOVAL).unwrap());
        assert!(id.is_running());
        // The child stays a zombie until it is reaped: that counts as ended.
        assert!(id.stop(Signal::TERM, REMOVAL).unwrap());
        assert!(!id.is_running());
        child.wait().unwrap();
    }

    #[test]
    fn killing_a_tree_also_kills_descendants_in_other_sessions() {
        // A child with a child of its own, and one that has left the session, as the workers of Postgres do.
        let script = "sh -c 'sleep 60 & echo $!; wait' & setsid sleep 60 & echo $!; wait";
        let mut parent = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(parent.stdout.take().unwrap()).lines().take(2);
        let children: Vec<_> = lines.map(|line| ProcessId::from_pid(line.unwrap().parse().unwrap()).unwrap()).collect();
        ProcessId::from_pid(parent.id()).unwrap().kill_tree().unwrap();
        assert!(children.iter().all(|child| !child.is_running()), "{children:?}");
        parent.wait().unwrap();
    }
}
