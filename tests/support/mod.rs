//! What the behaviour tests share: processes with telemetry of their own, and an OTLP receiver in this one.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub use stack::receiver::{ReceivedSpan, Receiver};

/// Longer than anything here takes, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The span of this name, as soon as it has arrived.
///
/// # Panics
/// When it does not arrive.
#[must_use]
pub fn span_named(receiver: &Receiver, name: &str) -> ReceivedSpan {
    let found = || receiver.spans().into_iter().find(|span| span.name == name);
    stack::query::wait_until(PATIENCE, Duration::from_millis(10), name, || Ok::<_, std::convert::Infallible>(found()))
        .unwrap_or_else(|late| panic!("no span {name}: {late:?}"))
}

/// A process that runs one scenario of `probe.rs`, with nothing in its environment but what is set here.
#[derive(Debug)]
pub struct Probe {
    command: Command,
}

/// What such a process did.
#[derive(Debug)]
pub struct Report {
    /// What the scenario says of itself; `null` when it did not end by itself.
    pub result: Value,
    /// Its stdout, line by line.
    pub lines: Vec<String>,
    /// Its stderr.
    pub stderr: String,
    /// Whether it exited with 0.
    pub succeeded: bool,
}

impl Probe {
    /// A process of `binary` for this scenario: traces to nowhere that is open, `/metrics` on a free port.
    #[must_use]
    pub fn new(binary: &str, scenario: &str) -> Self {
        let mut command = Command::new(binary);
        command.arg(scenario).env_clear().stdin(Stdio::null());
        // Port 9 (discard) is closed on any machine of today.
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
        command.env("OTEL_EXPORTER_PROMETHEUS_PORT", "0");
        Self { command }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sends its telemetry to this receiver over gRPC.
    #[must_use]
    pub fn exporting_to(self, receiver: &Receiver) -> Self {
        self.env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.grpc_url())
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(mut self) -> Report {
        Report::of(&self.command.output().expect("the probe starts"))
    }

    /// Runs it with a stdout that nobody reads.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run_without_reader(mut self) -> Report {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the probe starts");
        drop(child.stdout.take());
        Report::of(&child.wait_with_output().expect("the probe ends"))
    }
}

impl Report {
    fn of(output: &Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let result = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|value| {
            let result = value.get("probe")?;
            Some(result.clone())
        });
        let lines = String::from_utf8_lossy(&output.stdout).lines().map(ToOwned::to_owned).collect();
        Self { result: result.unwrap_or_default(), lines, stderr, succeeded: output.status.success() }
    }

    /// The `/metrics` page that the scenario saw last.
    ///
    /// # Panics
    /// When it saw none.
    #[must_use]
    pub fn page(&self) -> &str {
        self.result["page"].as_str().unwrap_or_else(|| panic!("no page: {self:?}"))
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

/// The value of one series on a page; the series is written as it stands there.
///
/// # Panics
/// When the page has no such series.
#[must_use]
pub fn sample(page: &str, series: &str) -> f64 {
    let line = page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {series} on\n{page}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("not a number: {line}"))
}

/// Compares a text with a file of `tests/golden/`; with `BLESS=1` in the environment it writes the file instead.
///
/// # Panics
/// When they differ.
pub fn assert_golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    let (mut expected, mut found) = (golden.lines(), text.lines());
    for number in 1.. {
        match (expected.next(), found.next()) {
            (None, None) => break,
            (expected, found) => assert_eq!(
                found,
                expected,
                "line {number}; if this is meant, run with BLESS=1 and read the change of {}",
                path.display()
            ),
        }
    }
}
