//! Where telemetry goes, and what can be had on this machine.

use crate::usual;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

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
        let name = NAMES
            .iter()
            .find(|(_, mode)| mode == self)
            .map_or("", |(name, _)| name);
        formatter.write_str(name)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mode = NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, mode)| *mode);
        mode.ok_or_else(|| {
            format!("--mode {text}: use one of external, containers, native, embedded")
        })
    }
}

/// The first mode that can be had, with the reason on standard error.
pub(crate) fn choose() -> Mode {
    let (mode, why) = match (
        usual::answer(),
        has_containers(),
        stack::native::all_cached(),
    ) {
        (Ok(()), _, _) => (
            Mode::External,
            "Jaeger and Prometheus run already and scrape port 9464".to_owned(),
        ),
        (_, true, _) => (Mode::Containers, "a container engine answers".to_owned()),
        (Err(missing), _, cached) if is_on_path("go") => {
            let time = if cached {
                "built before, so it starts at once"
            } else {
                "the first build takes about 8 minutes on two cores"
            };
            (
                Mode::Native,
                format!("{missing}; no container engine; Go is here ({time})"),
            )
        }
        (Err(missing), ..) => (
            Mode::Embedded,
            format!("{missing}; no container engine; no Go on the PATH"),
        ),
    };
    eprintln!("mode: {mode}: {why}");
    if mode != Mode::Embedded {
        eprintln!(
            "      cargo demo -- --mode embedded shows the idea at once, with nothing to build"
        );
    }
    mode
}

/// Whether a container engine answers, not only its client.
fn has_containers() -> bool {
    let succeeds = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        let quiet = docker
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    is_on_path("docker") && succeeds(&["compose", "version"]) && succeeds(&["info"])
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
        assert!(
            error.contains("external, containers, native, embedded"),
            "{error}"
        );
    }
}
