//! The thread that writes what telemetry has to say about itself: a stdout that nobody reads, or a slow layer of the
//! user, holds up these lines and nothing else.

use crate::caught::caught;
use crate::names;
use crate::series::{self, Counter};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// The most lines that wait; further ones are dropped and counted.
const WAITING: usize = 64;
/// How long the thread stays without a line to write.
const IDLE: Duration = Duration::from_secs(10);

type Line = Box<dyn FnOnce() + Send>;

static LOG: Log = Log::new();

/// Logs from the thread of these lines, and never waits. The subscriber that gets the line is the global one.
pub(crate) fn log(line: impl FnOnce() + Send + 'static) {
    LOG.write(Box::new(line));
}

/// Waits until the lines so far are written, for at most `limit`.
pub(crate) fn flush(limit: Duration) {
    LOG.flush(limit);
}

/// The counter of the lines that were dropped; it is on the page from the first call on.
pub(super) fn dropped() -> Counter {
    series::counter(&names::TELEMETRY_DROPPED, &["logs", "queue_full"])
}

struct Log {
    lines: Mutex<Lines>,
    changed: Condvar,
}

struct Lines {
    waiting: VecDeque<Line>,
    is_writing: bool,
    has_thread: bool,
}

impl Log {
    const fn new() -> Self {
        let lines = Lines { waiting: VecDeque::new(), is_writing: false, has_thread: false };
        Self { lines: Mutex::new(lines), changed: Condvar::new() }
    }

    fn write(&'static self, line: Line) {
        let mut lines = self.lock();
        if lines.waiting.len() >= WAITING || !self.has_thread(&mut lines) {
            drop(lines);
            return dropped().add(1);
        }
        lines.waiting.push_back(line);
        drop(lines);
        self.changed.notify_all();
    }

    /// Whether there is a thread, which is started if there is none.
    fn has_thread(&'static self, lines: &mut Lines) -> bool {
        if !lines.has_thread {
            let thread = Builder::new().name("ironcore-telemetry-log".to_owned());
            lines.has_thread = thread.spawn(|| self.run()).is_ok();
        }
        lines.has_thread
    }

    fn run(&self) {
        let mut lines = self.lock();
        loop {
            let waited = self.changed.wait_timeout_while(lines, IDLE, |lines| lines.waiting.is_empty());
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
            let Some(line) = lines.waiting.pop_front() else {
                lines.has_thread = false;
                return;
            };
            lines.is_writing = true;
            drop(lines);
            // A layer of the user may panic.
            caught(line);
            lines = self.lock();
            lines.is_writing = false;
            self.changed.notify_all();
        }
    }

    fn flush(&self, limit: Duration) {
        let is_unwritten = |lines: &mut Lines| lines.is_writing || !lines.waiting.is_empty();
        drop(self.changed.wait_timeout_while(self.lock(), limit, is_unwritten));
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // Lines are written without the lock.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn log() -> &'static Log {
        Box::leak(Box::new(Log::new()))
    }

    #[test]
    fn lines_are_written_in_their_order_and_a_panic_costs_its_own_line_only() {
        let log = log();
        let (sender, written) = mpsc::channel();
        for number in 0..10 {
            let sender = sender.clone();
            log.write(Box::new(move || {
                assert_ne!(number, 3, "a layer that panics");
                sender.send(number).unwrap();
            }));
        }
        log.flush(PATIENCE);
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_line_that_cannot_be_written_holds_up_nobody_and_the_lines_that_do_not_fit_are_counted() {
        let (log, before) = (log(), dropped().value());
        let (resume, stalled) = mpsc::channel::<()>();
        let (begun, writing) = mpsc::channel();
        log.write(Box::new(move || {
            begun.send(()).unwrap();
            let _ = stalled.recv();
        }));
        writing.recv_timeout(PATIENCE).unwrap();
        let (sender, written) = mpsc::channel();
        for number in 0..WAITING + 5 {
            let sender = sender.clone();
            log.write(Box::new(move || sender.send(number).unwrap()));
        }
        // Nobody else writes lines of this signal in the unit tests.
        assert_eq!(dropped().value() - before, 5);
        log.flush(Duration::from_millis(1));
        assert!(written.try_recv().is_err());
        drop(resume);
        log.flush(PATIENCE);
        assert_eq!(written.try_iter().count(), WAITING);
    }
}
