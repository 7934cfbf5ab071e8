//! An example service, such as the wallet service, as a child process.

use crate::addresses::{free_address, url};
use crate::paths::{self, cannot};
use crate::process::{self, Output, Process};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use std::collections::VecDeque;
use std::env;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the service may take to become healthy.
const READY: Duration = Duration::from_mins(3);

/// How long it may take to stop: 10 s for requests in flight, 5 s for telemetry, and a margin.
const STOP: Duration = Duration::from_secs(20);
const ATTEMPTS: usize = 4;

/// The default database.
const IN_MEMORY: &str = "sqlite::memory:";

/// How many log lines are kept in memory; the file contains all of them.
const KEPT_LINES: usize = 100_000;

/// How the service exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    #[default]
    Grpc,
    /// OTLP over HTTP, protobuf.
    HttpProtobuf,
}

impl Protocol {
    /// The value of `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

/// How to run the service.
#[derive(Clone, Debug, Default)]
pub struct ServiceOptions {
    /// Its output goes to `target/stack/<name>/`; letters, digits, `_` and `-`. It may be the name of a
    /// [`Stack`](crate::Stack), which must be started first, as it empties the folder.
    pub name: String,
    /// Where spans are sent; `None`: nowhere (`OTEL_TRACES_EXPORTER=none`). Log lines go to standard output in either
    /// case.
    pub otlp_endpoint: Option<String>,
    /// The protocol for spans.
    pub protocol: Protocol,
    /// `DATABASE_URL`; `None`: an in-memory database.
    pub database_url: Option<String>,
    /// The address of its API; `None`: a free port.
    pub listen: Option<SocketAddr>,
    /// The address of its `/metrics`; `None`: a free port. If Prometheus must know it before the start, choose one with
    /// [`free_address`].
    pub metrics: Option<SocketAddr>,
    /// More environment variables; they override all of the above. Of the user's environment the service inherits only
    /// `PATH`, `HOME` and the like.
    pub env: Vec<(String, String)>,
    /// Whether log lines are appended to the file of an earlier service of this name; otherwise the file is truncated.
    pub continued_log: bool,
    /// The binary; `None`: built by [`Service::build`].
    pub program: Option<PathBuf>,
}

/// The running service. Dropping it stops it like [`Service::stop`], without returning the status.
#[derive(Debug)]
pub struct Service {
    process: Process,
    address: SocketAddr,
    metrics: SocketAddr,
    stdout: PathBuf,
    lines: Lines,
    reader: Option<JoinHandle<()>>,
}

impl Service {
    /// Builds the wallet service with the Cargo that runs this process (`CARGO`) and returns the path of its binary.
    /// Compiler errors go to standard error.
    ///
    /// # Errors
    /// Cargo could not build it.
    pub fn build() -> Result<PathBuf> {
        Self::build_example("wallet_service")
    }

