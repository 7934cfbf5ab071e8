//! Kills a process with its descendants. When only the parent of a server is killed, its workers may hold sockets, files
//! and shared memory for a while. A process group is not enough: the workers of Postgres leave it.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

const POLL: Duration = Duration::from_millis(20);

/// How long the operating system may take to remove a process after SIGKILL. A busy machine, or one that writes a large
/// core dump, takes seconds.
const REMOVAL: Duration = Duration::from_mins(1);

/// Kills the process and its descendants (SIGKILL) and waits until they are gone. A process that has ended is not an
/// error.
pub(crate) fn kill(pid: u32) -> io::Result<()> {
    let mut tree: Vec<Running> = Running::find(pid).into_iter().collect();
    // Each is stopped before its children are listed, so that it starts no other.
    let listed = stop_tree(pid, &mut tree);
    // Also after an error: a stopped process must not stay.
    let killed: Vec<_> = tree.iter().map(|process| process.signal(Signal::KILL)).collect();
    listed?;
    killed.into_iter().collect::<io::Result<()>>()?;
    let deadline = Instant::now() + REMOVAL;
    while let Some(left) = tree.iter().find(|process| process.is_running()) {
        if Instant::now() >= deadline {
            return Err(io::Error::other(format!("process {} survives SIGKILL", left.pid)));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Stops all of `tree` (SIGSTOP) and adds the descendants of `root` to it, until a look finds no new one.
fn stop_tree(root: u32, tree: &mut Vec<Running>) -> io::Result<()> {
    let mut stopped = 0;
    while stopped < tree.len() {
        for process in tree.iter().skip(stopped) {
            process.signal(Signal::STOP)?;
        }
        stopped = tree.len();
        let new = descendants(root)?.into_iter().filter(|found| !tree.contains(found)).collect::<Vec<_>>();
        tree.extend(new);
    }
    Ok(())
}

/// The children of a process, their children, and so on.
fn descendants(root: u32) -> io::Result<Vec<Running>> {
    let mut children: HashMap<u32, Vec<Running>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        // A process that has ended since the folder was read has no children either.
        if let Some(process) = pid.and_then(Running::find) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let next = children.remove(&parent).unwrap_or_default();
        parents.extend(next.iter().map(|child| child.pid));
        found.extend(next);
    }
    Ok(found)
}

/// A running process. A pid is reused; a pid with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pid: u32,
    parent: u32,
    /// In clock ticks since the boot.
    started: u64,
}

impl Running {
    /// The process that has this pid now; `None` if there is none, or if it is a zombie.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields 3, 4, 20 and 22. Field 2, the name, may contain spaces and parentheses, so fields are counted from its
    /// end. A zombie counts as ended once its last thread has ended.
    fn parse(pid: u32, stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let threads: u32 = fields.nth(15)?.parse().ok()?;
        let started = fields.nth(1)?.parse().ok()?;
        let has_ended = state == "X" || (state == "Z" && threads <= 1);
        (!has_ended).then_some(Self { pid, parent, started })
    }

    /// Whether this very process still runs; its parent may have changed.
    pub(crate) fn is_running(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.started == self.started)
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn parent_and_start_time_are_read_for_any_program_name() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        let expected = Some(Running { pid: 12, parent: 1, started: 98_765 });
        assert_eq!(Running::parse(12, stat), expected);
        let zombie = stat.replace(" S ", " Z ");
        assert_eq!(Running::parse(12, &zombie), None);
        let with_threads = zombie.replace(" 20 0 1 0 ", " 20 0 2 0 ");
        assert_eq!(Running::parse(12, &with_threads), expected);
    }

    #[test]
    fn a_later_process_with_the_same_pid_is_not_signalled() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let process = Running::find(child.id()).unwrap();
        let earlier = Running { started: process.started - 1, ..process };
        earlier.signal(Signal::KILL).unwrap();
        assert!(process.is_running() && !earlier.is_running());
        kill(child.id()).unwrap();
        // The child stays a zombie until it is reaped: that counts as ended.
        assert!(!process.is_running());
        child.wait().unwrap();
        kill(child.id()).unwrap();
    }

    #[test]
    fn killing_a_tree_also_kills_descendants_in_other_sessions() {
        // A child with a child of its own, and one that has left the session, as the workers of Postgres do.
        let script = "sh -c 'sleep 60 & echo $!; wait' & setsid sleep 60 & echo $!; wait";
        let mut parent = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(parent.stdout.take().unwrap()).lines().take(2);
        let children: Vec<_> = lines.map(|line| Running::find(line.unwrap().parse().unwrap()).unwrap()).collect();
        kill(parent.id()).unwrap();
        assert!(children.iter().all(|child| !child.is_running()), "{children:?}");
        parent.wait().unwrap();
    }
}
