//! The servers as one thing that starts, is ready, and stops.

mod error;
mod run;

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use error::Error;
pub(crate) use error::io_error;

use crate::{
    addresses::{Addresses, Port, Ports},
    inbox::Inbox,
    paths,
    process::{Process, ProcessError},
    system::{self, System},
};

/// How fast time goes for the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As shipped: scrapes and evaluations every 15 s, waits and windows of minutes.
    Shipped,
    /// For tests and the demo: scrapes and evaluations every second; waits and windows of rules and routes are a
    /// thirtieth, so that 5 min become 10 s.
    Quick,
}

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run folder is `target/stack/<name>/`; letters, digits, `_` and `-`. What an earlier run has left there is
    /// removed.
    pub name: String,
    /// Which systems.
    pub systems: Vec<System>,
    /// The ports of the servers.
    pub ports: Ports,
    /// Whether the servers stay when the [`Stack`] is dropped and when this process ends.
    pub detached: bool,
    /// Where the service's `/metrics` is (or will be); `None`: at its usual port.
    pub scrape: Option<SocketAddr>,
    /// How fast time goes.
    pub pace: Pace,
    /// Where alerts are delivered, over HTTP and over SMTP; `None`: at the ports of `cargo stack alerts`, or at free ones
    /// where nobody listens.
    pub inbox: Option<(SocketAddr, SocketAddr)>,
    /// More variables for the collector; they win over what is set here.
    pub collector: Vec<(String, String)>,
}

impl Options {
    /// As the configuration files say: the usual ports, the shipped times. Jaeger and
    /// Prometheus; ends with its owner.
    #[must_use]
    pub fn usual_ports(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            systems: vec![System::Prometheus, System::Jaeger],
            ports: Ports::Usual,
            detached: false,
            scrape: None,
            pace: Pace::Shipped,
            inbox: None,
            collector: Vec::new(),
        }
    }

    /// For tests: free ports and the quick pace. Jaeger and Prometheus; ends with its owner.
    #[must_use]
    pub fn free_ports(name: impl Into<String>) -> Self {
        Self {
            ports: Ports::Free,
            pace: Pace::Quick,
            ..Self::usual_ports(name)
        }
    }

    /// The same with these systems, whatever their order here.
    #[must_use]
    pub fn with(mut self, systems: &[System]) -> Self {
        self.systems = systems.to_vec();
        self.systems.sort_unstable();
        self.systems.dedup();
        self
    }

    /// The same with the service's `/metrics` at `address`.
    #[must_use]
    pub fn scraping(self, address: SocketAddr) -> Self {
        Self {
            scrape: Some(address),
            ..self
        }
    }

    /// The same with alerts delivered to `inbox`.
    #[must_use]
    pub fn alerting(self, inbox: &Inbox) -> Self {
        Self {
            inbox: Some((inbox.http(), inbox.mail())),
            ..self
        }
    }
}

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
        if let Some(scratch) = &self.scratch {
            // In a folder for what is temporary: the system removes what we cannot.
            let _ = paths::remove_dir(scratch);
        }
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
        Ok(Self {
            options: options.clone(),
            addresses,
            servers,
            _lock: lock,
        })
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
        system::database_url(self.address(Port::Postgres), &self.folder())
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
        self.servers
            .all_mut()
            .iter_mut()
            .try_for_each(|server| server.process.check())
    }

    /// Ends one server at once, as a crash does (SIGKILL); it stays part of the stack for [`restart`](Self::restart).
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self, system: System) -> Result<(), Error> {
        self.server(system)?
            .process
            .kill()
            .map_err(io_error("kill", Path::new(system.name())))
    }

    /// Starts a server again that has ended, on the same address with the same data, and waits until it is ready.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn restart(&mut self, system: System) -> Result<(), Error> {
        self.server(system)?;
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

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
