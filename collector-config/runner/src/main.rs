//! `cargo stack`: runs the servers in the foreground until Ctrl-C.

use anyhow::{anyhow, bail, ensure};
use lexopt::prelude::*;
use stack::inbox::Message;
use stack::native::{self, Program};
use stack::terminal::print_line;
use stack::{Options, Port, Ports, Result, Stack, System, interrupt, run_folder, terminal};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const HELP: &str = "\
Runs the monitoring systems with the configuration of collector-config/, on loopback.

Usage: cargo stack <COMMAND>

Commands:
  up [SYSTEM…] [--scrape ADDRESS] [--free-ports]
                          Start the systems and run them until Ctrl-C; by default all that are installed or
                          can be built. Prometheus scrapes the service at ADDRESS (default 127.0.0.1:9464).
                          On free ports it runs beside another stack; the addresses are printed either way.
                          The messages that Alertmanager sends to Slack, PagerDuty, SMS and email are printed,
                          one per line; none leaves this machine
  build [SYSTEM…]         Only build the missing programs: for an image, or before you go offline

Systems:
  collector, jaeger, victorialogs, vmalert, prometheus, alertmanager, node:
                          built with Go into ~/.cache/ironcore-telemetry/, once
  blackbox, postgres, postgres-exporter, redis, redis-exporter:
                          packages of the operating system
  loki                    in place of victorialogs and vmalert, if it is on the PATH

Data and logs are in target/stack/up/ until the next `up` (with --free-ports in a folder of its own, which is
printed). The collector reads log lines from *.jsonl there.
To see everything at work with the example service: cargo demo
";

const POLL: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !terminal::is_closed(&error) {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let command = parse_command_line(&mut lexopt::Parser::from_env())?;
    // A signal ends a build or a start too, and everything that was started is stopped on return.
    interrupt::catch()?;
    match command {
        Command::Help => print_line(HELP)?,
        Command::Up(mut options) => {
            if options.systems.is_empty() {
                options.systems = available();
            }
            up(&options)?;
        }
        Command::Build(systems) => {
            for program in programs(&systems) {
                print_line(program.path()?.display())?;
            }
        }
    }
    Ok(())
}

#[derive(Debug)]
enum Command {
    Help,
    Up(Options),
    Build(Vec<System>),
}

fn parse_command_line(parser: &mut lexopt::Parser) -> Result<Command> {
    let mut command = None;
    while let Some(argument) = parser.next()? {
        match (argument, command.as_mut()) {
            (Short('h') | Long("help"), _) => return Ok(Command::Help),
            (Long("scrape"), Some(Command::Up(options))) => {
                options.scrape = Some(parse_address(&parser.value()?.string()?)?);
            }
            (Long("free-ports"), Some(Command::Up(options))) => {
                options.ports = Ports::Free;
                options.name = run_folder::name("up");
            }
            (Long(option @ ("scrape" | "free-ports")), _) => {
                bail!("`--{option}` belongs to `up` and follows it: cargo stack up --{option} …");
            }
            (Value(name), None) => command = Some(parse_command(&name.string()?)?),
            (Value(name), Some(Command::Up(Options { systems, .. }) | Command::Build(systems))) => {
                systems.push(System::from_name(&name.string()?)?);
            }
            (other, _) => return Err(other.unexpected().into()),
        }
    }
    Ok(command.unwrap_or(Command::Help))
}

fn parse_command(name: &str) -> Result<Command> {
    Ok(match name {
        "up" => Command::Up(Options::usual_ports("up").with(&[])),
        "build" => Command::Build(Vec::new()),
        "help" => Command::Help,
        _ => bail!("unknown command `{name}`; see `cargo stack --help`"),
    })
}

fn parse_address(text: &str) -> Result<SocketAddr> {
    text.parse()
        .map_err(|_| anyhow!("`--scrape {text}` is not an IP address with a port, such as --scrape 127.0.0.1:9464"))
}

