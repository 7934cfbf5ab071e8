//! Postgres, with a new database for each run, and its exporter.

use super::{Launch, Start};
use crate::addresses::{Port, url};
use crate::packaged::Packaged;
use crate::paths::{self, cannot};
use crate::process::{self, argument, clean_environment};
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, lchown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The name of the database and of its owner.
const NAME: &str = "ironcore";

/// After SIGTERM it waits until every client has disconnected.
const STOP: Signal = Signal::INT;

/// How long a preparation step may take; on an idle machine each takes about a second.
const STEP: Duration = Duration::from_mins(3);

/// A new server with a random password. A restart after a crash keeps data and password.
pub(super) fn server(start: &Start<'_>) -> Result<Launch> {
    let address = start.address(Port::Postgres);
    let user = User::for_servers()?;
    let folder = home(start, &user)?;
    let data = folder.join("data");
    if !data.join("PG_VERSION").exists() {
        initialise(start, &user, &folder)?;
    }

    let mut command = user.command(&start.program);
    command
        .arg("-D")
        .arg(&data)
        .arg("-c")
        .arg(format!("listen_addresses={}", address.ip()))
        .args(["-c", &format!("port={}", address.port())])
        // TCP only: a Unix socket in a system folder would have to be cleaned up.
        .args(["-c", "unix_socket_directories="])
        // The data is removed at the next start, so it need not survive a crash of the machine.
        .args(["-c", "fsync=off"]);
    Ok(Launch {
        stop: STOP,
        ..Launch::new(command, format!("tcp://{address}"), format!("postgres://{NAME}@{address}/{NAME}"))
    })
}

pub(super) fn exporter(start: &Start<'_>) -> Result<Launch> {
    let address = start.address(Port::PostgresExporter);
    let mut command = start.command();
    command
        .env("DATA_SOURCE_NAME", connection(start.address(Port::Postgres), &start.folder)?)
        .env("PG_EXPORTER_EXTEND_QUERY_PATH", paths::config_dir().join("postgres/queries.yaml"))
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=warn");
    Ok(Launch::new(command, url(address), format!("{}/metrics", url(address))))
}

/// For `DATABASE_URL`, including the password of this run.
pub(crate) fn connection(address: SocketAddr, folder: &Path) -> Result<String> {
    let file = password_file(folder);
    let password = fs::read_to_string(&file).with_context(cannot("read", &file))?;
    Ok(format!("postgres://{NAME}:{}@{address}/{NAME}?sslmode=disable", password.trim()))
}

fn password_file(folder: &Path) -> PathBuf {
    folder.join("postgres.password")
}

/// Creates the data folder of the server and its database.
fn initialise(start: &Start<'_>, user: &User, folder: &Path) -> Result<()> {
    let (data, file) = (folder.join("data"), folder.join("password"));
    let password = new_password()?;
    // One copy for clients, one for initdb, whose user may not be able to read the first.
    write_secret(&password_file(&start.folder), &password)?;
    write_secret(&file, &password)?;
    user.take_ownership(&file).with_context(cannot("change the owner of", &file))?;

    let mut initdb = user.command(&Packaged::Initdb.path()?);
    initdb
        .arg("-D")
        .arg(&data)
        .arg(argument("--pwfile=", &file))
        .args(["--username", NAME, "--auth=scram-sha-256", "--encoding=UTF8"])
        .args(["--no-sync", "--locale=C"])
        .stdin(Stdio::null());
    run_step("initdb", initdb, &start.folder)?;
    fs::remove_file(&file).with_context(cannot("remove", &file))?;

    // The database is created before the server listens, in single-user mode, which reads one command per line.
    let sql = start.folder.join("postgres.sql");
    fs::write(&sql, format!("CREATE DATABASE {NAME}\n")).with_context(cannot("write", &sql))?;
    let mut create = user.command(&start.program);
    create
        .args(["--single", "-c", "exit_on_error=on", "-D"])
        .arg(&data)
        .arg("postgres")
        .stdin(File::open(&sql).with_context(cannot("read", &sql))?);
    run_step("postgres --single", create, &start.folder)
}

