//! Log lines with the real programs: the service writes them, the collector reads them, Loki stores them, and their
//! trace id leads to a trace in Jaeger. A crash of the collector neither loses nor duplicates a line, and too many
//! errors fire an alert.

mod support;

use serde_json::{Value, json};
use stack::query::{Api, Jaeger};
use stack::service::{Service, ServiceOptions};
use stack::{Options, Port, Stack, System, paths};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use std::{fs, thread};
use support::{eventually, eventually_true, get, service};

const ALL: &str = "{service_name=\"ironcore\"}";

/// The stack, and a service whose chain always fails.
struct Scene {
    service: Service,
    loki: Loki,
    alertmanager: Api,
    stack: Stack,
}

impl Scene {
    fn start(name: &str) -> Self {
        let options =
            Options::free_ports(name).with(&[System::Alertmanager, System::Jaeger, System::Loki, System::Collector]);
        let stack = Stack::start(&options).unwrap_or_else(|error| panic!("{error:#}"));
        Self {
            service: service(ServiceOptions {
                // In the folder of the stack, where the collector reads log files.
                name: name.into(),
                otlp_endpoint: Some(stack.otlp_grpc_url()),
                env: vec![("CHAIN_FAILURE_RATE".into(), "1".into())],
                ..ServiceOptions::default()
            }),
            loki: Loki(Api::new(stack.url(Port::Loki))),
            alertmanager: Api::new(stack.url(Port::Alertmanager)),
            stack,
        }
    }

    /// Sends requests that fail, with two lines of level ERROR and an access line each.
    fn send_failing_requests(&self, requests: usize) {
        let url = format!("{}/api/v1/gas/estimate?chain=ethereum", self.service.url());
        for _ in 0..requests {
            assert_eq!(get(&url).0, 502);
        }
    }

    /// Waits until each line is in Loki as often as it was written.
    fn wait_for_every_line(&self) {
        eventually_true("every line in Loki, once", || {
            // Queried first, as lines written in between are not in Loki yet.
            let kept = count_each(self.loki.lines(ALL)?.into_iter().map(|line| line.identity));
            let written = count_each(self.service.log_lines().iter().map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                format!("{} {}", text("span_id"), text("message"))
            }));
            for (line, count) in &kept {
                let once = written.get(line).copied().unwrap_or_default();
                assert!(*count <= once, "{count} times, written {once} times: {line}");
            }
            Ok(kept == written)
        });
    }
}

fn count_each<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

/// Loki's API.
struct Loki(Api);

/// A line as Loki keeps it.
struct Line {
    /// The id of its span and its message.
    identity: String,
    labels: BTreeMap<String, String>,
}

impl Loki {
    fn query_range(&self, query: &str) -> Result<Value, stack::Error> {
        let answer = self.0.get("/loki/api/v1/query_range", &[("query", query), ("since", "1h"), ("limit", "5000")])?;
        Ok(answer["data"]["result"].clone())
    }

    fn lines(&self, query: &str) -> Result<Vec<Line>, stack::Error> {
        let streams = self.query_range(query)?;
        let lines_of = |stream: &Value| -> Vec<Line> {
            let labels: BTreeMap<String, String> = serde_json::from_value(stream["stream"].clone()).unwrap();
            let values = stream["values"].as_array().into_iter().flatten();
            values
                .map(|value| Line {
                    identity: format!(
                        "{} {}",
                        labels.get("span_id").map_or("", String::as_str),
                        value[1].as_str().unwrap()
                    ),
                    labels: labels.clone(),
                })
                .collect()
        };
        Ok(streams.as_array().into_iter().flatten().flat_map(lines_of).collect())
    }
}

