//! The folders: configuration, runs, cache of binaries.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The context of a failed operation on a file or folder, for `with_context`.
pub(crate) fn cannot(action: &str, path: &Path) -> impl FnOnce() -> String {
    move || format!("cannot {action} {}", path.display())
}

/// Removes a folder and its contents, if it exists.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The file in a run folder that names a folder outside of it, which is removed with the run.
pub(crate) const OUTSIDE: &str = "outside";

/// How the path of such a folder begins.
pub(crate) const OUTSIDE_PREFIX: &str = "/tmp/ironcore-telemetry-";

/// Removes the folder outside of the run folder, if the run has one.
pub(crate) fn remove_outside(run: &Path) -> io::Result<()> {
    let outside = fs::read_to_string(run.join(OUTSIDE)).unwrap_or_default();
    if outside.starts_with(OUTSIDE_PREFIX) && !outside.contains("..") {
        remove_dir(Path::new(&outside))?;
    }
    Ok(())
}

/// Removes a run folder and what it has outside of it.
pub(crate) fn remove_run(run: &Path) -> io::Result<()> {
    remove_outside(run)?;
    remove_dir(run)
}

/// The folder `collector-config/`, with the configuration of the servers.
pub fn config_dir() -> PathBuf {
    parent(env!("CARGO_MANIFEST_DIR"))
}

fn parent(folder: impl Into<PathBuf>) -> PathBuf {
    let mut folder = folder.into();
    folder.pop();
    folder
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    parent(config_dir())
}

/// The target folder of the workspace: `CARGO_TARGET_DIR`, or `target/` in its root.
pub fn target_dir() -> PathBuf {
    target_dir_from(env::var_os("CARGO_TARGET_DIR"), &workspace())
}

/// The folder of one run, with its data, logs and generated files: `target/stack/<name>/`.
pub fn run_dir(name: &str) -> PathBuf {
    target_dir().join("stack").join(name)
}

/// Whether `name` can be the name of a run folder. The folder is emptied at the start of a run, so the name must not
/// lead out of `target/stack/`.
pub fn is_run_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

pub(crate) fn bad_run_name(name: &str) -> String {
    format!("`{name}` cannot name a run folder: use letters, digits, `_` and `-`")
}

/// The user's cache folder of this project: `$XDG_CACHE_HOME/ironcore-telemetry`, or `~/.cache/ironcore-telemetry`.
/// `None` if neither `XDG_CACHE_HOME` nor `HOME` is an absolute path.
pub fn cache_dir() -> Option<PathBuf> {
    cache_dir_from(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME"))
}

fn target_dir_from(cargo_target_dir: Option<OsString>, workspace: &Path) -> PathBuf {
    let configured = cargo_target_dir.filter(|dir| !dir.is_empty()).map(PathBuf::from);
    // Cargo resolves a relative CARGO_TARGET_DIR against the current folder. Servers have another one, so they get
    // absolute paths.
    let dir = configured.unwrap_or_else(|| workspace.join("target"));
    std::path::absolute(&dir).unwrap_or(dir)
}

fn cache_dir_from(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    // The XDG specification: a relative path is invalid and must be ignored.
    let absolute = |value: Option<OsString>| value.map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(xdg_cache_home).or_else(|| absolute(home).map(|home| home.join(".cache")))?;
    Some(base.join("ironcore-telemetry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(value: &str) -> OsString {
        value.into()
    }

    #[test]
    fn the_cache_is_in_the_xdg_folder_or_below_home() {
        assert_eq!(cache_dir_from(Some(os("/x")), Some(os("/home/u"))), Some("/x/ironcore-telemetry".into()));
        assert_eq!(cache_dir_from(None, Some(os("/home/u"))), Some("/home/u/.cache/ironcore-telemetry".into()));
        assert_eq!(cache_dir_from(Some(os("")), Some(os("/home/u"))), Some("/home/u/.cache/ironcore-telemetry".into()));
        assert_eq!(cache_dir_from(Some(os("relative")), None), None);
    }

    #[test]
    fn the_target_folder_is_the_one_cargo_uses() {
        assert_eq!(target_dir_from(None, Path::new("/w")), Path::new("/w/target"));
        assert_eq!(target_dir_from(Some(os("/t")), Path::new("/w")), Path::new("/t"));
        assert!(target_dir_from(Some(os("t")), Path::new("/w")).is_absolute());
    }

    #[test]
    fn a_run_name_cannot_lead_out_of_its_folder() {
        assert!(is_run_name("trace_tree-2"));
        for bad in ["", ".", "..", "a/b", "../up", "a b"] {
            assert!(!is_run_name(bad), "{bad:?}");
        }
    }
}
