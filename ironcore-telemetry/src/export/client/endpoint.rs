//! Where requests go: the place to connect to, and the address that stands in each request.

use crate::config::{Otlp, Protocol, Signal};
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
#[cfg(unix)]
use std::path::PathBuf;

/// The endpoint of one signal.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) place: Place,
    pub(super) is_tls: bool,
    /// The whole address of a request.
    pub(super) uri: Uri,
    /// What stands in the `host` header.
    #[cfg(feature = "otlp-http")]
    pub(super) authority: http::HeaderValue,
}

/// What is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp {
        /// A name, or an IP address without brackets.
        host: String,
        port: u16,
    },
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Endpoint {
    /// # Errors
    /// The address cannot be used: what is wrong with it. The settings refuse such an address before.
    pub(super) fn new(otlp: &Otlp, signal: Signal) -> Result<Self, String> {
        if let Some(path) = otlp.endpoint.strip_prefix("unix:") {
            return Self::of_socket(path, otlp.protocol, signal);
        }
        let uri: Uri = otlp.endpoint.parse().map_err(|_| "it is no address".to_owned())?;
        let scheme = uri.scheme().cloned().ok_or("it has no scheme")?;
        let authority = uri.authority().cloned().ok_or("it has no host")?;
        let is_tls = scheme == Scheme::HTTPS;
        if !is_tls && scheme != Scheme::HTTP {
            return Err("its scheme is not known".to_owned());
        }
        let bare = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let place = Place::Tcp { host: bare.to_owned(), port };
        let path = uri.path_and_query().cloned();
        Self::of(place, scheme, authority, path, otlp.protocol, signal)
    }

    /// A socket of this machine has no name and no path for HTTP.
    #[cfg(unix)]
    fn of_socket(path: &str, protocol: Protocol, signal: Signal) -> Result<Self, String> {
        // `unix:/path` and `unix:///path` are the same.
        let path = path.strip_prefix("//").unwrap_or(path);
        let place = Place::Unix(PathBuf::from(path));
        Self::of(place, Scheme::HTTP, Authority::from_static("localhost"), None, protocol, signal)
    }

    #[cfg(not(unix))]
    fn of_socket(_: &str, _: Protocol, _: Signal) -> Result<Self, String> {
        Err("this system has no such sockets".to_owned())
    }

    fn of(
        place: Place,
        scheme: Scheme,
        authority: Authority,
        path: Option<PathAndQuery>,
        protocol: Protocol,
        signal: Signal,
    ) -> Result<Self, String> {
        let path = match protocol {
            // The path of the service counts, as the specification has it.
            Protocol::Grpc => PathAndQuery::from_static(signal.service()),
            Protocol::HttpProtobuf => path.unwrap_or_else(|| PathAndQuery::from_static(signal.path())),
        };
        #[cfg(feature = "otlp-http")]
        let host = http::HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        let is_tls = scheme == Scheme::HTTPS;
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
        Ok(Self {
            place,
            is_tls,
            uri: uri.map_err(|error| error.to_string())?,
            #[cfg(feature = "otlp-http")]
            authority: host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::otlp;
    use super::*;

    #[test]
    fn an_endpoint_is_a_place_and_an_address() {
        const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let tcp = |host: &str, port| Place::Tcp { host: host.to_owned(), port };
        for (text, protocol, place, is_tls, uri) in [
            ("http://h:4317", Protocol::Grpc, tcp("h", 4317), false, format!("http://h:4317{TRACES}")),
            ("https://h", Protocol::Grpc, tcp("h", 443), true, format!("https://h{TRACES}")),
            ("http://h/ignored", Protocol::Grpc, tcp("h", 80), false, format!("http://h{TRACES}")),
            ("http://[::1]:1", Protocol::Grpc, tcp("::1", 1), false, format!("http://[::1]:1{TRACES}")),
            ("https://h/v1/traces", Protocol::HttpProtobuf, tcp("h", 443), true, "https://h/v1/traces".to_owned()),
            ("http://h:1/mine", Protocol::HttpProtobuf, tcp("h", 1), false, "http://h:1/mine".to_owned()),
            #[cfg(unix)]
            (
                "unix:/run/o.sock",
                Protocol::Grpc,
                Place::Unix("/run/o.sock".into()),
                false,
                format!("http://localhost{TRACES}"),
            ),
            #[cfg(unix)]
            (
                "unix:///run/o.sock",
                Protocol::HttpProtobuf,
                Place::Unix("/run/o.sock".into()),
                false,
                "http://localhost/v1/traces".to_owned(),
            ),
        ] {
            let endpoint = Endpoint::new(&otlp(text, protocol), Signal::Traces).unwrap();
            assert_eq!((&endpoint.place, endpoint.is_tls, endpoint.uri.to_string()), (&place, is_tls, uri), "{text}");
        }
        let metrics = Endpoint::new(&otlp("http://h:1", Protocol::Grpc), Signal::Metrics).unwrap();
        assert_eq!(metrics.uri.path(), "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
    }

    #[test]
    fn what_is_no_address_is_an_error() {
        for text in ["", "h", "h:1", "ftp://h", "http://", "/path"] {
            assert!(Endpoint::new(&otlp(text, Protocol::Grpc), Signal::Traces).is_err(), "{text}");
        }
    }
}
