//! A stack: its servers start, become ready and stop together.

use crate::addresses::{Addresses, Port, Ports, url};
use crate::inbox::Inbox;
use crate::launch::{self, Launch, Start};
use crate::options::Options;
use crate::paths::{self, cannot};
use crate::process::{self, Output, Process};
use crate::system::System;
use anyhow::{Context as _, Error, Result, bail};
use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the servers may take to become ready. It usually takes a second, on a busy machine much longer.
const READY: Duration = Duration::from_mins(3);

/// How often a start on free ports is repeated when another process takes one of them.
const ATTEMPTS: usize = 4;

/// A running stack. Dropping it stops the servers.
#[derive(Debug)]
pub struct Stack {
    options: Options,
    addresses: Addresses,
    servers: Servers,
    inbox: Inbox,
    /// Two stacks must not share a run folder.
    _lock: File,
}

impl Stack {
    /// Builds the missing programs (minutes, once), starts the servers and waits until they are ready (a few seconds).
    pub fn start(options: &Options) -> Result<Self> {
        if !paths::is_run_name(&options.name) {
            bail!(paths::bad_run_name(&options.name));
        }
        // In the order of their start, whatever the caller's order is.
        let options = &options.clone().with(&options.systems);
        let lock = lock(&options.name)?;
        if options.ports == Ports::Usual {
            ensure_free(options)?;
        }
        // Built before anything is started.
        options.systems.iter().try_for_each(|system| system.program().map(drop))?;
        let inbox = Inbox::start().context("cannot start the inbox for alerts")?;
        let (addresses, servers) = match options.ports {
            Ports::Usual => start_on_usual_ports(options, &inbox)?,
            Ports::Free => start_on_free_ports(options, &inbox)?,
        };
        Ok(Self { options: options.clone(), addresses, servers, inbox, _lock: lock })
    }

    /// The folder of this run, with its data, logs and run copies.
    pub fn folder(&self) -> PathBuf {
        paths::run_dir(&self.options.name)
    }

    /// What Alertmanager has sent.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The address that a server listens on.
    pub fn address(&self, port: Port) -> SocketAddr {
        self.addresses.address(port)
    }

    /// The URL of that address.
    pub fn url(&self, port: Port) -> String {
        url(self.address(port))
    }

    /// For `DATABASE_URL`: the Postgres of this run, including its password.
    pub fn database_url(&self) -> Result<String> {
        launch::database_url(self.address(Port::Postgres), &self.folder())
    }

    /// The URL of Jaeger's page and JSON API.
    pub fn jaeger_url(&self) -> String {
        self.url(Port::JaegerQuery)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`: the collector, or Jaeger if there is none.
    pub fn otlp_grpc_url(&self) -> String {
        self.url(Port::OtlpGrpc)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`: the collector, or Jaeger if there is
    /// none.
    pub fn otlp_http_url(&self) -> String {
        self.url(Port::OtlpHttp)
    }

    /// The URL of Prometheus' API.
    pub fn prometheus_url(&self) -> String {
        self.url(Port::Prometheus)
    }

    /// The process and the URL of each server.
    pub fn servers(&self) -> impl Iterator<Item = (&Process, &str)> {
        self.servers.0.iter().map(|server| (&server.process, server.url.as_str()))
    }

    /// An error, with the last log lines, if a server has ended.
    pub fn check(&mut self) -> Result<()> {
        self.servers.0.iter_mut().try_for_each(|server| server.process.check())
    }

    /// The servers that have ended since the last call, each with its last log lines.
    pub fn newly_ended(&mut self) -> Vec<Error> {
        let running = self.servers.0.iter_mut().filter(|server| !server.reported);
        let ended = running.filter_map(|server| {
            let error = server.process.check().err()?;
            server.reported = true;
            Some(error)
        });
        ended.collect()
    }

    /// Kills one server (SIGKILL), as a crash would; it and its children are gone when this returns. It stays part of
    /// the stack for [`restart`](Self::restart).
    pub fn kill(&mut self, system: System) -> Result<()> {
        self.server(system)?.process.kill().with_context(|| format!("cannot kill {}", system.name()))
    }

    /// Restarts a server that has ended, with the same address and data, and waits until it is ready.
    pub fn restart(&mut self, system: System) -> Result<()> {
        self.server(system)?;
        let mut server = spawn(system, &self.options, &self.addresses, &self.inbox)?;
        server.process.wait_ready(&server.health, Instant::now() + READY)?;
        *self.server(system)? = server;
        Ok(())
    }

    fn server(&mut self, system: System) -> Result<&mut Server> {
        let mut servers = self.servers.0.iter_mut();
        servers
            .find(|server| server.process.name() == system.name())
            .with_context(|| format!("{} was not started with this stack", system.name()))
    }
}

/// One running server: its process and its health check.
#[derive(Debug)]
struct Server {
    process: Process,
    health: String,
    url: String,
    /// Whether its end was reported.
    reported: bool,
}

/// The servers of a stack and its run folder. Dropping them stops them, the last started first, so that an exporter
/// disconnects before its database stops.
#[derive(Debug)]
struct Servers(Vec<Server>, PathBuf);

impl Drop for Servers {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
        // A failure cannot be reported here; the folder is below /tmp.
        let _ = paths::remove_outside(&self.1);
    }
}

