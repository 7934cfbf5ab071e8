//! The systems of the stack: which programs they need, on which ports they listen, which jobs scrape them.

use crate::addresses::Port;
use crate::error::Error;
use crate::native::Program;
use crate::packaged::Packaged;
use std::path::PathBuf;

/// One system of the stack. The order is the one they start in: what others ask for comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// Postgres, for a service that wants one, and for its exporter.
    Postgres,
    /// Redis, likewise.
    Redis,
    /// Where alerts go.
    Alertmanager,
    /// Where metrics go, and where rules are evaluated.
    Prometheus,
    /// Where spans go.
    Jaeger,
    /// Where log lines go.
    Loki,
    /// What stands between the service and Jaeger and Loki.
    Collector,
    /// The metrics of the host.
    Node,
    /// The metrics of Postgres.
    PostgresExporter,
    /// The metrics of Redis.
    RedisExporter,
    /// The expiry of certificates.
    Blackbox,
}

/// Where the program of a system comes from.
enum Source {
    Built(Program),
    Installed(Packaged),
}

impl System {
    /// All of them, in the order of their start.
    pub const ALL: [Self; 11] = [
        Self::Postgres,
        Self::Redis,
        Self::Alertmanager,
        Self::Prometheus,
        Self::Jaeger,
        Self::Loki,
        Self::Collector,
        Self::Node,
        Self::PostgresExporter,
        Self::RedisExporter,
        Self::Blackbox,
    ];

    /// As `cargo stack up` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Alertmanager => "alertmanager",
            Self::Prometheus => "prometheus",
            Self::Jaeger => "jaeger",
            Self::Loki => "loki",
            Self::Collector => "collector",
            Self::Node => "node",
            Self::PostgresExporter => "postgres-exporter",
            Self::RedisExporter => "redis-exporter",
            Self::Blackbox => "blackbox",
        }
    }

    /// The system of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.name() == name)
    }

    /// The jobs of Prometheus that scrape it: the names of their files in `prometheus/scrape/` and of their folders in
    /// `prometheus/rules/`.
    #[must_use]
    pub fn jobs(self) -> &'static [&'static str] {
        match self {
            // Their exporters have the job.
            Self::Postgres | Self::Redis => &[],
            Self::Alertmanager => &["alertmanager"],
            Self::Prometheus => &["prometheus"],
            Self::Jaeger => &["jaeger"],
            Self::Loki => &["loki"],
            Self::Collector => &["collector", "span_metrics"],
            Self::Node => &["node"],
            Self::PostgresExporter => &["postgres"],
            Self::RedisExporter => &["redis"],
            Self::Blackbox => &["blackbox"],
        }
    }

    /// The program that is built for it, if it is not one of the system's packages.
    #[must_use]
    pub fn built(self) -> Option<Program> {
        match self.source() {
            Source::Built(program) => Some(program),
            Source::Installed(_) => None,
        }
    }

    /// The ports that it takes beside the given systems.
    #[must_use]
    pub fn ports(self, beside: &[Self]) -> &'static [Port] {
        match self {
            Self::Postgres => &[Port::Postgres],
            Self::Redis => &[Port::Redis],
            Self::Alertmanager => &[Port::Alertmanager],
            Self::Prometheus => &[Port::Prometheus],
            Self::Jaeger if beside.contains(&Self::Collector) => &[
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
    /// If it cannot be built or is not installed.
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
            Self::Loki => Source::Built(Program::Loki),
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
    fn every_name_leads_back_to_its_system() {
        for system in System::ALL {
            assert_eq!(System::of_name(system.name()), Some(system));
        }
        assert_eq!(System::of_name("tempo"), None);
    }

    #[test]
    fn no_two_systems_of_a_stack_want_one_port() {
        for all in [System::ALL.to_vec(), vec![System::Jaeger, System::Prometheus]] {
            let ports: Vec<_> = all.iter().flat_map(|system| system.ports(&all)).collect();
            assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        }
    }
}
