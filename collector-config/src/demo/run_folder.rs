//! The run folder: one for each demo, so that two at once do not disturb each other.

use stack::paths;
use std::fs;
use std::path::Path;

/// Its name below `target/stack/`.
pub(crate) fn name() -> String {
    format!("demo-{}", std::process::id())
}

/// Removes those of demos that have ended. The last one stays until the next demo, for its logs.
pub(crate) fn remove_old() {
    remove_old_in(&paths::run_dir(""), |pid| Path::new("/proc").join(pid.to_string()).exists());
}

fn remove_old_in(folder: &Path, runs: impl Fn(u32) -> bool) {
    // Without a /proc every demo would look ended.
    if !runs(std::process::id()) {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| {
            let pid = name.strip_prefix("demo-")?;
            pid.strip_suffix(".lock").unwrap_or(pid).parse().ok()
        });
        if pid.is_some_and(|pid| !runs(pid)) {
            // What cannot be removed is only in the way of nobody.
            let path = entry.path();
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_demos_that_run_stay() {
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
