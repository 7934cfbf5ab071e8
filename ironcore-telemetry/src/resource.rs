//! The OpenTelemetry resource of the process: the attributes of every span and of `target_info`.

use crate::config::Service;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;

/// The resource of this process. `service.instance.id` is new at each start, so that two replicas never share a series.
pub(crate) fn resource(service: &Service) -> Resource {
    let configured = service.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    // A later value replaces an earlier one.
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new("service.instance.id", instance_id()),
            KeyValue::new("host.name", host),
            KeyValue::new("process.pid", i64::from(std::process::id())),
        ])
        .with_attributes(configured)
        .with_attributes([
            KeyValue::new("service.name", service.name.clone()),
            KeyValue::new("service.version", service.version.clone()),
            KeyValue::new("deployment.environment.name", service.deployment_environment.clone()),
        ])
        .build()
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

    #[test]
    fn the_resource_names_the_service_the_instance_the_host_and_the_sdk() {
        let resource = resource(&service(&[("team", "wallet")]));
        for key in [
            "service.name",
            "service.version",
            "service.instance.id",
            "deployment.environment.name",
            "host.name",
            "process.pid",
            "telemetry.sdk.name",
            "telemetry.sdk.version",
            "telemetry.sdk.language",
            "team",
        ] {
            assert!(resource.get(&Key::new(key)).is_some(), "{key}");
        }
    }

    #[test]
    fn a_configured_instance_id_is_kept() {
        let resource = resource(&service(&[("service.instance.id", "pod-7")]));
        assert_eq!(resource.get(&Key::new("service.instance.id")).unwrap().as_str(), "pod-7");
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
