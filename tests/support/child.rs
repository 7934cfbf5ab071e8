//! Scenarios that need telemetry of their own, which is global to a process: the test runs itself again in a child.

use crate::Receiver;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;

/// The variable that names the scenario to a child process.
const SCENARIO: &str = "TESTS_SCENARIO";
/// The line of a child's stdout between the output of libtest and that of the scenario.
const BEGIN: &str = "the scenario begins";
/// Precedes the result on the child's stderr.
const RESULT: &str = "result of the scenario: ";

/// Declares the scenario of a test: a function or closure without arguments that returns a [`serde_json::Value`].
///
/// It runs in a child process, which is this test once more, each time that [`Child::run`] is called. The child
/// executes the test up to the scenario and ends with it, so scenarios stand at the top of the test, before anything is
/// started.
///
/// ```
/// # fn not_run_here() {
/// let child = support::in_child!(|| serde_json::json!(std::env::var("GREETING").ok()));
/// let report = child.env("GREETING", "hello").run();
/// assert_eq!(report.result, "hello");
/// # }
/// ```
#[macro_export]
macro_rules! in_child {
    ($scenario:expr) => {{
        fn here() {}
        $crate::Child::of_test(::std::any::type_name_of_val(&here), concat!(line!(), ":", column!()), $scenario)
    }};
}

/// A child process that runs one scenario, with nothing in its environment but the variables that are set here.
#[derive(Clone, Debug)]
pub struct Child {
    test: String,
    scenario: &'static str,
    variables: BTreeMap<String, String>,
    own_network: bool,
}

/// The outcome of a scenario that ran to its end.
#[derive(Debug)]
pub struct Report {
    /// The value that the scenario returned.
    pub result: Value,
    /// Its stdout, line by line.
    pub lines: Vec<String>,
    /// Its stderr.
    pub stderr: String,
}

impl Child {
    /// Use [`in_child!`]: `here` is the path of a function inside the test, `scenario` is unique within the test.
    ///
    /// In the parent, returns the child that can be run: spans go to a closed port, `/metrics` to a free one. In the
    /// child, runs the scenario and ends the process.
    #[doc(hidden)]
    #[must_use]
    pub fn of_test(here: &str, scenario: &'static str, run: impl FnOnce() -> Value) -> Self {
        if env::var(SCENARIO).is_ok_and(|wanted| wanted == scenario) {
            run_and_exit(run);
        }
        // `crate::module::test::{{closure}}::here` is `module::test` to libtest.
        let path: Vec<_> = here.split("::").skip(1).filter(|part| !matches!(*part, "{{closure}}" | "here")).collect();
        let child = Self { test: path.join("::"), scenario, variables: BTreeMap::new(), own_network: false };
        // Nothing listens on port 9 (discard) of today's machines.
        child.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sends its telemetry to this receiver over gRPC.
    #[must_use]
    pub fn exporting_to(self, receiver: &Receiver) -> Self {
        self.env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.grpc_url())
    }

    /// Runs it in a network namespace of its own, which it may change: it begins without interfaces but `lo`, which is
    /// down. Needs `unshare` of util-linux, and a kernel that allows it.
    #[must_use]
    pub fn in_own_network(mut self) -> Self {
        self.own_network = true;
        self
    }

    /// Runs the scenario to its end.
    ///
    /// # Panics
    /// When the child cannot be started, or the scenario panics.
    #[must_use]
    pub fn run(&self) -> Report {
        let output = self.spawn().wait_with_output().expect("the child ends");
        let stdout = String::from_utf8_lossy(&output.stdout);
        let lines = stdout.lines().skip_while(|line| *line != BEGIN).skip(1).map(ToOwned::to_owned).collect();
        self.report(output.status, lines, &output.stderr)
    }

    /// Runs the scenario to its end, with a stdout whose reader goes away as it begins.
    ///
    /// # Panics
    /// When the child cannot be started, or the scenario panics.
    #[must_use]
    pub fn run_without_reader(&self) -> Report {
        let mut child = self.spawn();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while line.trim_end() != BEGIN {
            line.clear();
            let read = stdout.read_line(&mut line).expect("a line");
            if read == 0 {
                break;
            }
        }
        drop(stdout);
        let output = child.wait_with_output().expect("the child ends");
        self.report(output.status, Vec::new(), &output.stderr)
    }

