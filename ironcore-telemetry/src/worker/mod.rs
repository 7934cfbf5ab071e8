//! The telemetry thread: it has a runtime of its own, so that telemetry works without, inside and beside any runtime of
//! the application, and never waits for one. It waits for the network only: its lines are written by another thread
//! ([`lines`]), and pages are gathered on the blocking threads of the runtime, where nothing else runs.

mod lines;

pub(crate) use lines::{flush as flush_log, log};
use opentelemetry::Context;
use std::cell::Cell;
use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How long the thread may take to come up before `init` gives up: it only builds a runtime.
const START_LIMIT: Duration = Duration::from_secs(5);

/// The most threads that gather pages and pushes.
const GATHERING: usize = 4;

thread_local! {
    static IS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is one of telemetry's own. What is logged or traced there, as by transports and the SDK,
/// reaches no layer (`traces/subscriber.rs`); our own lines go through [`log`]. The SDK's suppression alone is not
/// enough: a `tracing` span that is entered there brings a context without it.
pub(crate) fn is_own_thread() -> bool {
    IS_OWN.try_with(Cell::get).unwrap_or(false)
}

/// Marks the calling thread as telemetry's own for as long as it lives.
fn mark_own_thread() {
    IS_OWN.set(true);
    std::mem::forget(Context::enter_telemetry_suppressed_scope());
}

/// The handle of the telemetry thread. Dropping it stops the thread without waiting.
pub(crate) struct Worker {
    handle: Handle,
    /// Until the thread is told to stop.
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refused a thread or the runtime's file descriptors.
    pub(crate) fn start() -> io::Result<Self> {
        // On the page from the start.
        lines::dropped();
        let (ready, started) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let body = move || run(&ready, stopped);
        let thread = std::thread::Builder::new().name("ironcore-telemetry".to_owned()).spawn(body)?;
        let handle = started.recv_timeout(START_LIMIT).map_err(io::Error::other)??;
        Ok(Self { handle, running: Mutex::new(Some((stop, thread))) })
    }

    /// Runs a future on the thread and waits for its result for at most `limit`; `None` when it took longer or
    /// panicked. The future is dropped then.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, result) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            if let Ok(value) = tokio::time::timeout(limit, future).await {
                // The caller has stopped waiting if the time was up just now.
                let _ = done.send(value);
            }
        });
        result.recv_timeout(limit).ok()
    }

    /// Keeps a task running on the thread: one that panics is started again.
    pub(crate) fn keep_running<F>(&self, task: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.handle.spawn(async move {
            while tokio::spawn(task()).await.is_err_and(|error| error.is_panic()) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// Stops the thread and waits for its end, and for the last log lines, for at most `limit`.
    pub(crate) fn stop(&self, limit: Duration) {
        let Some(thread) = self.signal() else {
            return;
        };
        let deadline = Instant::now() + limit;
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            // Whether it panicked no longer matters.
            let _ = thread.join();
        }
        flush_log(deadline.saturating_duration_since(Instant::now()));
    }

    /// Tells the thread to stop; `None` when it was told before.
    fn signal(&self) -> Option<JoinHandle<()>> {
        let (stop, thread) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // Without a receiver the thread has already ended.
        let _ = stop.send(());
        Some(thread)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.signal();
    }
}

fn run(ready: &mpsc::SyncSender<io::Result<Handle>>, stopped: oneshot::Receiver<()>) {
    mark_own_thread();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(GATHERING)
        .on_thread_start(mark_own_thread)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    if ready.send(Ok(runtime.handle().clone())).is_ok() {
        // Ends on the signal, and when the `Worker` is dropped.
        let _ = runtime.block_on(stopped);
    }
    // A page that is being gathered is not waited for.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_comes_back_to_a_thread_without_a_runtime() {
        let worker = Worker::start().unwrap();
        assert_eq!(worker.run(Duration::from_secs(5), async { 7 }), Some(7));
        worker.stop(Duration::from_secs(5));
    }

    #[test]
    fn waiting_is_bounded() {
        let worker = Worker::start().unwrap();
        assert_eq!(worker.run(Duration::from_millis(10), std::future::pending::<()>()), None);
    }

    #[test]
    fn a_task_that_panics_is_started_again() {
        let worker = Worker::start().unwrap();
        let (sender, runs) = mpsc::channel();
        worker.keep_running(move || {
            let sender = sender.clone();
            async move {
                sender.send(()).unwrap();
                panic!("once more");
            }
        });
        for _ in 0..2 {
            runs.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    }

    #[test]
    fn its_threads_are_marked_and_suppressed_and_others_are_not() {
        let worker = Worker::start().unwrap();
        let marks = || (is_own_thread(), Context::current().is_telemetry_suppressed());
        let limit = Duration::from_secs(5);
        let blocking = worker.run(limit, async move { tokio::task::spawn_blocking(marks).await.unwrap() });
        assert_eq!(blocking, Some((true, true)));
        assert_eq!(worker.run(limit, async move { marks() }), Some((true, true)));
        assert_eq!(marks(), (false, false));
    }
}
