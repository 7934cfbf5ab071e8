//! Log lines with the real programs: the service writes them, the collector reads them, a store keeps them, and their
//! trace id leads to a trace in Jaeger. A crash of the collector neither loses nor duplicates a line, lines wait while
//! the store is down, and too many errors fire an alert.
//!
//! The store is `VictoriaLogs`, and Loki as well where it is installed: this project does not build it.

mod support;

use serde_json::{Value, json};
use stack::packaged::Packaged;
use stack::query::{Api, Jaeger};
use stack::service::{Service, ServiceOptions};
use stack::{Options, Port, Stack, System};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use std::{fs, thread};
use support::expressions::{Query, blocks, queries, rules};
use support::{eventually, eventually_true, get, post_lines, service};

/// Defines the tests of each scenario: with `VictoriaLogs`, and with Loki.
macro_rules! scenarios {
    ($($name:ident)*) => {
        mod victorialogs {
            $(#[test] fn $name() { super::$name(super::Kind::VictoriaLogs); })*
        }
        mod loki {
            $(#[test] fn $name() {
                if super::Packaged::Loki.path().is_err() {
                    return eprintln!("skipped: no `loki` on the PATH");
                }
                super::$name(super::Kind::Loki);
            })*
        }
    };
}

scenarios! {
    every_line_arrives_once_even_if_the_collector_crashes
    lines_wait_while_the_store_is_down
    too_many_errors_in_the_log_fire_an_alert
    the_shipped_queries_find_their_lines
    a_secret_and_slow_statements_in_the_log_fire_alerts_and_the_secret_is_masked
}

/// The two stores of log lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    VictoriaLogs,
    Loki,
}

/// A store and its API.
struct Store {
    kind: Kind,
    api: Api,
}

/// A line as a store keeps it.
#[derive(Debug)]
struct Line {
    /// The id of its span and its message.
    identity: String,
    fields: BTreeMap<String, String>,
}

impl Line {
    fn new(message: &str, fields: BTreeMap<String, String>) -> Self {
        let span = fields.get("span_id").map_or("", String::as_str);
        Self { identity: format!("{span} {message}"), fields }
    }
}

/// What makes two records of `VictoriaLogs` the same line: see victorialogs/README.md.
const SAME_LINE: &str = "_time, span_id, _msg, log.file.name, log.file.record_offset";

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::VictoriaLogs => "victorialogs",
            Self::Loki => "loki",
        }
    }

    /// The system that stores the lines.
    fn system(self) -> System {
        match self {
            Self::VictoriaLogs => System::VictoriaLogs,
            Self::Loki => System::Loki,
        }
    }

    /// All systems of the scene.
    fn systems(self) -> Vec<System> {
        let mut systems = vec![System::Alertmanager, System::Jaeger, System::Collector, self.system()];
        if self == Self::VictoriaLogs {
            // Loki evaluates its rules itself.
            systems.push(System::Vmalert);
        }
        systems
    }

    fn store(self, stack: &Stack) -> Store {
        let port = match self {
            Self::VictoriaLogs => Port::VictoriaLogs,
            Self::Loki => Port::Loki,
        };
        Store { kind: self, api: Api::new(stack.url(port)) }
    }

    /// All lines of the service.
    fn all(self) -> &'static str {
        match self {
            Self::VictoriaLogs => "{service.name=\"ironcore\"}",
            Self::Loki => "{service_name=\"ironcore\"}",
        }
    }

    /// Its lines of level ERROR.
    fn errors(self) -> &'static str {
        match self {
            Self::VictoriaLogs => "{service.name=\"ironcore\"} severity_text:=ERROR",
            Self::Loki => "{service_name=\"ironcore\"} | severity_text=\"ERROR\"",
        }
    }

    /// A shipped query in its language.
    fn text(self, query: &Query) -> &str {
        match self {
            Self::VictoriaLogs => &query.logsql,
            Self::Loki => &query.logql,
        }
    }
}