    /// Starts the scenario, sends it a signal once it has printed a line that ends in `ready`, and returns how it ended.
    ///
    /// # Panics
    /// When the child cannot be started, or ends before it is ready.
    #[must_use]
    pub fn run_until_signal(&self, signal: Signal) -> ExitStatus {
        let mut child = self.spawn();
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let is_ready = lines.any(|line| line.expect("a line").ends_with("ready"));
        assert!(is_ready, "the child ended before: {:?}", child.wait());
        rustix::process::kill_process(Pid::from_child(&child), signal).expect("it runs");
        // Its log lines are read, so that it never waits for that.
        lines.for_each(drop);
        child.wait().expect("it ends")
    }

    /// Runs the scenario to its end, with a stdout that nobody reads; see [`stall_stdout`].
    ///
    /// # Panics
    /// When the child cannot be started, or the scenario panics.
    #[must_use]
    pub fn run_unread(&self) -> Report {
        let mut child = self.spawn();
        let unread = child.stdout.take();
        let output = child.wait_with_output().expect("the child ends");
        drop(unread);
        self.report(output.status, Vec::new(), &output.stderr)
    }

    fn spawn(&self) -> std::process::Child {
        assert!(env::var_os(SCENARIO).is_none(), "{}: a scenario stands behind a `run`", self.test);
        let program = env::current_exe().expect("this test binary");
        let mut command = if self.own_network {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-root-user", "--net", "--"]).arg(program);
            unshare
        } else {
            Command::new(program)
        };
        command
            .args([self.test.as_str(), "--exact", "--include-ignored", "--nocapture", "--quiet", "--test-threads=1"])
            .env_clear()
            .envs(&self.variables)
            .env(SCENARIO, self.scenario)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the child starts")
    }

    fn report(&self, status: ExitStatus, lines: Vec<String>, stderr: &[u8]) -> Report {
        let stderr = String::from_utf8_lossy(stderr).into_owned();
        let result = stderr.lines().find_map(|line| line.strip_prefix(RESULT));
        let result = result.filter(|_| status.success()).unwrap_or_else(|| {
            panic!("the scenario of {} has not ended well ({status}): {stderr}\n{}", self.test, lines.join("\n"))
        });
        let result = serde_json::from_str(result).expect("JSON");
        Report { result, lines, stderr }
    }
}

/// Fills the stdout of a scenario that nobody reads ([`Child::run_unread`]): who writes to it from now on waits for
/// ever.
///
/// # Panics
/// When there is no thread for it.
pub fn stall_stdout() {
    let (sender, locked) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stdout = std::io::stdout().lock();
        sender.send(()).expect("the scenario waits");
        // More than a pipe holds.
        let _ = stdout.write_all(&vec![b' '; 4 << 20]);
    });
    locked.recv().expect("the thread has the lock");
}

/// The child's part. It ends the process itself, so that libtest prints nothing more.
fn run_and_exit(scenario: impl FnOnce() -> Value) -> ! {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{BEGIN}").and_then(|()| stdout.flush()).expect("the parent reads up to here");
    // The panic's message is on stderr by then.
    let Ok(result) = panic::catch_unwind(AssertUnwindSafe(scenario)) else { std::process::exit(101) };
    eprintln!("{RESULT}{result}");
    std::process::exit(0)
}

impl Report {
    /// The `/metrics` page that the scenario returned as `page`.
    ///
    /// # Panics
    /// When it returned none.
    #[must_use]
    pub fn page(&self) -> &str {
        self.result["page"].as_str().unwrap_or_else(|| panic!("no page: {self:?}"))
    }

    /// The loss that the shutdown reported, which the scenario returned as `lost` (see [`crate::shutdown`]).
    ///
    /// # Panics
    /// When it returned none.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        let lost = self.result.get("lost").unwrap_or_else(|| panic!("no result of a shutdown: {self:?}"));
        lost.as_str()
    }

    /// The log lines, parsed.
    ///
    /// # Panics
    /// When a line is not a JSON object.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.lines.iter().map(parse).collect()
    }
}
