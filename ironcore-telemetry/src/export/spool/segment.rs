//! A file of records. A record is written once and marked once, and nothing else is ever changed in a file; one that was
//! not written to its end, or is damaged, ends what can be read of its file.

use super::Entry;
use bytes::Bytes;
use crc32fast::Hasher;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The state of a record: the first byte, alone outside of the checksum, so that it can be changed in place. Everything but
/// `LEFT` means that the record is to be delivered: no damage of a bit or two loses one.
const WAITS: u8 = b'W';
const LEFT: u8 = b'l';
/// The form of a record.
const FORM: [u8; 3] = *b"IS1";
/// The state, the form, the length of the request and the checksum of all but the state.
const HEAD: usize = 12;

/// The names of segments end like this.
const EXTENSION: &str = "spool";

/// A file of records, and those of them that have not left.
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    /// Where the next record is written.
    end: u64,
    /// Where the next record is read; `None` when all are.
    unread: Option<u64>,
    entries: BTreeMap<u64, (u64, Arc<Entry>)>,
    /// Whether its name is not synced.
    is_new: bool,
    /// Whether something in it is not.
    is_dirty: bool,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This process has written it.
    Own,
    /// Another one has.
    Left,
    /// Another one has, and the disk does not let it be read: it is left where it is.
    Unreadable,
}

/// What stands where a record may.
pub(super) enum Found {
    /// A request that is to be delivered, and the place of its record.
    Request(Bytes, u64),
    /// No more.
    End,
    /// So many bytes that are no record.
    Damage(u64),
}

impl Segment {
    /// A new file.
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let path = folder.join(format!("{number:016}.{EXTENSION}"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self {
            path,
            file,
            end: 0,
            unread: None,
            entries: BTreeMap::new(),
            is_new: true,
            is_dirty: false,
            origin: Origin::Own,
        })
    }

