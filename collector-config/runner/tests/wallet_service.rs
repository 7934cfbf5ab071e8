//! The example wallet service as a child process. It must be compiled, so these tests need a feature:
//! `cargo test -p stack --features real-stack`.

use stack::receiver::Receiver;
use stack::service::{Service, ServiceOptions};
use std::time::Duration;

fn get(url: &str) -> u16 {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    agent.get(url).call().unwrap().status().as_u16()
}

#[test]
fn the_trace_of_a_request_is_exported_before_the_service_ends() {
    let receiver = Receiver::start().unwrap();
    let service = Service::start(&ServiceOptions {
        name: "test_wallet_service".into(),
        otlp_endpoint: Some(receiver.grpc_url()),
        database_url: Some("sqlite::memory:".into()),
        ..ServiceOptions::default()
    })
    .unwrap();
    assert_eq!(get(&service.metrics_url()), 200);
    assert_eq!(get(&format!("{}/api/v1/wallets", service.url())), 200);
    assert!(service.stop().unwrap().success());

    // The service flushes its telemetry before it ends.
    let spans = receiver.wait_for_spans(1, Duration::from_mins(1)).unwrap();
    let request = spans.iter().find(|span| span.name == "GET /api/v1/wallets").unwrap();
    assert_eq!(request.kind, "server");
    let trace = receiver.trace(&request.trace_id).unwrap();
    assert!(trace.tree().contains("\n└─ wallet."), "{}", trace.tree());
}

#[test]
fn a_service_without_an_endpoint_still_writes_its_log_lines() {
    let service = Service::start(&ServiceOptions {
        name: "test_wallet_service_alone".into(),
        database_url: Some("sqlite::memory:".into()),
        ..ServiceOptions::default()
    })
    .unwrap();
    get(&format!("{}/api/v1/wallets", service.url()));
    let file = service.log_file().to_path_buf();
    assert!(service.stop().unwrap().success());
    let lines = std::fs::read_to_string(file).unwrap();
    let line = lines.lines().find(|line| line.contains("/api/v1/wallets")).unwrap();
    assert!(line.contains("\"status\":200"), "{line}");
}
