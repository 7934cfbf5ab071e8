//! The systems of the stack: their programs, ports and scrape jobs.

use crate::addresses::Port;
use crate::native::Program;
use crate::packaged::Packaged;
use anyhow::{Result, anyhow};
use std::path::PathBuf;

/// Where the program of a system comes from.
enum Source {
    Built(Program),
    Installed(Packaged),
}

use Source::{Built, Installed};

/// Declares the systems: the name on the command line, the program, the jobs of Prometheus that scrape it, its ports.
macro_rules! systems {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $source:expr, jobs $jobs:expr, ports [$($port:ident),*];)*) => {
        /// One system of the stack. They start in this order: a system comes after those that it uses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum System {
            $($(#[doc = $doc])* $variant,)*
        }

        impl System {
            const EVERY: &[Self] = &[$(Self::$variant,)*];

            /// The name on the command line of `cargo stack`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The jobs of Prometheus that scrape it: the names of their files in `prometheus/scrape/` and of their
            /// folders in `prometheus/rules/`.
            pub fn jobs(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &$jobs,)*
                }
            }

            /// The ports that it listens on, if all others run.
            fn all_ports(self) -> &'static [Port] {
                match self {
                    $(Self::$variant => &[$(Port::$port),*],)*
                }
            }

            fn source(self) -> Source {
                match self {
                    $(Self::$variant => $source,)*
                }
            }
        }
    };
}

systems! {
    /// Not scraped: its exporter is.
    Postgres = "postgres", Installed(Packaged::Postgres), jobs [], ports [Postgres];
    /// Not scraped: its exporter is.
    Redis = "redis", Installed(Packaged::Redis), jobs [], ports [Redis];
    /// Routes alerts.
    Alertmanager = "alertmanager", Built(Program::Alertmanager), jobs ["alertmanager"], ports [Alertmanager];
    /// Stores metrics and evaluates rules.
    Prometheus = "prometheus", Built(Program::Prometheus), jobs ["prometheus"], ports [Prometheus];
    /// Stores spans.
    Jaeger = "jaeger", Built(Program::Jaeger), jobs ["jaeger"],
        ports [JaegerOtlpGrpc, JaegerOtlpHttp, JaegerQuery, JaegerQueryGrpc, JaegerHealth, JaegerMetrics, JaegerSampling];
    /// Stores log lines.
    VictoriaLogs = "victorialogs", Built(Program::VictoriaLogs), jobs ["victorialogs"], ports [VictoriaLogs];
    /// Evaluates the alerts on the log lines in VictoriaLogs.
    Vmalert = "vmalert", Built(Program::Vmalert), jobs ["vmalert"], ports [Vmalert];
    /// Receives spans and log lines from the service, and forwards them to Jaeger and the store of log lines.
    Collector = "collector", Built(Program::Collector), jobs ["collector", "span_metrics"],
        ports [OtlpGrpc, OtlpHttp, CollectorHealth, CollectorMetrics, CollectorSpanMetrics];
    /// Exports the metrics of the host.
    Node = "node", Built(Program::NodeExporter), jobs ["node"], ports [Node];
    /// Exports the metrics of Postgres.
    PostgresExporter = "postgres-exporter", Installed(Packaged::PostgresExporter), jobs ["postgres"],
        ports [PostgresExporter];
    /// Exports the metrics of Redis.
    RedisExporter = "redis-exporter", Installed(Packaged::RedisExporter), jobs ["redis"], ports [RedisExporter];
    /// Probes certificates and HTTP endpoints from outside.
    Blackbox = "blackbox", Installed(Packaged::Blackbox), jobs ["blackbox"], ports [Blackbox];
    /// Stores log lines and evaluates its alerts itself: in place of VictoriaLogs, for those who have installed it.
    Loki = "loki", Installed(Packaged::Loki), jobs ["loki"], ports [Loki, LokiGrpc];
}

impl System {
    /// The systems of a complete stack, in the order of their start: all but Loki, which is started only if it is named.
    pub const ALL: &[Self] = Self::EVERY.split_last().unwrap().1;

    /// The system with this name.
    ///
    /// # Errors
    /// The known names.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::EVERY.iter().copied().find(|system| system.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::EVERY.iter().map(|system| system.name()).collect();
            anyhow!("unknown system `{name}`; known systems: {}", names.join(", "))
        })
    }

    /// The program that is built for it; `None` if it comes from a package of the operating system.
    pub fn built(self) -> Option<Program> {
        match self.source() {
            Built(program) => Some(program),
            Installed(_) => None,
        }
    }

    /// The ports that it listens on, depending on which other systems run: without the collector, services send to
    /// Jaeger.
    pub fn ports(self, others: &[Self]) -> Vec<Port> {
        let with_collector = others.contains(&Self::Collector);
        let actual = |port: &Port| match port {
            Port::JaegerOtlpGrpc if !with_collector => Port::OtlpGrpc,
            Port::JaegerOtlpHttp if !with_collector => Port::OtlpHttp,
            port => *port,
        };
        self.all_ports().iter().map(actual).collect()
    }

    /// The path of its program, built if it is not in the cache.
    pub fn program(self) -> Result<PathBuf> {
        Ok(match self.source() {
            Built(program) => program.path()?,
            Installed(program) => program.path()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_system_is_found_by_its_name() {
        for system in System::EVERY {
            assert_eq!(System::from_name(system.name()).unwrap(), *system);
        }
        assert!(System::from_name("tempo").unwrap_err().to_string().contains("`tempo`"));
    }

    #[test]
    fn the_systems_of_a_stack_use_distinct_ports() {
        let every = System::EVERY.to_vec();
        for all in [every, vec![System::Jaeger, System::Prometheus]] {
            let ports: Vec<_> = all.iter().flat_map(|system| system.ports(&all)).collect();
            assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        }
    }
}
