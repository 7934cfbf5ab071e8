//! `cargo stack`: starts and stops the servers by hand.

use lexopt::prelude::*;
use stack::addresses::Addresses;
use stack::detached::{self, NAME};
use stack::inbox::{Inbox, Message};
use stack::native::{self, Program};
use stack::record::{Condition, State};
use stack::{Options, Port, System, error_chain, interrupt, paths};
use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const HELP: &str = "\
Runs the monitoring systems with the configuration of collector-config/, on loopback.

Usage: cargo stack <COMMAND>

Commands:
  up [SYSTEM…] [--scrape ADDRESS]
                          Start the systems and leave them running; by default all that are installed or
                          can be built. Prometheus scrapes the service at ADDRESS (default 127.0.0.1:9464).
                          Missing programs are built with Go into ~/.cache/ironcore-telemetry/, once: about
                          15 minutes for all of them on two cores, 8 for `up jaeger prometheus`
  status                  Show the condition of each system; the exit code is 0 only if all are healthy
  down                    Stop the systems
  alerts                  Print the messages that Alertmanager sends to Slack, PagerDuty, SMS and email,
                          one per line, until Ctrl-C. No message leaves this machine
  build [SYSTEM…]         Only build the missing programs

Systems:
  collector, jaeger, victorialogs, vmalert, prometheus, alertmanager, node: built with Go
  blackbox, postgres, postgres-exporter, redis, redis-exporter: packages of the operating system
  loki: in place of victorialogs and vmalert, only if it is named; a `loki` on the PATH

