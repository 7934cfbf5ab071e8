//! The writer of log lines. No caller waits for whoever reads them.
//!
//! A line goes into a queue that is bounded in bytes. Whoever finds the output free writes what is there, as long as that
//! does not block; so a line is out before the log call returns, and before a crash that follows it. When the output
//! stalls, a thread takes over until it has caught up. Lines below `WARN` are dropped first, and every lost line is counted.

use crate::names;
use crate::series::{self, Counter};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use tracing::Level;

/// The most bytes that wait.
const CAPACITY: usize = 8 * 1024 * 1024;
/// What is written at once: a pipe that is ready takes this many bytes without blocking (POSIX, `PIPE_BUF`).
const CHUNK: usize = 4096;
/// The most that one caller writes of the lines of others.
const BUDGET: usize = 16 * CHUNK;
/// How often a flush looks whether everything is written.
const LOOK: Duration = Duration::from_millis(1);

/// Where lines go.
trait Sink: Send + Sync + 'static {
    /// Whether [`CHUNK`] bytes can be written without blocking.
    fn is_ready(&self) -> bool;
    /// Waits until [`is_ready`](Self::is_ready), or for some time.
    fn wait(&self);
    /// Writes some of the bytes; may block if it is not ready.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// Writes a line to stdout, or lets it wait.
pub(crate) fn write_to_stdout(line: &[u8], level: Level) {
    stdout().line(line, level);
}

/// Waits until every line is written to stdout, for at most `limit`. Returns whether it is.
pub(crate) fn flush_stdout(limit: Duration) -> bool {
    stdout().flush(limit)
}

/// There is one stdout, so there is one queue for it.
fn stdout() -> &'static Writer<Stdout> {
    static STDOUT: OnceLock<Writer<Stdout>> = OnceLock::new();
    STDOUT.get_or_init(|| Writer::new(Stdout))
}

struct Writer<S>(Arc<Shared<S>>);

struct Shared<S> {
    sink: S,
    capacity: usize,
    /// Locked for the copy of a line only.
    queue: Mutex<Vec<u8>>,
    /// Locked while something is written.
    output: Mutex<Output>,
    thread: Mutex<Thread>,
    takes_over: Condvar,
    /// Lines that did not fit, since the last time it was said.
    unsaid: AtomicU64,
    queue_full: Counter,
    io_error: Counter,
}

/// What is being written.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    written: usize,
    /// The last line that was written is not complete, and never will be.
    is_torn: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thread {
    NotStarted,
    Waits,
    Writes,
}

/// How far a caller came.
enum Progress {
    Written,
    /// The output is not ready, or enough was written for one caller.
    Stalled,
}

impl<S: Sink> Writer<S> {
    fn new(sink: S) -> Self {
        Self::with_capacity(sink, CAPACITY)
    }

    fn with_capacity(sink: S, capacity: usize) -> Self {
        let dropped = |reason| series::counter(&names::TELEMETRY_DROPPED, &["logs", reason]);
        Self(Arc::new(Shared {
            sink,
            capacity,
            queue: Mutex::default(),
            output: Mutex::default(),
            thread: Mutex::new(Thread::NotStarted),
            takes_over: Condvar::new(),
            unsaid: AtomicU64::new(0),
            queue_full: dropped("queue_full"),
            io_error: dropped("io_error"),
        }))
    }

    /// Writes a line, or lets it wait.
    fn line(&self, line: &[u8], level: Level) {
        let shared = &self.0;
        let mut queue = shared.queue();
        // What is worth waking somebody for has a quarter of the room for itself.
        let room = if level <= Level::WARN { shared.capacity } else { shared.capacity / 4 * 3 };
        if queue.len() + line.len() > room {
            drop(queue);
            shared.queue_full.add(1);
            shared.unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.extend_from_slice(line);
        drop(queue);
        if matches!(shared.write_ready(), Progress::Stalled) {
            self.hand_over();
        }
    }

    /// Waits until everything is written, for at most `limit`. Returns whether it is.
    fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.0.is_empty() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// Lets the thread write.
    fn hand_over(&self) {
        let mut thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if *thread == Thread::NotStarted {
            let shared = Arc::clone(&self.0);
            let spawned = Builder::new().name("ironcore-telemetry-lines".to_owned()).spawn(move || shared.run());
            if spawned.is_err() {
                // The next caller tries again; what does not fit meanwhile is counted.
                return;
            }
        }
        *thread = Thread::Writes;
        self.0.takes_over.notify_one();
    }
}

impl<S: Sink> Shared<S> {
    /// Writes what is there, as long as that does not block.
    fn write_ready(&self) -> Progress {
        let mut budget = BUDGET;
        loop {
            let mut output = match self.output.try_lock() {
                Ok(output) => output,
                Err(TryLockError::Poisoned(output)) => output.into_inner(),
                // Whoever writes looks at the queue again when he has finished.
                Err(TryLockError::WouldBlock) => return Progress::Written,
            };
            loop {
                if output.is_empty() && !output.refill(&mut self.queue()) {
                    break;
                }
                if budget == 0 || !self.sink.is_ready() {
                    return Progress::Stalled;
                }
                budget = budget.saturating_sub(CHUNK);
                if !self.write_chunk(&mut output) {
                    return Progress::Stalled;
                }
            }
            drop(output);
            // A line that came before the lock was free is not left behind.
            if self.queue().is_empty() {
                return Progress::Written;
            }
        }
    }

