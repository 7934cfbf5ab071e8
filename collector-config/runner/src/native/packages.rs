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
/// The version of Loki.
pub const LOKI_VERSION: &str = "3.7.8";
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
    InModule {
        module: &'static str,
        package: &'static str,
        tags: &'static str,
        /// Changes to the module's `go.mod` and `go.sum`, if it needs any.
        patch: Option<ModPatch>,
    },
    /// With `go install`; the packages belong to one module version.
    Install { packages: &'static [&'static str], tags: &'static str },
    /// With the collector's builder, from the manifest in this folder.
    Collector { builder: &'static str, manifest: &'static str },
}

/// An edited copy of a module's `go.mod`; its checksums are verified like any other.
#[derive(Debug)]
pub(super) struct ModPatch {
    /// A `replace` with a folder that the published module does not contain.
    pub(super) drop_replace: &'static str,
    /// The checksums of the module that is no longer replaced.
    pub(super) sums: &'static str,
}

/// Jaeger 2.13.0 is tagged v1.76.0 in the module `jaegertracing/jaeger`: its path has no `/v2`.
pub(super) const JAEGER: Package = Package {
    name: "jaeger",
    version: JAEGER_VERSION,
    recipe: Recipe::InModule {
        module: "github.com/jaegertracing/jaeger@v1.76.0",
        package: "./cmd/jaeger",
        tags: "",
        patch: None,
    },
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

pub(super) const LOKI: Package = Package {
    name: "loki",
    version: LOKI_VERSION,
    recipe: Recipe::InModule {
        module: "github.com/grafana/loki/v3@v3.7.8",
        package: "./cmd/loki",
        tags: "netgo",
        patch: Some(ModPatch {
            drop_replace: "github.com/grafana/loki/pkg/push",
            sums: "\
github.com/grafana/loki/pkg/push v0.0.0-20250630054201-94c0ba7b0952 h1:rLzoJGDnoXsZV2j/2atL6OVk9AHluTbDOD8Ls9trtIA=
github.com/grafana/loki/pkg/push v0.0.0-20250630054201-94c0ba7b0952/go.mod h1:ny/0bFitf8KNZkZfweaI4hmwb5XPhaFD2d0kVcyKmjo=
",
        }),
    },
    minutes: 5,
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
