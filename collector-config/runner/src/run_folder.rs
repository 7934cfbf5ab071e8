//! A run folder for each process, so that several demos and stacks can run at the same time.

use crate::paths;
use std::fs;
use std::path::Path;

/// The kinds of folders with a process id in their name.
const KINDS: [&str; 2] = ["demo", "up"];

/// The name of this process' folder below `target/stack/`, such as `demo-1234`.
pub fn name(kind: &str) -> String {
    format!("{kind}-{}", std::process::id())
}

/// Removes the folders of processes that have ended. The last one is kept until the next start, for its logs.
pub fn remove_old() {
    remove_old_in(&paths::run_dir(""), |pid| Path::new("/proc").join(pid.to_string()).exists());
}

fn remove_old_in(folder: &Path, is_running: impl Fn(u32) -> bool) {
    // Without /proc every process would seem to have ended.
    if !is_running(std::process::id()) {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| {
            let (_, pid) = name.split_once('-').filter(|(kind, _)| KINDS.contains(kind))?;
            pid.strip_suffix(".lock").unwrap_or(pid).parse().ok()
        });
        if pid.is_some_and(|pid| !is_running(pid)) {
            // A leftover does no harm.
            let path = entry.path();
            let _ = paths::remove_run(&path).or_else(|_| fs::remove_file(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_running_processes_are_kept() {
        let folder = paths::run_dir("test_run_folders");
        let _ = fs::remove_dir_all(&folder);
        for name in ["demo-1", "up-1", "demo-2", "demo-x", "up", "test-1"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        fs::write(folder.join("demo-1.lock"), "").unwrap();
        remove_old_in(&folder, |pid| pid != 1);
        let mut left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, ["demo-2", "demo-x", "test-1", "up"]);
    }
}
