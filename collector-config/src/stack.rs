//! The servers as one thing that starts, is ready, and stops.

mod error;
mod run;

use std::{fs::File, net::SocketAddr, path::PathBuf, time::Duration};

pub use error::Error;

use crate::{
    addresses::{Addresses, Ports},
    process::{Process, ProcessError},
};

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run folder is `target/stack/<name>/`; letters, digits, `_` and `-`. What an earlier run has left there is
    /// removed.
    pub name: String,
    /// The ports of the servers.
    pub ports: Ports,
    /// Whether the servers stay when the [`Stack`] is dropped and when this process ends.
    pub detached: bool,
    /// Where the service's `/metrics` is (or will be).
    pub scrape: SocketAddr,
    /// How often Prometheus scrapes and evaluates its rules; `None`: as shipped, every 15 s.
    pub scrape_interval: Option<Duration>,
}

impl Options {
    /// As the configuration files say: the usual ports, the service on port 9464, every 15 s. Ends with its owner.
    #[must_use]
    pub fn default_ports(name: impl Into<String>) -> Self {
        let scrape = SocketAddr::from(([127, 0, 0, 1], 9464));
        Self {
            name: name.into(),
            ports: Ports::Default,
            detached: false,
            scrape,
            scrape_interval: None,
        }
    }

    /// For tests: free ports, a scrape every second. Ends with its owner.
    #[must_use]
    pub fn free_ports(name: impl Into<String>) -> Self {
        let interval = Some(Duration::from_secs(1));
        Self {
            ports: Ports::Free,
            scrape_interval: interval,
            ..Self::default_ports(name)
        }
    }

    /// The same with the service's `/metrics` at `address`.
    #[must_use]
    pub fn scraping(self, address: SocketAddr) -> Self {
        Self {
            scrape: address,
            ..self
        }
    }
}

/// One running server: its process and how to ask whether it is well.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) program: PathBuf,
    pub(crate) health: String,
    pub(crate) url: String,
}

/// Told of each spawn; its error ends the start.
pub(crate) type Spawned<'a> = dyn Fn(&Addresses, &[Server]) -> Result<(), Error> + 'a;

/// Jaeger and Prometheus, running and ready. Dropping it stops them, unless they were started detached.
#[derive(Debug)]
pub struct Stack {
    addresses: Addresses,
    servers: Vec<Server>,
    detached: bool,
    /// Held while the servers are ours: two stacks must not share a run folder.
    _lock: File,
}

impl Stack {
    /// Builds what is missing in the cache (minutes, once), starts the servers and waits until they are ready (about
    /// two seconds).
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
            addresses,
            servers,
            detached: options.detached,
            _lock: lock,
        })
    }

    /// Jaeger's page and JSON API.
    #[must_use]
    pub fn jaeger_url(&self) -> String {
        url(self.addresses.jaeger_http)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`.
    #[must_use]
    pub fn otlp_grpc_url(&self) -> String {
        url(self.addresses.otlp_grpc)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`.
    #[must_use]
    pub fn otlp_http_url(&self) -> String {
        url(self.addresses.otlp_http)
    }

    /// Prometheus' API.
    #[must_use]
    pub fn prometheus_url(&self) -> String {
        url(self.addresses.prometheus)
    }

    /// Whether all servers still run.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] with the last log lines of the one that does not.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        self.servers
            .iter_mut()
            .try_for_each(|server| server.process.check())
    }

    /// Stops the servers, detached or not, and waits for their end.
    pub fn stop(mut self) {
        self.detached = false;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.detached {
            self.servers
                .drain(..)
                .for_each(|server| server.process.leave());
        }
        // What is left stops as it is dropped.
    }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
