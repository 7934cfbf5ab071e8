//! The servers as one thing that starts, is ready, and stops.

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

/// One running server: its process and how to ask whether it is well.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) health: String,
    pub(crate) url: String,
    /// A folder outside of the run folder, removed when the server has ended.
    pub(crate) scratch: Option<PathBuf>,
}

impl Server {
    fn leave(mut self) {
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

/// All of them. They stop as they are dropped, the last started first: an exporter lets go of its database before that
/// is to end.
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

    /// Lets all of them run on without an owner.
    fn leave(&mut self) {
        self.0.drain(..).for_each(Server::leave);
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

/// Told of each spawn; its error ends the start.
pub(crate) type Spawned<'a> = dyn Fn(&Addresses, &[Server]) -> Result<(), Error> + 'a;

/// The servers, running and ready. Dropping it stops them, unless they were started detached.
#[derive(Debug)]
pub struct Stack {
    options: Options,
    addresses: Addresses,
    servers: Servers,
    /// Held while the servers are ours: two stacks must not share a run folder.
    _lock: File,
}

impl Stack {
    /// Builds what is missing in the cache (minutes, once), starts the servers and waits until they are ready (a few
    /// seconds).
    ///
    /// # Errors
    /// See [`Error`]. Nothing is left running then.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Self::start_noting(options, &|_, _| Ok(()))
    }

    /// The same, calling `spawned` with all servers so far right after each has been spawned.
    pub(crate) fn start_noting(options: &Options, spawned: &Spawned<'_>) -> Result<Self, Error> {
        let run = run::Run::new(options)?;
        let lock = run.lock()?;
        let (addresses, servers) = run.start(spawned)?;
        Ok(Self { options: options.clone(), addresses, servers, _lock: lock })
    }

    /// The folder of this run, with its data, logs and run copies.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        paths::run_dir(&self.options.name)
    }

    /// Where a server listens.
    #[must_use]
    pub fn address(&self, port: Port) -> SocketAddr {
        self.addresses.of(port)
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self, port: Port) -> String {
        url(self.address(port))
    }

    /// For `DATABASE_URL`: the Postgres of this run, with its password.
    ///
    /// # Errors
    /// If it was not started.
    pub fn database_url(&self) -> Result<String, Error> {
        launch::database_url(self.address(Port::Postgres), &self.folder())
    }

    /// Jaeger's page and JSON API.
    #[must_use]
    pub fn jaeger_url(&self) -> String {
        self.url(Port::JaegerQuery)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`: the collector, or Jaeger where there is none.
    #[must_use]
    pub fn otlp_grpc_url(&self) -> String {
        self.url(Port::OtlpGrpc)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`, likewise.
    #[must_use]
    pub fn otlp_http_url(&self) -> String {
        self.url(Port::OtlpHttp)
    }

    /// Prometheus' API.
    #[must_use]
    pub fn prometheus_url(&self) -> String {
        self.url(Port::Prometheus)
    }

    /// Whether all servers still run.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] with the last log lines of the one that does not.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        self.servers.all_mut().iter_mut().try_for_each(|server| server.process.check())
    }

    /// Ends one server at once, as a crash does (SIGKILL); it stays part of the stack for [`restart`](Self::restart).
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self, system: System) -> Result<(), Error> {
        self.server(system)?.process.kill().map_err(io_error("kill", Path::new(system.name())))
    }

    /// Starts a server again that has ended, on the same address with the same data, and waits until it is ready.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn restart(&mut self, system: System) -> Result<(), Error> {
        let server = run::Run::new(&self.options)?.restart(system, &self.addresses)?;
        let old = self.server(system)?;
        // The new one has its folder.
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

    /// Stops the servers, detached or not, and waits for their end.
    pub fn stop(mut self) {
        self.options.detached = false;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.options.detached {
            self.servers.leave();
        }
        // What is left stops as it is dropped.
    }
}
