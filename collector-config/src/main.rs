//! `cargo stack`: the servers, by hand.

use lexopt::prelude::*;
use stack::addresses::Addresses;
use stack::detached::{self, NAME};
use stack::inbox::{Inbox, Message};
use stack::native::{self, Program};
use stack::record::{Condition, State};
use stack::{Options, Port, System, interrupt, paths};
use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const HELP: &str = "\
Starts the monitoring system with the configuration of collector-config/, on loopback.

usage: cargo stack <command>

commands:
  up [SYSTEM…] [--scrape ADDRESS]
                          start the systems, by default all that can be had, and leave them running;
                          Prometheus scrapes the service at ADDRESS (default 127.0.0.1:9464). What is
                          missing is built with Go into ~/.cache/ironcore-telemetry/, once: about
                          20 minutes for all on two cores, 8 for `up jaeger prometheus`
  status                  say how they are; the exit code is 0 only if all are healthy
  down                    stop them
  alerts                  print what Alertmanager sends, until Ctrl-C: a line for each message to
                          Slack, PagerDuty, SMS and email, none of which leaves this machine
  build [SYSTEM…]         only build what is missing

systems:
  collector, jaeger, loki, prometheus, alertmanager, node, blackbox, postgres, postgres-exporter,
  redis, redis-exporter (from blackbox on: packages of the system)