impl Store {
    /// The lines that a query finds, each once.
    fn lines(&self, query: &str) -> Result<Vec<Line>, stack::Error> {
        match self.kind {
            Kind::VictoriaLogs => {
                let query = format!("{query} | uniq by ({SAME_LINE}, trace_id)");
                let line = |value: Value| {
                    let fields: BTreeMap<String, String> = serde_json::from_value(value).unwrap();
                    Line::new(&fields["_msg"].clone(), fields)
                };
                Ok(self.logsql(&query)?.into_iter().map(line).collect())
            }
            Kind::Loki => {
                let streams = self.query_range(query)?;
                let lines_of = |stream: &Value| -> Vec<Line> {
                    let fields: BTreeMap<String, String> = serde_json::from_value(stream["stream"].clone()).unwrap();
                    let values = stream["values"].as_array().into_iter().flatten();
                    values.map(|value| Line::new(value[1].as_str().unwrap(), fields.clone())).collect()
                };
                Ok(streams.as_array().into_iter().flatten().flat_map(lines_of).collect())
            }
        }
    }

    /// Everything that is stored of the service, as text.
    fn everything(&self) -> Result<String, stack::Error> {
        match self.kind {
            Kind::VictoriaLogs => Ok(format!("{:?}", self.logsql(self.kind.all())?)),
            Kind::Loki => Ok(self.query_range(self.kind.all())?.to_string()),
        }
    }

    /// The answer to a shipped query: a number, or how many lines it finds.
    fn answer(&self, query: &str) -> Result<usize, stack::Error> {
        let number = |value: &Value| value.as_str().and_then(|number| number.parse().ok());
        match self.kind {
            Kind::VictoriaLogs => {
                let rows = self.logsql(query)?;
                let counted = query.contains("| stats ");
                assert!(!counted || rows.len() <= 1, "{rows:?}");
                let row = rows.first().filter(|_| counted);
                Ok(row.map_or(rows.len(), |row| number(&row["errors"]).unwrap()))
            }
            Kind::Loki if query.starts_with("sum ") => {
                let answer = self.api.get("/loki/api/v1/query", &[("query", query)])?;
                let counts = answer["data"]["result"].as_array().cloned().unwrap_or_default();
                assert!(counts.len() <= 1, "{counts:?}");
                Ok(counts.first().and_then(|count| number(&count["value"][1])).unwrap_or_default())
            }
            Kind::Loki => Ok(self.lines(query)?.len()),
        }
    }

    /// An error if it is not a query.
    fn parse(&self, query: &str) -> Result<(), stack::Error> {
        match self.kind {
            Kind::VictoriaLogs => self.logsql(query).map(drop),
            Kind::Loki => self.api.get("/loki/api/v1/format_query", &[("query", query)]).map(drop),
        }
    }

    /// The fields that make streams.
    fn stream_fields(&self) -> Vec<String> {
        let names = match self.kind {
            Kind::VictoriaLogs => {
                self.api.get("/select/logsql/stream_field_names", &[("query", "*")]).unwrap()["values"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|field| field["value"].clone())
                    .collect()
            }
            Kind::Loki => self.api.get("/loki/api/v1/labels", &[("since", "1h")]).unwrap()["data"].clone(),
        };
        serde_json::from_value(names).unwrap()
    }

    fn logsql(&self, query: &str) -> Result<Vec<Value>, stack::Error> {
        self.api.lines("/select/logsql/query", &[("query", query)])
    }

    fn query_range(&self, query: &str) -> Result<Value, stack::Error> {
        let parameters = [("query", query), ("since", "1h"), ("limit", "5000")];
        Ok(self.api.get("/loki/api/v1/query_range", &parameters)?["data"]["result"].clone())
    }
}

/// The stack, and a service whose chain always fails.
struct Scene {
    service: Service,
    store: Store,
    alertmanager: Api,
    stack: Stack,
}

