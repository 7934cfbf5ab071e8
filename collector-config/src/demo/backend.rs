//! What receives the service's telemetry: Jaeger and Prometheus, or a receiver in this process.

use crate::mode::Mode;
use crate::usual;
use stack::native;
use stack::paths;
use stack::query::Jaeger;
use stack::receiver::Receiver;
use stack::trace::Trace;
use stack::{Options, Stack};
use std::error::Error;
use std::net::SocketAddr;
use std::process::Command;

/// Name of the run folder: `target/stack/demo/`.
pub(crate) const RUN: &str = "demo";

/// Something that receives telemetry and can be asked for it.
pub(crate) struct Backend {
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) otlp: String,
    /// Where the service is to serve `/metrics`.
    pub(crate) metrics: SocketAddr,
    pub(crate) store: Store,
    held: Held,
}

/// Where to ask.
pub(crate) enum Store {
    Servers { jaeger: String, prometheus: String },
    Receiver(Receiver),
}

/// What was started and has to be stopped.
enum Held {
    Nothing,
    Stack(Box<Stack>),
    Containers,
}

impl Backend {
    /// Starts what the mode asks for.
    pub(crate) fn start(mode: Mode) -> Result<Self, Box<dyn Error>> {
        match mode {
            Mode::External => {
                usual::answer()?;
                Ok(Self::usual(Held::Nothing))
            }
            Mode::Containers => {
                compose(&["up", "--detach", "--wait"])?;
                Ok(Self::usual(Held::Containers))
            }
            Mode::Native => Self::native(),
            Mode::Embedded => {
                eprintln!("starting a receiver in this process");
                let receiver = Receiver::start()?;
                let otlp = receiver.grpc_url();
                Ok(Self {
                    otlp,
                    metrics: free()?,
                    store: Store::Receiver(receiver),
                    held: Held::Nothing,
                })
            }
        }
    }

    fn usual(held: Held) -> Self {
        let (jaeger, prometheus) = (usual::JAEGER.to_owned(), usual::PROMETHEUS.to_owned());
        let store = Store::Servers { jaeger, prometheus };
        Self {
            otlp: usual::OTLP.to_owned(),
            metrics: ([127, 0, 0, 1], 9464).into(),
            store,
            held,
        }
    }

    fn native() -> Result<Self, Box<dyn Error>> {
        native::all()?;
        eprintln!("starting Jaeger and Prometheus");
        let metrics = free()?;
        let stack = Stack::start(&Options::free_ports(RUN).scraping(metrics))?;
        let store = Store::Servers {
            jaeger: stack.jaeger_url(),
            prometheus: stack.prometheus_url(),
        };
        Ok(Self {
            otlp: stack.otlp_grpc_url(),
            metrics,
            store,
            held: Held::Stack(Box::new(stack)),
        })
    }

    /// The trace, as far as it has arrived.
    pub(crate) fn trace(&self, id: &str) -> Result<Option<Trace>, Box<dyn Error>> {
        match &self.store {
            Store::Servers { jaeger, .. } => Ok(Jaeger::new(jaeger.as_str()).trace(id)?),
            Store::Receiver(receiver) => Ok(receiver.trace(id)),
        }
    }

    /// Stops what was started.
    pub(crate) fn stop(self) {
        match self.held {
            Held::Nothing => {}
            Held::Stack(stack) => stack.stop(),
            Held::Containers => {
                if let Err(error) = compose(&["down"]) {
                    eprintln!("demo: {error}");
                }
            }
        }
    }
}

fn free() -> std::io::Result<SocketAddr> {
    stack::addresses::free_address()
}

fn compose(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let file = paths::workspace().join("collector-config/compose.yaml");
    eprintln!("docker compose {}", arguments.join(" "));
    let status = Command::new("docker")
        .arg("compose")
        .arg("--file")
        .arg(file)
        .args(arguments)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("docker compose ended with {status}").into())
    }
}
