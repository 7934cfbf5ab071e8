//! The library's own lines beside a filter that names other targets.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// The targets of this library's lines: what every operation and request logs at its end, panics, its own messages.
const OWN_TARGETS: &[&str] = &["business", "http_access", "grpc_access", "panic", "ironcore_telemetry"];

/// Lets the library's own lines pass up to `INFO` that the directives say nothing of. `RUST_LOG=my_crate=debug` names one
/// crate; it does not ask for silence about operations and requests. A level for everything (`warn`, `off`), and a
/// directive that names one of the targets, hold as they are.
///
/// It is a filter of its own: a further directive would also hold for each target that begins with the same letters.
pub(super) fn own_lines(directives: &str) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + use<>> {
    let targets = unnamed(directives);
    let level = if targets.is_empty() { LevelFilter::OFF } else { LevelFilter::INFO };
    let is_own =
        move |metadata: &Metadata<'_>| *metadata.level() <= Level::INFO && targets.contains(&metadata.target());
    filter_fn(is_own).with_max_level_hint(level)
}

/// The library's targets that the directives say nothing of.
fn unnamed(directives: &str) -> Vec<&'static str> {
    let directives: Vec<_> = directives.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
    if directives.iter().any(|directive| is_for_everything(directive)) {
        return Vec::new();
    }
    let is_named = |target: &&str| directives.iter().any(|directive| target_of(directive) == *target);
    OWN_TARGETS.iter().copied().filter(|target| !is_named(target)).collect()
}

/// Whether a directive sets the level of every target.
fn is_for_everything(directive: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace", "0", "1", "2", "3", "4", "5"];
    levels.iter().any(|level| directive.eq_ignore_ascii_case(level))
}

fn target_of(directive: &str) -> &str {
    directive.split(['=', '[']).next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_for_one_crate_says_nothing_of_the_library_s_own_lines() {
        for (directives, own) in [
            ("my_app=info", OWN_TARGETS),
            ("my_app", OWN_TARGETS),
            (" my_app=debug , hyper=warn, ", OWN_TARGETS),
            ("my_app[request{id=7}]=trace", OWN_TARGETS),
            ("", OWN_TARGETS),
            ("http=warn,business_rules=off", OWN_TARGETS),
            ("info", &[]),
            ("WARN,my_app=debug", &[]),
            ("off", &[]),
            ("my_app=debug,2", &[]),
            ("business=off,my_app=info", &["http_access", "grpc_access", "panic", "ironcore_telemetry"]),
            ("http_access=warn,grpc_access=off,panic=error,ironcore_telemetry=warn", &["business"]),
        ] {
            assert_eq!(unnamed(directives), own, "{directives:?}");
        }
    }
}
