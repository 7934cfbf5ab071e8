//! The systems of the stack: their programs, ports and scrape jobs.

use crate::addresses::Port;
use crate::error::Error;
use crate::native::Program;
use crate::packaged::Packaged;
use std::path::PathBuf;

/// One system of the stack. They start in this order: a system comes after those that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// Postgres, for services and for its exporter.
    Postgres,
    /// Redis, for services and for its exporter.
    Redis,
    /// Routes alerts.
    Alertmanager,
    /// Stores metrics and evaluates rules.
    Prometheus,
    /// Stores spans.
    Jaeger,
    /// Stores log lines.
    VictoriaLogs,
    /// Evaluates the alerts on the log lines in `VictoriaLogs`.
    Vmalert,
    /// Stores log lines and evaluates its alerts itself: in place of `VictoriaLogs`, for those who have installed it.
    Loki,
    /// Receives spans and log lines from the service, and forwards them to Jaeger and the store of log lines.
    Collector,
    /// Exports the metrics of the host.
    Node,
    /// Exports the metrics of Postgres.
    PostgresExporter,
    /// Exports the metrics of Redis.
    RedisExporter,
    /// Probes certificates and HTTP endpoints from outside.
    Blackbox,
}

/// Where the program of a system comes from.
enum Source {
    Built(Program),
    Installed(Packaged),
}

impl System {
    /// The systems of a complete stack, in the order of their start.
    pub const ALL: [Self; 12] = [
        Self::Postgres,
        Self::Redis,
        Self::Alertmanager,
        Self::Prometheus,
        Self::Jaeger,
        Self::VictoriaLogs,
        Self::Vmalert,
        Self::Collector,
        Self::Node,
        Self::PostgresExporter,
        Self::RedisExporter,
        Self::Blackbox,
    ];

    /// The systems that are started only if they are named.
    pub const OPTIONAL: [Self; 1] = [Self::Loki];

    /// The name on the command line of `cargo stack`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Alertmanager => "alertmanager",
            Self::Prometheus => "prometheus",
            Self::Jaeger => "jaeger",
            Self::VictoriaLogs => "victorialogs",
            Self::Vmalert => "vmalert",
            Self::Loki => "loki",
            Self::Collector => "collector",
            Self::Node => "node",
            Self::PostgresExporter => "postgres-exporter",
            Self::RedisExporter => "redis-exporter",
            Self::Blackbox => "blackbox",
        }
    }

    /// The system with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::OPTIONAL).find(|system| system.name() == name)
    }

    /// The jobs of Prometheus that scrape it: the names of their files in `prometheus/scrape/` and of their folders in
    /// `prometheus/rules/`.
    #[must_use]
    pub fn jobs(self) -> &'static [&'static str] {
        match self {
            // Their exporters are scraped instead.
            Self::Postgres | Self::Redis => &[],
            Self::Alertmanager => &["alertmanager"],
            Self::Prometheus => &["prometheus"],
            Self::Jaeger => &["jaeger"],
            Self::VictoriaLogs => &["victorialogs"],
            Self::Vmalert => &["vmalert"],
            Self::Loki => &["loki"],
            Self::Collector => &["collector", "span_metrics"],
            Self::Node => &["node"],
            Self::PostgresExporter => &["postgres"],
            Self::RedisExporter => &["redis"],
            Self::Blackbox => &["blackbox"],
        }
    }

    /// The program that is built for it; `None` if it comes from a package of the operating system.
    #[must_use]
    pub fn built(self) -> Option<Program> {
        match self.source() {
            Source::Built(program) => Some(program),
            Source::Installed(_) => None,
        }
    }

    /// The ports that it listens on, depending on which other systems run.
    #[must_use]
    pub fn ports(self, others: &[Self]) -> &'static [Port] {
        match self {
            Self::Postgres => &[Port::Postgres],
            Self::Redis => &[Port::Redis],
            Self::Alertmanager => &[Port::Alertmanager],
            Self::Prometheus => &[Port::Prometheus],
            Self::Jaeger if others.contains(&Self::Collector) => &[
                Port::JaegerOtlpGrpc,
                Port::JaegerOtlpHttp,
                Port::JaegerQuery,
                Port::JaegerQueryGrpc,
                Port::JaegerHealth,
                Port::JaegerMetrics,
                Port::JaegerSampling,
            ],
            Self::Jaeger => &[
                Port::OtlpGrpc,
                Port::OtlpHttp,
                Port::JaegerQuery,
                Port::JaegerQueryGrpc,
                Port::JaegerHealth,
                Port::JaegerMetrics,
                Port::JaegerSampling,
            ],
            Self::VictoriaLogs => &[Port::VictoriaLogs],
            Self::Vmalert => &[Port::Vmalert],
            Self::Loki => &[Port::Loki, Port::LokiGrpc],
            Self::Collector => &[
                Port::OtlpGrpc,
                Port::OtlpHttp,
                Port::CollectorHealth,
                Port::CollectorMetrics,
                Port::CollectorSpanMetrics,
            ],
            Self::Node => &[Port::Node],
            Self::PostgresExporter => &[Port::PostgresExporter],
            Self::RedisExporter => &[Port::RedisExporter],
            Self::Blackbox => &[Port::Blackbox],
        }
    }

    /// The path of its program, built if it is not in the cache.
    ///
    /// # Errors
    /// If it cannot be built, or is not installed.
    pub fn program(self) -> Result<PathBuf, Error> {
        Ok(match self.source() {
            Source::Built(program) => program.path()?,
            Source::Installed(program) => program.path()?,
        })
    }

    fn source(self) -> Source {
        match self {
            Self::Postgres => Source::Installed(Packaged::Postgres),
            Self::Redis => Source::Installed(Packaged::Redis),
            Self::PostgresExporter => Source::Installed(Packaged::PostgresExporter),
            Self::RedisExporter => Source::Installed(Packaged::RedisExporter),
            Self::Blackbox => Source::Installed(Packaged::Blackbox),
            Self::Alertmanager => Source::Built(Program::Alertmanager),
            Self::Prometheus => Source::Built(Program::Prometheus),
            Self::Jaeger => Source::Built(Program::Jaeger),
            Self::VictoriaLogs => Source::Built(Program::VictoriaLogs),
            Self::Vmalert => Source::Built(Program::Vmalert),
            Self::Loki => Source::Installed(Packaged::Loki),
            Self::Collector => Source::Built(Program::Collector),
            Self::Node => Source::Built(Program::NodeExporter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_system_is_found_by_its_name() {
        for system in System::ALL.into_iter().chain(System::OPTIONAL) {
            assert_eq!(System::from_name(system.name()), Some(system));
        }
        assert_eq!(System::from_name("tempo"), None);
    }

    #[test]
    fn the_systems_of_a_stack_use_distinct_ports() {
        let every = System::ALL.into_iter().chain(System::OPTIONAL).collect();
        for all in [every, vec![System::Jaeger, System::Prometheus]] {
            let ports: Vec<_> = all.iter().flat_map(|system| system.ports(&all)).collect();
            assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        }
    }
}
