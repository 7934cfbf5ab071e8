//! Builds the servers from their Go modules, once for each version, into the user's cache folder.
//!
//! A binary in the cache is used as it is: Go is not called, nor is the network. The versions are those of the images
//! in `compose.yaml`.

mod go;
mod packages;

use crate::paths::cannot;
use crate::{interrupt, paths};
use anyhow::{Context as _, Result, ensure};
use packages::{ALERTMANAGER, COLLECTOR, JAEGER, NODE_EXPORTER, PROMETHEUS, Package, VICTORIALOGS, VMALERT};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How often a build reports its progress.
const PROGRESS: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(100);

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
    /// The store for log records.
    VictoriaLogs,
    /// Alerts on log records.
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
    pub fn path(self) -> Result<PathBuf> {
        let cache = cache_dir()?;
        let package = self.package();
        ensure_in(&cache, package, self.binary(), |into, log| go::build(package, into, log))
    }

    /// Whether it is in the cache, so that it need not be built.
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
            Self::Alertmanager | Self::Amtool => &ALERTMANAGER,
            Self::Collector => &COLLECTOR,
            Self::VictoriaLogs => &VICTORIALOGS,
            Self::Vmalert => &VMALERT,
            Self::NodeExporter => &NODE_EXPORTER,
        }
    }
}

/// How many minutes it takes to build the missing programs on two cores.
pub fn minutes_to_build(programs: &[Program]) -> u32 {
    missing(programs).iter().map(|package| package.minutes).sum()
}

/// An error if a program is not in the cache and cannot be built on this machine: the cache folder or a recent Go is
/// missing.
pub fn ensure_available(programs: &[Program]) -> Result<()> {
    cache_dir()?;
    let missing = missing(programs);
    if missing.is_empty() { Ok(()) } else { go::check_version(&missing) }
}

/// The packages of the programs that are not in the cache.
fn missing(programs: &[Program]) -> Vec<&'static Package> {
    let missing = programs.iter().filter(|program| !program.is_cached());
    let mut packages: Vec<&Package> = missing.map(|program| program.package()).collect();
    packages.dedup_by_key(|package| package.name);
    packages
}

/// The path of a binary: already in the cache, built meanwhile by another process, or built now.
fn ensure_in(
    cache: &Path,
    package: &Package,
    binary: &str,
    build: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let home = cache.join(package.folder());
    let path = home.join(binary);
    if path.is_file() {
        return Ok(path);
    }

    fs::create_dir_all(cache).with_context(cannot("create the folder", cache))?;
    let _lock = lock(&cache.join(format!("{}.lock", package.folder())), package)?;
    if path.is_file() {
        return Ok(path);
    }

    // This process holds the lock, so the folder can only be left over from an interrupted build.
    let building = cache.join(format!("{}.building", package.folder()));
    paths::remove_dir(&building).with_context(cannot("remove", &building))?;
    fs::create_dir_all(&building).with_context(cannot("create the folder", &building))?;
    build(&building, &cache.join(format!("{}.log", package.folder()))).inspect_err(|_| {
        // The error of the build is more important than one of the cleanup.
        let _ = fs::remove_dir_all(&building);
    })?;

    ensure!(building.join(binary).is_file(), "the build of {} made no `{binary}`", package.name);
    // One rename, so that a reader without the lock sees all binaries or none.
    paths::remove_dir(&home).with_context(cannot("remove", &home))?;
    fs::rename(&building, &home).with_context(cannot("put the binaries into", &home))?;
    Ok(path)
}

/// Keeps other processes from building the same package: they wait here and then find the binary. The operating system
/// releases the lock even if its holder is killed.
fn lock(path: &Path, package: &Package) -> Result<File> {
    let file = File::create(path).with_context(cannot("open the lock", path))?;
    let mut waiting = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot("lock", path)),
            Err(TryLockError::WouldBlock) => interrupt::check()?,
        }
        if !waiting {
            waiting = true;
            eprintln!("waiting for another process that builds {} {}", package.name, package.version);
        }
        thread::sleep(LOCK_POLL);
    }
}

fn cache_dir() -> Result<PathBuf> {
    paths::cache_dir().context("no cache folder: set HOME, or XDG_CACHE_HOME to an absolute path")
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
        let folder = cache.join(PROMETHEUS.folder());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("promtool"), "").unwrap();
        let path = ensure_in(&cache, &PROMETHEUS, "promtool", |_, _| panic!("must not build")).unwrap();
        assert_eq!(path, folder.join("promtool"));
    }

    #[test]
    fn another_recipe_has_another_folder() {
        let collector = |manifest| Package { recipe: Recipe::Collector { manifest }, ..COLLECTOR };
        assert_ne!(collector("a").folder(), collector("b").folder());
        let tags = |tags| Package { tags, ..PROMETHEUS };
        assert_ne!(tags("a").folder(), tags("b").folder());
    }

    #[test]
    fn the_versions_match_the_modules_and_the_images() {
        let compose = fs::read_to_string(paths::config_dir().join("compose.yaml")).unwrap();
        for (package, module, image) in [
            (&JAEGER, "github.com/jaegertracing/jaeger v1.76.0", "jaegertracing/jaeger:2.13.0"),
            (&PROMETHEUS, "github.com/prometheus/prometheus v0.316.0", "prom/prometheus:v3.16.0"),
            (&ALERTMANAGER, "github.com/prometheus/alertmanager v0.35.0", "prom/alertmanager:v0.35.0"),
            (
                &COLLECTOR,
                "go.opentelemetry.io/collector/cmd/builder v0.159.0",
                "otel/opentelemetry-collector-contrib:0.159.0",
            ),
            (&NODE_EXPORTER, "github.com/prometheus/node_exporter v1.12.1", "prom/node-exporter:v1.12.1"),
            (&VICTORIALOGS, "github.com/VictoriaMetrics/VictoriaLogs v1.52.1", "victoriametrics/victoria-logs:v1.52.1"),
            (&VMALERT, "github.com/VictoriaMetrics/VictoriaMetrics v1.151.0", "victoriametrics/vmalert:v1.151.0"),
        ] {
            assert!(package.go_mod.contains(module), "native/{}/go.mod has no {module}", package.name);
            assert!(compose.contains(image) && image.ends_with(package.version), "compose.yaml has no {image}");
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
            anyhow::bail!("no Go")
        })
        .unwrap_err();
        assert!(error.to_string().contains("no Go"), "{error}");
        assert!(!cache.join(JAEGER.folder()).exists());
        assert!(!cache.join(format!("{}.building", JAEGER.folder())).exists());
    }
}
