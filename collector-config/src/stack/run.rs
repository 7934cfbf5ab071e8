//! One start: the run folder, the processes, the wait until they are ready.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Error, Options, Server, Spawned, error::io_error, url};
use crate::{
    addresses::{Addresses, Ports},
    interrupt, native, paths,
    process::{self, Lifetime, Output, Process},
    query::Http,
    run_config::{self, Changes},
};

/// How long the servers may take to be ready. A second is usual; a busy machine gets more.
const READY: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// How often a start on free ports is repeated when another process takes one of them.
const ATTEMPTS: usize = 4;

/// One start.
pub(super) struct Run<'a> {
    options: &'a Options,
    jaeger: PathBuf,
    prometheus: PathBuf,
    folder: PathBuf,
}

impl<'a> Run<'a> {
    /// Builds what is missing.
    pub(super) fn new(options: &'a Options) -> Result<Self, Error> {
        if !paths::is_run_name(&options.name) {
            return Err(Error::BadName(options.name.clone()));
        }
        let folder = paths::run_dir(&options.name);
        Ok(Self {
            options,
            jaeger: native::jaeger()?,
            prometheus: native::prometheus()?,
            folder,
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
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::NameInUse(self.options.name.clone())),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }

    /// Starts the servers and waits until they are ready. Nothing is left running on an error.
    pub(super) fn start(&self, spawned: &Spawned<'_>) -> Result<(Addresses, Vec<Server>), Error> {
        match self.options.ports {
            Ports::Default => self.start_on_usual_ports(spawned),
            Ports::Free => self.start_on_free_ports(spawned),
        }
    }

    fn start_on_usual_ports(
        &self,
        spawned: &Spawned<'_>,
    ) -> Result<(Addresses, Vec<Server>), Error> {
        let addresses = Addresses::usual();
        if let Some((address, what)) = addresses.taken() {
            return Err(Error::PortTaken { address, what });
        }
        let servers = self.start_on(&addresses, spawned)?;
        Ok((addresses, servers))
    }

    fn start_on_free_ports(
        &self,
        spawned: &Spawned<'_>,
    ) -> Result<(Addresses, Vec<Server>), Error> {
        let mut attempt = 1;
        loop {
            let addresses = Addresses::free()
                .map_err(io_error("find free ports on", Path::new("127.0.0.1")))?;
            match self.start_on(&addresses, spawned) {
                Err(error) if error.is_port_conflict() && attempt < ATTEMPTS => attempt += 1,
                outcome => return Ok((addresses, outcome?)),
            }
        }
    }

    /// Both start at the same time. A process stops when it is dropped, so an error on the way leaves nothing running.
    fn start_on(&self, addresses: &Addresses, spawned: &Spawned<'_>) -> Result<Vec<Server>, Error> {
        self.empty_folder()?;
        let mut servers = vec![self.start_jaeger(addresses)?];
        spawned(addresses, &servers)?;
        servers.push(self.start_prometheus(addresses)?);
        spawned(addresses, &servers)?;
        let deadline = Instant::now() + READY;
        for server in &mut servers {
            wait_ready(server, deadline)?;
        }
        Ok(servers)
    }

    fn empty_folder(&self) -> Result<(), Error> {
        paths::remove_dir(&self.folder).map_err(io_error("remove the old run", &self.folder))?;
        fs::create_dir_all(&self.folder).map_err(io_error("make the folder", &self.folder))
    }

    fn start_jaeger(&self, addresses: &Addresses) -> Result<Server, Error> {
        let config = paths::config_dir().join("jaeger/config.yaml");
        let mut command = process::command(&self.jaeger, self.lifetime());
        command
            .arg(argument("--config=", &config))
            .env("JAEGER_OTLP_GRPC", addresses.otlp_grpc.to_string())
            .env("JAEGER_OTLP_HTTP", addresses.otlp_http.to_string())
            .env("JAEGER_QUERY_HTTP", addresses.jaeger_http.to_string())
            .env("JAEGER_QUERY_GRPC", addresses.jaeger_grpc.to_string())
            .env("JAEGER_HEALTH", addresses.jaeger_health.to_string())
            .env(
                "JAEGER_METRICS_HOST",
                addresses.jaeger_metrics.ip().to_string(),
            )
            .env(
                "JAEGER_METRICS_PORT",
                addresses.jaeger_metrics.port().to_string(),
            );
        let process = Process::spawn(
            "jaeger",
            command,
            &self.folder.join("jaeger.log"),
            Output::Logged,
        )?;
        let health = format!("{}/status", url(addresses.jaeger_health));
        Ok(Server {
            process,
            program: self.jaeger.clone(),
            health,
            url: url(addresses.jaeger_http),
        })
    }

    fn start_prometheus(&self, addresses: &Addresses) -> Result<Server, Error> {
        let config = self.prometheus_config(addresses)?;
        let mut command = process::command(&self.prometheus, self.lifetime());
        command
            .arg(argument("--config.file=", &config))
            .arg(argument(
                "--storage.tsdb.path=",
                &self.folder.join("prometheus"),
            ))
            .arg(format!("--web.listen-address={}", addresses.prometheus))
            .args(["--enable-feature=exemplar-storage", "--log.level=warn"]);
        if self.options.scrape_interval.is_some() {
            // It looks for new targets every 5 s only, also at its start: too long for who scrapes every second.
            command.arg("--scrape.discovery-reload-interval=1s");
        }
        let process = Process::spawn(
            "prometheus",
            command,
            &self.folder.join("prometheus.log"),
            Output::Logged,
        )?;
        let url = url(addresses.prometheus);
        Ok(Server {
            process,
            program: self.prometheus.clone(),
            health: format!("{url}/-/ready"),
            url,
        })
    }

    /// The run copy is made always, on the usual ports too: what tests use is what users start.
    fn prometheus_config(&self, addresses: &Addresses) -> Result<PathBuf, Error> {
        let folder = paths::config_dir().join("prometheus");
        let shipped = folder.join("prometheus.yml");
        let text = fs::read_to_string(&shipped).map_err(io_error("read", &shipped))?;
        let copy = run_config::prometheus(
            &text,
            &Changes {
                scrape: self.options.scrape,
                jaeger_metrics: addresses.jaeger_metrics,
                prometheus: addresses.prometheus,
                interval: self.options.scrape_interval,
                rules: &folder.join("rules"),
            },
        )?;
        let path = self.folder.join("prometheus.yml");
        fs::write(&path, copy).map_err(io_error("write", &path))?;
        Ok(path)
    }

    fn lifetime(&self) -> Lifetime {
        if self.options.detached {
            Lifetime::Detached
        } else {
            Lifetime::Scoped
        }
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

/// `--flag=path` for any path, also one that is not UTF-8.
fn argument(flag: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push(path);
    argument
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn each_spawn_is_told_at_once_also_when_the_next_one_fails() {
        let options = Options {
            detached: true,
            ..Options::free_ports("test_spawned")
        };
        let run = Run {
            options: &options,
            jaeger: "sleep".into(),
            prometheus: "/nowhere/prometheus".into(),
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
