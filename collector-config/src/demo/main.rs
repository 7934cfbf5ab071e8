//! `cargo demo`: one request of the wallet service as a trace, as metrics and as log lines, in one command.

mod alert;
mod backend;
mod client;
mod containers;
mod mode;
mod run_folder;
mod story;
mod usual;

use backend::Backend;
use mode::Mode;
use stack::service::Service;
use stack::{interrupt, process};
use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};
use story::Seen;

const POLL: Duration = Duration::from_millis(100);

/// How often it is looked at whether everything still runs.
const CHECK: Duration = Duration::from_secs(1);

const HELP: &str = "\
Shows one request of the example wallet service as a trace in Jaeger, as metrics in Prometheus and as log lines,
and then the way of an alert.

Usage: cargo demo [-- OPTIONS]

Options:
  --once         Exit when it is shown; the last line on standard output is then a JSON object for scripts,
                 (with a 0 for what was not found in time, and the exit status is then 1)
  --mode MODE    Where telemetry goes:
                   external    Jaeger and Prometheus that run already (cargo stack up, or your own)
                   containers  the images of collector-config/compose.yaml
                   native      Jaeger, Prometheus and Alertmanager built from their Go modules (about 9 minutes,
                               once); shows an alert's way, too
                   embedded    a receiver in this process: nothing to build, nothing to install
                 By default the first of them that can be had
  --help         This text
";

/// What was asked for.
#[derive(Default)]
struct Arguments {
    once: bool,
    mode: Option<Mode>,
}

fn main() -> ExitCode {
    match arguments() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(arguments)) => run(&arguments),
        Err(error) => failed(error.as_ref()),
    }
}

/// Tells the story and says how it ended.
fn run(arguments: &Arguments) -> ExitCode {
    // First of all: from here on a signal ends a wait, and what was started is stopped on the way out.
    if let Err(error) = interrupt::catch() {
        return failed(&error);
    }
    let mode = match arguments.mode {
        Some(mode) => {
            eprintln!("mode: {mode}, as you asked");
            mode
        }
        None => mode::choose(),
    };
    let mut seen = Seen::default();
    let told = tell(mode, arguments.once, &mut seen);
    let mut code = match told {
        Ok(()) if seen.is_complete() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => failed(error.as_ref()),
    };
    // The last line, whatever has happened before.
    if arguments.once
        && let Err(error) = say(seen.summary(mode))
    {
        code = failed(&error);
    }
    code
}

/// Starts everything, tells the story, stops everything. What is dropped on an error stops too.
fn tell(mode: Mode, once: bool, seen: &mut Seen) -> Result<(), Box<dyn Error>> {
    run_folder::remove_old();
    let mut backend = Backend::start(mode)?;
    let options = story::service(&backend)?;
    eprintln!("starting the wallet service");
    let service = Service::start(&options)?;
    let swapped = story::drive(&service)?;
    story::show(&service, &backend, swapped, seen)?;
    let mut service = story::alert(service, &options, &backend, seen)?;
    if !once {
        story::links(&service, &backend, seen)?;
        say("\nIt goes on running. Ctrl-C stops everything that this command has started.")?;
        watch(&mut service, &mut backend)?;
    }
    let stopped = service.stop();
    drop(backend);
    let status = stopped?;
    if !status.success() {
        eprintln!("demo: the wallet service ended with {status}");
    }
    Ok(())
}

/// Waits for a signal; an error if something ends before.
fn watch(service: &mut Service, backend: &mut Backend) -> Result<(), Box<dyn Error>> {
    let mut checked = Instant::now();
    while !interrupt::requested() {
        thread::sleep(POLL);
        if checked.elapsed() >= CHECK {
            checked = Instant::now();
            service.check().map_err(|error| {
                let log = service.log_file();
                format!("{error}\nthe end of {}:\n{}", log.display(), process::tail(log))
            })?;
            backend.check()?;
        }
    }
    Ok(())
}

/// A line on standard output; whoever reads it may have gone.
pub(crate) fn say(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

fn failed(error: &(dyn Error + 'static)) -> ExitCode {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    if interrupt::requested() {
        eprintln!("demo: interrupted");
        // As shells say it of SIGINT.
        return ExitCode::from(130);
    }
    if kind != Some(io::ErrorKind::BrokenPipe) {
        eprintln!("demo: {error}");
    }
    ExitCode::FAILURE
}

/// The arguments; `None` when only the help was asked for.
fn arguments() -> Result<Option<Arguments>, Box<dyn Error>> {
    use lexopt::prelude::*;
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("once") => arguments.once = true,
            Long("mode") => arguments.mode = Some(parser.value()?.parse()?),
            Short('h') | Long("help") => {
                say(HELP)?;
                return Ok(None);
            }
            other => return Err(format!("{}; see cargo demo -- --help", other.unexpected()).into()),
        }
    }
    Ok(Some(arguments))
}
