//! `cargo stack`: Jaeger and Prometheus, by hand.

use std::{error::Error, net::SocketAddr, process::ExitCode};

use lexopt::prelude::*;
use stack::{
    Options,
    detached::{Condition, NAME, State},
    interrupt, native,
};

const HELP: &str = "\
Starts Jaeger and Prometheus with the configuration of collector-config/, on loopback.

usage: cargo stack <command>

commands:
  up [--scrape ADDRESS]   start both and leave them running; Prometheus scrapes the service at
                          ADDRESS (default 127.0.0.1:9464). The first start builds them with Go,
                          about 8 minutes on two cores, into ~/.cache/ironcore-telemetry/
  status                  say how they are; the exit code is 0 only if all are healthy
  down                    stop them
  build                   only build what is missing

Their data and logs are in target/stack/up/, and go with the next `up`.
To see the whole thing at work, with the example service: cargo demo
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    match arguments(&mut lexopt::Parser::from_env())? {
        Command::Help => print!("{HELP}"),
        Command::Up(options) => {
            // A Ctrl-C while they start stops them, rather than leave servers that are not ready.
            interrupt::catch()?;
            up(&options)?;
        }
        Command::Down => down()?,
        Command::Status => return status(),
        Command::Build => {
            for path in native::all()? {
                println!("{}", path.display());
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
    Build,
}

fn arguments(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut command = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("scrape") => match command.as_mut() {
                Some(Command::Up(options)) => {
                    let value = parser.value()?;
                    options.scrape = value.parse::<SocketAddr>().map_err(|_| {
                        format!(
                            "`--scrape {}` is no IP address with a port; write --scrape 127.0.0.1:9464",
                            value.display()
                        )
                    })?;
                }
                _ => {
                    return Err(
                        "`--scrape` belongs to `up`: cargo stack up --scrape 127.0.0.1:9464".into(),
                    );
                }
            },
            Value(name) if command.is_none() => {
                command = Some(match name.to_str() {
                    Some("up") => Command::Up(Options::default_ports(NAME)),
                    Some("down") => Command::Down,
                    Some("status") => Command::Status,
                    Some("build") => Command::Build,
                    Some("help") => Command::Help,
                    _ => {
                        return Err(format!(
                            "no command `{}`; see `cargo stack --help`",
                            name.display()
                        )
                        .into());
                    }
                });
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(command.unwrap_or(Command::Help))
}

fn up(options: &Options) -> Result<(), Box<dyn Error>> {
    let state = State::up(options)?;
    for server in &state.servers {
        println!(
            "{:<11} {:<24} log: {}",
            server.name,
            server.url,
            server.log.display()
        );
    }
    println!(
        "OTLP        {} (gRPC), {} (HTTP)",
        state.otlp_grpc_url, state.otlp_http_url
    );
    println!();
    println!(
        "Next: run a service with OTEL_EXPORTER_OTLP_ENDPOINT={} whose /metrics is at",
        state.otlp_grpc_url
    );
    println!("http://{}/metrics, then ask", options.scrape);
    println!("  curl '{}/api/services'", url_of(&state, "jaeger"));
    println!(
        "  curl '{}/api/v1/query?query=up'",
        url_of(&state, "prometheus")
    );
    println!("Stop with `cargo stack down`.");
    Ok(())
}

fn down() -> Result<(), Box<dyn Error>> {
    let stopped = match State::load(NAME)? {
        Some(state) => state.down(NAME)?,
        None => Vec::new(),
    };
    if stopped.is_empty() {
        println!("nothing was running");
    } else {
        println!("stopped {}", stopped.join(", "));
    }
    Ok(())
}

fn status() -> Result<ExitCode, Box<dyn Error>> {
    let Some(state) = State::load(NAME)? else {
        println!("not running; start with `cargo stack up`");
        return Ok(ExitCode::FAILURE);
    };
    let mut code = ExitCode::SUCCESS;
    for server in &state.servers {
        let condition = match server.condition() {
            Condition::Healthy => format!("running    pid {}", server.id.pid),
            Condition::Unhealthy(why) => {
                code = ExitCode::FAILURE;
                format!(
                    "unhealthy  pid {}, {why}, log: {}",
                    server.id.pid,
                    server.log.display()
                )
            }
            Condition::Stopped => {
                code = ExitCode::FAILURE;
                format!("stopped    log: {}", server.log.display())
            }
        };
        println!("{:<11} {:<24} {condition}", server.name, server.url);
    }
    Ok(code)
}

fn url_of<'a>(state: &'a State, name: &str) -> &'a str {
    state
        .servers
        .iter()
        .find(|server| server.name == name)
        .map_or("", |server| &server.url)
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
        let Ok(Command::Up(options)) = parse("up --scrape 127.0.0.1:1234") else {
            panic!("not understood")
        };
        assert_eq!(options.scrape.port(), 1234);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(parse("upp").unwrap_err().to_string().contains("upp"));
        assert!(
            parse("down --scrape 127.0.0.1:1")
                .unwrap_err()
                .to_string()
                .contains("--scrape")
        );
        let nowhere = parse("up --scrape nowhere").unwrap_err().to_string();
        assert!(
            nowhere.contains("nowhere") && nowhere.contains("--scrape 127.0.0.1:9464"),
            "{nowhere}"
        );
    }
}
