//! Which folder a process has: one below the configured folder, for as long as it lives.

use super::segment::{Segment, is_gone, no_follow, sync_folder};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The most processes that share a folder.
const MOST: usize = 1024;

/// A folder that no other process has.
pub(super) struct Folder {
    path: PathBuf,
    /// The system unlocks it when the process ends, however that is.
    lock: File,
}

impl Folder {
    /// Takes the first folder below `parent` that nobody has, and all others whose process has ended.
    pub(super) fn take(parent: &Path) -> io::Result<(Self, Vec<Self>)> {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let mut own = None;
        let mut abandoned = Vec::new();
        for path in (0..MOST).map(|number| parent.join(number.to_string())) {
            let exists = path.symlink_metadata().is_ok();
            if own.is_some() && !exists {
                break;
            }
            match Self::lock(path) {
                Ok(Some(folder)) if own.is_none() => own = Some(folder),
                Ok(Some(folder)) => abandoned.push(folder),
                Ok(None) => {}
                // What is not ours is in the way of nobody.
                Err(_) if exists => {}
                Err(error) => return Err(error),
            }
        }
        // The folders that may be new: the one below, this one and the configured one.
        parent.ancestors().take(3).for_each(sync_folder);
        Ok((own.ok_or_else(|| io::Error::other("every folder in it is taken"))?, abandoned))
    }

    /// Takes one folder; `None` when a living process has it.
    fn lock(path: PathBuf) -> io::Result<Option<Self>> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Else another user could have his requests sent, or read ours.
        let folder = path.symlink_metadata()?;
        if !folder.is_dir() || folder.uid() != rustix::process::geteuid().as_raw() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        if folder.mode() & 0o077 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow());
        let lock = options.open(path.join("lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { path, lock })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its segments by their numbers.
    pub(super) fn segments(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let paths = fs::read_dir(&self.path)?.map(|entry| entry.map(|entry| entry.path()));
        let paths = paths.collect::<io::Result<Vec<_>>>()?;
        let mut segments: Vec<_> =
            paths.into_iter().filter_map(|path| Segment::number(&path).map(|number| (number, path))).collect();
        segments.sort_unstable();
        Ok(segments)
    }

    /// Whether somebody has deleted the folder.
    pub(super) fn is_gone(&self) -> bool {
        is_gone(&self.lock)
    }
}
