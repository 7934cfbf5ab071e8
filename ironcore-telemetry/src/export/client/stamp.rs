//! Whether a file has changed since it was read.

use std::path::Path;
use std::time::SystemTime;

/// The time of the last change of a file and its length; nothing of a file that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(Option<(SystemTime, u64)>);

impl Stamp {
    /// Take it before the file is read: a change in between is then noticed later.
    pub(super) fn of(path: &Path) -> Self {
        let metadata = path.metadata().ok();
        Self(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))))
    }
}