/// Locks the run folder for this process. The lock file is beside the folder, which is removed at each start.
fn lock(name: &str) -> Result<File> {
    let path = paths::run_dir(name).with_extension("lock");
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(cannot("create the folder", parent))?;
    }
    let file = File::create(&path).with_context(cannot("open the lock", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another process runs a stack named `{name}`: stop that one, or use free ports: `cargo stack up --free-ports`"
            )
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(cannot("lock", &path)),
    }
}

/// An error if another program listens on one of the usual ports.
fn ensure_free(options: &Options) -> Result<()> {
    let ports = options.systems.iter().flat_map(|system| system.ports(&options.systems));
    if let Some((address, port)) = Addresses::usual().taken(ports) {
        bail!(
            "{address} ({}) is taken: stop the program that listens there (`ss -ltnp 'sport = :{}'` names it), or use free \
             ports: `cargo stack up --free-ports`",
            port.purpose(),
            address.port()
        );
    }
    Ok(())
}

fn start_on_usual_ports(options: &Options, inbox: &Inbox) -> Result<(Addresses, Servers)> {
    let addresses = Addresses::usual().with(Port::Service, options.scraped());
    let servers = start_servers(options, &addresses, inbox)?;
    Ok((addresses, servers))
}

fn start_on_free_ports(options: &Options, inbox: &Inbox) -> Result<(Addresses, Servers)> {
    let mut attempt = 1;
    loop {
        let free = Addresses::free().context("cannot find free ports")?;
        let addresses = free.with(Port::Service, options.scraped());
        match start_servers(options, &addresses, inbox) {
            Err(error) if process::is_port_conflict(&error) && attempt < ATTEMPTS => attempt += 1,
            outcome => return Ok((addresses, outcome?)),
        }
    }
}

/// Starts all servers at the same time and waits until they are ready. A process stops when it is dropped, so no server
/// keeps running after an error.
fn start_servers(options: &Options, addresses: &Addresses, inbox: &Inbox) -> Result<Servers> {
    let folder = paths::run_dir(&options.name);
    paths::remove_run(&folder).with_context(cannot("remove the old run in", &folder))?;
    fs::create_dir_all(&folder).with_context(cannot("create the folder", &folder))?;
    let mut servers = Servers(Vec::new(), folder);
    for system in &options.systems {
        servers.0.push(spawn(*system, options, addresses, inbox)?);
    }
    let deadline = Instant::now() + READY;
    servers.0.iter_mut().try_for_each(|server| server.process.wait_ready(&server.health, deadline))?;
    Ok(servers)
}

fn spawn(system: System, options: &Options, addresses: &Addresses, inbox: &Inbox) -> Result<Server> {
    let folder = paths::run_dir(&options.name);
    let log = folder.join(format!("{}.log", system.name()));
    let start = Start { options, addresses, inbox, folder, program: system.program()? };
    let Launch { command, health, url, stop } = launch::launch(system, &start)?;
    let process = Process::spawn(system.name(), command, &log, Output::Logged)?;
    Ok(Server { process: process.with_stop_signal(stop), health, url, reported: false })
}
