//! The real servers. Building them takes minutes, once, so these tests need a feature:
//! `cargo test -p stack --features real-stack`.

mod support;

use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::Signal;
use stack::addresses::free_address;
use stack::packaged::Packaged;
use stack::process::{self, Output, Process};
use stack::query::{Api, Jaeger, Prometheus};
use stack::{Options, Port, Stack, System, paths};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::SystemTime;
use support::{eventually, send_otlp};

/// Answers every request with a small metrics page, like a service.
fn serve_metrics() -> SocketAddr {
    const PAGE: &str = "# TYPE http_requests_total counter\n\
                        http_requests_total{method=\"GET\",route=\"/w\",status=\"200\"} 3\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{PAGE}", PAGE.len());
        }
    });
    address
}

/// Sends a root span and its child over OTLP/HTTP.
fn send_trace(base: &str) -> String {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let start = u64::try_from(nanos).unwrap();
    let root = Span {
        trace_id: nanos.to_be_bytes().to_vec(),
        span_id: vec![1; 8],
        name: "POST /api/v1/wallets".into(),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 12_345_678,
        ..Span::default()
    };
    let child = Span {
        span_id: vec![2; 8],
        parent_span_id: vec![1; 8],
        name: "wallet.create_wallet".into(),
        kind: 1,
        start_time_unix_nano: start + 1_000_000,
        end_time_unix_nano: start + 11_000_000,
        ..root.clone()
    };
    send_otlp(base, "stack_test", vec![root, child]);
    format!("{nanos:032x}")
}

#[test]
fn a_trace_and_a_metric_come_back_from_a_stack_on_free_ports() {
    let mut stack = Stack::start(&Options::free_ports("test_real").scraping(serve_metrics())).unwrap();

    let id = send_trace(&stack.otlp_http_url());
    let jaeger = Jaeger::new(stack.jaeger_url());
    let trace = eventually("both spans in Jaeger", || {
        Ok::<_, stack::Error>(jaeger.trace(&id)?.filter(|trace| trace.spans.len() == 2))
    });
    assert_eq!(
        trace.tree(),
        format!("trace {id}, 2 spans\nPOST /api/v1/wallets  12.3 ms  [stack_test]\n└─ wallet.create_wallet  10.0 ms\n")
    );
    assert!(jaeger.services().unwrap().contains(&"stack_test".to_owned()));
    assert_eq!(jaeger.traces("stack_test", 5).unwrap()[0].trace_id, id);
    assert!(jaeger.trace(&"12".repeat(16)).unwrap().is_none());

    let prometheus = Prometheus::new(stack.prometheus_url());
    for job in ["ironcore", "jaeger", "prometheus"] {
        eventually(&format!("the scrape of {job}"), || {
            Ok::<_, stack::Error>((prometheus.targets_up(job)? == 1).then_some(()))
        });
    }
    let samples = eventually("the metric", || {
        Ok::<_, stack::Error>(Some(prometheus.instant("http_requests_total")?).filter(|s| !s.is_empty()))
    });
    assert_eq!((samples[0].labels["host"].as_str(), samples[0].labels["route"].as_str()), ("localhost", "/w"));
    // The run copy of the configuration loads the rules.
    eventually("a recorded rate", || Ok::<_, stack::Error>(prometheus.instant("service:http_requests:rate5m")?.pop()));
    let refused = prometheus.instant("sum(").unwrap_err().to_string();
    assert!(refused.contains("400") && refused.contains("parse error"), "{refused}");
    stack.check().unwrap();
}

#[test]
fn stacks_with_different_names_run_side_by_side_and_leave_no_listener() {
    let one = Stack::start(&Options::free_ports("test_one")).unwrap();
    let two = Stack::start(&Options::free_ports("test_two")).unwrap();
    assert_ne!(one.otlp_grpc_url(), two.otlp_grpc_url());
    let second = Stack::start(&Options::free_ports("test_one")).unwrap_err().to_string();
    assert!(second.contains("another process runs a stack named `test_one`"), "{second}");

    let address = one.prometheus_url().trim_start_matches("http://").to_owned();
    drop(one);
    TcpListener::bind(address).unwrap();
    // The name is free again.
    Stack::start(&Options::free_ports("test_one").scraping(free_address().unwrap())).unwrap();
}

#[test]
fn a_killed_database_restarts_with_its_data() {
    let options = Options::free_ports("test_postgres").with(&[System::Postgres]);
    let mut stack = Stack::start(&options).unwrap();
    let psql = |stack: &Stack, sql: &str| {
        let mut psql = Command::new("psql");
        psql.arg(stack.database_url().unwrap()).args(["-v", "ON_ERROR_STOP=1", "-tAc", sql]);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    psql(&stack, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7); CHECKPOINT");
    stack.kill(System::Postgres).unwrap();
    stack.restart(System::Postgres).unwrap();
    eventually("the end of its recovery", || {
        let mut ready = Command::new("psql");
        ready.arg(stack.database_url().unwrap()).args(["-c", "SELECT 1"]);
        Ok::<_, stack::Error>(ready.output()?.status.success().then_some(()))
    });
    assert_eq!(psql(&stack, "SELECT n FROM kept"), "7");
}

#[test]
fn the_role_of_the_exporter_may_read_everything_that_it_queries() {
    let options = Options::free_ports("test_exporter_role").with(&[System::Postgres]);
    let stack = Stack::start(&options).unwrap();
    let database = stack.database_url().unwrap();
    let script = paths::config_dir().join("postgres/exporter_role.sql");
    // Twice, as the script must be repeatable.
    for _ in 0..2 {
        let mut psql = Command::new("psql");
        psql.arg(&database).args(["-v", "password=Ex9", "-f"]).arg(&script);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let mut table = Command::new("psql");
    table.arg(&database).args(["-c", "CREATE TABLE t (id int primary key)"]);
    assert!(table.status().unwrap().success());

    let address = free_address().unwrap();
    let server = stack.address(Port::Postgres);
    let mut exporter = process::command(&Packaged::PostgresExporter.path().unwrap(), Signal::TERM);
    exporter
        .env("DATA_SOURCE_NAME", format!("postgres://postgres_exporter:Ex9@{server}/ironcore?sslmode=disable"))
        .env("PG_EXPORTER_EXTEND_QUERY_PATH", paths::config_dir().join("postgres/queries.yaml"))
        .arg(format!("--web.listen-address={address}"));
    let log = stack.folder().join("exporter.log");
    let _exporter = Process::spawn("exporter", exporter, &log, Output::Logged).unwrap();
    let api = Api::new(format!("http://{address}"));
    let page = eventually("its page", || api.text("/metrics").map(Some));
    for line in ["pg_up 1", "pg_exporter_last_scrape_error 0"] {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
    for metric in ["pg_table_bytes{", "pg_lock_waiting_backends{", "pg_stat_activity_count{"] {
        assert!(page.contains(metric), "{metric} in {page}");
    }
    let queries = page.lines().find(|line| line.starts_with("pg_exporter_user_queries_load_error{"));
    assert!(queries.is_some_and(|line| line.ends_with(" 0")), "{queries:?}");
}
