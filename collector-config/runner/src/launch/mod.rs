//! How each system is started.

mod alertmanager;
mod blackbox;
mod collector;
mod jaeger;
mod loki;
mod node;
mod postgres;
mod prometheus;
mod redis;
mod victorialogs;
mod vmalert;

use crate::addresses::{Addresses, Port};
use crate::inbox::Inbox;
use crate::options::Options;
use crate::paths::{self, cannot};
use crate::process;
use crate::system::System;
use anyhow::{Context as _, Result};
pub use collector::variables as collector_variables;
pub use jaeger::variables as jaeger_variables;
use rustix::process::Signal;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How to start a system, and how to check its health.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) command: Command,
    /// The health check: `http://…` must answer 200, `tcp://…` must accept a connection.
    pub(crate) health: String,
    /// The address for users.
    pub(crate) url: String,
    pub(crate) stop: Signal,
}

impl Launch {
    /// A server that SIGTERM stops, as most do.
    pub(crate) fn new(command: Command, health: String, url: String) -> Self {
        Self { command, health, url, stop: Signal::TERM }
    }
}

/// The parameters of one start.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) options: &'a Options,
    pub(crate) addresses: &'a Addresses,
    /// Where alerts are delivered.
    pub(crate) inbox: &'a Inbox,
    /// The run folder.
    pub(crate) folder: PathBuf,
    /// The program of the system.
    pub(crate) program: PathBuf,
}

/// Prepares the files of a system and returns its command.
pub(crate) fn launch(system: System, start: &Start<'_>) -> Result<Launch> {
    match system {
        System::Postgres => postgres::server(start),
        System::PostgresExporter => postgres::exporter(start),
        System::Redis => redis::server(start),
        System::RedisExporter => Ok(redis::exporter(start)),
        System::Alertmanager => alertmanager::launch(start),
        System::Prometheus => prometheus::launch(start),
        System::Jaeger => Ok(jaeger::launch(start)),
        System::VictoriaLogs => victorialogs::launch(start),
        System::Vmalert => vmalert::launch(start),
        System::Loki => loki::launch(start),
        System::Collector => Ok(collector::launch(start)),
        System::Node => Ok(node::launch(start)),
        System::Blackbox => Ok(blackbox::launch(start)),
    }
}

/// The address of each port, by the name of its variable.
fn address_variables<const N: usize>(
    addresses: &Addresses,
    ports: [(&'static str, Port); N],
) -> [(&'static str, String); N] {
    ports.map(|(name, port)| (name, addresses.address(port).to_string()))
}

/// The lines `NAME=value` or `NAME='value'` of a shipped file, relative to the folder of the configuration.
fn environment(file: &str) -> Result<Vec<(String, String)>> {
    let path = paths::config_dir().join(file);
    let text = fs::read_to_string(&path).with_context(cannot("read", &path))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.into(), value.trim_matches('\'').into())).collect())
}

/// For `DATABASE_URL`: the Postgres of the run in `folder`, including its password.
pub(crate) fn database_url(address: SocketAddr, folder: &Path) -> Result<String> {
    postgres::connection(address, folder)
}

impl Start<'_> {
    /// A command for the program. Of the user's environment it inherits only what a program needs to run: neither
    /// credentials nor settings that would change its behaviour.
    pub(crate) fn command(&self) -> Command {
        let mut command = process::command(&self.program, Signal::TERM);
        process::clean_environment(&mut command);
        command
    }

    pub(crate) fn address(&self, port: Port) -> SocketAddr {
        self.addresses.address(port)
    }

    pub(crate) fn has(&self, system: System) -> bool {
        self.options.systems.contains(&system)
    }
}
