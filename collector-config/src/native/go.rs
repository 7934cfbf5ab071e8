//! The calls of `go`. `GOFLAGS`, `GOPROXY` and the like are the user's: they are passed on and never set.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use super::{BuildError, Package, Progress, Recipe, io_error};
use crate::interrupt;
use crate::process::{self, Lifetime, Output, Process};

/// The oldest Go that builds all servers.
pub(super) const MIN: Version = Version(1, 26);

const POLL: Duration = Duration::from_millis(200);

/// Builds all binaries of `package` into the folder `into`; the output of `go` goes to `log`.
pub(super) fn build(package: &Package, into: &Path, log: &Path) -> Result<(), BuildError> {
    check_version(package)?;
    let mut progress = Progress::start(package, log);
    match package.recipe {
        Recipe::InModule {
            module,
            package: target,
        } => {
            let source = module_folder(package, module, into, log, &mut progress)?;
            // Here and below: static, without paths of this machine, without symbols.
            let binary = package.binaries.first().copied().unwrap_or(package.name);
            let mut go = go(&source);
            go.args([
                "build",
                "-mod=readonly",
                "-trimpath",
                "-ldflags=-s -w",
                "-o",
            ])
            .arg(into.join(binary))
            .arg(target);
            run(package, go, log, Output::Logged, &mut progress)?;
        }
        Recipe::Install { packages, tags } => {
            let mut go = go(into);
            go.env("GOBIN", into)
                .args(["install", "-trimpath", "-tags", tags, "-ldflags=-s -w"])
                .args(packages);
            run(package, go, log, Output::Logged, &mut progress)?;
        }
    }
    progress.finish();
    Ok(())
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

/// Runs `go` to its end and returns its standard output, if piped.
fn run(
    package: &Package,
    go: Command,
    log: &Path,
    output: Output,
    progress: &mut Progress<'_>,
) -> Result<Vec<u8>, BuildError> {
    let mut process = Process::spawn("go", go, log, output)?;
    let reader = process.take_stdout().map(|mut stdout| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // A broken pipe shows as an answer without a folder.
            let _ = stdout.read_to_end(&mut bytes);
            bytes
        })
    });
    let status = wait(&mut process, progress).map_err(io_error("wait for go, log", log))?;
    let stdout = reader
        .and_then(|reader| reader.join().ok())
        .unwrap_or_default();
    if status.success() {
        return Ok(stdout);
    }
    // `go mod download -json` reports its errors on standard output.
    let mut tail = process::tail(log);
    if !stdout.is_empty() {
        let _ = fs::write(log, &stdout);
        tail = String::from_utf8_lossy(&stdout).into_owned();
    }
    Err(BuildError::Failed {
        package: package.name,
        status: status.to_string(),
        log: log.into(),
        tail,
    })
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
    let missing = || BuildError::GoMissing {
        package: package.name,
    };
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        .stdin(Stdio::null())
        .output()
        .map_err(|_| missing())?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match Version::parse(&found) {
        Some(version) if version >= MIN => Ok(()),
        _ => Err(BuildError::GoTooOld {
            package: package.name,
            found,
        }),
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
