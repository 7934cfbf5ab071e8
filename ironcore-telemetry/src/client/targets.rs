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
        Self {
            hosts: vec![Host::Below(".internal".to_owned())],
            baggage: false,
        }
    }
}

impl Targets {
    /// Adds a host, or all hosts below one: `*.example.org`.
    pub(super) fn add(&mut self, host: &str) {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.hosts.push(match host.strip_prefix('*') {
            Some(below) if below.starts_with('.') => Host::Below(below.to_owned()),
            _ => Host::Exactly(host),
        });
    }

    pub(super) fn send_baggage(&mut self, send: bool) {
        self.baggage = send;
    }

    /// Whether the host of an address is told.
    pub(super) fn include(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else {
            return false;
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        is_loopback(&host)
            || self.hosts.iter().any(|allowed| match allowed {
                Host::Exactly(exactly) => *exactly == host,
                Host::Below(below) => host
                    .strip_suffix(below.as_str())
                    .is_some_and(|name| !name.is_empty()),
            })
    }

    /// Writes the context into the headers of a request to one of them.
    pub(super) fn tell(&self, context: &Context, headers: &mut HeaderMap) {
        propagation::inject(context, headers, self.baggage);
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
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
}
