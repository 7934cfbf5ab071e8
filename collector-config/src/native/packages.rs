//! The packages: their Go modules, versions and build recipes.

/// The version of Jaeger.
pub const JAEGER_VERSION: &str = "2.13.0";
/// The version of Prometheus and promtool.
pub const PROMETHEUS_VERSION: &str = "3.16.0";
/// The version of Alertmanager.
pub const ALERTMANAGER_VERSION: &str = "0.31.1";
/// The version of amtool.
pub const AMTOOL_VERSION: &str = "0.34.2";
/// The version of the collector and of all its components.
pub const COLLECTOR_VERSION: &str = "0.159.0";
/// The version of `VictoriaLogs`.
pub const VICTORIALOGS_VERSION: &str = "1.52.1";
/// The version of vmalert.
pub const VMALERT_VERSION: &str = "1.151.0";
/// The version of the node exporter.
pub const NODE_EXPORTER_VERSION: &str = "1.12.1";

/// Binaries that are built together.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) recipe: Recipe,
    /// The build time on two cores, shown to the waiting user.
    pub(super) minutes: u32,
}

/// How a package is built.
#[derive(Debug)]
pub(super) enum Recipe {
    /// In the module's own folder, where its `replace` lines apply; `go install` refuses such a module.
    InModule { module: &'static str, package: &'static str, tags: &'static str },
    /// With `go install`; the packages belong to one module version.
    Install { packages: &'static [&'static str], tags: &'static str },
    /// With the collector's builder, from the manifest in this folder.
    Collector { builder: &'static str, manifest: &'static str },
}

/// Jaeger 2.13.0 is tagged v1.76.0 in the module `jaegertracing/jaeger`: its path has no `/v2`.
pub(super) const JAEGER: Package = Package {
    name: "jaeger",
    version: JAEGER_VERSION,
    recipe: Recipe::InModule { module: "github.com/jaegertracing/jaeger@v1.76.0", package: "./cmd/jaeger", tags: "" },
    minutes: 4,
};

/// Prometheus 3.16.0 is tagged v0.316.0 as a module. Without cloud service discovery: file, static and HTTP remain.
pub(super) const PROMETHEUS: Package = Package {
    name: "prometheus",
    version: PROMETHEUS_VERSION,
    recipe: Recipe::Install {
        packages: &[
            "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0",
            "github.com/prometheus/prometheus/cmd/promtool@v0.316.0",
        ],
        tags: "remove_all_sd,netgo",
    },
    minutes: 4,
};

/// 0.31 is the last version with the web page in its Go module.
pub(super) const ALERTMANAGER: Package = Package {
    name: "alertmanager",
    version: ALERTMANAGER_VERSION,
    recipe: Recipe::Install {
        packages: &["github.com/prometheus/alertmanager/cmd/alertmanager@v0.31.1"],
        tags: "netgo",
    },
    minutes: 1,
};

/// It has no web page, so it can be newer than the server.
pub(super) const AMTOOL: Package = Package {
    name: "amtool",
    version: AMTOOL_VERSION,
    recipe: Recipe::Install { packages: &["github.com/prometheus/alertmanager/cmd/amtool@v0.34.2"], tags: "netgo" },
    minutes: 1,
};

/// The distribution of `collector/builder.yaml`. 0.159.0 is the newest version whose components are all on the
/// public module proxy.
pub(super) const COLLECTOR: Package = Package {
    name: "otelcol",
    version: COLLECTOR_VERSION,
    recipe: Recipe::Collector {
        builder: "go.opentelemetry.io/collector/cmd/builder@v0.159.0",
        manifest: include_str!("../../collector/builder.yaml"),
    },
    minutes: 6,
};

/// With its web page.
pub(super) const VICTORIALOGS: Package = Package {
    name: "victoria-logs",
    version: VICTORIALOGS_VERSION,
    recipe: Recipe::Install {
        packages: &["github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v1.52.1"],
        tags: "netgo",
    },
    minutes: 1,
};

pub(super) const VMALERT: Package = Package {
    name: "vmalert",
    version: VMALERT_VERSION,
    recipe: Recipe::Install {
        packages: &["github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert@v1.151.0"],
        tags: "netgo",
    },
    minutes: 1,
};

pub(super) const NODE_EXPORTER: Package = Package {
    name: "node_exporter",
    version: NODE_EXPORTER_VERSION,
    recipe: Recipe::Install { packages: &["github.com/prometheus/node_exporter@v1.12.1"], tags: "netgo" },
    minutes: 1,
};

impl Package {
    /// Its folder in the cache, named after the version and, for the collector, the manifest.
    pub(super) fn folder(&self) -> String {
        let Self { name, version, .. } = self;
        match self.recipe {
            Recipe::Collector { manifest, .. } => {
                format!("{name}-{version}-{:08x}", fingerprint(manifest))
            }
            _ => format!("{name}-{version}"),
        }
    }

    pub(super) fn build_time(&self) -> String {
        format!("about {} min on two cores", self.minutes)
    }
}

/// FNV-1a, 32 bits: the same on every machine and with every compiler.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
