//! SIGINT, SIGTERM and SIGHUP as a flag that every wait of this crate checks. A wait then returns an error, and the
//! processes that were started are stopped by the same `Drop` as after any other error.

use crate::process::{self, GRACE};
use rustix::process::Signal;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};
use tokio::signal::unix::{SignalKind, signal};

static REQUESTED: AtomicBool = AtomicBool::new(false);

const POLL: Duration = Duration::from_millis(50);

/// Makes the three signals set the flag and do nothing else. Call it first in `main`.
pub fn catch() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    drop(entered);
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        REQUESTED.store(true, Ordering::Relaxed);
    })?;
    Ok(())
}

/// Whether one of the signals has arrived since [`catch`].
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// The error of a wait that a signal has ended.
pub fn error() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "interrupted by a signal")
}

/// Waits for a child to exit. After `limit`, if there is one, or after a signal to this process, the child is stopped.
///
/// # Errors
/// [`error`] after a signal, [`io::ErrorKind::TimedOut`] after the limit, or the error of the operating system.
pub fn wait(child: &mut Child, limit: Option<Duration>) -> io::Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let reason = if requested() {
            error()
        } else if limit.is_some_and(|limit| start.elapsed() >= limit) {
            io::ErrorKind::TimedOut.into()
        } else {
            thread::sleep(POLL);
            continue;
        };
        process::stop(child, Signal::TERM, GRACE)?;
        return Err(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_that_takes_too_long_is_stopped() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let error = wait(&mut child, Some(Duration::from_millis(100))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(child.try_wait().unwrap().is_some());
    }
}