    /// Writes some of the output. Returns whether the sink took any, or failed.
    fn write_chunk(&self, output: &mut Output) -> bool {
        match self.sink.write(output.chunk()) {
            Ok(0) => self.io_error.add(output.fail()),
            Ok(written) => {
                output.written += written;
                output.is_torn = false;
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return false,
                _ => self.io_error.add(output.fail()),
            },
        }
        true
    }

    /// The thread: writes whenever the output has stalled, and may block.
    fn run(&self) {
        loop {
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            while *thread != Thread::Writes {
                thread = self.takes_over.wait(thread).unwrap_or_else(PoisonError::into_inner);
            }
            drop(thread);
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            while !output.is_empty() || output.refill(&mut self.queue()) {
                if !self.write_chunk(&mut output) {
                    self.sink.wait();
                }
            }
            // Before the output is free: a caller that finds it stalled from then on wakes this thread again.
            *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Thread::Waits;
            drop(output);
            if !self.queue().is_empty() && matches!(self.write_ready(), Progress::Stalled) {
                *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Thread::Writes;
            }
            self.say_dropped();
        }
    }

    fn say_dropped(&self) {
        let dropped = self.unsaid.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                target: "ironcore_telemetry",
                dropped,
                "log lines were dropped: they were not read for too long"
            );
        }
    }

    fn is_empty(&self) -> bool {
        let is_written = || self.output.try_lock().is_ok_and(|output| output.is_empty());
        is_written() && self.queue().is_empty() && is_written()
    }

    fn queue(&self) -> MutexGuard<'_, Vec<u8>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Takes over what waits. Returns whether there is anything.
    fn refill(&mut self, queue: &mut Vec<u8>) -> bool {
        self.bytes.clear();
        self.written = 0;
        if queue.is_empty() {
            return false;
        }
        if self.is_torn {
            // Ends the line that a reader has in part, so that the next one is whole.
            self.bytes.push(b'\n');
            self.bytes.append(queue);
        } else {
            // Both keep their memory.
            std::mem::swap(&mut self.bytes, queue);
        }
        true
    }

    /// What is to be written next: whole lines if they fit, so that lines of several processes do not mix.
    fn chunk(&self) -> &[u8] {
        let left = self.bytes.get(self.written..).unwrap_or_default();
        let chunk = left.get(..CHUNK).unwrap_or(left);
        let whole = chunk.iter().rposition(|byte| *byte == b'\n').map_or(chunk.len(), |end| end + 1);
        chunk.get(..whole).unwrap_or(chunk)
    }

    /// Gives up what is left. Returns how many lines were lost.
    fn fail(&mut self) -> u64 {
        let lost = self.bytes.iter().skip(self.written).filter(|byte| **byte == b'\n').count();
        let mends = self.is_torn && self.written == 0;
        let end = self.written.checked_sub(1).and_then(|end| self.bytes.get(end));
        self.is_torn = end.map_or(self.is_torn, |end| *end != b'\n');
        self.bytes.clear();
        self.written = 0;
        u64::try_from(lost).unwrap_or(u64::MAX).saturating_sub(u64::from(mends))
    }
}

/// The standard output of the process.
struct Stdout;

#[cfg(unix)]
impl Sink for Stdout {
    fn is_ready(&self) -> bool {
        poll(Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))
    }

    fn wait(&self) {
        poll(None);
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?)
    }
}

/// Whether stdout can be written to; errors are for the write to find.
#[cfg(unix)]
fn poll(limit: Option<&rustix::event::Timespec>) -> bool {
    use rustix::event::{PollFd, PollFlags};
    let stdout = rustix::stdio::stdout();
    let ready = rustix::event::poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], limit);
    ready.is_ok_and(|ready| ready > 0)
}

#[cfg(not(unix))]
impl Sink for Stdout {
    fn is_ready(&self) -> bool {
        // Nothing says so: the thread writes.
        false
    }

    fn wait(&self) {
        std::thread::sleep(LOOK);
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write_all(&mut io::stdout(), bytes).map(|()| bytes.len())
    }
}

#[cfg(test)]
mod tests;
