//! Builds the servers from their Go modules, once for each version, into the user's cache folder.
//!
//! A binary in the cache is used as it is: Go is not called, nor is the network. The versions are those of the images
//! in `compose.yaml`.

mod go;
mod packages;

use self::packages::{
    ALERTMANAGER, AMTOOL, COLLECTOR, JAEGER, NODE_EXPORTER, PROMETHEUS, Package, VICTORIALOGS, VMALERT,
};
use crate::process::ProcessError;
use crate::{interrupt, paths};
pub use packages::{
    ALERTMANAGER_VERSION, AMTOOL_VERSION, COLLECTOR_VERSION, JAEGER_VERSION, NODE_EXPORTER_VERSION, PROMETHEUS_VERSION,
    VICTORIALOGS_VERSION, VMALERT_VERSION,
};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

/// How often a build reports its progress.
const PROGRESS: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(100);

/// Why a server could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no folder for the binaries.
    #[error("no cache folder: set HOME, or XDG_CACHE_HOME to an absolute path")]
    NoCacheDir,
    /// Go is not installed.
    #[error(
        "{package} is built with Go, and there is no `go` on the PATH. Install Go {min} or newer from https://go.dev/doc/install \
         (`apt-get install golang` of Debian 12 is too old), or start the images instead: \
         `docker compose -f collector-config/compose.yaml up -d`",
        min = go::MIN
    )]
    GoMissing {
        /// The package to build.
        package: &'static str,
    },
    /// Go is too old.
    #[error(
        "{package} needs Go {min} or newer, `go` on the PATH is {found}. Install a newer one from https://go.dev/doc/install \
         (`apt-get install golang` of Debian 12 is too old)",
        min = go::MIN
    )]
    GoTooOld {
        /// The package to build.
        package: &'static str,
        /// The version that `go` reports.
        found: String,
    },
    /// `go` ended with an error.
    #[error("building {package} failed ({status}); the end of {}:\n{tail}", log.display())]
    Failed {
        /// The package to build.
        package: &'static str,
        /// How `go` ended.
        status: String,
        /// The file with the output of `go`.
        log: PathBuf,
        /// The last lines of that file.
        tail: String,
    },
    /// `go` could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The cache folder could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// A program that is built from its Go module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Jaeger.
    Jaeger,
    /// Prometheus.
    Prometheus,
    /// The tool that checks the configuration of Prometheus.
    Promtool,
    /// Alertmanager.
    Alertmanager,
    /// The tool that checks the configuration of Alertmanager and controls it.
    Amtool,
    /// The OpenTelemetry Collector, in a distribution of its own.
    Collector,
    /// `VictoriaLogs`.
    VictoriaLogs,
    /// The evaluator of log alerts.
    Vmalert,
    /// The exporter for the metrics of the host.
    NodeExporter,
}

impl Program {
    /// All programs; those that are needed most often come first.
    pub const ALL: [Self; 9] = [
        Self::Jaeger,
        Self::Prometheus,
        Self::Promtool,
        Self::Alertmanager,
        Self::Amtool,
        Self::Collector,
        Self::VictoriaLogs,
        Self::Vmalert,
        Self::NodeExporter,
    ];

    /// Its path. It is built if it is not in the cache.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn path(self) -> Result<PathBuf, BuildError> {
        let cache = paths::cache_dir().ok_or(BuildError::NoCacheDir)?;
        let package = self.package();
        ensure_in(&cache, package, self.binary(), |into, log| go::build(package, into, log))
    }

    /// Whether it is in the cache, so that it need not be built.
    #[must_use]
    pub fn is_cached(self) -> bool {
        paths::cache_dir().is_some_and(|cache| cache.join(self.package().folder()).join(self.binary()).is_file())
    }

    fn binary(self) -> &'static str {
        match self {
            Self::Jaeger => "jaeger",
            Self::Prometheus => "prometheus",
            Self::Promtool => "promtool",
            Self::Alertmanager => "alertmanager",
            Self::Amtool => "amtool",
            Self::Collector => "otelcol",
            Self::VictoriaLogs => "victoria-logs",
            Self::Vmalert => "vmalert",
            Self::NodeExporter => "node_exporter",
        }
    }

    fn package(self) -> &'static Package {
        match self {
            Self::Jaeger => &JAEGER,
            Self::Prometheus | Self::Promtool => &PROMETHEUS,
            Self::Alertmanager => &ALERTMANAGER,
            Self::Amtool => &AMTOOL,
            Self::Collector => &COLLECTOR,
            Self::VictoriaLogs => &VICTORIALOGS,
            Self::Vmalert => &VMALERT,
            Self::NodeExporter => &NODE_EXPORTER,
        }
    }
}

/// How many minutes it takes to build the missing programs on two cores.
#[must_use]
pub fn minutes_to_build(programs: &[Program]) -> u32 {
    let mut missing: Vec<&Package> =
        programs.iter().filter(|program| !program.is_cached()).map(|program| program.package()).collect();
    missing.dedup_by_key(|package| package.name);
    missing.iter().map(|package| package.minutes).sum()
}

/// Whether the servers can be built on this machine.
///
/// # Errors
/// If the cache folder or a recent Go is missing.
pub fn can_build() -> Result<(), BuildError> {
    paths::cache_dir().ok_or(BuildError::NoCacheDir)?;
    go::check_version(&JAEGER)
}