    /// The file of an earlier process.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(no_follow()).open(&path)?;
        let end = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            end,
            unread: Some(0),
            entries: BTreeMap::new(),
            is_new: false,
            is_dirty: false,
            origin: Origin::Left,
        })
    }

    /// The number of a segment by its path; `None` for another file.
    pub(super) fn number(path: &Path) -> Option<u64> {
        path.extension().filter(|extension| *extension == EXTENSION)?;
        path.file_stem()?.to_str()?.parse().ok()
    }

    /// How many bytes the record of an entry takes.
    pub(super) const fn length_of(entry: &Entry) -> u64 {
        (HEAD + entry.length) as u64
    }

    pub(super) const fn len(&self) -> u64 {
        self.end
    }

    /// Appends a request. What of it was written before an error is cut off again.
    pub(super) fn append(&mut self, entry: &Arc<Entry>) -> io::Result<()> {
        let length = u32::try_from(entry.length).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        let mut checksum = checksum_of(length);
        entry.request.iter().for_each(|part| checksum.update(part));
        let head = head(length, checksum.finalize());
        if let Err(error) = self.write(&head, &entry.request) {
            // Where not even this works, its checksum will tell.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.entries.insert(entry.id, (self.end, Arc::clone(entry)));
        self.end += Self::length_of(entry);
        self.is_dirty = true;
        Ok(())
    }

    fn write(&self, head: &[u8], request: &[Bytes]) -> io::Result<()> {
        let mut at = self.end;
        for part in std::iter::once(head).chain(request.iter().map(Bytes::as_ref)) {
            self.file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Marks a request as delivered or dropped; `None` when it is not of this segment. Where the mark cannot be written, the
    /// next process delivers it once more.
    pub(super) fn mark(&mut self, id: u64) -> Option<io::Result<()>> {
        let (at, _) = self.entries.remove(&id)?;
        Some(self.file.write_all_at(&[LEFT], at))
    }

    /// Reads on to the next request that is to be delivered.
    pub(super) fn read(&mut self) -> io::Result<Found> {
        loop {
            let Some(at) = self.unread else {
                return Ok(Found::End);
            };
            let left = self.end.saturating_sub(at);
            if left == 0 {
                self.unread = None;
                return Ok(Found::End);
            }
            let Some((state, request)) = self.record(at, left)? else {
                self.unread = None;
                return Ok(Found::Damage(left));
            };
            self.unread = Some(at + (HEAD + request.len()) as u64);
            if state != LEFT {
                return Ok(Found::Request(request, at));
            }
        }
    }

    /// Reads a record; `None` where there is no whole one within the bytes that are left.
    fn record(&self, at: u64, left: u64) -> io::Result<Option<(u8, Bytes)>> {
        let mut head = [0; HEAD];
        if !self.read_exactly(&mut head, at)? {
            return Ok(None);
        }
        let [state, form @ .., l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if form != FORM || HEAD as u64 + u64::from(length) > left {
            return Ok(None);
        }
        let mut request = vec![0; length as usize];
        if !self.read_exactly(&mut request, at + HEAD as u64)? {
            return Ok(None);
        }
        let mut checksum = checksum_of(length);
        checksum.update(&request);
        let is_whole = checksum.finalize() == u32::from_le_bytes([c0, c1, c2, c3]);
        Ok(is_whole.then(|| (state, request.into())))
    }

    /// Fills a buffer; false when the file ends before.
    fn read_exactly(&self, buffer: &mut [u8], at: u64) -> io::Result<bool> {
        match self.file.read_exact_at(buffer, at) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes that a request that was read is being delivered.
    pub(super) fn add(&mut self, at: u64, entry: Arc<Entry>) {
        self.entries.insert(entry.id, (at, entry));
    }

    /// Reads no further: the disk does not work there.
    pub(super) const fn give_up(&mut self) {
        self.unread = None;
        self.origin = Origin::Unreadable;
    }

    pub(super) const fn is_unread(&self) -> bool {
        self.unread.is_some()
    }

    /// Whether nothing of it has to be delivered.
    pub(super) fn is_done(&self) -> bool {
        self.unread.is_none() && self.entries.is_empty()
    }

    /// Writes to the disk what would be missed after a loss of power.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.is_dirty && !self.entries.is_empty() {
            self.file.sync_data()?;
            self.is_dirty = false;
            if std::mem::replace(&mut self.is_new, false) {
                self.path.parent().map(sync_folder);
            }
        }
        Ok(())
    }

    /// Whether somebody has deleted the file.
    pub(super) fn is_gone(&self) -> bool {
        is_gone(&self.file)
    }

    /// Whether this process has written it.
    pub(super) fn is_own(&self) -> bool {
        self.origin == Origin::Own
    }

    pub(super) fn is_in(&self, folder: &Path) -> bool {
        self.path.starts_with(folder)
    }

    /// Deletes the file, but for one that could not be read.
    pub(super) fn delete(&self) -> io::Result<()> {
        if self.origin == Origin::Unreadable {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What has not left.
    pub(super) fn into_entries(self) -> impl Iterator<Item = Arc<Entry>> {
        self.entries.into_values().map(|(_, entry)| entry)
    }
}

/// Writes to the disk which files a folder has. Not every file system can.
pub(super) fn sync_folder(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// The flag that opens no symbolic link.
pub(super) fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// Whether no folder has the file any more.
pub(super) fn is_gone(file: &File) -> bool {
    file.metadata().is_ok_and(|file| file.nlink() == 0)
}

/// The checksum over what stands between the state and the checksum.
fn checksum_of(length: u32) -> Hasher {
    let mut checksum = Hasher::new();
    checksum.update(&FORM);
    checksum.update(&length.to_le_bytes());
    checksum
}

fn head(length: u32, checksum: u32) -> [u8; HEAD] {
    let ([f0, f1, f2], [l0, l1, l2, l3], [c0, c1, c2, c3]) = (FORM, length.to_le_bytes(), checksum.to_le_bytes());
    [WAITS, f0, f1, f2, l0, l1, l2, l3, c0, c1, c2, c3]
}
