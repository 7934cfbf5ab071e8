//! The packages: their Go modules, versions and build recipes.
//!
//! Each has a folder in `native/` with a `go.mod`, whose `tool` lines are the programs to build, and a `go.sum`, against
//! which Go checks every download (of the collector: of its builder, which resolves the components of
//! `collector/builder.yaml` anew). To raise a version: `go get -tool <program>@<version> && go mod tidy` in that folder,
//! then the version here and in `compose.yaml`.

/// Programs that are built together.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: &'static str,
    /// The version as its project names it.
    pub(super) version: &'static str,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    /// Build tags.
    pub(super) tags: &'static str,
    pub(super) recipe: Recipe,
    /// The build time on two cores, shown to the waiting user.
    pub(super) minutes: u32,
}

/// How a package is built.
#[derive(Debug)]
pub(super) enum Recipe {
    /// With `go build` alone.
    Tools,
    /// With a file that the sources embed and the published module lacks, such as a web page that its release builds.
    WithFile { path: &'static str, text: &'static str },
    /// With the collector's builder, which is the tool, from a manifest.
    Collector { manifest: &'static str },
}

macro_rules! go_module {
    ($name:literal) => {
        Package {
            name: $name,
            version: "",
            go_mod: include_str!(concat!("../../../native/", $name, "/go.mod")),
            go_sum: include_str!(concat!("../../../native/", $name, "/go.sum")),
            tags: "netgo",
            recipe: Recipe::Tools,
            minutes: 1,
        }
    };
}

/// The module tag v1.76.0 is Jaeger 2.13.0, the last one under this module path: later versions are tagged v2.x, which a
/// path without `/v2` cannot name.
pub(super) const JAEGER: Package = Package { version: "2.13.0", minutes: 4, ..go_module!("jaeger") };

/// The module tag v0.316.0 is Prometheus 3.16.0. Without cloud service discovery: file, static and HTTP remain.
pub(super) const PROMETHEUS: Package =
    Package { version: "3.16.0", tags: "remove_all_sd,netgo", minutes: 4, ..go_module!("prometheus") };

/// Since 0.32 the module lacks the web page that it embeds. The API is complete.
pub(super) const ALERTMANAGER: Package = Package {
    version: "0.35.0",
    recipe: Recipe::WithFile {
        path: "github.com/prometheus/alertmanager/ui/app/dist/index.html",
        text: "The web page of Alertmanager is in its image; the API of this build is complete.\n",
    },
    minutes: 2,
    ..go_module!("alertmanager")
};

/// The distribution of `collector/builder.yaml`, which names the reason for this version.
pub(super) const COLLECTOR: Package = Package {
    version: "0.159.0",
    recipe: Recipe::Collector { manifest: include_str!("../../../collector/builder.yaml") },
    minutes: 6,
    ..go_module!("otelcol")
};

pub(super) const VICTORIALOGS: Package = Package { version: "1.52.1", ..go_module!("victorialogs") };

pub(super) const VMALERT: Package = Package { version: "1.151.0", ..go_module!("vmalert") };

pub(super) const NODE_EXPORTER: Package = Package { version: "1.12.1", ..go_module!("node_exporter") };

impl Package {
    /// Its folder in the cache, named after the version and everything that decides what is built.
    pub(super) fn folder(&self) -> String {
        let Self { name, version, .. } = self;
        let recipe = match self.recipe {
            Recipe::Tools => Vec::new(),
            Recipe::WithFile { path, text } => vec![path, text],
            Recipe::Collector { manifest } => {
                manifest.lines().filter(|line| !line.trim_start().starts_with('#')).collect()
            }
        };
        format!("{name}-{version}-{:08x}", fingerprint([self.go_mod, self.tags].into_iter().chain(recipe)))
    }

    pub(super) fn build_time(&self) -> String {
        format!("about {} min on two cores", self.minutes)
    }
}

/// FNV-1a, 32 bits: the same on every machine and with every compiler.
fn fingerprint<'a>(texts: impl Iterator<Item = &'a str>) -> u32 {
    let bytes = texts.flat_map(|text| text.bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
