//! SIGINT, SIGTERM and SIGHUP as a flag that every wait of this crate checks. A wait then returns an error, and the
//! processes that were started are stopped by the same `Drop` as after any other error.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, thread};
use tokio::signal::unix::{SignalKind, signal};

static REQUESTED: AtomicBool = AtomicBool::new(false);

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

/// An error if [`requested`].
pub fn check() -> io::Result<()> {
    if requested() { Err(error()) } else { Ok(()) }
}

/// The error of a wait that a signal has ended.
pub fn error() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "interrupted by a signal")
}
