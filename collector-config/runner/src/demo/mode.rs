//! Which servers receive the telemetry, and which of them are available on this machine.

use crate::usual;
use stack::native::Program;
use stack::{Result, System};
use std::fmt;
use std::str::FromStr;

/// The systems of the native mode.
pub(crate) const SYSTEMS: [System; 3] = [System::Jaeger, System::Prometheus, System::Alertmanager];

/// Which servers receive the telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Running,
    Native,
    Embedded,
}

const NAMES: [(&str, Mode); 3] = [("running", Mode::Running), ("native", Mode::Native), ("embedded", Mode::Embedded)];

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
        mode.ok_or_else(|| format!("unknown mode `{text}`: use one of running, native, embedded"))
    }
}

/// The first mode that works, with the reason on standard error. A mode is checked only if those before it do not work.
pub(crate) fn choose() -> Mode {
    let (mode, reason) = first_available(usual::check_servers, check_native);
    eprintln!("mode: {mode}: {reason}");
    if mode != Mode::Embedded {
        eprintln!("      cargo demo -- --mode embedded starts at once, with nothing to build");
    }
    mode
}

fn first_available(running: impl FnOnce() -> Result<()>, native: impl FnOnce() -> Result<String>) -> (Mode, String) {
    let Err(not_running) = running() else {
        let reason = "Jaeger and Prometheus already run, and port 9464 is scraped";
        return (Mode::Running, reason.to_owned());
    };
    match native() {
        Ok(time) => (Mode::Native, format!("{not_running:#}; Go is installed ({time})")),
        Err(no_go) => (Mode::Embedded, format!("{not_running:#}; {no_go:#}")),
    }
}

/// How long the native servers take to build, or why they cannot be built.
fn check_native() -> Result<String> {
    let programs: Vec<Program> = SYSTEMS.iter().filter_map(|system| system.built()).collect();
    stack::native::ensure_available(&programs)?;
    Ok(match stack::native::minutes_to_build(&programs) {
        0 => "already built, so it starts at once".to_owned(),
        minutes => format!("the first build takes about {minutes} minutes on two cores"),
    })
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
        assert!(error.contains("running, native, embedded"), "{error}");
    }

    #[test]
    fn the_first_available_mode_is_chosen_with_the_reasons_against_the_others() {
        let no = |reason: &str| Err(anyhow::anyhow!("{reason}"));
        assert_eq!(first_available(|| Ok(()), || unreachable!("checked without need")).0, Mode::Running);
        assert_eq!(first_available(|| no("a"), || Ok("at once".to_owned())).0, Mode::Native);
        let embedded = first_available(|| no("a"), || Err(anyhow::anyhow!("no Go")));
        assert_eq!(embedded, (Mode::Embedded, "a; no Go".to_owned()));
    }
}
