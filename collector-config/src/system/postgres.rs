use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Launch, Start};
use crate::{
    addresses::Port,
    packaged::Packaged,
    paths,
    process::{Lifetime, argument, clean_environment},
    stack::{Error, io_error, url},
};

/// The database and its owner: `DATABASE_URL` of a service names both.
const NAME: &str = "ironcore";

/// A new server each time, with a password of its own.
pub(super) fn server(start: &Start<'_>) -> Result<Launch, Error> {
    let address = start.address(Port::Postgres);
    let user = User::for_servers()?;
    let folder = server_folder(start, &user)?;
    let data = folder.join("data");
    initialise(start, &user, &folder)?;

    let mut command = user.command(&start.program, start.lifetime());
    command
        .arg("-D")
        .arg(&data)
        .arg("-c")
        .arg(format!("listen_addresses={}", address.ip()))
        .args(["-c", &format!("port={}", address.port())])
        // Over TCP alone: a socket in a folder of the system would be one more thing to clean up.
        .args(["-c", "unix_socket_directories="])
        // What is in it goes at the next start.
        .args(["-c", "fsync=off"]);
    Ok(Launch {
        command,
        health: format!("tcp://{address}"),
        url: format!("postgres://{NAME}@{address}/{NAME}"),
    })
}

pub(super) fn exporter(start: &Start<'_>) -> Result<Launch, Error> {
    let address = start.address(Port::PostgresExporter);
    let mut command = start.command();
    command
        .env(
            "DATA_SOURCE_NAME",
            connection(start.address(Port::Postgres), &start.folder)?,
        )
        .env(
            "PG_EXPORTER_EXTEND_QUERY_PATH",
            paths::config_dir().join("postgres/queries.yaml"),
        )
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=warn");
    Ok(Launch {
        command,
        health: url(address),
        url: format!("{}/metrics", url(address)),
    })
}

/// For `DATABASE_URL`, with the password of this run.
pub(crate) fn connection(address: std::net::SocketAddr, folder: &Path) -> Result<String, Error> {
    let file = password_file(folder);
    let password = fs::read_to_string(&file).map_err(io_error("read", &file))?;
    Ok(format!(
        "postgres://{NAME}:{}@{address}/{NAME}?sslmode=disable",
        password.trim()
    ))
}

fn password_file(folder: &Path) -> PathBuf {
    folder.join("postgres.password")
}

/// Makes the data of the server in its folder.
fn initialise(start: &Start<'_>, user: &User, folder: &Path) -> Result<(), Error> {
    let (data, file) = (folder.join("data"), folder.join("password"));
    let password = new_password()?;
    // Once for who connects, once for initdb, whose user may not read ours.
    write_secret(&password_file(&start.folder), &password)?;
    write_secret(&file, &password)?;
    user.own(&file).map_err(io_error("give away", &file))?;

    let mut initdb = user.command(&Packaged::Initdb.path()?, Lifetime::Scoped);
    initdb
        .arg("-D")
        .arg(&data)
        .arg(argument("--pwfile=", &file))
        .args([
            "--username",
            NAME,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
        ])
        .args(["--no-sync", "--locale=C"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    finish("initdb", initdb, &data)?;
    fs::remove_file(&file).map_err(io_error("remove", &file))?;

    // Before it listens, hence the mode for one user; `--single` reads a command a line.
    let sql = start.folder.join("postgres.sql");
    fs::write(&sql, format!("CREATE DATABASE {NAME}\n")).map_err(io_error("write", &sql))?;
    let mut create = user.command(&start.program, Lifetime::Scoped);
    create
        .args(["--single", "-D"])
        .arg(&data)
        .arg("postgres")
        .stdin(File::open(&sql).map_err(io_error("read", &sql))?)
        .stdout(Stdio::null());
    finish("postgres --single", create, &data)
}

fn finish(what: &'static str, mut command: Command, data: &Path) -> Result<(), Error> {
    let output = command
        .output()
        .map_err(io_error("make the server in", data))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Prepare {
        what,
        status: output.status,
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn new_password() -> Result<String, Error> {
    let source = Path::new("/dev/urandom");
    let mut random = [0; 16];
    File::open(source)
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(io_error("read", source))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}

/// A new file that nobody else can read.
fn write_secret(path: &Path, secret: &str) -> Result<(), Error> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(secret.as_bytes()))
        .map_err(io_error("write", path))
}

/// The folder of the server: in the run folder, unless its user cannot get there.
fn server_folder(start: &Start<'_>, user: &User) -> Result<PathBuf, Error> {
    let inside = start.folder.join("postgres");
    let folder = if user.is_us() || everybody_passes(&start.folder) {
        inside
    } else {
        env::temp_dir().join(format!(
            "ironcore-telemetry-{}-postgres",
            start.options.name
        ))
    };
    paths::remove_dir(&folder).map_err(io_error("remove the old run", &folder))?;
    fs::create_dir_all(&folder).map_err(io_error("make the folder", &folder))?;
    user.own(&folder)
        .map_err(io_error("give the server its folder", &folder))?;
    Ok(folder)
}

/// Whether any user of the machine can reach what is below this folder.
fn everybody_passes(folder: &Path) -> bool {
    folder.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

/// Whom the server runs as: it refuses to be root.
enum User {
    Us,
    Other { uid: u32, gid: u32 },
}

impl User {
    fn for_servers() -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Us);
        }
        let file = Path::new("/etc/passwd");
        let users = fs::read_to_string(file).map_err(io_error("read", file))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::named(&users, name))
            .ok_or_else(|| {
                let missing = "PostgreSQL refuses to run as root, and there is no user `postgres`";
                io_error("find a user in", file)(io::Error::new(io::ErrorKind::NotFound, missing))
            })
    }

    fn named(users: &str, name: &str) -> Option<Self> {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        let (Some(Ok(uid)), Some(Ok(gid))) = (ids.next(), ids.next()) else {
            return None;
        };
        Some(Self::Other { uid, gid })
    }

    fn is_us(&self) -> bool {
        matches!(self, Self::Us)
    }

    fn own(&self, folder: &Path) -> io::Result<()> {
        match self {
            Self::Us => Ok(()),
            Self::Other { uid, gid } => chown(folder, Some(*uid), Some(*gid)),
        }
    }

    /// A command that runs as this user, in the root folder: the one of the caller may be closed to it.
    fn command(&self, program: &Path, lifetime: Lifetime) -> Command {
        let mut command = match self {
            Self::Us => crate::process::command(program, lifetime),
            Self::Other { uid, gid } => {
                let mut command = crate::process::command(Path::new("setpriv"), Lifetime::Detached);
                // A change of user takes the signal of `process::command` back, so it is asked for here.
                if lifetime == Lifetime::Scoped {
                    command.args(["--pdeathsig", "TERM"]);
                }
                command
                    .arg(format!("--reuid={uid}"))
                    .arg(format!("--regid={gid}"))
                    .args(["--clear-groups", "--"])
                    .arg(OsString::from(program));
                command
            }
        };
        clean_environment(&mut command);
        command.current_dir("/");
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users =
            "postgresql:x:1:2::/:/bin/sh\npostgres:x:101:104:a,b:/var:/bin/bash\nbad:x:y:z::/:\n";
        let Some(User::Other { uid, gid }) = User::named(users, "postgres") else {
            panic!("not found")
        };
        assert_eq!((uid, gid), (101, 104));
        assert!(User::named(users, "bad").is_none());
        assert!(User::named(users, "nobody").is_none());
    }
}
