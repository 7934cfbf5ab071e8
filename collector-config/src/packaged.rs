//! Programs that are installed and not built here: Postgres, Redis and their exporters from packages of the operating
//! system; Loki, if it is on the `PATH`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// An installed program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packaged {
    /// The Postgres server.
    Postgres,
    /// The tool that creates the data folder of a Postgres server.
    Initdb,
    /// The Postgres exporter.
    PostgresExporter,
    /// The Redis server.
    Redis,
    /// The Redis exporter.
    RedisExporter,
    /// The blackbox exporter.
    Blackbox,
    /// Loki.
    Loki,
}

/// A program is not installed.
#[derive(Debug, thiserror::Error)]
#[error("{program} is not installed: {remedy}, or leave it out of the stack")]
pub struct NotInstalled {
    /// The program.
    pub program: &'static str,
    /// How it can be installed.
    pub remedy: String,
}

/// Where Debian installs the servers of each major version. It is not on the `PATH`.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

impl Packaged {
    /// The path of the program.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn path(self) -> Result<PathBuf, NotInstalled> {
        let folders = || env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        let found = match self {
            Self::Postgres | Self::Initdb => {
                let versions = newest_first(Path::new(POSTGRES_VERSIONS));
                let mut folders: Vec<PathBuf> = folders();
                folders.splice(0..0, versions.into_iter().map(|version| version.join("bin")));
                find(&folders, self.names())
            }
            _ => find(&folders(), self.names()),
        };
        found.ok_or_else(|| NotInstalled { program: self.names()[0], remedy: self.remedy() })
    }

    /// Its possible names: upstream, and in Debian.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["postgres"],
            Self::Initdb => &["initdb"],
            Self::PostgresExporter => &["postgres_exporter", "prometheus-postgres-exporter"],
            Self::Redis => &["redis-server"],
            Self::RedisExporter => &["redis_exporter", "prometheus-redis-exporter"],
            Self::Blackbox => &["blackbox_exporter", "prometheus-blackbox-exporter"],
            Self::Loki => &["loki"],
        }
    }

    fn remedy(self) -> String {
        let package = match self {
            Self::Postgres | Self::Initdb => "postgresql",
            Self::PostgresExporter => "prometheus-postgres-exporter",
            Self::Redis => "redis-server",
            Self::RedisExporter => "prometheus-redis-exporter",
            Self::Blackbox => "prometheus-blackbox-exporter",
            // Under the AGPL, so this project neither fetches nor builds it.
            Self::Loki => return "put the binary of a release on the PATH".to_owned(),
        };
        format!("`sudo apt-get install {package}`")
    }
}

fn find(folders: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name))).find(|path| path.is_file())
}

/// The folders named by a number, the highest first.
fn newest_first(parent: &Path) -> Vec<PathBuf> {
    let number = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let mut versions: Vec<PathBuf> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| number(path).is_some())
        .collect();
    versions.sort_by_key(|path| std::cmp::Reverse(number(path)));
    versions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;

    #[test]
    fn the_newest_version_comes_first_and_other_folders_are_ignored() {
        let parent = paths::run_dir("packaged_tests");
        let _ = fs::remove_dir_all(&parent);
        for name in ["9", "15", "bin"] {
            fs::create_dir_all(parent.join(name)).unwrap();
        }
        assert_eq!(newest_first(&parent), [parent.join("15"), parent.join("9")]);
    }

    #[test]
    fn a_missing_program_is_reported_with_its_package() {
        let error = NotInstalled { program: "redis-server", remedy: Packaged::Redis.remedy() };
        assert!(error.to_string().contains("apt-get install redis-server"));
        assert!(find(&[], Packaged::Redis.names()).is_none());
    }
}