/// All systems, except those that can be neither built nor found, and the exporters of those.
fn available() -> Vec<System> {
    let is_missing = |system: &System| {
        let program = match system.built() {
            Some(program) => native::ensure_available(&[program]),
            None => system.program().map(drop),
        };
        program.inspect_err(|error| eprintln!("without {}: {error:#}", system.name())).is_err()
    };
    let missing: Vec<System> = System::ALL.iter().copied().filter(is_missing).collect();
    let is_available = |system: &System| match system {
        System::PostgresExporter if missing.contains(&System::Postgres) => false,
        System::RedisExporter if missing.contains(&System::Redis) => false,
        system => !missing.contains(system),
    };
    System::ALL.iter().copied().filter(is_available).collect()
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

fn up(options: &Options) -> Result<()> {
    let minutes = native::minutes_to_build(&programs(&options.systems));
    if minutes > 0 {
        eprintln!("building the missing programs takes about {minutes} minutes on two cores, once");
    }
    run_folder::remove_old();
    let mut stack = Stack::start(options)?;
    for (process, url) in stack.servers() {
        let (name, pid, log) = (process.name(), process.pid(), process.log().display());
        print_line(format!("{name:<17} {url:<42} pid {pid:<8} log: {log}"))?;
    }
    print_line("")?;
    for line in next_steps(options, &stack) {
        print_line(line)?;
    }
    watch(&mut stack)
}

/// What a user can do with the running systems.
fn next_steps(options: &Options, stack: &Stack) -> Vec<String> {
    let has = |system: System| options.systems.contains(&system);
    let file = |name: &str| stack.folder().join(name).display().to_string();
    let mut lines = Vec::new();
    if has(System::Collector) || has(System::Jaeger) {
        let (grpc, http) = (stack.otlp_grpc_url(), stack.otlp_http_url());
        lines.push(format!("Run a service with OTEL_EXPORTER_OTLP_ENDPOINT={grpc} (over HTTP: {http})"));
    }
    if has(System::Collector) && (has(System::VictoriaLogs) || has(System::Loki)) {
        lines.push(format!("Write its standard output to {}", file("service.jsonl")));
    }
    if has(System::Prometheus) {
        lines.push(format!("Prometheus scrapes it at http://{}/metrics", options.scraped()));
    }
    if has(System::Postgres) {
        lines.push(format!("The password of PostgreSQL is in {}", file("postgres.password")));
    }
    for (system, port, path) in [
        (System::Jaeger, Port::JaegerQuery, "/api/services"),
        (System::Prometheus, Port::Prometheus, "/api/v1/query?query=up"),
        (System::Alertmanager, Port::Alertmanager, "/api/v2/alerts"),
        (System::VictoriaLogs, Port::VictoriaLogs, "/select/logsql/query?query=*&limit=10"),
        (System::Loki, Port::Loki, "/loki/api/v1/labels"),
    ] {
        if has(system) {
            lines.push(format!("  curl '{}{path}'", stack.url(port)));
        }
    }
    lines.push("Ctrl-C stops everything.".to_owned());
    lines
}

/// Prints each alert when it arrives, until a signal. If a server ends, the others continue: the alerts about it are to be
/// seen too.
fn watch(stack: &mut Stack) -> Result<()> {
    let mut shown = 0;
    let mut ended = 0;
    while !interrupt::requested() {
        for Message { channel, query, body } in stack.inbox().messages_after(shown) {
            shown += 1;
            // It comes every minute.
            if channel != "heartbeat" {
                print_line(format!("{channel} {query}: {body}"))?;
            }
        }
        for error in stack.newly_ended() {
            eprintln!("{error:#}\nThe others continue.");
            ended += 1;
        }
        thread::sleep(POLL);
    }
    ensure!(ended == 0, "{ended} of the servers ended by themselves");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        parse_command_line(&mut lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn commands_and_their_options_are_parsed() {
        assert!(matches!(parse(""), Ok(Command::Help)));
        let Ok(Command::Up(options)) = parse("up --scrape 127.0.0.1:1234") else { panic!("not parsed") };
        assert_eq!((options.scraped().port(), options.systems.is_empty(), options.ports), (1234, true, Ports::Usual));
        let Ok(Command::Up(options)) = parse("up prometheus postgres --free-ports") else { panic!("not parsed") };
        assert_eq!((&options.systems[..], options.ports), (&[System::Prometheus, System::Postgres][..], Ports::Free));
    }

    #[test]
    fn an_unknown_argument_is_named_in_the_error() {
        assert!(parse("upp").unwrap_err().to_string().contains("upp"));
        assert!(parse("build --scrape 127.0.0.1:1").unwrap_err().to_string().contains("--scrape"));
        let tempo = parse("up tempo").unwrap_err().to_string();
        assert!(tempo.contains("`tempo`") && tempo.contains("jaeger"), "{tempo}");
        // Said once, with all its sources.
        let whole = format!("{:#}", parse("up tempo").unwrap_err());
        assert_eq!(whole.matches("`tempo`").count(), 1, "{whole}");
        let nowhere = parse("up --scrape nowhere").unwrap_err().to_string();
        assert!(nowhere.contains("nowhere") && nowhere.contains("--scrape 127.0.0.1:9464"), "{nowhere}");
    }
}
