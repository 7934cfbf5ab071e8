//! The servers as one thing that starts, is ready, and stops.

use std::{
    fs::{self, File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{
    addresses::{Addresses, Ports},
    native::{self, BuildError},
    paths,
    process::{self, Lifetime, Output, Process, ProcessError},
    query::Http,
    run_config::{self, Changes, NoSuchText},
};

/// How long the servers may take to be ready. Two seconds is usual; a busy machine gets more.
const READY: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// How often a start on free ports is repeated when another process takes one of them.
const ATTEMPTS: usize = 4;

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

/// Why the servers could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A binary is missing and could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A server could not be started or ended early.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run name is not one.
    #[error("`{0}` cannot name a run folder: use letters, digits, `_` and `-`")]
    BadName(String),
    /// Another process uses the run folder.
    #[error("another process runs a stack named `{0}`: choose another name or end that one")]
    NameInUse(String),
    /// A usual port is not free.
    #[error(
        "{address} ({what}) is taken: end the program that listens there (`ss -ltnp 'sport = :{port}'` names it), \
         run `cargo stack down` if it is an earlier stack, or use free ports",
        port = address.port()
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// What we want it for.
        what: &'static str,
    },
    /// A server runs but does not become healthy.
    #[error("{name} is not ready after {} s ({last}); the end of {}:\n{tail}", waited.as_secs(), log.display())]
    NotReady {
        /// The server.
        name: String,
        /// How long it was given.
        waited: Duration,
        /// What its health check said last.
        last: String,
        /// Its output.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// `prometheus.yml` and the code that adapts it have drifted apart.
    #[error(transparent)]
    RunConfig(#[from] NoSuchText),
    /// A file or folder of the run.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    fn is_port_conflict(&self) -> bool {
        matches!(self, Self::Process(error) if error.is_port_conflict())
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
        if !paths::is_run_name(&options.name) {
            return Err(Error::BadName(options.name.clone()));
        }
        let run = Run {
            options,
            jaeger: native::jaeger()?,
            prometheus: native::prometheus()?,
            folder: paths::run_dir(&options.name),
        };
        let lock = run.lock()?;
        let (addresses, servers) = match options.ports {
            Ports::Default => run.start_on_usual_ports(),
            Ports::Free => run.start_on_free_ports(),
        }?;
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

    pub(crate) fn servers(&self) -> &[Server] {
        &self.servers
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

/// One start.
struct Run<'a> {
    options: &'a Options,
    jaeger: PathBuf,
    prometheus: PathBuf,
    folder: PathBuf,
}

impl Run<'_> {
    /// Beside the run folder, which is removed at each start.
    fn lock(&self) -> Result<File, Error> {
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

    fn start_on_usual_ports(&self) -> Result<(Addresses, Vec<Server>), Error> {
        let addresses = Addresses::usual();
        if let Some((address, what)) = addresses.taken() {
            return Err(Error::PortTaken { address, what });
        }
        let servers = self.start(&addresses)?;
        Ok((addresses, servers))
    }

    fn start_on_free_ports(&self) -> Result<(Addresses, Vec<Server>), Error> {
        let mut attempt = 1;
        loop {
            let addresses = Addresses::free()
                .map_err(io_error("find free ports on", Path::new("127.0.0.1")))?;
            match self.start(&addresses) {
                Err(error) if error.is_port_conflict() && attempt < ATTEMPTS => attempt += 1,
                outcome => return Ok((addresses, outcome?)),
            }
        }
    }

    /// Both start at the same time. A process stops when it is dropped, so an error on the way leaves nothing running.
    fn start(&self, addresses: &Addresses) -> Result<Vec<Server>, Error> {
        self.empty_folder()?;
        let mut servers = vec![
            self.start_jaeger(addresses)?,
            self.start_prometheus(addresses)?,
        ];
        let deadline = Instant::now() + READY;
        for server in &mut servers {
            wait_ready(server, deadline)?;
        }
        Ok(servers)
    }

    fn empty_folder(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove the old run", &self.folder)(source));
            }
            _ => {}
        }
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
            .args([
                "--web.enable-lifecycle",
                "--enable-feature=exemplar-storage",
                "--log.level=warn",
            ]);
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
        let last = match http.status(&server.health) {
            Ok(200) => return Ok(()),
            Ok(status) => format!("{} answers {status}", server.health),
            Err(error) => error.to_string(),
        };
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

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// `--flag=path` for any path, also one that is not UTF-8.
fn argument(flag: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(flag);
    argument.push(path);
    argument
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { what, path, source }
}