#[test]
fn every_line_arrives_once_even_if_the_collector_crashes() {
    let mut scene = Scene::start("test_logs");
    scene.send_failing_requests(30);
    scene.wait_for_every_line();

    scene.stack.kill(System::Collector).unwrap();
    scene.send_failing_requests(20);
    scene.stack.restart(System::Collector).unwrap();
    scene.send_failing_requests(10);
    scene.wait_for_every_line();

    let errors = scene.loki.lines(&format!("{ALL} | severity_text=\"ERROR\"")).unwrap();
    assert_eq!(errors.len(), 120);
    // A line leads to its trace. It is a line from after the crash, which loses the traces without a sampling decision.
    let written = scene.service.log_lines();
    let parsed = written.iter().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
    // Lines of the library about its export may come last, and belong to no trace.
    let last = parsed.into_iter().find(|line| line["level"] == "ERROR" && line["trace_id"].is_string()).unwrap();
    let id = last["trace_id"].as_str().unwrap().to_owned();
    assert!(errors.iter().any(|line| line.labels["trace_id"] == id));
    let jaeger = Jaeger::new(scene.stack.jaeger_url());
    eventually(&format!("trace {id}"), || jaeger.trace(&id));
    // The trace id is not a label: Loki cannot handle a stream for each trace.
    let labels = scene.loki.0.get("/loki/api/v1/labels", &[("since", "1h")]).unwrap();
    let labels: Vec<&str> = labels["data"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(labels.contains(&"service_name") && labels.len() <= 4, "{labels:?}");
}

#[test]
fn too_many_errors_in_the_log_fire_an_alert() {
    let scene = Scene::start("test_log_alert");
    let url = format!("{}/api/v1/gas/estimate?chain=ethereum", scene.service.url());
    let message = eventually("the alert", || {
        assert_eq!(get(&url).0, 502);
        let messages = scene.stack.inbox().messages();
        Ok::<_, String>(messages.into_iter().find(|message| message.text().contains("ErrorLogBurst")))
    });
    assert_eq!(message.channel, "slack_api");
}

/// The queries in loki/queries.yaml, by name.
fn shipped_queries() -> BTreeMap<String, String> {
    let text = fs::read_to_string(paths::config_dir().join("loki/queries.yaml")).unwrap();
    let mut name = None;
    let mut queries = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(found) = line.strip_prefix("- name: ") {
            name = Some(found.to_owned());
        } else if let Some(query) = line.strip_prefix("query: ") {
            queries.insert(name.take().unwrap(), query.trim_matches('\'').to_owned());
        }
    }
    queries
}

/// Writes lines in the format of the service into a file beside its own, for lines that it rarely writes.
fn write_lines(stack: &Stack, lines: &[Value]) {
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let written = lines.iter().map(|line| {
        let mut line = line.clone();
        line["service"] = "ironcore".into();
        // Without a timestamp: the collector uses the time at which it reads the line.
        line.to_string()
    });
    let text = written.collect::<Vec<_>>().join("\n") + "\n";
    let file = stack.folder().join(format!("rare-{}.jsonl", at.as_nanos()));
    fs::write(file, text).unwrap();
}

#[test]
fn the_shipped_queries_find_their_lines() {
    let scene = Scene::start("test_log_queries");
    scene.send_failing_requests(2);
    let slow = |seconds: f64| json!({"level": "WARN", "target": "sqlx::query", "message": "slow statement: execution time exceeded alert threshold", "elapsed_secs": seconds});
    write_lines(
        &scene.stack,
        &[
            json!({"level": "INFO", "target": "t", "message": "no error here", "user_id": "u-7"}),
            json!({"level": "INFO", "target": "t", "message": "another", "user_id": "u-8"}),
            slow(1.5),
            slow(0.5),
        ],
    );
    let queries = shipped_queries();
    assert!(queries.len() >= 4);
    for (name, query) in &queries {
        let parsed = scene.loki.0.get("/loki/api/v1/format_query", &[("query", query)]);
        parsed.unwrap_or_else(|error| panic!("{name}: {error:#}"));
    }
    for (name, expected) in [("error-logs", 4), ("logs-of-a-user", 1), ("slow-database-statements", 1)] {
        eventually_true(&format!("{expected} lines of {name}"), || {
            let lines = scene.loki.lines(&queries[name])?.len();
            assert!(lines <= expected, "{name}: {lines}");
            Ok(lines == expected)
        });
    }
    eventually_true("the count of errors", || {
        let answer = scene.loki.0.get("/loki/api/v1/query", &[("query", &queries["errors-in-5-minutes"])])?;
        let counts = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        assert!(counts.len() <= 1, "{counts:?}");
        Ok(counts.first().is_some_and(|count| count["value"][1] == "4"))
    });
}

#[test]
fn a_secret_and_slow_statements_in_the_log_fire_alerts_and_the_secret_is_masked() {
    const CANARY: &str = "Zq7canary41b";
    let scene = Scene::start("test_log_secrets");
    let secret =
        json!({"level": "INFO", "target": "t", "message": format!("retry with password={CANARY}"), "api_key": CANARY});
    let slow = json!({"level": "WARN", "target": "sqlx::query", "message": "slow statement: execution time exceeded alert threshold", "elapsed_secs": 2.5});
    // Repeatedly, as a window at the quick pace is only ten seconds.
    for (alert, line) in [("SecretInLogs", secret), ("SlowQueryLogged", slow)] {
        eventually(alert, || {
            write_lines(&scene.stack, &[line.clone(), line.clone(), line.clone()]);
            thread::sleep(Duration::from_millis(400));
            let alerts = scene.alertmanager.get("/api/v2/alerts", &[])?;
            let mut alerts = alerts.as_array().cloned().unwrap_or_default().into_iter();
            let fires = alerts.any(|fires| fires["labels"]["alertname"] == alert);
            Ok::<_, stack::Error>(fires.then_some(()))
        });
    }
    let lines = scene.loki.query_range(ALL).unwrap().to_string();
    assert!(lines.contains("retry with"), "{lines}");
    assert!(!lines.contains(CANARY), "{lines}");
}
