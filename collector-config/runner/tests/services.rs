//! Two services in two environments on one Prometheus and one Alertmanager: a service that dies as a whole is its own P0,
//! and nobody else's. A service is added by one file of targets, while Prometheus runs.

mod support;

use serde_json::Value;
use stack::inbox::Message;
use stack::query::{Api, Prometheus};
use stack::service::{Service, ServiceOptions};
use stack::{Options, Port, Stack, System};
use std::collections::BTreeMap;
use std::fs;
use support::{PATIENCE, eventually_true, get, service};

/// A service and its environment.
type Name = (&'static str, &'static str);

const ALL: [Name; 4] =
    [("ironcore", "production"), ("ironcore", "staging"), ("payments", "production"), ("payments", "staging")];

/// The one that dies.
const DEAD: Name = ("payments", "production");

struct Scene {
    services: BTreeMap<Name, Service>,
    prometheus: Prometheus,
    alertmanager: Api,
    stack: Stack,
}

impl Scene {
    fn start() -> Self {
        let options = Options::free_ports("test_services").with(&[System::Prometheus, System::Alertmanager]);
        let stack = Stack::start(&options).unwrap_or_else(|error| panic!("{error:#}"));
        let folder = stack.folder().join("prometheus/scrape/services");
        let start = |(name, environment): Name| {
            let options = ServiceOptions { name: format!("test_services_{name}_{environment}"), ..Default::default() };
            let service = service(options);
            let target = service.metrics_address();
            let labels =
                format!("service: {name}, environment: {environment}, cluster: local, host: {name}-{environment}");
            let text = format!("- targets: [\"{target}\"]\n  labels: {{ {labels} }}\n");
            fs::write(folder.join(format!("{name}-{environment}.yml")), text).unwrap();
            ((name, environment), service)
        };
        // The target of the shipped file does not run here.
        fs::remove_file(folder.join("ironcore.yml")).unwrap();
        let scene = Self {
            services: ALL.map(start).into(),
            prometheus: Prometheus::new(stack.prometheus_url()),
            alertmanager: Api::new(stack.url(Port::Alertmanager)),
            stack,
        };
        eventually_true("every service is scraped", || {
            scene.send_requests();
            let recorded = scene.prometheus.instant("service:http_requests:rate5m > 0")?;
            Ok(scene.prometheus.targets_up("ironcore")? == ALL.len() && recorded.len() == ALL.len())
        });
        scene
    }

    /// One request to each service that runs.
    fn send_requests(&self) {
        for service in self.services.values() {
            assert_eq!(get(&format!("{}/health", service.url())).0, 200);
        }
    }

    /// The labels of the alerts of this severity in Alertmanager, except the heartbeat.
    fn alerts(&self, severity: &str) -> Vec<Value> {
        let alerts = self.alertmanager.get("/api/v2/alerts", &[]).unwrap();
        let labels = alerts.as_array().into_iter().flatten().map(|alert| alert["labels"].clone());
        labels.filter(|labels| labels["severity"] == severity).collect()
    }

    fn pages(&self) -> Vec<Message> {
        let mut messages = self.stack.inbox().messages();
        messages.retain(|message| message.channel == "pagerduty");
        messages
    }
}

fn is_about(labels: &Value, (service, environment): Name) -> bool {
    labels["service"] == service && labels["environment"] == environment
}

#[test]
fn a_service_that_dies_is_its_own_p0_and_nobody_elses() {
    let mut scene = Scene::start();
    assert_eq!(scene.alerts("P0"), Vec::<Value>::new());
    scene.services.remove(&DEAD).unwrap().stop().unwrap();

    let page = scene.stack.inbox().wait_for("pagerduty", &["ServiceDown"], PATIENCE).unwrap();
    let text = page.text();
    assert!(text.contains(DEAD.0) && text.contains(DEAD.1), "{text}");

    // Its lower alerts arrive and are inhibited; the others have none, although they are of the same job.
    eventually_true("the lower alert of the dead service", || {
        scene.send_requests();
        Ok(scene.alerts("P2").iter().any(|labels| labels["alertname"] == "InstanceDown"))
    });
    for severity in ["P0", "P1", "P2"] {
        for labels in scene.alerts(severity) {
            assert!(is_about(&labels, DEAD), "{labels}");
        }
    }
    assert!(scene.pages().iter().all(|page| page.text().contains("ServiceDown")), "{:#?}", scene.pages());

    // The objectives of the others are untouched, and have no part of the dead one.
    let errors = scene.prometheus.instant("service_slo:slo_errors:ratio_rate5m{slo=\"availability\"}").unwrap();
    for (service, environment) in ALL.into_iter().filter(|name| *name != DEAD) {
        let of_service = errors
            .iter()
            .find(|sample| sample.labels["service"] == service && sample.labels["environment"] == environment);
        assert_eq!(of_service.map(|sample| sample.value), Some(0.0), "{service} in {environment}: {errors:?}");
    }
}
