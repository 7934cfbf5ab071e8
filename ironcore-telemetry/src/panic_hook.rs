//! The hook that logs panics.

use crate::guard::Pipeline;
use crate::names::PANIC_TARGET;
use crate::worker;
use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long a process that is about to abort tries to deliver what led to it.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// Logs each panic as one `ERROR` line with the ids of its trace, and then calls the hook that was set before. Where a panic
/// aborts the process (`panic = "abort"`), it also delivers what is queued.
pub(crate) fn install(pipeline: Arc<Pipeline>) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        log(panic);
        before(panic);
        // The telemetry thread cannot wait for itself.
        if cfg!(panic = "abort") && !worker::is_own_thread() {
            pipeline.deliver(ABORT_LIMIT);
        }
    }));
}

/// The line. `tracing` puts it on the current span too, as an exception.
fn log(panic: &PanicHookInfo<'_>) {
    let message = message(panic.payload()).to_owned();
    let location = panic.location().map(ToString::to_string);
    let name = thread::current().name().map(ToOwned::to_owned);
    let line = move || {
        tracing::error!(
            target: PANIC_TARGET,
            location = location.as_deref(),
            thread = name.as_deref(),
            "{message}"
        );
    };
    if worker::is_own_thread() { worker::log(line) } else { line() }
}

fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a value that is not text")
}
