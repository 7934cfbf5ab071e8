//! Which events are logged.

use crate::config::Filter;

/// The targets of this library's lines: what every operation and request logs at its end, panics, its own messages.
const OWN_TARGETS: &[&str] = &["business", "http_access", "grpc_access", "panic", "ironcore_telemetry"];

/// The directives with those of the library's own lines. `RUST_LOG=my_crate=debug` names one crate; it does not ask for
/// silence about operations and requests, so they stay at `info`. A level for everything (`warn`, `off`), and a
/// directive that names one of the targets, hold as they are.
pub(super) fn with_own_targets(filter: &Filter) -> Filter {
    let directives: Vec<_> = filter.directives.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
    let mut all = filter.directives.trim().trim_end_matches(',').to_owned();
    if !directives.iter().any(|directive| is_for_everything(directive)) {
        for target in OWN_TARGETS.iter().filter(|target| !directives.iter().any(|text| target_of(text) == **target)) {
            if !all.is_empty() {
                all.push(',');
            }
            all.push_str(target);
            all.push_str("=info");
        }
    }
    Filter { origin: filter.origin, directives: all }
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
    fn a_directive_for_one_crate_leaves_the_library_s_own_lines_at_info() {
        let own = "business=info,http_access=info,grpc_access=info,panic=info,ironcore_telemetry=info";
        for (directives, added) in [
            ("my_app=info", own),
            ("my_app", own),
            (" my_app=debug , hyper=warn, ", own),
            ("my_app[request{id=7}]=trace", own),
            ("", own),
            ("http=warn", own),
            ("info", ""),
            ("WARN,my_app=debug", ""),
            ("off", ""),
            ("my_app=debug,2", ""),
            ("business=off,my_app=info", "http_access=info,grpc_access=info,panic=info,ironcore_telemetry=info"),
            ("http_access=warn,grpc_access=off,panic=error,ironcore_telemetry=warn", "business=info"),
        ] {
            let filter = Filter { origin: "RUST_LOG", directives: directives.to_owned() };
            let all = with_own_targets(&filter).directives;
            let given = directives.trim().trim_end_matches(',');
            let joined = [given, added].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",");
            assert_eq!(all, joined, "{directives:?}");
            assert!(tracing_subscriber::EnvFilter::builder().parse(&all).is_ok(), "{all}");
        }
    }
}
