//! The exporters: OTLP over gRPC and over HTTP. They are built and used on the telemetry thread.

use crate::config::{Otlp, Protocol};
use crate::error::InitError;
#[cfg(any(feature = "otlp-grpc", feature = "otlp-http"))]
pub(crate) use opentelemetry_otlp::SpanExporter;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

/// The exporter of spans. It tries once: the queue keeps a batch until the collector has answered.
///
/// # Errors
/// The endpoint or a header cannot be used.
pub(crate) fn span_exporter(otlp: &Otlp) -> Result<SpanExporter, InitError> {
    match otlp.protocol {
        #[cfg(feature = "otlp-grpc")]
        Protocol::Grpc => grpc::span_exporter(otlp),
        #[cfg(feature = "otlp-http")]
        Protocol::HttpProtobuf => http::span_exporter(otlp),
        #[allow(unreachable_patterns, reason = "reached only when the feature of a protocol is off")]
        protocol => Err(unavailable(protocol)),
    }
}

/// Sends metrics over the configured transport.
pub(crate) enum MetricsSender {
    #[cfg(feature = "otlp-grpc")]
    Grpc(Box<grpc::MetricsClient>),
    #[cfg(feature = "otlp-http")]
    Http(Box<http::MetricsClient>),
    #[cfg(not(any(feature = "otlp-grpc", feature = "otlp-http")))]
    Never(std::convert::Infallible),
}

impl MetricsSender {
    /// A sender to the endpoint.
    ///
    /// # Errors
    /// The endpoint or a header cannot be used.
    pub(crate) fn new(otlp: &Otlp) -> Result<Self, InitError> {
        match otlp.protocol {
            #[cfg(feature = "otlp-grpc")]
            Protocol::Grpc => grpc::MetricsClient::new(otlp).map(Box::new).map(Self::Grpc),
            #[cfg(feature = "otlp-http")]
            Protocol::HttpProtobuf => http::MetricsClient::new(otlp).map(Box::new).map(Self::Http),
            #[allow(unreachable_patterns, reason = "reached only when the feature of a protocol is off")]
            protocol => Err(unavailable(protocol)),
        }
    }

    /// Sends one request.
    ///
    /// # Errors
    /// Why the request failed, without any text from the server.
    #[cfg_attr(
        not(any(feature = "otlp-grpc", feature = "otlp-http")),
        expect(clippy::unused_async, reason = "there is nothing to wait for without a transport")
    )]
    pub(crate) async fn send(&self, request: ExportMetricsServiceRequest) -> Result<(), String> {
        match self {
            #[cfg(feature = "otlp-grpc")]
            Self::Grpc(client) => client.send(request).await,
            #[cfg(feature = "otlp-http")]
            Self::Http(client) => client.send(request).await,
            #[cfg(not(any(feature = "otlp-grpc", feature = "otlp-http")))]
            Self::Never(never) => match (*never, request) {},
        }
    }
}

