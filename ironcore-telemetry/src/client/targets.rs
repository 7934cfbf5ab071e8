//! Which hosts receive the trace context.

use crate::error::InvalidPattern;
use crate::propagation;
use http::HeaderMap;
use opentelemetry::Context;
use std::net::IpAddr;
use std::sync::Arc;

/// The hosts that receive the trace context, and whether they receive the baggage too.
///
/// Trace ids and baggage are data about our users: a host of a third party has no use for them, and may keep them.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    hosts: Vec<HostPattern>,
    baggage: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exact(Arc<str>),
    /// The end of the names of all hosts below one, with the dot at its start.
    Below(String),
}

impl HostPattern {
    /// Reads `ledger.example.org`, an IP address, or `*.example.org`. An address such as
    /// `https://ledger.example.org:8443` counts as its host.
    fn parse(pattern: &str) -> Result<Self, InvalidPattern> {
        let host = host_of(pattern);
        match host.strip_prefix("*.") {
            Some(parent) if is_name(parent) => Ok(Self::Below(format!(".{parent}"))),
            None if is_name(&host) || host.parse::<IpAddr>().is_ok() => Ok(Self::Exact(host.into())),
            _ => Err(InvalidPattern::new(
                pattern,
                "allowed are a host (ledger.example.org), and *.example.org for all hosts below one",
            )),
        }
    }

    /// The host, if it was declared by its whole name.
    fn exactly(&self, host: &str) -> Option<&Arc<str>> {
        match self {
            Self::Exact(exact) if **exact == *host => Some(exact),
            _ => None,
        }
    }

    fn is_above(&self, host: &str) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Below(end) => host.strip_suffix(end.as_str()).is_some_and(|name| !name.is_empty()),
        }
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self { hosts: vec![HostPattern::Below(".internal".to_owned())], baggage: false }
    }
}

impl Targets {
    /// Adds a host, or all hosts below one: `*.example.org`.
    pub(super) fn add(&mut self, pattern: &str) -> Result<(), InvalidPattern> {
        self.hosts.push(HostPattern::parse(pattern)?);
        Ok(())
    }

    pub(super) fn send_baggage(&mut self, send: bool) {
        self.baggage = send;
    }

    /// What is declared of this host of an address.
    pub(super) fn of(&self, host: Option<&str>) -> Target<'_> {
        let Some(host) = host else {
            return Target::default();
        };
        let host = host_of(host);
        let declared_host = self.hosts.iter().find_map(|pattern| pattern.exactly(&host));
        let is_below = || self.hosts.iter().any(|pattern| pattern.is_above(&host));
        Target { is_allowed: declared_host.is_some() || is_loopback(&host) || is_below(), declared_host }
    }

    /// Replaces the trace context in the headers of a request: writes ours for a target, and none for another host.
    /// What is there already (a proxy copies the headers of its own caller) is never sent.
    pub(super) fn replace_context(&self, is_target: bool, context: &Context, headers: &mut HeaderMap) {
        propagation::remove(headers);
        if is_target {
            propagation::inject(context, headers, self.baggage);
        }
    }
}

/// What is declared of a host.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Target<'targets> {
    /// Whether it receives the trace context.
    pub(super) is_allowed: bool,
    /// Its name, if it was declared by its whole name.
    pub(super) declared_host: Option<&'targets Arc<str>>,
}

