//! OTLP over gRPC and over HTTP, as one router.

use super::Inbox;
use crate::otlp;
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use std::sync::Arc;
use tonic::service::Routes;

/// The size limit of one request, above any batch of an exporter.
const MAX_REQUEST: usize = 64 << 20;

const PROTOBUF: &str = "application/x-protobuf";

/// Both protocols on one router: their paths differ, and the server detects HTTP/1.1 and HTTP/2.
pub(super) fn router(inbox: &Arc<Inbox>) -> Router {
    let service = Service(Arc::clone(inbox));
    let (traces, metrics, logs) = (service.clone(), service.clone(), service.clone());
    Routes::new(TraceServiceServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST))
        .add_service(MetricsServiceServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST))
        .add_service(LogsServiceServer::new(service).max_decoding_message_size(MAX_REQUEST))
        .into_axum_router()
        .route("/v1/traces", over_http(move |request| traces.traces(request)))
        .route("/v1/metrics", over_http(move |request| metrics.metrics(request)))
        .route("/v1/logs", over_http(move |request| logs.logs(request)))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
}

#[derive(Clone, Debug)]
struct Service(Arc<Inbox>);

impl Service {
    fn traces(&self, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse {
        self.0.add_request(|received| received.spans.extend(otlp::spans(request.resource_spans)));
        ExportTraceServiceResponse { partial_success: None }
    }

    fn metrics(&self, request: ExportMetricsServiceRequest) -> ExportMetricsServiceResponse {
        self.0.add_request(|received| received.metrics.extend(otlp::metrics(request.resource_metrics)));
        ExportMetricsServiceResponse { partial_success: None }
    }

    fn logs(&self, request: ExportLogsServiceRequest) -> ExportLogsServiceResponse {
        self.0.add_request(|received| received.logs.extend(otlp::logs(request.resource_logs)));
        ExportLogsServiceResponse { partial_success: None }
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        Ok(tonic::Response::new(self.traces(request.into_inner())))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        Ok(tonic::Response::new(self.metrics(request.into_inner())))
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        Ok(tonic::Response::new(self.logs(request.into_inner())))
    }
}

fn over_http<I, O>(handle: impl Fn(I) -> O + Clone + Send + Sync + 'static) -> MethodRouter
where
    I: Message + Default + 'static,
    O: Message + 'static,
{
    post(async move |headers: HeaderMap, body: Bytes| answer(&headers, body, handle))
}

/// One OTLP/HTTP request. JSON and compressed bodies are refused, as the specification requires.
fn answer<I: Message + Default, O: Message>(headers: &HeaderMap, body: Bytes, handle: impl Fn(I) -> O) -> Response {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type != Some(PROTOBUF) || headers.contains_key("content-encoding") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    match I::decode(body) {
        Ok(request) => ([(CONTENT_TYPE, PROTOBUF)], handle(request).encode_to_vec()).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::Receiver;
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use std::time::Duration;

    fn attribute(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
        KeyValue { key: key.into(), value, ..KeyValue::default() }
    }

    fn request() -> ExportTraceServiceRequest {
        let root = Span {
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            name: "POST /api/v1/wallets".into(),
            kind: 2,
            start_time_unix_nano: 1_000_000,
            end_time_unix_nano: 13_300_000,
            ..Span::default()
        };
        let child = Span {
            span_id: vec![2; 8],
            parent_span_id: vec![1; 8],
            name: "wallet.create_wallet".into(),
            kind: 1,
            start_time_unix_nano: 2_000_000,
            attributes: vec![attribute("ironcore.asset", "BTC")],
            ..root.clone()
        };
        let resource = Resource { attributes: vec![attribute("service.name", "wallet")], ..Resource::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![root, child], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
        ExportTraceServiceRequest { resource_spans }
    }

    fn post(url: &str, content_type: &str, body: &[u8]) -> u16 {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        agent.post(url).header("content-type", content_type).send(body).unwrap().status().as_u16()
    }

    #[test]
    fn spans_arrive_over_grpc_while_the_runtime_of_the_sender_is_blocked() {
        let receiver = Receiver::start().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let channel = tonic::transport::Endpoint::new(receiver.grpc_url()).unwrap().connect().await.unwrap();
            TraceServiceClient::new(channel).export(request()).await.unwrap();
            // A blocking wait inside the runtime.
            let spans = receiver.wait_for_spans(2, Duration::from_mins(1)).unwrap();
            assert_eq!(spans[1].trace_id, "ab".repeat(16));
            assert_eq!(spans[1].parent_span_id.as_deref(), Some("0101010101010101"));
            assert_eq!(spans[1].attribute("ironcore.asset"), Some("BTC"));
            assert_eq!(spans[0].kind, "server");
        });
        let tree = receiver.trace(&"ab".repeat(16)).unwrap().tree();
        assert!(
            tree.ends_with("POST /api/v1/wallets  12.3 ms  [wallet]\n└─ wallet.create_wallet  11.3 ms\n"),
            "{tree}"
        );
    }

    #[test]
    fn spans_arrive_over_http() {
        let receiver = Receiver::start().unwrap();
        let url = format!("{}/v1/traces", receiver.http_url());
        assert_eq!(post(&url, PROTOBUF, &request().encode_to_vec()), 200);
        assert_eq!(receiver.spans().len(), 2);
        assert_eq!(receiver.requests(), 1);
    }

    #[test]
    fn a_body_that_is_not_protobuf_is_refused() {
        let receiver = Receiver::start().unwrap();
        let url = format!("{}/v1/logs", receiver.http_url());
        assert_eq!(post(&url, "application/json", b"{}"), 415);
        assert_eq!(post(&url, PROTOBUF, b"\xff\xff\xff"), 400);
        assert_eq!(receiver.requests(), 0);
    }

    #[test]
    fn a_dropped_receiver_closes_its_port() {
        let receiver = Receiver::start().unwrap();
        let address = receiver.address;
        drop(receiver);
        std::net::TcpListener::bind(address).unwrap();
    }

    #[test]
    fn a_timeout_reports_how_many_spans_have_arrived() {
        let error = Receiver::start().unwrap().wait_for_spans(3, Duration::from_millis(10)).unwrap_err();
        assert!(error.to_string().contains("3 spans at the OTLP receiver; 0 have arrived"), "{error}");
    }
}
