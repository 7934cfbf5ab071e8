//! The end of a process by a signal that it does not handle itself: telemetry is delivered first.

use crate::error::InitError;
use crate::guard::Pipeline;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Sender};
use std::thread::Builder;
use std::time::Duration;

/// How long `init` waits until the handlers are in place.
const READY_LIMIT: Duration = Duration::from_secs(1);

/// The thread that waits for the signals. It begins with a pipeline, and ends if there will be none.
pub(crate) struct Termination(Sender<(Arc<Pipeline>, Sender<()>)>);

impl Termination {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub(crate) fn prepare(limit: Duration) -> Result<Self, InitError> {
        let (sender, receiver) = mpsc::channel::<(Arc<Pipeline>, Sender<()>)>();
        let body = move || {
            let Ok((pipeline, ready)) = receiver.recv() else {
                return;
            };
            match watch() {
                Ok(signals) => {
                    drop(ready);
                    deliver_then_end(signals, &pipeline, limit);
                }
                Err(error) => {
                    let error = error.to_string();
                    tracing::error!(target: "ironcore_telemetry", error, "SIGTERM and SIGINT cannot be handled");
                }
            }
        };
        let spawned = Builder::new().name("ironcore-telemetry-signals".to_owned()).spawn(body);
        spawned.map(|_| Self(sender)).map_err(|source| InitError::Thread { source })
    }

    /// Handles the signals from here on.
    pub(crate) fn begin(self, pipeline: Arc<Pipeline>) {
        let (ready, is_ready) = mpsc::channel();
        let _ = self.0.send((pipeline, ready));
        // Ends with an error in any case: nothing is sent.
        let _ = is_ready.recv_timeout(READY_LIMIT);
    }
}

fn watch() -> io::Result<Signals> {
    // First: where this fails, nothing is registered, and the signals end the process as before.
    let signals = Signals::new([SIGTERM, SIGINT])?;
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag down, the second one ends the process at once.
        flag::register_conditional_default(signal, Arc::clone(&seen))?;
        flag::register(signal, Arc::clone(&seen))?;
    }
    Ok(signals)
}

/// On the first signal delivers telemetry, then lets the signal do what it does by default: the exit status stays.
fn deliver_then_end(mut signals: Signals, pipeline: &Pipeline, limit: Duration) {
    for signal in signals.forever() {
        pipeline.end(limit);
        // Ends the process.
        let _: io::Result<()> = emulate_default_handler(signal);
    }
}
