//! A stack: its servers start, become ready and stop together.

mod run;

use crate::addresses::{Addresses, Port, url};
use crate::error::{Error, io_error};
use crate::options::Options;
use crate::process::{Process, ProcessError};
use crate::system::System;
use crate::{launch, paths};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// One running server: its process and its health check.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) health: String,
    pub(crate) url: String,
    /// A folder outside of the run folder, removed when the server has ended.
    pub(crate) scratch: Option<PathBuf>,
}

impl Server {
    fn abandon(mut self) {
        self.scratch = None;
        self.process.abandon();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.finish();
        paths::remove_scratch(self.scratch.as_deref());
    }
}

/// The servers of a stack. Dropping them stops them, the last started first, so that an exporter disconnects before its
/// database stops.
#[derive(Debug, Default)]
pub(crate) struct Servers(Vec<Server>);

impl Servers {
    pub(crate) fn push(&mut self, server: Server) {
        self.0.push(server);
    }

    pub(crate) fn all(&self) -> &[Server] {
        &self.0
    }

    fn all_mut(&mut self) -> &mut [Server] {
        &mut self.0
    }

    /// Leaves all of them running without an owner.
    fn abandon(&mut self) {
        self.0.drain(..).for_each(Server::abandon);
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

/// Called after each spawn with all servers so far; an error ends the start.
pub(crate) type OnSpawn<'a> = dyn Fn(&Addresses, &[Server]) -> Result<(), Error> + 'a;

/// A running stack. Dropping it stops the servers, unless they were started detached.
#[derive(Debug)]
pub struct Stack {
    options: Options,
    addresses: Addresses,
    servers: Servers,
    /// Two stacks must not share a run folder.
    _lock: File,
}

impl Stack {
    /// Builds the missing programs (minutes, once), starts the servers and waits until they are ready (a few seconds).
    ///
    /// # Errors
    /// See [`Error`]. No server is left running after an error.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Self::start_observed(options, &|_, _| Ok(()))
    }

    /// Starts the stack and calls `on_spawn` after each spawn.
    pub(crate) fn start_observed(options: &Options, on_spawn: &OnSpawn<'_>) -> Result<Self, Error> {
        let run = run::Run::new(options)?;
        let lock = run.lock()?;
        let (addresses, servers) = run.start(on_spawn)?;
        Ok(Self { options: options.clone(), addresses, servers, _lock: lock })
    }

    /// The folder of this run, with its data, logs and run copies.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        paths::run_dir(&self.options.name)
    }

    /// The address that a server listens on.
    #[must_use]
    pub fn address(&self, port: Port) -> SocketAddr {
        self.addresses.address(port)
    }

    /// The URL of that address.
    #[must_use]
    pub fn url(&self, port: Port) -> String {
        url(self.address(port))
    }

    /// For `DATABASE_URL`: the Postgres of this run, including its password.
    ///
    /// # Errors
    /// If it was not started.
    pub fn database_url(&self) -> Result<String, Error> {
        launch::database_url(self.address(Port::Postgres), &self.folder())
    }

    /// The URL of Jaeger's page and JSON API.
    #[must_use]
    pub fn jaeger_url(&self) -> String {
        self.url(Port::JaegerQuery)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`: the collector, or Jaeger if there is none.
    #[must_use]
    pub fn otlp_grpc_url(&self) -> String {
        self.url(Port::OtlpGrpc)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`: the collector, or Jaeger if there is
    /// none.
    #[must_use]
    pub fn otlp_http_url(&self) -> String {
        self.url(Port::OtlpHttp)
    }

    /// The URL of Prometheus' API.
    #[must_use]
    pub fn prometheus_url(&self) -> String {
        self.url(Port::Prometheus)
    }

    /// Whether all servers still run.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] with the last log lines of a server that has ended.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        self.servers.all_mut().iter_mut().try_for_each(|server| server.process.check())
    }

    /// Kills one server (SIGKILL), as a crash would. It stays part of the stack for [`restart`](Self::restart).
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self, system: System) -> Result<(), Error> {
        self.server(system)?.process.kill().map_err(io_error("kill", Path::new(system.name())))
    }

    /// Restarts a server that has ended, with the same address and data, and waits until it is ready.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn restart(&mut self, system: System) -> Result<(), Error> {
        let server = run::Run::new(&self.options)?.restart(system, &self.addresses)?;
        let old = self.server(system)?;
        // The new server uses the folder.
        old.scratch = None;
        *old = server;
        Ok(())
    }

    fn server(&mut self, system: System) -> Result<&mut Server, Error> {
        self.servers
            .all_mut()
            .iter_mut()
            .find(|server| server.process.name() == system.name())
            .ok_or(Error::NotStarted(system.name()))
    }

    /// Stops the servers, even if they were started detached, and waits for their end.
    pub fn stop(mut self) {
        self.options.detached = false;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.options.detached {
            self.servers.abandon();
        }
        // The remaining servers stop when they are dropped.
    }
}
