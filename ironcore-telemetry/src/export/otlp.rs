//! The exporters over the [`Client`].

use super::answer::Answer;
use super::client::Client;
use crate::config::{Otlp, Signal};
use crate::error::InitError;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use std::fmt;

/// The exporter of spans. It tries once: the queue keeps a batch until the collector has answered.
///
/// # Errors
/// The endpoint or a header cannot be used.
pub(crate) fn span_exporter(otlp: &Otlp) -> Result<SpanExporter, InitError> {
    let client = Client::new(otlp, Signal::Traces)?;
    Ok(SpanExporter { client, resource: ResourceAttributesWithSchema::default() })
}

pub(crate) struct SpanExporter {
    client: Client,
    resource: ResourceAttributesWithSchema,
}

impl fmt::Debug for SpanExporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SpanExporter").finish_non_exhaustive()
    }
}

impl opentelemetry_sdk::trace::SpanExporter for SpanExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let answer = self.client.send(vec![Bytes::from(request.encode_to_vec())]).await;
        result(answer).map_err(OTelSdkError::InternalFailure)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = ResourceAttributesWithSchema::from(resource);
    }
}

/// Sends metrics.
pub(crate) struct MetricsSender(Client);

impl MetricsSender {
    /// A sender to the endpoint.
    ///
    /// # Errors
    /// The endpoint or a header cannot be used.
    pub(crate) fn new(otlp: &Otlp) -> Result<Self, InitError> {
        Client::new(otlp, Signal::Metrics).map(Self)
    }

    /// Sends one request.
    ///
    /// # Errors
    /// Why the request failed.
    pub(crate) async fn send(&self, request: ExportMetricsServiceRequest) -> Result<(), String> {
        result(self.0.send(vec![Bytes::from(request.encode_to_vec())]).await)
    }
}

/// In the words by which the queue knows what is final.
fn result(answer: Answer) -> Result<(), String> {
    match answer {
        Answer::Accepted { .. } => Ok(()),
        Answer::TooLarge(text) | Answer::Refused(text) => Err(format!("status code: refused: {text}")),
        Answer::Failed(failure) => Err(failure.text),
    }
}
