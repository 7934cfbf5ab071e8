//! Calls of `go`. `GOFLAGS`, `GOPROXY` and the like belong to the user: they are passed on and never set.

use super::packages::{Package, Recipe};
use super::{BuildError, Progress, io_error};
use crate::process::{self, Lifetime, Output, Process};
use crate::{interrupt, paths};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{fs, thread};

/// The oldest Go that builds all servers.
pub(super) const MIN: Version = Version(1, 26);

const POLL: Duration = Duration::from_millis(200);

/// Builds all binaries of `package` into the folder `into`. The output of `go` goes to `log`.
pub(super) fn build(package: &Package, into: &Path, log: &Path) -> Result<(), BuildError> {
    check_version(package)?;
    let mut progress = Progress::start(package, log);
    let mut build = Build { package, into, log, progress: &mut progress };
    match &package.recipe {
        Recipe::InModule { module, package: target, tags } => build.in_module(module, target, tags)?,
        Recipe::Install { packages, tags } => build.install(packages, tags, into)?,
        Recipe::Collector { builder, manifest } => build.collector(builder, manifest)?,
    }
    progress.finish();
    Ok(())
}

/// Without paths of this machine and without symbols.
const FLAGS: [&str; 2] = ["-trimpath", "-ldflags=-s -w"];

/// The folder for files that only the build needs, inside the one for the binaries.
const SCRATCH: &str = "scratch";

/// One build of a package.
struct Build<'a, 'p> {
    package: &'a Package,
    into: &'a Path,
    log: &'a Path,
    progress: &'a mut Progress<'p>,
}

impl Build<'_, '_> {
    fn in_module(&mut self, module: &str, target: &str, tags: &str) -> Result<(), BuildError> {
        let source = module_folder(self.package, module, self.into, self.log, self.progress)?;
        let mut build = go(&source);
        build
            .args(["build", "-mod=readonly", "-tags", tags])
            .args(FLAGS)
            .arg("-o")
            .arg(self.into.join(self.package.name))
            .arg(target);
        self.run(build)
    }

    fn install(&mut self, packages: &[&str], tags: &str, into: &Path) -> Result<(), BuildError> {
        let mut install = go(into);
        install.env("GOBIN", into).args(["install", "-tags", tags]).args(FLAGS).args(packages);
        self.run(install)
    }

    fn collector(&mut self, builder: &str, manifest: &str) -> Result<(), BuildError> {
        let scratch = self.scratch()?;
        self.install(&[builder], "", &scratch)?;
        let file = scratch.join("builder.yaml");
        fs::write(&file, manifest).map_err(io_error("write", &file))?;
        // It writes the sources of the distribution into `dist`, the folder in the manifest; they are compiled below.
        let mut sources = process::command(&scratch.join("builder"), Lifetime::Scoped);
        sources.current_dir(&scratch).args(["--skip-compilation", "--config"]).arg(&file);
        self.run(sources)?;
        let mut build = go(&scratch.join("dist"));
        build.arg("build").args(FLAGS).arg("-o").arg(self.into.join(self.package.name)).arg(".");
        self.run(build)?;
        self.remove_scratch()
    }

    fn run(&mut self, command: Command) -> Result<(), BuildError> {
        run(self.package, command, self.log, Output::Logged, self.progress).map(drop)
    }

    fn scratch(&self) -> Result<PathBuf, BuildError> {
        let scratch = self.into.join(SCRATCH);
        fs::create_dir_all(&scratch).map_err(io_error("create the folder", &scratch))?;
        Ok(scratch)
    }

    fn remove_scratch(&self) -> Result<(), BuildError> {
        let scratch = self.into.join(SCRATCH);
        paths::remove_dir(&scratch).map_err(io_error("remove", &scratch))
    }
}

/// Downloads a module (checked against the checksum database) and returns its read-only folder.
fn module_folder(
    package: &Package,
    module: &str,
    scratch: &Path,
    log: &Path,
    progress: &mut Progress<'_>,
) -> Result<PathBuf, BuildError> {
    let mut go = go(scratch);
    go.args(["mod", "download", "-json", module]);
    let json = run(package, go, log, Output::Piped, progress)?;
    let answer: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
    match answer.get("Dir").and_then(serde_json::Value::as_str) {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => Err(BuildError::Failed {
            package: package.name,
            status: format!("`go mod download {module}` named no folder"),
            log: log.into(),
            tail: String::from_utf8_lossy(&json).into_owned(),
        }),
    }
}

/// Runs `go` to its end and returns its standard output, if it is piped.
fn run(
    package: &Package,
    go: Command,
    log: &Path,
    output: Output,
    progress: &mut Progress<'_>,
) -> Result<Vec<u8>, BuildError> {
    let mut child = Process::spawn("go", go, log, output)?;
    let reader = child.take_stdout().map(process::read_to_end);
    let status = wait(&mut child, progress).map_err(io_error("wait for go, log", log))?;
    let stdout = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    if status.success() {
        return Ok(stdout);
    }
    // `go mod download -json` reports its errors on standard output.
    let mut tail = process::tail(log);
    if !stdout.is_empty() {
        let _ = fs::write(log, &stdout);
        tail = String::from_utf8_lossy(&stdout).into_owned();
    }
    Err(BuildError::Failed { package: package.name, status: status.to_string(), log: log.into(), tail })
}

fn wait(process: &mut Process, progress: &mut Progress<'_>) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(status);
        }
        if interrupt::requested() {
            return Err(interrupt::error());
        }
        progress.tick();
        thread::sleep(POLL);
    }
}

fn go(folder: &Path) -> Command {
    let mut go = process::command(Path::new("go"), Lifetime::Scoped);
    go.current_dir(folder).env("CGO_ENABLED", "0");
    go
}

pub(super) fn check_version(package: &Package) -> Result<(), BuildError> {
    let missing = || BuildError::GoMissing { package: package.name };
    let output = Command::new("go").args(["env", "GOVERSION"]).stdin(Stdio::null()).output().map_err(|_| missing())?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match Version::parse(&found) {
        Some(version) if version >= MIN => Ok(()),
        _ => Err(BuildError::GoTooOld { package: package.name, found }),
    }
}

/// Major and minor of a Go release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl Version {
    /// Reads `go1.26.8`, `go1.27rc1`, `go1.26.0-X:nodwarf5`; a development version has no number and is `None`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("go")?.split('.');
        let number = |part: &str| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        };
        Some(Self(number(parts.next()?)?, number(parts.next()?)?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_compared_as_numbers() {
        assert_eq!(Version::parse("go1.26.8"), Some(Version(1, 26)));
        assert_eq!(Version::parse("go1.27rc1"), Some(Version(1, 27)));
        assert!(Version::parse("go1.9").unwrap() < MIN);
        assert_eq!(Version::parse("devel +abcdef"), None);
    }
}
