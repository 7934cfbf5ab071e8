//! Which servers receive the telemetry, and which of them are available on this machine.

use crate::usual;
use stack::native::{BuildError, Program};
use stack::{System, error_chain, interrupt};
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

/// The systems of the native mode.
pub(crate) const SYSTEMS: [System; 3] = [System::Jaeger, System::Prometheus, System::Alertmanager];

/// How long a container engine may take to answer; one on another machine may never answer.
const DOCKER: Duration = Duration::from_secs(3);

/// Which servers receive the telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    External,
    Containers,
    Native,
    Embedded,
}

const NAMES: [(&str, Mode); 4] = [
    ("external", Mode::External),
    ("containers", Mode::Containers),
    ("native", Mode::Native),
    ("embedded", Mode::Embedded),
];

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, mode)| mode == self).map_or("", |(name, _)| name);
        formatter.write_str(name)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mode = NAMES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode);
        mode.ok_or_else(|| format!("unknown mode `{text}`: use one of external, containers, native, embedded"))
    }
}

/// The first mode that works, with the reason on standard error. A mode is checked only if those before it do not work.
pub(crate) fn choose() -> Mode {
    let (mode, reason) = first_available(usual::check_servers, check_containers, check_native);
    eprintln!("mode: {mode}: {reason}");
    if mode != Mode::Embedded {
        eprintln!("      cargo demo -- --mode embedded starts at once, with nothing to build");
    }
    mode
}

fn first_available(
    external: impl FnOnce() -> Result<(), String>,
    containers: impl FnOnce() -> Result<(), String>,
    native: impl FnOnce() -> Result<String, String>,
) -> (Mode, String) {
    let Err(no_external) = external() else {
        let reason = "Jaeger and Prometheus already run, and port 9464 is scraped";
        return (Mode::External, reason.to_owned());
    };
    let Err(no_containers) = containers() else {
        return (Mode::Containers, "a container engine answers".to_owned());
    };
    match native() {
        Ok(time) => (Mode::Native, format!("{no_external}; {no_containers}; Go is installed ({time})")),
        Err(no_go) => (Mode::Embedded, format!("{no_external}; {no_containers}; {no_go}")),
    }
}

/// How long the native servers take to build, or why they cannot be built.
fn check_native() -> Result<String, String> {
    if !is_on_path("go") {
        return Err("no Go on the PATH".to_owned());
    }
    stack::native::can_build().map_err(|error| match error {
        BuildError::GoTooOld { found, .. } => format!("the Go on the PATH is too old ({found})"),
        error => error_chain(&error),
    })?;
    let programs: Vec<Program> = SYSTEMS.iter().filter_map(|system| system.built()).collect();
    Ok(match stack::native::minutes_to_build(&programs) {
        0 => "already built, so it starts at once".to_owned(),
        minutes => format!("the first build takes about {minutes} minutes on two cores"),
    })
}

/// Whether a container engine answers, not only its client.
fn check_containers() -> Result<(), String> {
    let succeeds = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = docker.spawn().and_then(|mut docker| interrupt::wait(&mut docker, Some(DOCKER)));
        status.is_ok_and(|status| status.success())
    };
    if is_on_path("docker") && succeeds(&["compose", "version"]) && succeeds(&["info"]) {
        usual::check_metrics_port()
    } else {
        Err("no container engine".to_owned())
    }
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_parsed_from_its_name() {
        for (name, mode) in NAMES {
            assert_eq!(name.parse(), Ok(mode));
            assert_eq!(mode.to_string(), name);
        }
    }

    #[test]
    fn an_unknown_mode_is_an_error_that_lists_the_known_ones() {
        let error = "docker".parse::<Mode>().unwrap_err();
        assert!(error.contains("external, containers, native, embedded"), "{error}");
    }

    #[test]
    fn the_first_available_mode_is_chosen_with_the_reasons_against_the_others() {
        let no = |reason: &str| Err(reason.to_owned());
        let never = || unreachable!("checked without need");
        assert_eq!(first_available(|| Ok(()), never, || unreachable!()).0, Mode::External);
        assert_eq!(first_available(|| no("a"), || Ok(()), || unreachable!()).0, Mode::Containers);
        assert_eq!(first_available(|| no("a"), || no("b"), || Ok("at once".to_owned())).0, Mode::Native);
        assert_eq!(
            first_available(|| no("a"), || no("b"), || Err("no Go".to_owned())),
            (Mode::Embedded, "a; b; no Go".to_owned())
        );
    }
}
