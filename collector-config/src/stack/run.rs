//! One start: the run folder, the processes, the wait until they are ready.

use super::{Server, Servers, Spawned};
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

/// How long the servers may take to be ready. A second is usual; a busy machine gets more.
const READY: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(50);

/// How often a start on free ports is repeated when another process takes one of them.
const ATTEMPTS: usize = 4;

/// One start.
pub(super) struct Run<'a> {
    options: &'a Options,
    programs: Vec<(System, PathBuf)>,
    folder: PathBuf,
}

impl<'a> Run<'a> {
    /// Builds what is missing.
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

    /// Takes the run folder for this process. The lock is beside it, as the folder is removed at each start.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let path = self.folder.with_extension("lock");
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io_error("make the folder", parent))?;
        }
        let file = File::create(&path).map_err(io_error("open the lock", &path))?;
        match file.try_lock() {
            Ok(()) => {
                // Of a detached stack nobody holds the lock, and its folder is not ours to empty.
                record::not_running(&self.options.name)?;
                Ok(file)
            }
            Err(TryLockError::WouldBlock) => Err(Error::NameInUse(self.options.name.clone())),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }

    /// Starts the servers and waits until they are ready. Nothing is left running on an error.
    pub(super) fn start(&self, spawned: &Spawned<'_>) -> Result<(Addresses, Servers), Error> {
        match self.options.ports {
            Ports::Usual => self.start_on_usual_ports(spawned),
            Ports::Free => self.start_on_free_ports(spawned),
        }
    }

    fn start_on_usual_ports(&self, spawned: &Spawned<'_>) -> Result<(Addresses, Servers), Error> {
        let addresses = self.named(Addresses::usual());
        let systems = &self.options.systems;
        let ports = systems.iter().flat_map(|system| system.ports(systems));
        if let Some((address, port)) = addresses.taken(ports.copied()) {
            return Err(Error::PortTaken { address, what: port.what() });
        }
        let servers = self.start_on(&addresses, spawned)?;
        Ok((addresses, servers))
    }

    fn start_on_free_ports(&self, spawned: &Spawned<'_>) -> Result<(Addresses, Servers), Error> {
        let mut attempt = 1;
        loop {
            let addresses = Addresses::free().map_err(io_error("find free ports on", Path::new("127.0.0.1")))?;
            let addresses = self.named(addresses);
            match self.start_on(&addresses, spawned) {
                Err(error) if error.is_port_conflict() && attempt < ATTEMPTS => attempt += 1,
                outcome => return Ok((addresses, outcome?)),
            }
        }
    }

    /// With the places that the options name.
    fn named(&self, addresses: Addresses) -> Addresses {
        let addresses = addresses.with(Port::Service, self.options.scraped());
        match self.options.inbox {
            Some((http, mail)) => addresses.with(Port::Inbox, http).with(Port::InboxMail, mail),
            None => addresses,
        }
    }

    /// All start at the same time. A process stops when it is dropped, so an error on the way leaves nothing running.
    fn start_on(&self, addresses: &Addresses, spawned: &Spawned<'_>) -> Result<Servers, Error> {
        self.empty_folder()?;
        let mut servers = Servers::default();
        for (system, program) in &self.programs {
            servers.push(self.spawn(*system, program, addresses)?);
            spawned(addresses, servers.all())?;
        }
        let deadline = Instant::now() + READY;
        for server in servers.all_mut() {
            wait_ready(server, deadline)?;
        }
        Ok(servers)
    }

    /// One of the systems once more, in the folder as it is.
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
        Ok(Server { process: process.stopping_by(stop), health, url, scratch })
    }

    fn empty_folder(&self) -> Result<(), Error> {
        paths::remove_dir(&self.folder).map_err(io_error("remove the old run", &self.folder))?;
        fs::create_dir_all(&self.folder).map_err(io_error("make the folder", &self.folder))
    }
}

fn wait_ready(server: &mut Server, deadline: Instant) -> Result<(), Error> {
    let http = Http::new(Duration::from_secs(2));
    loop {
        // Asked first: another program on its port could answer for a server that has ended.
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
    fn each_spawn_is_told_at_once_also_when_the_next_one_fails() {
        let options = Options { detached: true, ..Options::free_ports("test_spawned") };
        let run = Run {
            options: &options,
            programs: vec![(System::Node, "sleep".into()), (System::Jaeger, "/nowhere/jaeger".into())],
            folder: paths::run_dir(&options.name),
        };
        let told = Cell::new(0);
        let outcome = run.start(&|_, servers| {
            told.set(servers.len());
            Ok(())
        });
        assert!(matches!(outcome, Err(Error::Process(_))));
        assert_eq!(told.get(), 1);
    }
}
