//! `cargo demo`: one request of the wallet service as a trace, as metrics and as log lines, in one command.

mod alert;
mod backend;
mod client;
mod mode;
mod story;
mod usual;

use anyhow::bail;
use backend::Backend;
use mode::Mode;
use stack::service::Service;
use stack::terminal::print_line;
use stack::{Error, Result, interrupt, process, run_folder, terminal};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};
use story::Findings;

const POLL: Duration = Duration::from_millis(100);

/// How often to check that everything still runs.
const CHECK: Duration = Duration::from_secs(1);

const HELP: &str = "\
Shows one request of the example wallet service as a trace in Jaeger, as metrics in Prometheus and as log lines,
and then how an alert is sent.

Usage: cargo demo [-- OPTIONS]

Options:
  --once         Exit after the demo instead of keeping everything running. The last line on standard output is a
                 JSON object for scripts; a count of 0 was not found in time, and the exit status is then 1
  --mode MODE    The servers that receive the telemetry:
                   running   Jaeger and Prometheus that already run on the usual ports: `cargo stack up`, the images
                             (docker compose -f collector-config/compose.yaml up -d), or your own
                   native    Jaeger, Prometheus and Alertmanager, built from their Go modules (about 10 minutes,
                             once); the only mode with an alert
                   embedded  a receiver in this process: nothing to build, nothing to install
                 By default the first mode that works on this machine
  --help         Print this text
";

/// The command line.
#[derive(Default)]
struct Arguments {
    once: bool,
    mode: Option<Mode>,
}

fn main() -> ExitCode {
    match parse_command_line() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(arguments)) => run(&arguments),
        Err(error) => report(&error),
    }
}

/// Runs the demo and returns its exit code.
fn run(arguments: &Arguments) -> ExitCode {
    // First of all: from here on a signal ends a wait, and everything that was started is stopped on return.
    if let Err(error) = interrupt::catch() {
        return report(&error.into());
    }
    let mode = match arguments.mode {
        Some(mode) => {
            eprintln!("mode: {mode}, as requested");
            mode
        }
        None => mode::choose(),
    };
    let mut findings = Findings::default();
    let outcome = run_story(mode, arguments.once, &mut findings);
    let mut code = match outcome {
        Ok(()) if findings.is_complete() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => report(&error),
    };
    // The last line, even after an error.
    if arguments.once
        && let Err(error) = print_line(findings.summary(mode))
    {
        code = report(&error.into());
    }
    code
}

/// Starts everything, shows the request and the alert, and stops everything, also on an error.
fn run_story(mode: Mode, once: bool, findings: &mut Findings) -> Result<()> {
    run_folder::remove_old();
    let mut backend = Backend::start(mode)?;
    let options = story::service_options(&backend)?;
    eprintln!("starting the wallet service");
    let service = Service::start(&options)?;
    let swapped = story::drive(&service)?;
    story::show(&service, &backend, swapped, findings)?;
    let mut service = story::alert(service, &options, &backend, findings)?;
    if !once {
        story::links(&service, &backend, findings)?;
        print_line("\nEverything keeps running. Ctrl-C stops what this command has started.")?;
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

/// Waits for a signal; an error if the service or a server ends before.
fn watch(service: &mut Service, backend: &mut Backend) -> Result<()> {
    let mut checked = Instant::now();
    while !interrupt::requested() {
        thread::sleep(POLL);
        if checked.elapsed() >= CHECK {
            checked = Instant::now();
            if let Err(error) = service.check() {
                let log = service.log_file();
                bail!("{error:#}\nthe end of {}:\n{}", log.display(), process::tail(log));
            }
            backend.check()?;
        }
    }
    Ok(())
}

fn report(error: &Error) -> ExitCode {
    if interrupt::requested() {
        eprintln!("demo: interrupted");
        // The exit code of shells after SIGINT.
        return ExitCode::from(130);
    }
    if !terminal::is_closed(error) {
        eprintln!("demo: {error:#}");
    }
    ExitCode::FAILURE
}

/// The command line; `None` if the help was requested.
fn parse_command_line() -> Result<Option<Arguments>> {
    use lexopt::prelude::*;
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("once") => arguments.once = true,
            Long("mode") => arguments.mode = Some(parser.value()?.string()?.parse().map_err(Error::msg)?),
            Short('h') | Long("help") => {
                print_line(HELP)?;
                return Ok(None);
            }
            other => bail!("{}; see cargo demo -- --help", other.unexpected()),
        }
    }
    Ok(Some(arguments))
}
