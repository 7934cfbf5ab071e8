//! The run folder: one for each demo, so that several demos can run at the same time.

use stack::paths;
use std::fs;
use std::path::Path;

/// Its name below `target/stack/`.
pub(crate) fn name() -> String {
    format!("demo-{}", std::process::id())
}

/// Removes the folders of demos that have ended. The last one is kept until the next demo, for its logs.
pub(crate) fn remove_old() {
    remove_old_in(&paths::run_dir(""), |pid| Path::new("/proc").join(pid.to_string()).exists());
}

fn remove_old_in(folder: &Path, is_running: impl Fn(u32) -> bool) {
    // Without /proc every demo would seem to have ended.
    if !is_running(std::process::id()) {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| {
            let pid = name.strip_prefix("demo-")?;
            pid.strip_suffix(".lock").unwrap_or(pid).parse().ok()
        });
        if pid.is_some_and(|pid| !is_running(pid)) {
            // A leftover does no harm.
            let path = entry.path();
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_running_demos_are_kept() {
        let folder = paths::run_dir("test_run_folders");
        let _ = fs::remove_dir_all(&folder);
        for name in ["demo-1", "demo-2", "demo-x", "up"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        fs::write(folder.join("demo-1.lock"), "").unwrap();
        remove_old_in(&folder, |pid| pid != 1);
        let mut left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, ["demo-2", "demo-x", "up"]);
    }
}