/// The host of an address in the form in which hosts are compared: in lower case, without scheme, port, path, brackets
/// and the dot at its end.
pub(super) fn host_of(address: &str) -> String {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let address = address.split('/').next().unwrap_or_default();
    let host = match (address.strip_prefix('['), address.rsplit_once(':')) {
        (Some(rest), _) => rest.split(']').next().unwrap_or_default(),
        // An IPv6 address without brackets has no port.
        (None, Some((host, port))) if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        (None, _) => address,
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether this can be the name of a host: labels of letters, digits, `-` and `_`.
fn is_name(host: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    host.split('.').all(|label| !label.is_empty() && label.bytes().all(is_char))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;

    fn includes(targets: &Targets, uri: &str) -> bool {
        targets.of(uri.parse::<Uri>().unwrap().host()).is_allowed
    }

    #[test]
    fn by_default_only_this_machine_and_internal_hosts_are_targets() {
        let targets = Targets::default();
        for uri in [
            "http://localhost:8080/",
            "http://127.0.0.1/a",
            "http://127.8.8.8/",
            "http://[::1]:50051/",
            "https://swap.internal/",
            "https://Swap.Prod.INTERNAL./",
        ] {
            assert!(includes(&targets, uri), "{uri}");
        }
        for uri in [
            "https://api.example.org/",
            "https://internal/",
            "https://notinternal/",
            "https://swap.internal.example.org/",
            "https://localhost.example.org/",
            "https://127.0.0.1.example.org/",
            "http://10.0.0.1/",
            "http://localhost@api.example.org/",
            "/no/host",
        ] {
            assert!(!includes(&targets, uri), "{uri}");
        }
    }

    #[test]
    fn a_pattern_adds_one_host_or_all_hosts_below_one() {
        let mut targets = Targets::default();
        targets.add("ledger.example.org").unwrap();
        targets.add("*.corp.example.org").unwrap();
        assert!(includes(&targets, "https://ledger.example.org/"));
        assert!(includes(&targets, "https://a.b.corp.example.org/"));
        assert!(!includes(&targets, "https://x.ledger.example.org/"));
        assert!(!includes(&targets, "https://corp.example.org/"));
        assert!(!includes(&targets, "https://evilcorp.example.org/"));
    }

    #[test]
    fn only_a_host_that_was_declared_by_its_whole_name_has_a_declared_name() {
        let mut targets = Targets::default();
        targets.add("Ledger.example.org:8443").unwrap();
        targets.add("*.corp.example.org").unwrap();
        // Also where it is allowed already.
        targets.add("swap.internal").unwrap();
        let declared = |uri: &str| {
            let uri: Uri = uri.parse().unwrap();
            targets.of(uri.host()).declared_host.map(ToString::to_string)
        };
        assert_eq!(declared("https://ledger.example.org/").as_deref(), Some("ledger.example.org"));
        assert_eq!(declared("http://swap.internal:8080/").as_deref(), Some("swap.internal"));
        for uri in ["https://key.corp.example.org/", "http://127.0.0.1/", "https://other.org/", "http://a.internal/"] {
            assert_eq!(declared(uri), None, "{uri}");
        }
    }

    #[test]
    fn an_address_counts_as_its_host() {
        for pattern in ["https://ledger.example.org", "ledger.example.org:8443", "https://Ledger.example.org:8443/v1"] {
            let mut targets = Targets::default();
            targets.add(pattern).unwrap();
            assert!(includes(&targets, "https://ledger.example.org:9/"), "{pattern}");
        }
        for pattern in ["fd00::1", "[fd00::1]:443"] {
            let mut targets = Targets::default();
            targets.add(pattern).unwrap();
            assert!(includes(&targets, "http://[fd00::1]:50051/"), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_no_host_matches_is_an_error_that_shows_it_and_the_allowed_forms() {
        for pattern in [
            "",
            "*",
            "*.",
            "*example.org",
            "a.*.org",
            "me@example.org",
            ".example.org",
            "a..example.org",
            "exa mple.org",
            "müller.example.org",
            "ledger.example.org?a=1",
            "*.[::1]",
        ] {
            let mut targets = Targets::default();
            let error = targets.add(pattern).unwrap_err();
            assert_eq!(error.pattern, pattern);
            let message = error.to_string();
            assert!(message.contains(&format!("{pattern:?}")) && message.contains("*.example.org"), "{message}");
            assert_eq!(targets.hosts, Targets::default().hosts, "{pattern}");
        }
    }
}
