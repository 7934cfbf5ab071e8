//! Where telemetry goes, and what can be had on this machine.

use crate::usual;
use stack::System;
use stack::interrupt;
use stack::native::{BuildError, Program};
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

/// What the native mode starts.
pub(crate) const SYSTEMS: [System; 3] = [System::Jaeger, System::Prometheus, System::Alertmanager];

/// How long a container engine may take to answer; one on another machine may never do.
const DOCKER: Duration = Duration::from_secs(3);

/// Where telemetry goes.
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
        mode.ok_or_else(|| format!("--mode {text}: use one of external, containers, native, embedded"))
    }
}

/// The first mode that can be had, with the reason on standard error. Each is looked for only when those before it are
/// not to be had.
pub(crate) fn choose() -> Mode {
    let (mode, why) = first(usual::answer, has_containers, can_be_native);
    eprintln!("mode: {mode}: {why}");
    if mode != Mode::Embedded {
        eprintln!("      cargo demo -- --mode embedded shows the idea at once, with nothing to build");
    }
    mode
}

fn first(
    external: impl FnOnce() -> Result<(), String>,
    containers: impl FnOnce() -> Result<(), String>,
    native: impl FnOnce() -> Result<String, String>,
) -> (Mode, String) {
    let Err(no_external) = external() else {
        let why = "Jaeger and Prometheus run already and scrape port 9464";
        return (Mode::External, why.to_owned());
    };
    let Err(no_containers) = containers() else {
        return (Mode::Containers, "a container engine answers".to_owned());
    };
    match native() {
        Ok(time) => (Mode::Native, format!("{no_external}; {no_containers}; Go is here ({time})")),
        Err(no_go) => (Mode::Embedded, format!("{no_external}; {no_containers}; {no_go}")),
    }
}

/// How long the start of native servers takes.
fn can_be_native() -> Result<String, String> {
    if !is_on_path("go") {
        return Err("no Go on the PATH".to_owned());
    }
    stack::native::can_build().map_err(|error| match error {
        BuildError::GoTooOld { found, .. } => format!("the Go on the PATH is too old ({found})"),
        error => error.to_string(),
    })?;
    let programs: Vec<Program> = SYSTEMS.iter().filter_map(|system| system.built()).collect();
    Ok(match stack::native::minutes_to_build(&programs) {
        0 => "built before, so it starts at once".to_owned(),
        minutes => format!("the first build takes about {minutes} minutes on two cores"),
    })
}

/// Whether a container engine answers, not only its client.
fn has_containers() -> Result<(), String> {
    let succeeds = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = docker.spawn().and_then(|mut docker| interrupt::wait(&mut docker, Some(DOCKER)));
        status.is_ok_and(|status| status.success())
    };
    if is_on_path("docker") && succeeds(&["compose", "version"]) && succeeds(&["info"]) {
        usual::metrics_port_is_free()
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
    fn a_mode_is_read_as_it_is_written() {
        for (name, mode) in NAMES {
            assert_eq!(name.parse(), Ok(mode));
            assert_eq!(mode.to_string(), name);
        }
    }

    #[test]
    fn an_unknown_mode_is_answered_with_the_known_ones() {
        let error = "docker".parse::<Mode>().unwrap_err();
        assert!(error.contains("external, containers, native, embedded"), "{error}");
    }

    #[test]
    fn the_first_mode_that_can_be_had_is_chosen_and_the_others_say_why_not() {
        let no = |why: &str| Err(why.to_owned());
        let never = || unreachable!("asked without need");
        assert_eq!(first(|| Ok(()), never, || unreachable!()).0, Mode::External);
        assert_eq!(first(|| no("a"), || Ok(()), || unreachable!()).0, Mode::Containers);
        assert_eq!(first(|| no("a"), || no("b"), || Ok("at once".to_owned())).0, Mode::Native);
        assert_eq!(
            first(|| no("a"), || no("b"), || Err("no Go".to_owned())),
            (Mode::Embedded, "a; b; no Go".to_owned())
        );
    }
}