    /// Builds another example that is a service: it must listen at `LISTEN` and answer `GET /health`.
    ///
    /// # Errors
    /// Cargo could not build it.
    pub fn build_example(name: &str) -> Result<PathBuf> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["build", "--locked", "-p", "examples", "--bin", name, "--message-format=json-render-diagnostics"])
            .current_dir(paths::workspace())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            // A relative one is relative to the current folder, not to the workspace.
            command.env("CARGO_TARGET_DIR", paths::target_dir());
        }
        let failed = || format!("`cargo build -p examples --bin {name}` failed; see its output above");
        let mut cargo = command.stdout(Stdio::piped()).spawn().with_context(failed)?;
        // On a thread of its own, so that a full pipe does not block Cargo.
        let messages = cargo.stdout.take().map(|stdout| thread::spawn(|| io::read_to_string(stdout)));
        let status = process::wait(&mut cargo, None).with_context(failed)?;
        ensure!(status.success(), "{} ({status})", failed());
        let messages = messages.and_then(|reader| reader.join().ok()?.ok());
        executable(&messages.unwrap_or_default(), name).context("cargo reported no executable").with_context(failed)
    }

    /// Starts the service and waits until `GET /health` answers 200.
    pub fn start(options: &ServiceOptions) -> Result<Self> {
        if !paths::is_run_name(&options.name) {
            bail!(paths::bad_run_name(&options.name));
        }
        let program = options.program.clone().map_or_else(Self::build, Ok)?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&program, options) {
                // Another process took a free port first. If the caller has chosen both ports, it is an error.
                Err(error)
                    if process::is_port_conflict(&error)
                        && attempt < ATTEMPTS
                        && (options.listen.is_none() || options.metrics.is_none()) =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// The URL of its API.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// The URL of its `/metrics`.
    pub fn metrics_url(&self) -> String {
        format!("{}/metrics", url(self.metrics))
    }

    /// The address of its API.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its `/metrics`, for [`Options::scraping`](crate::Options::scraping).
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// The JSON log lines so far (the last 100,000).
    pub fn log_lines(&self) -> Vec<String> {
        lock(&self.lines).iter().cloned().collect()
    }

    /// The file with all log lines.
    pub fn log_file(&self) -> &Path {
        &self.stdout
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// An error, with the last lines of its log, if it no longer runs.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// Stops it (SIGTERM) and waits for its end; after 20 s it is killed, which the status shows. After that, all its
    /// log lines are in [`log_file`](Self::log_file).
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        let status = self.process.stop(STOP)?;
        if let Some(reader) = self.reader.take() {
            // The thread ends with the pipe; if it has panicked, lines are missing, but the status is correct.
            let _ = reader.join();
        }
        Ok(status)
    }

    fn start_once(program: &Path, options: &ServiceOptions) -> Result<Self> {
        let free = |chosen: Option<SocketAddr>| {
            chosen.map_or_else(free_address, Ok).with_context(|| "cannot find a free port")
        };
        let (address, metrics) = (free(options.listen)?, free(options.metrics)?);
        let folder = paths::run_dir(&options.name);
        let stdout = folder.join("wallet_service.jsonl");

        let mut command = process::command(program, Signal::TERM);
        process::clean_environment(&mut command);
        configure(&mut command, options, address, metrics);
        let log = folder.join("wallet_service.stderr.log");
        let mut process = Process::spawn("wallet_service", command, &log, Output::Piped)?;
        let lines = Lines::default();
        let reader = match process.take_stdout() {
            Some(pipe) => {
                let mut file = File::options();
                let file = if options.continued_log { file.append(true) } else { file.write(true).truncate(true) };
                let file = file.create(true).open(&stdout).with_context(cannot("write", &stdout))?;
                let lines = Arc::clone(&lines);
                Some(thread::spawn(move || collect(pipe, file, &lines)))
            }
            None => None,
        };
        let mut service = Self { process, address, metrics, stdout, lines, reader };
        service.wait_ready()?;
        Ok(service)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let health = format!("{}/health", self.url());
        self.process.wait_ready(&health, Instant::now() + READY).map_err(|error| {
            if self.process.check().is_err() {
                // Its last lines may still be in the pipe.
                self.reader.take().map(JoinHandle::join);
            }
            error.context(format!("the end of {}:\n{}", self.stdout.display(), process::tail(&self.stdout)))
        })
    }
}

type Lines = Arc<Mutex<VecDeque<String>>>;

fn configure(command: &mut Command, options: &ServiceOptions, address: SocketAddr, metrics: SocketAddr) {
    let database = options.database_url.as_deref().unwrap_or(IN_MEMORY);
    command
        .env("LISTEN", address.to_string())
        .env("DATABASE_URL", database)
        .env("OTEL_EXPORTER_PROMETHEUS_HOST", metrics.ip().to_string())
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", metrics.port().to_string());
    match &options.otlp_endpoint {
        Some(endpoint) => command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", options.protocol.as_str()),
        None => command.env("OTEL_TRACES_EXPORTER", "none"),
    };
    command.envs(options.env.iter().map(|(name, value)| (name, value)));
}

/// Reads the pipe to its end: otherwise the service blocks on its own log.
fn collect(pipe: ChildStdout, mut file: File, lines: &Lines) {
    let mut pipe = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while pipe.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
        // A full disk must not end the loop; the lines are still kept in memory.
        let _ = file.write_all(&bytes);
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let mut lines = lock(lines);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        bytes.clear();
    }
}

