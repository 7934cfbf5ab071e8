//! The servers that receive the service's telemetry: Jaeger, Prometheus and Alertmanager, or a receiver in this
//! process.

use crate::mode::{self, Mode};
use crate::usual;
use stack::Result;
use stack::inbox::Inbox;
use stack::query::Jaeger;
use stack::receiver::Receiver;
use stack::trace::Trace;
use stack::{Options, Stack, run_folder};
use std::net::SocketAddr;

/// Receives telemetry and can be queried for it. Dropping it stops the servers that it has started.
pub(crate) struct Backend {
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) otlp: String,
    /// Where the service must serve `/metrics`.
    pub(crate) metrics: SocketAddr,
    pub(crate) store: Store,
    /// The servers that the demo has started.
    stack: Option<Box<Stack>>,
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

impl Backend {
    /// Starts the servers of the mode.
    pub(crate) fn start(mode: Mode) -> Result<Self> {
        match mode {
            Mode::Running => {
                usual::check_servers()?;
                Ok(Self {
                    otlp: usual::OTLP.to_owned(),
                    metrics: usual::metrics(),
                    store: Store::Servers {
                        jaeger: usual::JAEGER.to_owned(),
                        prometheus: usual::PROMETHEUS.to_owned(),
                        page: true,
                    },
                    stack: None,
                })
            }
            Mode::Native => Self::native(),
            Mode::Embedded => {
                eprintln!("starting a receiver in this process");
                let receiver = Receiver::start()?;
                Ok(Self {
                    otlp: receiver.grpc_url(),
                    metrics: stack::addresses::free_address()?,
                    store: Store::Receiver(receiver),
                    stack: None,
                })
            }
        }
    }

    fn native() -> Result<Self> {
        for system in mode::SYSTEMS {
            system.program()?;
        }
        eprintln!("starting Jaeger, Prometheus and Alertmanager");
        let metrics = stack::addresses::free_address()?;
        let options = Options::free_ports(run_folder::name("demo")).with(&mode::SYSTEMS).scraping(metrics);
        let stack = Stack::start(&options)?;
        Ok(Self {
            otlp: stack.otlp_grpc_url(),
            metrics,
            store: Store::Servers { jaeger: stack.jaeger_url(), prometheus: stack.prometheus_url(), page: false },
            stack: Some(Box::new(stack)),
        })
    }

    /// Whether all servers still run.
    ///
    /// # Errors
    /// Names the server that does not, with the end of its log if there is one.
    pub(crate) fn check(&mut self) -> Result<()> {
        match (&mut self.stack, &self.store) {
            (Some(stack), _) => stack.check(),
            (None, Store::Servers { .. }) => usual::check_ports(),
            (None, Store::Receiver(_)) => Ok(()),
        }
    }

    /// What Alertmanager has sent, if the demo runs one.
    pub(crate) fn inbox(&self) -> Option<&Inbox> {
        self.stack.as_ref().map(|stack| stack.inbox())
    }

    /// The trace, with the spans that have arrived.
    pub(crate) fn trace(&self, id: &str) -> Result<Option<Trace>> {
        match &self.store {
            Store::Servers { jaeger, .. } => Jaeger::new(jaeger.as_str()).trace(id),
            Store::Receiver(receiver) => Ok(receiver.trace(id)),
        }
    }
}
