//! The thread of the spool.

use super::disk::Disk;
use super::{Entry, RECOVERED_BYTES, Shared};
use crate::config::{self, Signal};
use crate::names;
use crate::series::{self, Gauge};
use crate::worker;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// What is written is on the disk after this time at the latest; as often it is looked whether somebody has deleted it.
const SYNC: Duration = Duration::from_millis(500);
/// How long a disk that does not work is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// The shortest time between two lines on a disk that does not work.
const BETWEEN: Duration = Duration::from_secs(60);
/// As good as never.
const LONG: Duration = Duration::from_secs(3600);

pub(super) struct Writer {
    shared: Arc<Shared>,
    folder: PathBuf,
    limit: u64,
    /// `None` before the folder can be opened.
    disk: Option<Disk>,
    /// When the disk is to be tried again.
    retry_at: Option<Instant>,
    /// When it is to be synced.
    sync_at: Option<Instant>,
    trouble: Trouble,
}

/// What is to be done next.
struct Work {
    left: Vec<Arc<Entry>>,
    next: Option<Arc<Entry>>,
    opens: bool,
    reads: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, settings: &config::Spool, signal: Signal) -> Self {
        let degraded = series::gauge(&names::TELEMETRY_DEGRADED, &[names::SPOOL]);
        Self {
            shared,
            folder: settings.folder.join(signal.name()),
            limit: settings.bytes,
            disk: None,
            retry_at: None,
            sync_at: None,
            trouble: Trouble {
                signal: signal.name(),
                folder: settings.folder.clone(),
                degraded,
                is_on: false,
                said: None,
            },
        }
    }

    /// Works until the spool is closed.
    pub(super) fn run(&mut self) {
        while let Some(work) = self.wait() {
            self.step(work);
        }
        let left = std::mem::take(&mut self.shared.state().left);
        self.mark(&left);
        if let Some(mut disk) = self.disk.take() {
            // What could not be deleted or synced has been said, or costs a delivery more.
            let _ = disk.delete_done(true);
            let _ = disk.sync();
        }
        self.trouble.end();
        self.shared.state().has_ended = true;
        self.shared.changed.notify_all();
    }

    /// Waits for something to do; `None` once the spool is closed.
    fn wait(&self) -> Option<Work> {
        let mut state = self.shared.state();
        loop {
            if state.is_closed {
                return None;
            }
            let now = Instant::now();
            let may_try = self.retry_at.is_none_or(|at| at <= now);
            let opens = self.disk.is_none() && may_try;
            let next = state.pending.front().filter(|_| may_try).cloned();
            let reads = state.recovered_bytes < RECOVERED_BYTES && self.disk.as_ref().is_some_and(Disk::has_unread);
            let is_due = self.sync_at.is_some_and(|at| at <= now);
            if opens || next.is_some() || reads || is_due || !state.left.is_empty() {
                return Some(Work { left: std::mem::take(&mut state.left), next, opens, reads });
            }
            if state.is_stuck == may_try {
                state.is_stuck = !may_try;
                self.shared.changed.notify_all();
            }
            let until = self.retry_at.filter(|_| !may_try).into_iter().chain(self.sync_at).min();
            let time = until.map_or(LONG, |until| until.saturating_duration_since(now));
            state = self.shared.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn step(&mut self, work: Work) {
        if work.opens && !self.open() {
            return;
        }
        self.mark(&work.left);
        if let Some(entry) = work.next {
            self.append(&entry);
        }
        if work.reads {
            self.read();
        }
        if self.sync_at.is_some_and(|at| at <= Instant::now()) {
            self.sync();
        }
    }

    /// Opens the folder. Returns whether it could.
    fn open(&mut self) -> bool {
        match Disk::open(&self.folder, self.limit) {
            Ok(disk) => {
                self.disk = Some(disk);
                self.retry_at = None;
                true
            }
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    fn append(&mut self, entry: &Arc<Entry>) {
        let Some(disk) = &mut self.disk else {
            return;
        };
        if !disk.can_hold(entry) {
            return self.shared.refused(entry);
        }
        match disk.append(entry) {
            Ok(()) => {
                self.trouble.end();
                self.sync_at.get_or_insert_with(|| Instant::now() + SYNC);
                if self.shared.written(entry) {
                    self.mark(std::slice::from_ref(entry));
                }
            }
            Err(error) => {
                self.fail(&error);
                if self.disk.as_ref().is_some_and(Disk::is_gone) {
                    self.reset();
                }
            }
        }
    }

    fn mark(&mut self, entries: &[Arc<Entry>]) {
        let Some(disk) = self.disk.as_mut().filter(|_| !entries.is_empty()) else {
            return;
        };
        let marked = entries.iter().map(|entry| disk.mark(entry.id)).fold(Ok(()), io::Result::and);
        match (marked, disk.delete_done(false)) {
            // There is room for what has waited for it.
            (_, Ok(true)) => {
                self.retry_at = None;
                if self.shared.state().pending.is_empty() {
                    self.trouble.end();
                }
            }
            (Err(error), _) | (_, Err(error)) => self.fail(&error),
            (Ok(()), Ok(false)) => {}
        }
    }

    /// Reads one request that an earlier process has left.
    fn read(&mut self) {
        let Some(disk) = &mut self.disk else {
            return;
        };
        match disk.read() {
            Some(Ok((request, segment, at))) => {
                let entry = self.shared.recovered(&request);
                disk.add(segment, at, entry);
            }
            Some(Err(error)) => {
                let (signal, error) = (self.trouble.signal, error.to_string());
                worker::log(move || {
                    tracing::error!(
                        target: "ironcore_telemetry",
                        signal, error,
                        "a part of what an earlier process has left in the spool cannot be delivered"
                    );
                });
            }
            None => {}
        }
        // Segments that have nothing to deliver.
        if let Err(error) = disk.delete_done(false) {
            self.fail(&error);
        }
    }

    fn sync(&mut self) {
        let Some(disk) = &mut self.disk else {
            self.sync_at = None;
            return;
        };
        let synced = disk.sync();
        self.sync_at = disk.has_entries().then(|| Instant::now() + SYNC);
        if disk.is_gone() {
            self.fail(&io::Error::other("a file of it was deleted"));
            self.reset();
        } else if let Err(error) = synced {
            self.fail(&error);
        }
    }

    /// Begins anew: what was written is written again.
    pub(super) fn reset(&mut self) {
        if let Some(disk) = self.disk.take() {
            self.shared.unwritten(disk.abandon());
        }
        self.retry_at = None;
        self.sync_at = None;
    }

    fn fail(&mut self, error: &io::Error) {
        self.retry_at = Some(Instant::now() + RETRY);
        self.trouble.begin(error);
    }
}

/// What keeps the spool from being written.
struct Trouble {
    signal: &'static str,
    folder: PathBuf,
    /// 1 while it does not work.
    degraded: Gauge,
    is_on: bool,
    said: Option<Instant>,
}

impl Trouble {
    fn begin(&mut self, error: &io::Error) {
        if std::mem::replace(&mut self.is_on, true) {
            return;
        }
        self.degraded.add(1);
        if self.said.is_some_and(|said| said.elapsed() < BETWEEN) {
            return;
        }
        self.said = Some(Instant::now());
        let (signal, folder, error) = (self.signal, self.folder.clone(), error.to_string());
        worker::log(move || {
            tracing::error!(
                target: "ironcore_telemetry",
                signal, folder = %folder.display(), error,
                "the spool cannot be written: what ends now is in memory only, and lost if the process is killed"
            );
        });
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.is_on, false) {
            return;
        }
        self.degraded.add(-1);
        let signal = self.signal;
        worker::log(move || tracing::info!(target: "ironcore_telemetry", signal, "the spool is written again"));
    }
}