Data and logs are in target/stack/up/ until the next `up`. The collector reads log lines from
target/stack/up/*.jsonl.
To see everything at work with the example service: cargo demo
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind != Some(io::ErrorKind::BrokenPipe) {
                eprintln!("error: {}", error_chain(error.as_ref()));
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    match parse_command_line(&mut lexopt::Parser::from_env())? {
        Command::Help => print!("{HELP}"),
        Command::Up(mut options) => {
            // Ctrl-C during the start stops the servers instead of leaving them behind half-started.
            interrupt::catch()?;
            if options.systems.is_empty() {
                options.systems = available();
            }
            up(&options)?;
        }
        Command::Down => down()?,
        Command::Status => return status(),
        Command::Alerts => alerts()?,
        Command::Build(systems) => {
            for program in programs(&systems) {
                print_line(program.path()?.display())?;
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

fn parse_command_line(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut command = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("scrape") => match command.as_mut() {
                Some(Command::Up(options)) => {
                    let value = parser.value()?;
                    let address = value.parse::<SocketAddr>().map_err(|_| {
                        format!(
                            "`--scrape {}` is not an IP address with a port, such as --scrape 127.0.0.1:9464",
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
                None => command = Some(parse_command(&name.string()?)?),
                Some(Command::Up(Options { systems, .. }) | Command::Build(systems)) => {
                    systems.push(parse_system(&name.string()?)?);
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

fn parse_command(name: &str) -> Result<Command, lexopt::Error> {
    Ok(match name {
        "up" => Command::Up(Options::usual_ports(NAME).with(&[])),
        "down" => Command::Down,
        "status" => Command::Status,
        "alerts" => Command::Alerts,
        "build" => Command::Build(Vec::new()),
        "help" => Command::Help,
        _ => return Err(format!("unknown command `{name}`; see `cargo stack --help`").into()),
    })
}

fn parse_system(name: &str) -> Result<System, lexopt::Error> {
    System::from_name(name).ok_or_else(|| {
        let names: Vec<_> = System::ALL.iter().chain(&System::OPTIONAL).map(|system| system.name()).collect();
        format!("unknown system `{name}`; known systems: {}", names.join(", ")).into()
    })
}

/// All systems, except those whose package is not installed and the exporters of those.
fn available() -> Vec<System> {
    let missing: Vec<System> = System::ALL
        .into_iter()
        .filter(|system| system.built().is_none())
        .filter(|system| {
            let program = system.program();
            if let Err(error) = &program {
                eprintln!("without {}: {}", system.name(), error_chain(error));
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

/// The programs to build for these systems; without systems: all programs, including the tools that check
/// configuration.
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
        eprintln!("building the missing programs takes about {minutes} minutes on two cores, once");
    }
    let state = detached::up(options)?;
    for server in &state.servers {
        print_line(format!("{:<17} {:<42} log: {}", server.name, server.url, server.log.display()))?;
    }
    print_line("")?;
    for line in next_steps(options, &state) {
        print_line(line)?;
    }
    Ok(())
}

/// What a user can do with the running systems.
fn next_steps(options: &Options, state: &State) -> Vec<String> {
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
    if (has(System::VictoriaLogs) || has(System::Loki)) && has(System::Collector) {
        lines.push(format!("Write its standard output to {}", paths::run_dir(NAME).join("service.jsonl").display()));
    }
    if has(System::Prometheus) {
        let address = options.scraped();
        lines.push(format!("Prometheus scrapes it at http://{address}/metrics"));
    }
    if has(System::Postgres) {
        lines.push(format!(
            "The password of PostgreSQL is in {}",
            paths::run_dir(NAME).join("postgres.password").display()
        ));
    }
    for (system, path) in [
        (System::Jaeger, "/api/services"),
        (System::Prometheus, "/api/v1/query?query=up"),
        (System::Alertmanager, "/api/v2/alerts"),
        (System::VictoriaLogs, "/select/logsql/query?query=*&limit=5"),
        (System::Loki, "/loki/api/v1/labels"),
    ] {
        if has(system) {
            lines.push(format!("  curl '{}{path}'", url(system)));
        }
    }
    if has(System::Alertmanager) {
        lines.push("See alerts with `cargo stack alerts`.".to_owned());
    }
    lines.push("Stop with `cargo stack down`.".to_owned());
    lines
}

/// Prints a line to standard output; an error if its reader is gone.
fn print_line(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Prints each message when it arrives.
fn alerts() -> Result<(), Box<dyn Error>> {
    interrupt::catch()?;
    let usual = Addresses::usual();
    let inbox = Inbox::start_on(usual.address(Port::Inbox), usual.address(Port::InboxMail))?;
    eprintln!("waiting for alerts on {} (HTTP) and {} (SMTP); press Ctrl-C to stop", inbox.http(), inbox.mail());
    let mut shown = 0;
    while !interrupt::requested() {
        for Message { channel, query, body } in inbox.messages_after(shown) {
            print_line(format!("{channel} {query}: {body}"))?;
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
        print_line("nothing was running")?;
    } else {
        print_line(format!("stopped {}", stopped.join(", ")))?;
    }
    Ok(())
}

fn status() -> Result<ExitCode, Box<dyn Error>> {
    let Some(state) = State::load(NAME)? else {
        print_line("not running; start with `cargo stack up`")?;
        return Ok(ExitCode::FAILURE);
    };
    let mut code = ExitCode::SUCCESS;
    for server in &state.servers {
        let condition = match server.condition() {
            Condition::Healthy => format!("running    pid {}", server.id.pid),
            Condition::Unhealthy(reason) => {
                code = ExitCode::FAILURE;
                format!("unhealthy  pid {}, {reason}, log: {}", server.id.pid, server.log.display())
            }
            Condition::Stopped => {
                code = ExitCode::FAILURE;
                format!("stopped    log: {}", server.log.display())
            }
        };
        print_line(format!("{:<17} {:<42} {condition}", server.name, server.url))?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, lexopt::Error> {
        parse_command_line(&mut lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn commands_and_their_options_are_parsed() {
        assert!(matches!(parse(""), Ok(Command::Help)));
        assert!(matches!(parse("down"), Ok(Command::Down)));
        let Ok(Command::Up(options)) = parse("up --scrape 127.0.0.1:1234") else { panic!("not parsed") };
        assert_eq!(options.scrape.map(|address| address.port()), Some(1234));
        assert!(options.systems.is_empty());
        let Ok(Command::Up(options)) = parse("up prometheus postgres prometheus") else { panic!("not parsed") };
        assert_eq!(options.systems, [System::Postgres, System::Prometheus]);
    }

    #[test]
    fn an_unknown_argument_is_named_in_the_error() {
        assert!(parse("upp").unwrap_err().to_string().contains("upp"));
        assert!(parse("down --scrape 127.0.0.1:1").unwrap_err().to_string().contains("--scrape"));
        let tempo = parse("up tempo").unwrap_err().to_string();
        assert!(tempo.contains("`tempo`") && tempo.contains("victorialogs"), "{tempo}");
        assert!(parse("down jaeger").is_err());
        let nowhere = parse("up --scrape nowhere").unwrap_err().to_string();
        assert!(nowhere.contains("nowhere") && nowhere.contains("--scrape 127.0.0.1:9464"), "{nowhere}");
    }
}
