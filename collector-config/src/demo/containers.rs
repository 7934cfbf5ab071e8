//! The images of `compose.yaml`, as a Compose project of the demo.

use stack::{interrupt, paths};
use std::error::Error;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Separate from a project that a user has started by hand from the same file.
const PROJECT: &str = "ironcore-demo";

/// The running containers. Dropping it stops them, unless they ran before.
#[derive(Debug)]
pub(crate) struct Containers {
    docker: PathBuf,
    /// Whether the demo has started them, so that it stops them.
    started_here: bool,
}

impl Containers {
    /// Starts the containers that do not run.
    pub(crate) fn start(docker: &Path) -> Result<Self, Box<dyn Error>> {
        let docker = docker.to_path_buf();
        let running = compose(&docker).args(["ps", "-q"]).output()?;
        if !running.status.success() {
            let stderr = String::from_utf8_lossy(&running.stderr);
            return Err(format!("docker compose ps ended with {}: {stderr}", running.status).into());
        }
        let started_here = running.stdout.trim_ascii().is_empty();
        // Created before the start, so that a start that fails or is interrupted is undone as well.
        let containers = Self { docker, started_here };
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
        // Standard output belongs to the demo. In a process group of its own, it does not receive the user's Ctrl-C.
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
        if self.started_here {
            // Not `interrupt::wait`: this also runs after a signal.
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
        // Without the collector, Jaeger receives the spans itself.
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

    /// A child that another test forks at that moment would inherit the script open for writing ("text file busy").
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// The calls of `docker compose` during a start and a drop; `ps` prints `running`, `up` ends with `status`.
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
    fn started_containers_are_removed_even_if_the_start_fails() {
        let expected = ["ps -q", "up --detach --wait jaeger prometheus", "down --volumes"];
        assert_eq!(calls("well", "", 0), expected);
        assert_eq!(calls("badly", "", 1), expected);
    }

    #[test]
    fn containers_that_ran_before_keep_running() {
        assert_eq!(calls("before", "4f1c", 0), ["ps -q", "up --detach --wait jaeger prometheus"]);
    }
}
