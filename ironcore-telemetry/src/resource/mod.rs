//! The OpenTelemetry resource of the process: the attributes of every span and of `target_info`.

mod cloud;
mod container;
mod kubernetes;
mod surroundings;

use crate::config::{Detector, Service};
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use surroundings::Surroundings;

/// The resource of this process. `service.instance.id` is new at each start, so that two replicas never share a series.
/// What is configured wins over what is detected.
pub(crate) fn resource(service: &Service, detectors: &[Detector]) -> Resource {
    of(service, detectors, Surroundings::of_this_process())
}

/// The resource with the attributes of the process itself: for spans. On `target_info` they would be a new series at
/// each start.
pub(crate) fn with_process(resource: &Resource, detectors: &[Detector]) -> Resource {
    let pid = || KeyValue::new("process.pid", i64::from(std::process::id()));
    let shared = resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_attributes(detectors.contains(&Detector::Process).then(pid))
        .with_attributes(shared)
        .build()
}

fn of(service: &Service, detectors: &[Detector], surroundings: Surroundings<'_>) -> Resource {
    let configured = service.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let detected = detectors.iter().flat_map(|detector| detect(*detector, surroundings));
    let detected = detected.filter_map(|(key, value)| Some(KeyValue::new(key, surroundings::bounded(&value)?)));
    // A later value replaces an earlier one.
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([KeyValue::new("service.instance.id", instance_id())])
        .with_attributes(detected)
        .with_attributes(configured)
        .with_attributes([
            KeyValue::new("service.name", service.name.clone()),
            KeyValue::new("service.version", service.version.clone()),
            KeyValue::new("deployment.environment.name", service.deployment_environment.clone()),
        ])
        .build()
}

/// Attributes by the names of the semantic conventions.
type Attributes = Vec<(&'static str, String)>;

fn detect(detector: Detector, surroundings: Surroundings<'_>) -> Attributes {
    match detector {
        Detector::Host => {
            let name = gethostname::gethostname().to_string_lossy().into_owned();
            vec![("host.name", name), ("host.arch", architecture().to_owned())]
        }
        Detector::Os => vec![("os.type", operating_system().to_owned())],
        // Not of `target_info`.
        Detector::Process => Vec::new(),
        Detector::Container => container::id(surroundings).map(|id| ("container.id", id)).into_iter().collect(),
        Detector::Kubernetes => kubernetes::attributes(surroundings),
        Detector::Cloud => cloud::attributes(surroundings),
    }
}

/// The architecture by the name of the semantic conventions.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// The operating system by the name of the semantic conventions.
fn operating_system() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

/// A random UUID, version 4 (RFC 9562, section 5.4).
fn instance_id() -> String {
    let random: u128 = rand::random();
    let uuid = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{uuid:032x}");
    let part = |range| hex.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::Key;

    fn service(attributes: &[(&str, &str)]) -> Service {
        Service {
            name: "ironcore".to_owned(),
            version: "1.2.3".to_owned(),
            deployment_environment: "staging".to_owned(),
            attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    const ALL: &[Detector] =
        &[Detector::Host, Detector::Os, Detector::Process, Detector::Container, Detector::Kubernetes, Detector::Cloud];

    fn value(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&Key::new(key)).map(|value| value.as_str().into_owned())
    }

    #[test]
    fn the_resource_names_the_service_the_instance_the_host_and_the_sdk() {
        let resource = resource(&service(&[("team", "wallet")]), ALL);
        for key in [
            "service.name",
            "service.version",
            "service.instance.id",
            "deployment.environment.name",
            "host.name",
            "host.arch",
            "os.type",
            "telemetry.sdk.name",
            "telemetry.sdk.version",
            "telemetry.sdk.language",
            "team",
        ] {
            assert!(resource.get(&Key::new(key)).is_some(), "{key}");
        }
    }

    #[test]
    fn the_process_is_named_on_spans_only() {
        let of_metrics = resource(&service(&[]), ALL);
        assert_eq!(value(&of_metrics, "process.pid"), None);
        let of_spans = with_process(&of_metrics, ALL);
        assert_eq!(value(&of_spans, "process.pid"), Some(std::process::id().to_string()));
        assert_eq!(value(&of_spans, "service.instance.id"), value(&of_metrics, "service.instance.id"));
        assert_eq!(value(&with_process(&of_metrics, &[]), "process.pid"), None);
    }

    #[test]
    fn without_detectors_nothing_of_the_surroundings_is_named() {
        let env = |_: &str| Some("known".to_owned());
        let surroundings = Surroundings { variable: &env, file: &env };
        let resource = of(&service(&[]), &[], surroundings);
        assert_eq!(resource.len(), 7);
        assert!(value(&resource, "host.name").is_none() && value(&resource, "k8s.pod.name").is_none());
    }

    #[test]
    fn what_is_configured_wins_over_what_is_detected() {
        let env = |_: &str| Some("detected".to_owned());
        let surroundings = Surroundings { variable: &env, file: &env };
        let configured = [("k8s.pod.name", "mine"), ("os.type", "z_os"), ("service.instance.id", "pod-7")];
        let resource = of(&service(&configured), ALL, surroundings);
        for (key, expected) in configured {
            assert_eq!(value(&resource, key).as_deref(), Some(expected));
        }
        assert_eq!(value(&resource, "k8s.node.name").as_deref(), Some("detected"));
    }

    #[test]
    fn an_instance_id_is_a_random_uuid() {
        let id = instance_id();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]));
        assert_ne!(id, instance_id());
    }
}
