//! Who is told the trace context.

use crate::propagation;
use http::{HeaderMap, Uri};
use opentelemetry::Context;
use std::net::IpAddr;

/// Hosts that are told the trace context, and whether the baggage too.
///
/// Trace ids and baggage are about our users; a host that is not ours has no use for them, and may keep them.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    hosts: Vec<Host>,
    baggage: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Exactly(String),
    /// Every host below this one, which begins with a dot.
    Below(String),
}

impl Default for Targets {
    fn default() -> Self {
        Self { hosts: vec![Host::Below(".internal".to_owned())], baggage: false }
    }
}

impl Targets {
    /// Adds a host, or all hosts below one: `*.example.org`.
    pub(super) fn add(&mut self, pattern: &str) {
        let host = host_of(pattern);
        let is_host = |host: &str| !host.is_empty() && !host.contains(['*', '/', '@', ' ']);
        let added = match host.strip_prefix("*.") {
            Some(below) if is_host(below) => Some(Host::Below(format!(".{below}"))),
            None if is_host(&host) => Some(Host::Exactly(host)),
            _ => None,
        };
        if added.is_none() {
            tracing::warn!(
                target: "ironcore_telemetry",
                pattern,
                "no host is called so, and none is told the trace; write ledger.example.org, or *.example.org for all below"
            );
        }
        self.hosts.extend(added);
    }

    pub(super) fn send_baggage(&mut self, send: bool) {
        self.baggage = send;
    }

    /// Whether the host of an address is told.
    pub(super) fn include(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else {
            return false;
        };
        let host = host_of(host);
        is_loopback(&host)
            || self.hosts.iter().any(|allowed| match allowed {
                Host::Exactly(exactly) => *exactly == host,
                Host::Below(below) => host.strip_suffix(below.as_str()).is_some_and(|name| !name.is_empty()),
            })
    }

    /// Writes the context into the headers of a request to one of them. Nobody else gets one: what another has put there,
    /// as whoever copies the headers of its own caller does, does not leave.
    pub(super) fn tell(&self, is_target: bool, context: &Context, headers: &mut HeaderMap) {
        propagation::remove(headers);
        if is_target {
            propagation::inject(context, headers, self.baggage);
        }
    }
}

/// The host of an address, as it is compared: without scheme, port, path, brackets and the dot at its end.
fn host_of(address: &str) -> String {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let address = address.split('/').next().unwrap_or_default();
    let host = match (address.strip_prefix('['), address.rsplit_once(':')) {
        (Some(rest), _) => rest.split(']').next().unwrap_or_default(),
        // An address of version 6 without brackets has no port.
        (None, Some((host, port))) if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        (None, _) => address,
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(targets: &Targets, uri: &str) -> bool {
        targets.include(&uri.parse().unwrap())
    }

    #[test]
    fn by_default_only_this_machine_and_internal_hosts_are_told() {
        let targets = Targets::default();
        for uri in [
            "http://localhost:8080/",
            "http://127.0.0.1/a",
            "http://127.8.8.8/",
            "http://[::1]:50051/",
            "https://swap.internal/",
            "https://Swap.Prod.INTERNAL./",
        ] {
            assert!(told(&targets, uri), "{uri}");
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
            assert!(!told(&targets, uri), "{uri}");
        }
    }

    #[test]
    fn a_host_is_added_exactly_or_with_all_below_it() {
        let mut targets = Targets::default();
        targets.add("ledger.example.org");
        targets.add("*.corp.example.org");
        assert!(told(&targets, "https://ledger.example.org/"));
        assert!(told(&targets, "https://a.b.corp.example.org/"));
        assert!(!told(&targets, "https://x.ledger.example.org/"));
        assert!(!told(&targets, "https://corp.example.org/"));
        assert!(!told(&targets, "https://evilcorp.example.org/"));
    }

    #[test]
    fn what_is_written_as_an_address_is_taken_for_its_host() {
        for pattern in ["https://ledger.example.org", "ledger.example.org:8443", "https://Ledger.example.org:8443/v1"] {
            let mut targets = Targets::default();
            targets.add(pattern);
            assert!(told(&targets, "https://ledger.example.org:9/"), "{pattern}");
        }
        for pattern in ["fd00::1", "[fd00::1]:443"] {
            let mut targets = Targets::default();
            targets.add(pattern);
            assert!(told(&targets, "http://[fd00::1]:50051/"), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_no_host_is_called_by_adds_none() {
        for pattern in ["", "*", "*.", "*example.org", "a.*.org", "me@example.org"] {
            let mut targets = Targets::default();
            targets.add(pattern);
            assert_eq!(targets.hosts, Targets::default().hosts, "{pattern}");
        }
    }
}
