//! Calls of `go`. `GOFLAGS`, `GOPROXY` and the like belong to the user: they are passed on and never set.

use super::Progress;
use super::packages::{Package, Recipe};
use crate::paths::cannot;
use crate::process::{self, Output, Process};
use crate::{interrupt, paths};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, fs, io, thread};

const POLL: Duration = Duration::from_millis(200);

/// Builds all programs of `package` into the folder `into`. The output of `go` goes to `log`.
pub(super) fn build(package: &Package, into: &Path, log: &Path) -> Result<()> {
    check_version(&[package]).context(ADVICE)?;
    let mut progress = Progress::start(package, log);
    // Files that only the build needs. A copy of the module files: `go` may write beside them.
    let scratch = into.join("scratch");
    write(&scratch.join("go.mod"), package.go_mod)?;
    write(&scratch.join("go.sum"), package.go_sum)?;
    let mut build = Build { package, log, progress: &mut progress };
    match &package.recipe {
        Recipe::Tools => build.tools(&scratch, "-mod=readonly", into)?,
        Recipe::WithFile { path, text } => {
            // The module cache is read-only, so the sources are copied. `-e`: the file is missing.
            build.run(go(&scratch, &["mod", "vendor", "-e"]))?;
            write(&scratch.join("vendor").join(path), text)?;
            build.tools(&scratch, "-mod=vendor", into)?;
        }
        Recipe::Collector { manifest } => {
            build.tools(&scratch, "-mod=readonly", &scratch)?;
            write(&scratch.join("builder.yaml"), manifest)?;
            // It writes the sources of the distribution into `dist`, the folder in the manifest.
            let mut sources = process::command(&scratch.join("builder"), Signal::INT);
            sources.current_dir(&scratch).args(["--skip-compilation", "--config", "builder.yaml"]);
            build.run(sources)?;
            let mut compile = go(&scratch.join("dist"), &["build"]);
            compile.args(FLAGS).arg("-o").arg(into.join(package.name)).arg(".");
            build.run(compile)?;
        }
    }
    paths::remove_dir(&scratch).with_context(cannot("remove", &scratch))?;
    progress.finish();
    Ok(())
}

/// Without paths of this machine and without symbols.
const FLAGS: [&str; 2] = ["-trimpath", "-ldflags=-s -w"];

/// One build of a package.
struct Build<'a, 'p> {
    package: &'a Package,
    log: &'a Path,
    progress: &'a mut Progress<'p>,
}

impl Build<'_, '_> {
    /// Builds the programs of the `tool` lines of the module in `scratch`.
    fn tools(&mut self, scratch: &Path, modules: &str, into: &Path) -> Result<()> {
        let mut build = go(scratch, &["build", modules, "-tags", self.package.tags]);
        // With a slash at its end it is a folder, which exists.
        build.args(FLAGS).arg("-o").arg(into.join("")).arg("tool");
        self.run(build)
    }

    fn run(&mut self, command: Command) -> Result<()> {
        let mut child = Process::spawn("go", command, self.log, Output::Logged)?.with_stop_signal(Signal::INT);
        let status = self.wait(&mut child)?;
        if status.success() {
            return Ok(());
        }
        let (name, log) = (self.package.name, self.log.display());
        bail!("building {name} failed ({status}); the end of {log}:\n{}", process::tail(self.log))
    }

    fn wait(&mut self, process: &mut Process) -> Result<ExitStatus> {
        loop {
            if let Some(status) = process.try_wait()? {
                return Ok(status);
            }
            interrupt::check()?;
            self.progress.tick();
            thread::sleep(POLL);
        }
    }
}

fn go(folder: &Path, arguments: &[&str]) -> Command {
    // After SIGINT it stops its compilers and removes its temporary files; after SIGTERM it does not.
    let mut go = process::command(Path::new("go"), Signal::INT);
    go.current_dir(folder).env("CGO_ENABLED", "0").args(arguments);
    go
}

/// Writes a file and creates its folder.
fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(cannot("create the folder", folder))?;
    fs::write(path, text).with_context(cannot("write", path))
}

/// An error if Go is missing or older than the modules require.
pub(super) fn check_version(packages: &[&Package]) -> Result<()> {
    let required = packages.iter().filter_map(|package| Version::of_module(package.go_mod)).max();
    let needed = required.map(|version| format!("Go {version} or newer")).unwrap_or_default();
    let output = match Command::new("go").args(["env", "GOVERSION"]).stdin(Stdio::null()).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!("there is no `go` on the PATH ({needed})"),
        output => output.context("cannot run `go`")?,
    };
    let [found, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).trim().to_owned());
    ensure!(output.status.success(), "`go env` failed: {errors}");
    // Another setting than `local` lets Go fetch the version that a module names.
    let fetches = env::var("GOTOOLCHAIN").is_ok_and(|value| value != "local");
    ensure!(fetches || Version::parse(&found) >= required, "the `go` on the PATH is {found} ({needed})");
    Ok(())
}

/// What to do without a recent Go.
pub(super) const ADVICE: &str = "install Go from https://go.dev/doc/install (the package of Debian 12 is too old), or start \
    the images instead: docker compose -f collector-config/compose.yaml up -d";

/// A Go release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u32; 3]);

impl Version {
    /// Reads `go1.26.8`, `go1.27rc1`, `go1.26.0-X:nodwarf5`; a development version has no number and is `None`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("go")?.split('.');
        let mut number = || {
            let digits: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        };
        Some(Self([number()?, number()?, number().unwrap_or(0)]))
    }

    /// The version that a `go.mod` requires.
    fn of_module(go_mod: &str) -> Option<Self> {
        let line = go_mod.lines().find_map(|line| line.strip_prefix("go "))?;
        Self::parse(&format!("go{line}"))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_compared_as_numbers() {
        assert_eq!(Version::parse("go1.26.8"), Some(Version([1, 26, 8])));
        assert_eq!(Version::parse("go1.27rc1"), Some(Version([1, 27, 0])));
        assert!(Version::parse("go1.9") < Version::of_module("module native/x\n\ngo 1.26.7\n"));
        assert_eq!(Version::parse("devel +abcdef"), None);
    }
}
