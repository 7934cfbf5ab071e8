//! The servers that receive the service's telemetry: Jaeger, Prometheus and Alertmanager, or a receiver in this
//! process.

use crate::containers::Containers;
use crate::mode::{self, Mode};
use crate::{run_folder, usual};
use stack::inbox::Inbox;
use stack::query::Jaeger;
use stack::receiver::Receiver;
use stack::trace::Trace;
use stack::{Options, Stack};
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

/// Receives telemetry and can be queried for it. Dropping it stops the servers that it has started.
pub(crate) struct Backend {
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) otlp: String,
    /// Where the service must serve `/metrics`.
    pub(crate) metrics: SocketAddr,
    pub(crate) store: Store,
    /// The inbox for alerts, if the demo runs its own Alertmanager.
    pub(crate) inbox: Option<Inbox>,
    held: Held,
}

/// Where the telemetry can be queried.
pub(crate) enum Store {
    Servers {
        jaeger: String,
        prometheus: String,
        /// Whether Jaeger has its web page.
        page: bool,
    },
    Receiver(Receiver),
}

/// The servers that were started; dropping it stops them.
enum Held {
    Nothing,
    Others,
    Stack(Box<Stack>),
    #[expect(dead_code, reason = "held for its Drop")]
    Containers(Containers),
}

impl Backend {
    /// Starts the servers of the mode.
    pub(crate) fn start(mode: Mode) -> Result<Self, Box<dyn Error>> {
        match mode {
            Mode::External => {
                usual::check_servers()?;
                Ok(Self::usual(Held::Others))
            }
            Mode::Containers => {
                usual::check_metrics_port()?;
                let containers = Containers::start(Path::new("docker"))?;
                Ok(Self::usual(Held::Containers(containers)))
            }
            Mode::Native => Self::native(),
            Mode::Embedded => {
                eprintln!("starting a receiver in this process");
                let receiver = Receiver::start()?;
                Ok(Self {
                    otlp: receiver.grpc_url(),
                    metrics: stack::addresses::free_address()?,
                    store: Store::Receiver(receiver),
                    inbox: None,
                    held: Held::Nothing,
                })
            }
        }
    }

    fn usual(held: Held) -> Self {
        Self {
            otlp: usual::OTLP.to_owned(),
            metrics: usual::metrics(),
            store: Store::Servers {
                jaeger: usual::JAEGER.to_owned(),
                prometheus: usual::PROMETHEUS.to_owned(),
                page: true,
            },
            inbox: None,
            held,
        }
    }

    fn native() -> Result<Self, Box<dyn Error>> {
        for system in mode::SYSTEMS {
            system.program()?;
        }
        eprintln!("starting Jaeger, Prometheus and Alertmanager");
        let metrics = stack::addresses::free_address()?;
        let inbox = Inbox::start()?;
        let options = Options::free_ports(run_folder::name()).with(&mode::SYSTEMS).scraping(metrics).alerting(&inbox);
        let stack = Stack::start(&options)?;
        Ok(Self {
            otlp: stack.otlp_grpc_url(),
            metrics,
            store: Store::Servers { jaeger: stack.jaeger_url(), prometheus: stack.prometheus_url(), page: false },
            inbox: Some(inbox),
            held: Held::Stack(Box::new(stack)),
        })
    }

    /// Whether all servers still run.
    ///
    /// # Errors
    /// Names the server that does not, with the end of its log if there is one.
    pub(crate) fn check(&mut self) -> Result<(), Box<dyn Error>> {
        match &mut self.held {
            Held::Nothing => Ok(()),
            Held::Stack(stack) => Ok(stack.check()?),
            Held::Others | Held::Containers(_) => Ok(usual::check_ports()?),
        }
    }

    /// The trace, with the spans that have arrived.
    pub(crate) fn trace(&self, id: &str) -> Result<Option<Trace>, Box<dyn Error>> {
        match &self.store {
            Store::Servers { jaeger, .. } => Ok(Jaeger::new(jaeger.as_str()).trace(id)?),
            Store::Receiver(receiver) => Ok(receiver.trace(id)),
        }
    }
}
