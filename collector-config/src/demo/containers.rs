//! The images of `compose.yaml`, as a project of the demo's own.

use stack::{interrupt, paths};
use std::error::Error;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Apart from a project that somebody has started by hand from the same file.
const PROJECT: &str = "ironcore-demo";

/// The running containers. Dropping them stops those that were started here.
#[derive(Debug)]
pub(crate) struct Containers {
    docker: PathBuf,
    ours: bool,
}

impl Containers {
    /// Starts what does not run.
    pub(crate) fn start(docker: &Path) -> Result<Self, Box<dyn Error>> {
        let docker = docker.to_path_buf();
        let running = compose(&docker).args(["ps", "-q"]).output()?;
        if !running.status.success() {
            let said = String::from_utf8_lossy(&running.stderr);
            return Err(format!("docker compose ps ended with {}: {said}", running.status).into());
        }
        let ours = running.stdout.trim_ascii().is_empty();
        // Held before the start: one that fails half-way, or is interrupted, is taken back too.
        let containers = Self { docker, ours };
        let up = ["up", "--detach", "--wait", "jaeger", "prometheus"];
        containers.run(&up, |command| interrupt::wait(&mut command.spawn()?, None))?;
        Ok(containers)
    }

    fn run(
        &self,
        arguments: &[&str],
        wait: impl FnOnce(&mut Command) -> io::Result<std::process::ExitStatus>,
    ) -> Result<(), Box<dyn Error>> {
        eprintln!("docker compose --project-name {PROJECT} {}", arguments.join(" "));
        // Standard output is the story's. A process group of its own: Ctrl-C is for us to pass on.
        let mut command = compose(&self.docker);
        command.args(arguments).stdout(io::stderr()).process_group(0);
        let status = wait(&mut command)?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("docker compose {} ended with {status}", arguments.join(" ")).into())
        }
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        if self.ours {
            // Waits also after a signal: that is why it runs.
            let stopped = self.run(&["down", "--volumes"], Command::status);
            if let Err(error) = stopped {
                eprintln!("demo: {error}");
            }
        }
    }
}

fn compose(docker: &Path) -> Command {
    let mut command = Command::new(docker);
    command
        .args(["compose", "--project-name", PROJECT, "--file"])
        .arg(paths::config_dir().join("compose.yaml"))
        // Without the collector, Jaeger takes the spans itself.
        .env("JAEGER_OTLP_GRPC", "127.0.0.1:4317")
        .env("JAEGER_OTLP_HTTP", "127.0.0.1:4318")
        .stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::{Mutex, PoisonError};

    /// A script must not be open for writing in a child that another test forks just then ("text file busy").
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// What `docker compose` was asked for by a start and a drop; `ps` answers `running`, `up` ends with `status`.
    fn calls(name: &str, running: &str, status: u8) -> Vec<String> {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = paths::run_dir("test_containers").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let (docker, log) = (folder.join("docker"), folder.join("calls"));
        let script = format!(
            "#!/bin/sh\nshift 5\necho \"$*\" >> '{}'\ncase $1 in ps) echo {running} ;; up) exit {status} ;; esac\n",
            log.display()
        );
        fs::write(&docker, script).unwrap();
        fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Containers::start(&docker).is_ok(), status == 0);
        let calls = fs::read_to_string(log).unwrap();
        calls.lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn what_was_started_is_taken_back_also_when_the_start_fails() {
        let expected = ["ps -q", "up --detach --wait jaeger prometheus", "down --volumes"];
        assert_eq!(calls("well", "", 0), expected);
        assert_eq!(calls("badly", "", 1), expected);
    }

    #[test]
    fn what_ran_before_stays() {
        assert_eq!(calls("before", "4f1c", 0), ["ps -q", "up --detach --wait jaeger prometheus"]);
    }
}