/// Runs a preparation step to its end.
fn run_step(name: &'static str, mut command: Command, folder: &Path) -> Result<()> {
    let log = folder.join("postgres.init.log");
    let mut run = || -> io::Result<_> {
        let output = File::create(&log)?;
        let mut child = command.stdout(output.try_clone()?).stderr(output).spawn()?;
        process::wait(&mut child, Some(STEP))
    };
    let status = run().with_context(|| format!("{name}: {}", process::tail(&log)))?;
    ensure!(status.success(), "{name} ended with {status}: {}", process::tail(&log));
    Ok(())
}

fn new_password() -> Result<String> {
    random().map(|random| format!("{random:032x}"))
}

fn random() -> Result<u128> {
    let source = Path::new("/dev/urandom");
    let mut random = [0; 16];
    File::open(source).and_then(|mut source| source.read_exact(&mut random)).with_context(cannot("read", source))?;
    Ok(u128::from_ne_bytes(random))
}

/// Creates a file that only its owner can read.
fn write_secret(path: &Path, secret: &str) -> Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(secret.as_bytes()))
        .with_context(cannot("write", path))
}

/// The folder of the server: in the run folder, or in `/tmp` if the server's user cannot reach the run folder.
fn home(start: &Start<'_>, user: &User) -> Result<PathBuf> {
    let inside = start.folder.join("postgres");
    // The folder that an earlier start of this run has chosen.
    let note = start.folder.join(paths::OUTSIDE);
    if let Ok(folder) = fs::read_to_string(&note) {
        return Ok(folder.into());
    }
    if inside.exists() {
        return Ok(inside);
    }
    let folder = if user.is_current() || is_reachable_by_all(&start.folder) {
        inside
    } else {
        // Not TMPDIR, which may be closed to that user, too. The name is random, so that no other user can have created
        // it.
        let folder = format!("{}{:032x}", paths::OUTSIDE_PREFIX, random()?);
        fs::write(&note, &folder).with_context(cannot("write", &note))?;
        folder.into()
    };
    fs::create_dir(&folder).with_context(cannot("create the folder", &folder))?;
    user.take_ownership(&folder).with_context(cannot("change the owner of", &folder))?;
    Ok(folder)
}

/// Whether every user of the machine can reach the files below this folder.
fn is_reachable_by_all(folder: &Path) -> bool {
    folder
        .ancestors()
        .all(|folder| fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0))
}

/// The user that the server runs as: Postgres refuses to run as root.
enum User {
    Current,
    Other { uid: u32, gid: u32 },
}

impl User {
    fn for_servers() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Current);
        }
        let file = Path::new("/etc/passwd");
        let users = fs::read_to_string(file).with_context(cannot("read", file))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::from_passwd(&users, name))
            .context("PostgreSQL refuses to run as root, and there is no user `postgres`")
    }

    fn from_passwd(users: &str, name: &str) -> Option<Self> {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        let (Some(Ok(uid)), Some(Ok(gid))) = (ids.next(), ids.next()) else {
            return None;
        };
        Some(Self::Other { uid, gid })
    }

    fn is_current(&self) -> bool {
        matches!(self, Self::Current)
    }

    /// Makes this user the owner of a file or folder.
    fn take_ownership(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Current => Ok(()),
            Self::Other { uid, gid } => lchown(path, Some(*uid), Some(*gid)),
        }
    }

    /// A command that runs as this user. Its working directory is `/`, as the current one may be closed to this user.
    fn command(&self, program: &Path) -> Command {
        let mut command = process::command(program, STOP);
        clean_environment(&mut command);
        command.current_dir("/");
        if let Self::Other { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_only_by_its_full_name() {
        let users = "postgresql:x:1:2::/:/bin/sh\npostgres:x:101:104:a,b:/var:/bin/bash\nbad:x:y:z::/:\n";
        let Some(User::Other { uid, gid }) = User::from_passwd(users, "postgres") else { panic!("not found") };
        assert_eq!((uid, gid), (101, 104));
        assert!(User::from_passwd(users, "bad").is_none());
        assert!(User::from_passwd(users, "nobody").is_none());
    }
}