Their data and logs are in target/stack/up/, and go with the next `up`. The collector reads log lines
from target/stack/up/*.jsonl.
To see the whole thing at work, with the example service: cargo demo
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind != Some(io::ErrorKind::BrokenPipe) {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    match arguments(&mut lexopt::Parser::from_env())? {
        Command::Help => print!("{HELP}"),
        Command::Up(mut options) => {
            // A Ctrl-C while they start stops them, rather than leave servers that are not ready.
            interrupt::catch()?;
            if options.systems.is_empty() {
                options.systems = installed();
            }
            up(&options)?;
        }
        Command::Down => down()?,
        Command::Status => return status(),
        Command::Alerts => alerts()?,
        Command::Build(systems) => {
            for program in programs(&systems) {
                say(program.path()?.display())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug)]
enum Command {
    Help,
    Up(Options),
    Down,
    Status,
    Alerts,
    Build(Vec<System>),
}

fn arguments(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut command = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("scrape") => match command.as_mut() {
                Some(Command::Up(options)) => {
                    let value = parser.value()?;
                    let address = value.parse::<SocketAddr>().map_err(|_| {
                        format!(
                            "`--scrape {}` is no IP address with a port; write --scrape 127.0.0.1:9464",
                            value.display()
                        )
                    })?;
                    options.scrape = Some(address);
                }
                _ => {
                    return Err("`--scrape` belongs to `up`: cargo stack up --scrape 127.0.0.1:9464".into());
                }
            },
            Value(name) => match command.as_mut() {
                None => command = Some(command_of(&name.string()?)?),
                Some(Command::Up(Options { systems, .. }) | Command::Build(systems)) => {
                    systems.push(system_of(&name.string()?)?);
                    systems.sort_unstable();
                    systems.dedup();
                }
                Some(_) => return Err(Value(name).unexpected()),
            },
            other => return Err(other.unexpected()),
        }
    }
    Ok(command.unwrap_or(Command::Help))
}

fn command_of(name: &str) -> Result<Command, lexopt::Error> {
    Ok(match name {
        "up" => Command::Up(Options::usual_ports(NAME).with(&[])),
        "down" => Command::Down,
        "status" => Command::Status,
        "alerts" => Command::Alerts,
        "build" => Command::Build(Vec::new()),
        "help" => Command::Help,
        _ => return Err(format!("no command `{name}`; see `cargo stack --help`").into()),
    })
}

fn system_of(name: &str) -> Result<System, lexopt::Error> {
    System::of_name(name).ok_or_else(|| {
        let names: Vec<_> = System::ALL.iter().map(|system| system.name()).collect();
        format!("no system `{name}`; there are: {}", names.join(", ")).into()
    })
}

/// Everything but the packages that are not installed, and what needs them.
fn installed() -> Vec<System> {
    let missing: Vec<System> = System::ALL
        .into_iter()
        .filter(|system| system.built().is_none())
        .filter(|system| {
            let program = system.program();
            if let Err(error) = &program {
                eprintln!("without {}: {error}", system.name());
            }
            program.is_err()
        })
        .collect();
    let has = |system: System| !missing.contains(&system);
    System::ALL
        .into_iter()
        .filter(|system| {
            has(*system)
                && match system {
                    System::PostgresExporter => has(System::Postgres),
                    System::RedisExporter => has(System::Redis),
                    _ => true,
                }
        })
        .collect()
}

/// What has to be built for these systems; for none: everything, with the tools that check files.
fn programs(systems: &[System]) -> Vec<Program> {
    if systems.is_empty() {
        Program::ALL.to_vec()
    } else {
        systems.iter().filter_map(|system| system.built()).collect()
    }
}

fn up(options: &Options) -> Result<(), Box<dyn Error>> {
    let minutes = native::minutes_to_build(&programs(&options.systems));
    if minutes > 0 {
        eprintln!("building what is missing takes about {minutes} minutes on two cores, once");
    }
    let state = detached::up(options)?;
    for server in &state.servers {
        say(format!("{:<17} {:<42} log: {}", server.name, server.url, server.log.display()))?;
    }
    say("")?;
    for line in next(options, &state) {
        say(line)?;
    }
    Ok(())
}

/// What to do with what is up.
fn next(options: &Options, state: &State) -> Vec<String> {
    let has = |system: System| options.systems.contains(&system);
    let url = |system: System| {
        let server = state.servers.iter().find(|s| s.name == system.name());
        server.map_or("", |server| &server.url)
    };
    let mut lines = Vec::new();
    if has(System::Collector) || has(System::Jaeger) {
        lines.push(format!(
            "Run a service with OTEL_EXPORTER_OTLP_ENDPOINT={} (over HTTP: {})",
            state.otlp_grpc_url, state.otlp_http_url
        ));
    }
    if has(System::Loki) && has(System::Collector) {
        lines.push(format!("and its standard output in {}", paths::run_dir(NAME).join("service.jsonl").display()));
    }
    if has(System::Prometheus) {
        let page = options.scraped();
        lines.push(format!("Prometheus scrapes it at http://{page}/metrics"));
    }
    if has(System::Postgres) {
        lines.push(format!(
            "The password of PostgreSQL is in {}",
            paths::run_dir(NAME).join("postgres.password").display()
        ));
    }
    for (system, question) in [
        (System::Jaeger, "/api/services"),
        (System::Prometheus, "/api/v1/query?query=up"),
        (System::Alertmanager, "/api/v2/alerts"),
        (System::Loki, "/loki/api/v1/labels"),
    ] {
        if has(system) {
            lines.push(format!("  curl '{}{question}'", url(system)));
        }
    }
    if has(System::Alertmanager) {
        lines.push("See alerts with `cargo stack alerts`.".to_owned());
    }
    lines.push("Stop with `cargo stack down`.".to_owned());
    lines
}

/// A line on standard output; whoever reads it may have gone.
fn say(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Prints each message as it comes.
fn alerts() -> Result<(), Box<dyn Error>> {
    interrupt::catch()?;
    let usual = Addresses::usual();
    let inbox = Inbox::start_on(usual.of(Port::Inbox), usual.of(Port::InboxMail))?;
    eprintln!("waiting for alerts on {} and {}; Ctrl-C ends", inbox.http(), inbox.mail());
    let mut shown = 0;
    while !interrupt::requested() {
        for Message { channel, query, body } in inbox.messages_after(shown) {
            say(format!("{channel} {query}: {body}"))?;
            shown += 1;
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn down() -> Result<(), Box<dyn Error>> {
    let stopped = match State::load(NAME)? {
        Some(state) => detached::down(state, NAME)?,
        None => Vec::new(),
    };
    if stopped.is_empty() {
        say("nothing was running")?;
    } else {
        say(format!("stopped {}", stopped.join(", ")))?;
    }
    Ok(())
}

fn status() -> Result<ExitCode, Box<dyn Error>> {
    let Some(state) = State::load(NAME)? else {
        say("not running; start with `cargo stack up`")?;
        return Ok(ExitCode::FAILURE);
    };
    let mut code = ExitCode::SUCCESS;
    for server in &state.servers {
        let condition = match server.condition() {
            Condition::Healthy => format!("running    pid {}", server.id.pid),
            Condition::Unhealthy(why) => {
                code = ExitCode::FAILURE;
                format!("unhealthy  pid {}, {why}, log: {}", server.id.pid, server.log.display())
            }
            Condition::Stopped => {
                code = ExitCode::FAILURE;
                format!("stopped    log: {}", server.log.display())
            }
        };
        say(format!("{:<17} {:<42} {condition}", server.name, server.url))?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, lexopt::Error> {
        arguments(&mut lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn commands_and_their_options_are_understood() {
        assert!(matches!(parse(""), Ok(Command::Help)));
        assert!(matches!(parse("down"), Ok(Command::Down)));
        let Ok(Command::Up(options)) = parse("up --scrape 127.0.0.1:1234") else { panic!("not understood") };
        assert_eq!(options.scrape.map(|address| address.port()), Some(1234));
        assert!(options.systems.is_empty());
        let Ok(Command::Up(options)) = parse("up prometheus postgres prometheus") else { panic!("not understood") };
        assert_eq!(options.systems, [System::Postgres, System::Prometheus]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(parse("upp").unwrap_err().to_string().contains("upp"));
        assert!(parse("down --scrape 127.0.0.1:1").unwrap_err().to_string().contains("--scrape"));
        let tempo = parse("up tempo").unwrap_err().to_string();
        assert!(tempo.contains("`tempo`") && tempo.contains("loki"), "{tempo}");
        assert!(parse("down jaeger").is_err());
        let nowhere = parse("up --scrape nowhere").unwrap_err().to_string();
        assert!(nowhere.contains("nowhere") && nowhere.contains("--scrape 127.0.0.1:9464"), "{nowhere}");
    }
}
