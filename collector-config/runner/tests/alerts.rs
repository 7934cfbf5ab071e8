//! Alerts with the real programs: the wallet service fails, Prometheus fires, Alertmanager groups, routes and inhibits,
//! and this process receives what it would send to Slack, `PagerDuty`, SMS and email. The rules and routes are the
//! shipped ones, with their times divided by 30.

mod support;

use serde_json::Value;
use stack::addresses::free_address;
use stack::inbox::Message;
use stack::native::Program;
use stack::query::{Api, Prometheus};
use stack::service::{Service, ServiceOptions};
use stack::{Options, Port, Stack, System};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use support::{PATIENCE, eventually, eventually_true, get, service};

/// The repeat interval of a P1: an hour, divided by 30.
const REPEATED: Duration = Duration::from_mins(2);

/// Sends requests that fail until it is dropped.
struct FailingRequests {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FailingRequests {
    fn start(service: &Service) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let url = format!("{}/api/v1/gas/estimate?chain=ethereum", service.url());
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                assert_eq!(get(&url).0, 502);
                thread::sleep(Duration::from_millis(50));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for FailingRequests {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a request did not fail");
        }
    }
}

/// The servers, the service and the inbox for alerts.
struct Scene {
    service: Service,
    alertmanager: Api,
    prometheus: Prometheus,
    stack: Stack,
}

impl Scene {
    fn start() -> Self {
        let metrics = free_address().unwrap();
        let options = Options::free_ports("test_alerts")
            .with(&[System::Prometheus, System::Alertmanager, System::Node])
            .scraping(metrics);
        let stack = Stack::start(&options).unwrap_or_else(|error| panic!("{error:#}"));
        let scene = Self {
            service: service(ServiceOptions {
                name: "test_alerts".into(),
                metrics: Some(metrics),
                env: vec![("CHAIN_FAILURE_RATE".into(), "1".into())],
                ..ServiceOptions::default()
            }),
            alertmanager: Api::new(stack.url(Port::Alertmanager)),
            prometheus: Prometheus::new(stack.prometheus_url()),
            stack,
        };
        eventually_true("the first scrapes", || {
            let up = |job| scene.prometheus.targets_up(job);
            Ok(up("node")? == 1 && up("ironcore")? == 1)
        });
        // The heartbeat shows that alerts are delivered.
        scene.message("heartbeat", "Watchdog");
        scene
    }

    #[track_caller]
    fn message(&self, channel: &str, part: &str) -> Message {
        self.stack.inbox().wait_for(channel, &[part], PATIENCE).unwrap_or_else(|error| panic!("{error}"))
    }

    fn messages(&self, channel: &str, alert: &str) -> Vec<Message> {
        let mut messages = self.stack.inbox().messages();
        messages.retain(|message| message.channel == channel && message.text().contains(alert));
        messages
    }

    /// The status of an alert in Alertmanager: its `state`, and what inhibits or silences it.
    fn status_of(&self, name: &str) -> Option<Value> {
        let alerts = self.alertmanager.get("/api/v2/alerts", &[]).ok()?;
        let mut alerts = alerts.as_array()?.iter();
        let named = alerts.find(|alert| alert["labels"]["alertname"] == name);
        named.map(|alert| alert["status"].clone())
    }

    fn has_state(&self, name: &str, state: &str) -> bool {
        self.status_of(name).is_some_and(|status| status["state"] == state)
    }

    fn the_alert_is_sent_to_the_people_on_call(&self) {
        assert_eq!(self.message("slack_api", "HighErrorRate").body["channel"], "#oncall");
        let mail = self.message("email", "HighErrorRate").text();
        assert!(mail.contains("runbooks/HighErrorRate.md"), "{mail}");
    }

    fn a_host_that_is_down_pages_everybody_and_inhibits_its_alerts(&mut self) {
        self.stack.kill(System::Node).unwrap();
        assert_eq!(self.message("slack_api", "HostDown").body["channel"], "#incidents");
        let page = self.message("pagerduty", "HostDown");
        assert_eq!(page.body["event_action"], "trigger");
        let sms = self.message("sms_webhook", "HostDown").query;
        // Spaces in a URL are `+` or `%20`.
        let sms = sms.replace("%20", "+");
        assert!(sms.starts_with("text=P0+FIRING") && sms.contains("HostDown"), "{sms}");
        let status = eventually("the inhibited alert", || {
            Ok::<_, stack::Error>(self.status_of("HighErrorRate").filter(|status| status["state"] == "suppressed"))
        });
        assert_eq!(status["inhibitedBy"].as_array().map(Vec::len), Some(1));
        assert!(self.has_state("HostDown", "active"));
    }

    fn its_return_resolves_the_incident_and_ends_the_inhibition(&mut self) {
        self.stack.restart(System::Node).unwrap();
        eventually_true("the end of the incident", || {
            let pages = self.messages("pagerduty", "HostDown");
            Ok(pages.iter().any(|page| page.body["event_action"] == "resolve"))
        });
        eventually_true("the alert to be active again", || Ok(self.has_state("HighErrorRate", "active")));
    }

    fn a_silence_mutes_the_alert(&self) {
        let silenced = Command::new(Program::Amtool.path().unwrap())
            .args(["--alertmanager.url", &self.stack.url(Port::Alertmanager)])
            .args(["silence", "add", "alertname=HighErrorRate"])
            .args(["--author=test", "--comment=test", "--duration=1h"])
            .output()
            .unwrap();
        assert!(silenced.status.success(), "{silenced:?}");
        eventually_true("the silenced alert", || {
            let by = self.status_of("HighErrorRate");
            Ok(by.is_some_and(|status| status["silencedBy"].as_array().is_some_and(|by| by.len() == 1)))
        });
    }

    /// Once over several group intervals; on a slow machine the repeat interval may have passed as well.
    fn the_alert_was_sent_once_to_each_receiver(&self, since: Instant) {
        let repeated = usize::try_from(since.elapsed().as_secs() / REPEATED.as_secs()).unwrap();
        for channel in ["slack_api", "email"] {
            let messages = self.messages(channel, "HighErrorRate");
            assert!((1..=1 + repeated).contains(&messages.len()), "{channel}: {messages:#?}");
        }
    }

    fn no_message_failed(&self) {
        let page = self.alertmanager.text("/metrics").unwrap();
        let failed: Vec<&str> =
            page.lines().filter(|line| line.starts_with("alertmanager_notifications_failed_total")).collect();
        assert!(!failed.is_empty());
        assert!(failed.iter().all(|line| line.ends_with(" 0")), "{failed:#?}");
    }
}

#[test]
fn an_alert_is_sent_once_inhibited_while_its_host_is_down_and_resolved() {
    let mut scene = Scene::start();
    let failing = FailingRequests::start(&scene.service);
    scene.the_alert_is_sent_to_the_people_on_call();
    let sent = Instant::now();
    scene.a_host_that_is_down_pages_everybody_and_inhibits_its_alerts();
    scene.its_return_resolves_the_incident_and_ends_the_inhibition();
    scene.a_silence_mutes_the_alert();
    scene.the_alert_was_sent_once_to_each_receiver(sent);
    drop(failing);
    eventually_true("the end of the alert", || {
        let firing = scene.prometheus.instant("ALERTS{alertname=\"HighErrorRate\"}")?;
        Ok(firing.is_empty())
    });
    scene.no_message_failed();
}