/// The settings refuse such a protocol before, with both ways out.
fn unavailable(protocol: Protocol) -> InitError {
    let allowed = format!("enable the cargo feature `{}`", protocol.feature());
    InitError::invalid("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name(), allowed)
}

fn failed(otlp: &Otlp, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InitError {
    InitError::Exporter { endpoint: otlp.endpoint.clone(), source: source.into() }
}

/// The exporter's own retries are off: they would sleep on the telemetry thread and give up within a second.
#[cfg(any(feature = "otlp-grpc", feature = "otlp-http"))]
fn try_once() -> opentelemetry_otlp::RetryPolicy {
    opentelemetry_otlp::RetryPolicy::disabled()
}

/// Without a transport there is no exporter, and settings that need one are errors.
#[cfg(not(any(feature = "otlp-grpc", feature = "otlp-http")))]
#[derive(Debug)]
pub(crate) enum SpanExporter {}

#[cfg(not(any(feature = "otlp-grpc", feature = "otlp-http")))]
impl opentelemetry_sdk::trace::SpanExporter for SpanExporter {
    async fn export(&self, _: Vec<opentelemetry_sdk::trace::SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
        match *self {}
    }
}

#[cfg(feature = "otlp-grpc")]
mod grpc {
    use super::{Otlp, failed, try_once};
    use crate::error::InitError;
    use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
    use std::time::Duration;
    use tonic::metadata::{MetadataKey, MetadataMap};
    use tonic::transport::{Channel, Endpoint};

    pub(super) fn span_exporter(otlp: &Otlp) -> Result<SpanExporter, InitError> {
        // The exporter adds the headers of the environment by itself, whichever are in force: exactly ours are sent.
        let metadata = metadata(otlp)?;
        let only_ours = move |mut request: tonic::Request<()>| {
            request.metadata_mut().clone_from(&metadata);
            Ok(request)
        };
        SpanExporter::builder()
            .with_tonic()
            .with_channel(channel(otlp)?)
            .with_interceptor(only_ours)
            .with_timeout(otlp.timeout)
            .with_retry_policy(try_once())
            .build()
            .map_err(|error| failed(otlp, error))
    }

    pub(crate) struct MetricsClient {
        client: MetricsServiceClient<Channel>,
        metadata: MetadataMap,
    }

    impl MetricsClient {
        pub(super) fn new(otlp: &Otlp) -> Result<Self, InitError> {
            Ok(Self { client: MetricsServiceClient::new(channel(otlp)?), metadata: metadata(otlp)? })
        }

        pub(super) async fn send(&self, request: ExportMetricsServiceRequest) -> Result<(), String> {
            let mut request = tonic::Request::new(request);
            *request.metadata_mut() = self.metadata.clone();
            let answer = self.client.clone().export(request).await;
            answer.map(drop).map_err(|status| format!("gRPC code {:?}", status.code()))
        }
    }

    /// A channel that connects on first use. Its connect has a time limit too, which the exporter's own channel lacks.
    fn channel(otlp: &Otlp) -> Result<Channel, InitError> {
        let connect = otlp.timeout.min(Duration::from_secs(5));
        let endpoint = Endpoint::from_shared(otlp.endpoint.clone()).map_err(|error| failed(otlp, error))?;
        Ok(endpoint.connect_timeout(connect).timeout(otlp.timeout).connect_lazy())
    }

    fn metadata(otlp: &Otlp) -> Result<MetadataMap, InitError> {
        let mut metadata = MetadataMap::new();
        for (name, value) in &otlp.headers {
            let name =
                MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes()).map_err(|error| failed(otlp, error))?;
            let mut value: tonic::metadata::AsciiMetadataValue =
                value.expose().parse().map_err(|_| failed(otlp, "a header's value is not printable ASCII"))?;
            value.set_sensitive(true);
            metadata.insert(name, value);
        }
        Ok(metadata)
    }
}

#[cfg(feature = "otlp-http")]
mod http {
    use super::{Otlp, failed, try_once};
    use crate::error::InitError;
    use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
    use opentelemetry_http::hyper::HyperClient;
    use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use prost::Message;
    use std::pin::Pin;

    pub(super) fn span_exporter(otlp: &Otlp) -> Result<SpanExporter, InitError> {
        SpanExporter::builder()
            .with_http()
            // Set explicitly, so that a feature of another crate cannot select a client that needs another runtime.
            .with_http_client(OnlyOurs { client: client(otlp), headers: headers(otlp)? })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&otlp.endpoint)
            .with_timeout(otlp.timeout)
            .with_retry_policy(try_once())
            .build()
            .map_err(|error| failed(otlp, error))
    }

    pub(crate) struct MetricsClient {
        client: HyperClient,
        endpoint: String,
        headers: HeaderMap,
    }

    impl MetricsClient {
        pub(super) fn new(otlp: &Otlp) -> Result<Self, InitError> {
            Ok(Self { client: client(otlp), endpoint: otlp.endpoint.clone(), headers: headers(otlp)? })
        }

        pub(super) async fn send(&self, request: ExportMetricsServiceRequest) -> Result<(), String> {
            let mut request = Request::post(&self.endpoint)
                .body(Bytes::from(request.encode_to_vec()))
                .map_err(|error| error.to_string())?;
            request.headers_mut().extend(self.headers.clone());
            let response = self.client.send_bytes(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            status.is_success().then_some(()).ok_or_else(|| format!("HTTP status {}", status.as_u16()))
        }
    }

    /// Sends requests with exactly our headers: the exporter adds those of the environment by itself, whichever are in
    /// force.
    #[derive(Debug)]
    struct OnlyOurs {
        client: HyperClient,
        headers: HeaderMap,
    }

    impl HttpClient for OnlyOurs {
        fn send_bytes<'client, 'sending>(
            &'client self,
            mut request: Request<Bytes>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sending>>
        where
            'client: 'sending,
            Self: 'sending,
        {
            let encoding = request.headers_mut().remove(CONTENT_ENCODING);
            request.headers_mut().clone_from(&self.headers);
            if let Some(encoding) = encoding {
                request.headers_mut().insert(CONTENT_ENCODING, encoding);
            }
            self.client.send_bytes(request)
        }
    }

    fn headers(otlp: &Otlp) -> Result<HeaderMap, InitError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &otlp.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(otlp, error))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|error| failed(otlp, error))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Ok(headers)
    }

    fn client(otlp: &Otlp) -> HyperClient {
        HyperClient::with_default_connector(otlp.timeout, None)
    }
}
