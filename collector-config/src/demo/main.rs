//! `cargo demo`: one request of the wallet service as a trace, as metrics and as log lines, in one command.

mod backend;
mod mode;
mod story;
mod usual;

use backend::Backend;
use mode::Mode;
use std::error::Error;
use std::process::ExitCode;

const HELP: &str = "\
Shows one request of the example wallet service as a trace in Jaeger, as metrics in Prometheus and as log lines.

Usage: cargo demo [-- OPTIONS]

Options:
  --once         Exit when it is shown; the last line on standard output is then a JSON object for scripts,
                 and the exit status is 1 if no span, no series or no line was found
  --mode MODE    Where telemetry goes:
                   external    Jaeger and Prometheus that run already (cargo stack up, or your own)
                   containers  the images of collector-config/compose.yaml
                   native      Jaeger and Prometheus built from their Go modules (about 8 minutes, once)
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
    match arguments().and_then(|arguments| arguments.map_or(Ok(true), |arguments| run(&arguments)))
    {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
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
                print!("{HELP}");
                return Ok(None);
            }
            other => return Err(format!("{}; see cargo demo -- --help", other.unexpected()).into()),
        }
    }
    Ok(Some(arguments))
}

/// Tells the story; says whether all of it was found.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let mode = match arguments.mode {
        Some(mode) => {
            eprintln!("mode: {mode}, as you asked");
            mode
        }
        None => mode::choose(),
    };
    let mut backend = Backend::start(mode)?;
    let service = story::start_service(&backend)?;
    story::drive(&service)?;
    let seen = story::show(&service, &mut backend)?;
    if !arguments.once {
        story::links(&service, &backend, &seen);
        println!("\nIt goes on running. Ctrl-C stops everything that this command has started.");
        wait_for_interrupt()?;
    }
    service.stop()?;
    backend.stop();
    if arguments.once {
        println!("{}", seen.summary(mode));
    }
    Ok(seen.is_complete())
}

fn wait_for_interrupt() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(tokio::signal::ctrl_c())
}