/// The path of a binary: already in the cache, built meanwhile by another process, or built now.
fn ensure_in(
    cache: &Path,
    package: &Package,
    binary: &str,
    build: impl FnOnce(&Path, &Path) -> Result<(), BuildError>,
) -> Result<PathBuf, BuildError> {
    let home = cache.join(package.folder());
    let path = home.join(binary);
    if path.is_file() {
        return Ok(path);
    }

    fs::create_dir_all(cache).map_err(io_error("create the folder", cache))?;
    let _lock = lock(&cache.join(format!("{}.lock", package.folder())), package)?;
    if path.is_file() {
        return Ok(path);
    }

    // This process holds the lock, so the folder can only be left over from an interrupted build.
    let building = cache.join(format!("{}.building", package.folder()));
    paths::remove_dir(&building).map_err(io_error("remove", &building))?;
    fs::create_dir_all(&building).map_err(io_error("create the folder", &building))?;
    build(&building, &cache.join(format!("{}.log", package.folder()))).inspect_err(|_| {
        // The error of the build is more important than one of the cleanup.
        let _ = fs::remove_dir_all(&building);
    })?;

    // One rename, so that a reader without the lock sees all binaries or none.
    paths::remove_dir(&home).map_err(io_error("remove", &home))?;
    fs::rename(&building, &home).map_err(io_error("put the binaries into", &home))?;
    Ok(path)
}

/// Keeps other processes from building the same package: they wait here and then find the binary. The operating system
/// releases the lock even if its holder is killed.
fn lock(path: &Path, package: &Package) -> Result<File, BuildError> {
    let file = File::create(path).map_err(io_error("open the lock", path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
    }
    eprintln!("waiting for another process that builds {} {}", package.name, package.version);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
            Err(TryLockError::WouldBlock) if interrupt::requested() => {
                return Err(io_error("lock", path)(interrupt::error()));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_POLL),
        }
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_path_buf();
    move |source| BuildError::Io { action, path, source }
}

/// Reports on standard error, every ten seconds, that a build is running.
struct Progress<'a> {
    package: &'a Package,
    start: Instant,
    next: Duration,
}

impl<'a> Progress<'a> {
    fn start(package: &'a Package, log: &Path) -> Self {
        let Package { name, version, .. } = package;
        eprintln!(
            "building {name} {version} from its Go modules, once ({}; output in {})",
            package.build_time(),
            log.display()
        );
        Self { package, start: Instant::now(), next: PROGRESS }
    }

    fn tick(&mut self) {
        let elapsed = self.start.elapsed();
        if elapsed >= self.next {
            self.next = elapsed + PROGRESS;
            let Package { name, version, .. } = self.package;
            eprintln!("building {name} {version}, {} s so far ({})", elapsed.as_secs(), self.package.build_time());
        }
    }

    fn finish(self) {
        let Package { name, version, .. } = self.package;
        eprintln!("built {name} {version} in {} s", self.start.elapsed().as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::packages::Recipe;
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn cache(name: &str) -> PathBuf {
        let cache = paths::run_dir("native_tests").join(name);
        let _ = fs::remove_dir_all(&cache);
        cache
    }

    #[test]
    fn a_cached_binary_is_used_without_a_build() {
        let cache = cache("cached");
        fs::create_dir_all(cache.join("prometheus-3.16.0")).unwrap();
        fs::write(cache.join("prometheus-3.16.0/promtool"), "").unwrap();
        let path = ensure_in(&cache, &PROMETHEUS, "promtool", |_, _| panic!("must not build")).unwrap();
        assert_eq!(path, cache.join("prometheus-3.16.0/promtool"));
    }

    #[test]
    fn another_manifest_has_another_folder() {
        let collector = |manifest| Package { recipe: Recipe::Collector { builder: "", manifest }, ..COLLECTOR };
        assert_ne!(collector("a").folder(), collector("b").folder());
        assert_eq!(collector("a").folder(), "otelcol-0.159.0-e40c292c");
    }

    #[test]
    fn the_versions_match_the_images() {
        let compose = fs::read_to_string(paths::config_dir().join("compose.yaml")).unwrap();
        for image in [
            format!("jaegertracing/jaeger:{JAEGER_VERSION}"),
            format!("prom/prometheus:v{PROMETHEUS_VERSION}"),
            format!("prom/alertmanager:v{ALERTMANAGER_VERSION}"),
            format!("otel/opentelemetry-collector-contrib:{COLLECTOR_VERSION}"),
            format!("victoriametrics/victoria-logs:v{VICTORIALOGS_VERSION}"),
            format!("victoriametrics/vmalert:v{VMALERT_VERSION}"),
            // Not built here; the version of loki/README.md.
            "grafana/loki:3.7.8".to_owned(),
            format!("prom/node-exporter:v{NODE_EXPORTER_VERSION}"),
        ] {
            assert!(compose.contains(&image), "{image}");
        }
    }

    #[test]
    fn concurrent_callers_build_once() {
        let cache = cache("once");
        let builds = AtomicUsize::new(0);
        let call = || {
            ensure_in(&cache, &JAEGER, "jaeger", |into, _| {
                builds.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(100));
                fs::write(into.join("jaeger"), "binary").unwrap();
                Ok(())
            })
            .unwrap()
        };
        thread::scope(|scope| {
            let other = scope.spawn(call);
            assert_eq!(call(), other.join().unwrap());
        });
        assert_eq!(builds.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_failed_build_leaves_no_binary() {
        let cache = cache("failed");
        let error = ensure_in(&cache, &JAEGER, "jaeger", |into, _| {
            fs::write(into.join("jaeger"), "half").unwrap();
            Err(BuildError::GoMissing { package: "jaeger" })
        })
        .unwrap_err();
        assert!(error.to_string().contains("Go 1.26 or newer"), "{error}");
        assert!(!cache.join("jaeger-2.13.0").exists());
        assert!(!cache.join("jaeger-2.13.0.building").exists());
    }
}