fn lock(lines: &Lines) -> MutexGuard<'_, VecDeque<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path of the binary in the messages of Cargo, correct for every target folder, profile and platform.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;

    /// A shell script in place of the service. It cannot serve HTTP, so a test that needs `/health` answers for it.
    fn stub(name: &str, script: &str) -> ServiceOptions {
        let name = format!("service_stub_{name}");
        let folder = paths::run_dir(&name);
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("stub.sh");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        ServiceOptions { name, program: Some(program), ..ServiceOptions::default() }
    }

    fn answer_everything_with_200() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = io::Read::read(&mut stream, &mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        address
    }

    #[test]
    fn the_service_gets_its_environment_and_stops_on_sigterm_with_all_its_lines() {
        let options = ServiceOptions {
            listen: Some(answer_everything_with_200()),
            otlp_endpoint: Some("http://127.0.0.1:1".into()),
            protocol: Protocol::HttpProtobuf,
            env: vec![("EXTRA".into(), "more".into())],
            ..stub(
                "env",
                "trap 'echo bye; exit 7' TERM
                 echo $LISTEN $OTEL_EXPORTER_OTLP_ENDPOINT $OTEL_EXPORTER_OTLP_PROTOCOL $EXTRA
                 echo metrics $OTEL_EXPORTER_PROMETHEUS_HOST:$OTEL_EXPORTER_PROMETHEUS_PORT
                 while true; do sleep 0.05; done",
            )
        };
        let service = Service::start(&options).unwrap();
        while service.log_lines().len() < 2 {
            thread::yield_now();
        }
        let address = service.address;
        assert_eq!(
            service.log_lines(),
            [
                format!("{address} http://127.0.0.1:1 http/protobuf more"),
                format!("metrics {}", service.metrics_address()),
            ]
        );
        let file = service.log_file().to_path_buf();
        assert_eq!(service.stop().unwrap().code(), Some(7));
        assert!(fs::read_to_string(file).unwrap().ends_with("bye\n"));
    }

    #[test]
    fn the_environment_of_the_user_does_not_configure_the_service() {
        let hostile = [
            "DATABASE_URL",
            "LISTEN",
            "RUST_LOG",
            "OTEL_SDK_DISABLED",
            "OTEL_TRACES_SAMPLER",
            "IRONCORE_X",
            "CHAIN_SEED",
            "HTTPS_PROXY",
            "http_proxy",
            "TZ",
        ];
        let caller = hostile.map(|name| (name.into(), "theirs".into()));
        let mut command = Command::new("/usr/bin/env");
        let address = SocketAddr::from(([127, 0, 0, 1], 7));
        process::inherit(&mut command, caller);
        configure(&mut command, &ServiceOptions::default(), address, address);
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let mut seen: Vec<_> = output.lines().collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            [
                "DATABASE_URL=sqlite::memory:",
                "LISTEN=127.0.0.1:7",
                "OTEL_EXPORTER_PROMETHEUS_HOST=127.0.0.1",
                "OTEL_EXPORTER_PROMETHEUS_PORT=7",
                "OTEL_TRACES_EXPORTER=none",
                "TZ=theirs",
            ]
        );
    }

    #[test]
    fn an_early_end_shows_the_last_lines_of_both_outputs() {
        let options = stub("early", "echo '{\"message\":\"no database\"}'; echo panicked >&2; exit 1");
        let text = format!("{:#}", Service::start(&options).unwrap_err());
        assert!(text.contains("no database") && text.contains("panicked"), "{text}");
    }

    #[test]
    fn the_path_of_the_binary_is_read_from_the_messages_of_cargo() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"wallet_service"},"executable":"/t/debug/wallet_service"}
{"reason":"build-finished","success":true}"#;
        let found = executable(messages, "wallet_service");
        assert_eq!(found, Some("/t/debug/wallet_service".into()));
        assert_eq!(executable("{}", "wallet_service"), None);
    }

    #[test]
    fn a_name_that_is_not_a_folder_name_is_refused() {
        let options = ServiceOptions { name: "../x".into(), ..ServiceOptions::default() };
        assert!(Service::start(&options).unwrap_err().to_string().contains("`../x`"));
    }
}
