//! The start of a stack: the run folder, the processes, the wait until they are ready.

use super::{OnSpawn, Server, Servers};
use crate::addresses::{Addresses, Port, Ports};
use crate::error::{Error, io_error};
use crate::launch::{self, Launch, Start};
use crate::options::Options;
use crate::process::{self, Output, Process};
use crate::query::Http;
use crate::system::System;
use crate::{interrupt, paths, record};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long the servers may take to become ready. It usually takes a second, on a busy machine much longer.
const READY: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(50);

/// How often a start on free ports is repeated when another process takes one of them.
const ATTEMPTS: usize = 4;

/// The start of a stack.
pub(super) struct Run<'a> {
    options: &'a Options,
    programs: Vec<(System, PathBuf)>,
    folder: PathBuf,
}

impl<'a> Run<'a> {
    /// Builds the missing programs.
    pub(super) fn new(options: &'a Options) -> Result<Self, Error> {
        if !paths::is_run_name(&options.name) {
            return Err(Error::BadName(options.name.clone()));
        }
        let program = |system: &System| Ok((*system, system.program()?));
        Ok(Self {
            options,
            programs: options.systems.iter().map(program).collect::<Result<_, Error>>()?,
            folder: paths::run_dir(&options.name),
        })
    }

    /// Locks the run folder for this process. The lock file is beside the folder, which is removed at each start.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let path = self.folder.with_extension("lock");
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io_error("create the folder", parent))?;
        }
        let file = File::create(&path).map_err(io_error("open the lock", &path))?;
        match file.try_lock() {
            Ok(()) => {
                // A detached stack does not hold the lock, but its folder must not be emptied either.
                record::ensure_not_running(&self.options.name)?;
                Ok(file)
            }
            Err(TryLockError::WouldBlock) => Err(Error::NameInUse(self.options.name.clone())),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }

    /// Starts the servers and waits until they are ready. No server is left running after an error.
    pub(super) fn start(&self, on_spawn: &OnSpawn<'_>) -> Result<(Addresses, Servers), Error> {
        match self.options.ports {
            Ports::Usual => self.start_on_usual_ports(on_spawn),
            Ports::Free => self.start_on_free_ports(on_spawn),
        }
    }

    fn start_on_usual_ports(&self, on_spawn: &OnSpawn<'_>) -> Result<(Addresses, Servers), Error> {
        let addresses = self.with_options(Addresses::usual());
        let systems = &self.options.systems;
        let ports = systems.iter().flat_map(|system| system.ports(systems));
        if let Some((address, port)) = addresses.taken(ports.copied()) {
            return Err(Error::PortTaken { address, purpose: port.purpose() });
        }
        let servers = self.start_on(&addresses, on_spawn)?;
        Ok((addresses, servers))
    }

    fn start_on_free_ports(&self, on_spawn: &OnSpawn<'_>) -> Result<(Addresses, Servers), Error> {
        let mut attempt = 1;
        loop {
            let addresses = Addresses::free().map_err(io_error("find free ports on", Path::new("127.0.0.1")))?;
            let addresses = self.with_options(addresses);
            match self.start_on(&addresses, on_spawn) {
                Err(error) if error.is_port_conflict() && attempt < ATTEMPTS => attempt += 1,
                outcome => return Ok((addresses, outcome?)),
            }
        }
    }

    /// Sets the addresses that the options name.
    fn with_options(&self, addresses: Addresses) -> Addresses {
        let addresses = addresses.with(Port::Service, self.options.scraped());
        match self.options.inbox {
            Some((http, mail)) => addresses.with(Port::Inbox, http).with(Port::InboxMail, mail),
            None => addresses,
        }
    }

    /// Starts all servers at the same time. A process stops when it is dropped, so no server keeps running after an
    /// error.
    fn start_on(&self, addresses: &Addresses, on_spawn: &OnSpawn<'_>) -> Result<Servers, Error> {
        self.empty_folder()?;
        let mut servers = Servers::default();
        for (system, program) in &self.programs {
            servers.push(self.spawn(*system, program, addresses)?);
            on_spawn(addresses, servers.all())?;
        }
        let deadline = Instant::now() + READY;
        for server in servers.all_mut() {
            wait_ready(server, deadline)?;
        }
        Ok(servers)
    }

    /// Starts one system again, in the existing folder.
    pub(super) fn restart(&self, system: System, addresses: &Addresses) -> Result<Server, Error> {
        let (_, program) =
            self.programs.iter().find(|(started, _)| *started == system).ok_or(Error::NotStarted(system.name()))?;
        let mut server = self.spawn(system, program, addresses)?;
        wait_ready(&mut server, Instant::now() + READY)?;
        Ok(server)
    }

    fn spawn(&self, system: System, program: &Path, addresses: &Addresses) -> Result<Server, Error> {
        let Launch { command, health, url, stop, scratch } = launch::launch(
            system,
            &Start { options: self.options, addresses, folder: self.folder.clone(), program: program.to_path_buf() },
        )?;
        let log = self.folder.join(format!("{}.log", system.name()));
        let process = Process::spawn(system.name(), command, &log, Output::Logged)?;
        Ok(Server { process: process.with_stop_signal(stop), health, url, scratch })
    }

    fn empty_folder(&self) -> Result<(), Error> {
        paths::remove_dir(&self.folder).map_err(io_error("remove the old run in", &self.folder))?;
        fs::create_dir_all(&self.folder).map_err(io_error("create the folder", &self.folder))
    }
}

fn wait_ready(server: &mut Server, deadline: Instant) -> Result<(), Error> {
    let http = Http::new(Duration::from_secs(2));
    loop {
        // Checked first: if the server has ended, another program on its port might answer.
        server.process.check()?;
        let Err(last) = http.health(&server.health) else {
            return Ok(());
        };
        if interrupt::requested() {
            return Err(Error::Interrupted);
        }
        if Instant::now() >= deadline {
            return Err(Error::NotReady {
                name: server.process.name().into(),
                waited: READY,
                last,
                log: server.process.log().into(),
                tail: process::tail(server.process.log()),
            });
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn each_spawn_is_reported_before_the_next_one_even_if_that_fails() {
        let options = Options { detached: true, ..Options::free_ports("test_spawned") };
        let run = Run {
            options: &options,
            programs: vec![(System::Node, "sleep".into()), (System::Jaeger, "/nowhere/jaeger".into())],
            folder: paths::run_dir(&options.name),
        };
        let reported = Cell::new(0);
        let outcome = run.start(&|_, servers| {
            reported.set(servers.len());
            Ok(())
        });
        assert!(matches!(outcome, Err(Error::Process(_))));
        assert_eq!(reported.get(), 1);
    }
}
