//! The segments of one process, bounded in bytes: new ones of its own, and those that others have left.

use super::Entry;
use super::folder::Folder;
use super::segment::{Found, Segment};
use bytes::Bytes;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// The size at which a segment is followed by the next one.
const SEGMENT: u64 = 8 << 20;
/// A segment that is still written to is deleted when nothing of it has to be delivered, once it has this size.
const WORTH_DELETING: u64 = 4 << 20;

pub(super) struct Disk {
    folder: Folder,
    /// The folders of processes that have ended, as long as they have something to deliver.
    abandoned: Vec<Folder>,
    /// The oldest first; what is appended goes to the last one.
    segments: Vec<Segment>,
    /// Whether the last segment is of this process, and to be appended to.
    is_open: bool,
    next_number: u64,
    /// The most bytes of all segments.
    limit: u64,
}

impl Disk {
    pub(super) fn open(parent: &Path, limit: u64) -> io::Result<Self> {
        let (folder, abandoned) = Folder::take(parent)?;
        let mut paths = folder.segments()?;
        let next_number = paths.last().map_or(1, |(number, _)| number + 1);
        for folder in &abandoned {
            // A folder that cannot be read keeps what it has.
            paths.extend(folder.segments().unwrap_or_default());
        }
        let segments = paths.into_iter().filter_map(|(_, path)| Segment::open(path).ok()).collect();
        Ok(Self { folder, abandoned, segments, is_open: false, next_number, limit })
    }

    /// Whether an entry can ever be appended.
    pub(super) const fn can_hold(&self, entry: &Entry) -> bool {
        Segment::length_of(entry) <= self.limit
    }

    /// Appends a request.
    ///
    /// # Errors
    /// `StorageFull`, also where the limit is reached; and others.
    pub(super) fn append(&mut self, entry: &Arc<Entry>) -> io::Result<()> {
        match self.try_append(entry) {
            // What is done and small is still there.
            Err(_) if self.delete_done(true)? => self.try_append(entry),
            appended => appended,
        }
    }

    fn try_append(&mut self, entry: &Arc<Entry>) -> io::Result<()> {
        if self.len() + Segment::length_of(entry) > self.limit {
            let text = format!("IRONCORE_SPOOL_BYTES={} is reached", self.limit);
            return Err(io::Error::new(ErrorKind::StorageFull, text));
        }
        if !self.is_open || self.segments.last().is_none_or(|segment| segment.len() >= SEGMENT) {
            let segment = Segment::create(self.folder.path(), self.next_number)?;
            self.next_number += 1;
            self.segments.push(segment);
            self.is_open = true;
        }
        self.segments.last_mut().map_or(Ok(()), |segment| segment.append(entry))
    }

    /// Marks a request that has left.
    pub(super) fn mark(&mut self, id: u64) -> io::Result<()> {
        self.segments.iter_mut().find_map(|segment| segment.mark(id)).unwrap_or(Ok(()))
    }

    /// Deletes the segments of which nothing has to be delivered, also one that is small and still written to if that is
    /// asked for. Returns whether that made room.
    ///
    /// # Errors
    /// A file could not be deleted; another attempt is made the next time.
    pub(super) fn delete_done(&mut self, also_small: bool) -> io::Result<bool> {
        let (mut outcome, mut at) = (Ok(()), 0);
        let before = self.segments.len();
        let last = before.checked_sub(1).filter(|_| self.is_open);
        self.segments.retain(|segment| {
            let is_open = last == Some(at);
            at += 1;
            if !segment.is_done() || (is_open && !also_small && segment.len() < WORTH_DELETING) {
                return true;
            }
            if let Err(error) = segment.delete() {
                outcome = Err(error);
                return true;
            }
            self.is_open &= !is_open;
            false
        });
        let has_room = self.segments.len() < before;
        if has_room {
            let segments = &self.segments;
            self.abandoned.retain(|folder| segments.iter().any(|segment| segment.is_in(folder.path())));
        }
        outcome.map(|()| has_room)
    }

    /// The next request that an earlier process has left, with the index of its segment and its place there; or how many
    /// bytes cannot be read.
    pub(super) fn read(&mut self) -> Option<Result<(Bytes, usize, u64), io::Error>> {
        for (index, segment) in self.segments.iter_mut().enumerate() {
            match segment.read() {
                Ok(Found::Request(request, at)) => return Some(Ok((request, index, at))),
                Ok(Found::End) => {}
                Ok(Found::Damage(bytes)) => {
                    let text = format!("{bytes} bytes are damaged");
                    return Some(Err(io::Error::new(ErrorKind::InvalidData, text)));
                }
                Err(error) => {
                    segment.give_up();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// Notes that a request that was read is being delivered.
    pub(super) fn add(&mut self, index: usize, at: u64, entry: Arc<Entry>) {
        if let Some(segment) = self.segments.get_mut(index) {
            segment.add(at, entry);
        }
    }

    pub(super) fn has_unread(&self) -> bool {
        self.segments.iter().any(Segment::is_unread)
    }

    /// Whether there is something to deliver.
    pub(super) fn has_entries(&self) -> bool {
        self.segments.iter().any(|segment| !segment.is_done())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.segments.iter_mut().try_for_each(Segment::sync)
    }

    /// Whether somebody has deleted the folder or a file in it.
    pub(super) fn is_gone(&self) -> bool {
        self.folder.is_gone() || self.segments.iter().any(Segment::is_gone)
    }

    /// The bytes of all segments.
    pub(super) fn len(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// Gives everything up. Returns what has not left, to be written again: of its files, those that are left are deleted.
    pub(super) fn abandon(self) -> Vec<Arc<Entry>> {
        let mut entries = Vec::new();
        for segment in self.segments {
            if segment.is_own() {
                // Else it is delivered once more.
                let _ = segment.delete();
            }
            entries.extend(segment.into_entries());
        }
        entries
    }
}