impl Scene {
    fn start(name: &str, kind: Kind) -> Self {
        let name = format!("{name}_{}", kind.name());
        let options = Options::free_ports(&name).with(&kind.systems());
        let stack = Stack::start(&options).unwrap_or_else(|error| panic!("{error:#}"));
        Self {
            service: service(ServiceOptions {
                // In the folder of the stack, where the collector reads log files.
                name,
                otlp_endpoint: Some(stack.otlp_grpc_url()),
                env: vec![("CHAIN_FAILURE_RATE".into(), "1".into())],
                ..ServiceOptions::default()
            }),
            store: kind.store(&stack),
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

    /// Waits until each line is in the store as often as it was written.
    fn wait_for_every_line(&self) {
        eventually_true("every line in the store, once", || {
            // Queried first, as lines written in between are not there yet.
            let kept = count_each(self.store.lines(self.store.kind.all())?.into_iter().map(|line| line.identity));
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

    /// The labels of an alert that Alertmanager has.
    fn alert(&self, name: &str) -> Result<Option<Value>, stack::Error> {
        let alerts = self.alertmanager.get("/api/v2/alerts", &[])?;
        let labels = alerts.as_array().into_iter().flatten().map(|alert| alert["labels"].clone());
        Ok(labels.into_iter().find(|labels| labels["alertname"] == name))
    }
}

fn count_each<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn every_line_arrives_once_even_if_the_collector_crashes(kind: Kind) {
    let mut scene = Scene::start("test_logs", kind);
    scene.send_failing_requests(30);
    scene.wait_for_every_line();

    scene.stack.kill(System::Collector).unwrap();
    scene.send_failing_requests(20);
    scene.stack.restart(System::Collector).unwrap();
    scene.send_failing_requests(10);
    // While it reads and sends.
    scene.stack.kill(System::Collector).unwrap();
    scene.send_failing_requests(10);
    scene.stack.restart(System::Collector).unwrap();
    scene.send_failing_requests(10);
    scene.wait_for_every_line();

    let errors = scene.store.lines(kind.errors()).unwrap();
    assert_eq!(errors.len(), 160);
    // A line leads to its trace. It is a line from after the crash, which loses the traces without a sampling decision.
    let written = scene.service.log_lines();
    let parsed = written.iter().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
    // Lines of the library about its export may come last, and belong to no trace.
    let last = parsed.into_iter().find(|line| line["level"] == "ERROR" && line["trace_id"].is_string()).unwrap();
    let id = last["trace_id"].as_str().unwrap().to_owned();
    assert!(errors.iter().any(|line| line.fields["trace_id"] == id));
    let jaeger = Jaeger::new(scene.stack.jaeger_url());
    eventually(&format!("trace {id}"), || jaeger.trace(&id));
    // The trace id is not among them: a store cannot handle a stream for each trace.
    let fields = scene.store.stream_fields();
    let service = if kind == Kind::Loki { "service_name" } else { "service.name" };
    assert!(fields.iter().any(|field| field == service) && fields.len() <= 4, "{fields:?}");
}

fn lines_wait_while_the_store_is_down(kind: Kind) {
    let mut scene = Scene::start("test_logs_queue", kind);
    scene.send_failing_requests(10);
    scene.wait_for_every_line();
    // VictoriaLogs has stored on disk what it accepted two seconds ago.
    thread::sleep(Duration::from_secs(4));
    scene.stack.kill(kind.system()).unwrap();
    scene.send_failing_requests(20);
    scene.stack.restart(kind.system()).unwrap();
    scene.send_failing_requests(10);
    scene.wait_for_every_line();
}

fn too_many_errors_in_the_log_fire_an_alert(kind: Kind) {
    let scene = Scene::start("test_log_alert", kind);
    let url = format!("{}/api/v1/gas/estimate?chain=ethereum", scene.service.url());
    let message = eventually("the alert", || {
        assert_eq!(get(&url).0, 502);
        let messages = scene.stack.inbox().messages();
        Ok::<_, stack::Error>(messages.into_iter().find(|message| message.text().contains("ErrorLogBurst")))
    });
    assert_eq!(message.channel, "slack_api");
    let labels = eventually("its labels", || scene.alert("ErrorLogBurst"));
    assert_eq!(labels["service"], "ironcore", "{labels}");
    assert_eq!((&labels["environment"], &labels["cluster"]), (&json!("development"), &json!("local")), "{labels}");
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

fn the_shipped_queries_find_their_lines(kind: Kind) {
    let scene = Scene::start("test_log_queries", kind);
    // The events at the top of logs/queries.yaml.
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
    let queries = queries();
    assert!(queries.iter().filter(|query| query.answer.is_some()).count() >= 4);
    for query in &queries {
        let (name, text) = (&query.name, kind.text(query));
        scene.store.parse(text).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        if let Some(expected) = query.answer {
            eventually_true(&format!("{expected} by {name}"), || {
                let answer = scene.store.answer(text)?;
                assert!(answer <= expected, "{name}: {answer}");
                Ok(answer == expected)
            });
        }
    }
    let language = if kind == Kind::Loki { "logql" } else { "logsql" };
    for block in blocks(language) {
        let parsed = scene.store.parse(&block.text);
        parsed.unwrap_or_else(|error| panic!("{}: {error:#}", block.place));
    }
}

fn a_secret_and_slow_statements_in_the_log_fire_alerts_and_the_secret_is_masked(kind: Kind) {
    const CANARY: &str = "Zq7canary41b";
    let scene = Scene::start("test_log_secrets", kind);
    let secret =
        json!({"level": "INFO", "target": "t", "message": format!("retry with password={CANARY}"), "api_key": CANARY});
    let slow = json!({"level": "WARN", "target": "sqlx::query", "message": "slow statement: execution time exceeded alert threshold", "elapsed_secs": 2.5});
    // Repeatedly, as a window at the quick pace is only ten seconds.
    for (alert, line) in [("SecretInLogs", secret), ("SlowQueryLogged", slow)] {
        eventually(alert, || {
            write_lines(&scene.stack, &[line.clone(), line.clone(), line.clone()]);
            thread::sleep(Duration::from_millis(400));
            scene.alert(alert)
        });
    }
    let lines = scene.store.everything().unwrap();
    assert!(lines.contains("retry with"), "{lines}");
    assert!(!lines.contains(CANARY), "{lines}");
}

#[test]
fn a_secret_that_came_past_the_collector_is_found() {
    let stack = Stack::start(&Options::free_ports("test_log_past").with(&[System::VictoriaLogs]));
    let stack = stack.unwrap_or_else(|error| panic!("{error:#}"));
    let url = format!("{}/insert/jsonline?_stream_fields=service.name", stack.url(Port::VictoriaLogs));
    let lines = [
        "login with password=Zq7canary41b",
        r#"{"apiKey": "Zq7canary41b"}"#,
        // No secret, or one with a mask.
        "login with password=[REDACTED]",
        "password: ****",
        "token: None, secret: null",
        "a token was sent",
    ]
    .map(|message| json!({"_msg": message, "service.name": "past", "deployment.environment.name": "test"}));
    assert_eq!(post_lines(&url, &lines), 200);
    let store = Kind::VictoriaLogs.store(&stack);
    eventually_true("six lines", || Ok(store.lines("{service.name=\"past\"}")?.len() == 6));
    let rule = rules("victorialogs/rules").into_iter().find(|rule| rule.place.ends_with(": SecretInLogs")).unwrap();
    let found = store.logsql(&rule.text).unwrap();
    assert_eq!(found, [json!({"service": "past", "environment": "test", "lines": "2"})]);
}
