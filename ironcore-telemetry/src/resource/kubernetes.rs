//! The pod, by the variables that its manifest passes on from the downward API, and by what the kubelet mounts.

use super::surroundings::Surroundings;
use super::{Attributes, container};

/// The file in which a pod finds its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The variable that every pod has.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// Each attribute, with the names under which manifests pass its value on. The second list has names that others use
/// too: they count in a cluster only.
type Names = (&'static str, &'static [&'static str], &'static [&'static str]);

const NAMES: &[Names] = &[
    (
        "k8s.namespace.name",
        &["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "K8S_POD_NAMESPACE", "KUBERNETES_NAMESPACE"],
        &["POD_NAMESPACE", "MY_POD_NAMESPACE"],
    ),
    ("k8s.pod.name", &["K8S_POD_NAME", "KUBERNETES_POD_NAME"], &["POD_NAME", "MY_POD_NAME"]),
    ("k8s.pod.uid", &["K8S_POD_UID", "KUBERNETES_POD_UID"], &["POD_UID", "MY_POD_UID"]),
    ("k8s.node.name", &["K8S_NODE_NAME", "KUBERNETES_NODE_NAME"], &["NODE_NAME", "MY_NODE_NAME"]),
    ("k8s.container.name", &["K8S_CONTAINER_NAME"], &["CONTAINER_NAME"]),
    ("k8s.cluster.name", &["K8S_CLUSTER_NAME"], &["CLUSTER_NAME"]),
];

pub(super) fn attributes(surroundings: Surroundings<'_>) -> Attributes {
    let in_cluster = surroundings.variable(IN_CLUSTER).is_some();
    let value = |(key, own, shared): &Names| {
        let value = surroundings.first_of(own);
        let value = value.or_else(|| in_cluster.then(|| surroundings.first_of(shared)).flatten());
        let value = value.or_else(|| match *key {
            "k8s.namespace.name" => (surroundings.file)(NAMESPACE_FILE),
            "k8s.pod.uid" => container::pod_uid(surroundings),
            _ => None,
        });
        value.map(|value| (*key, value))
    };
    NAMES.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(variables: &[(&str, &str)], namespace: Option<&str>) -> Attributes {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let file = |path: &str| namespace.filter(|_| path == NAMESPACE_FILE).map(ToOwned::to_owned);
        attributes(Surroundings { variable: &variable, file: &file })
    }

    fn pair(key: &'static str, value: &str) -> (&'static str, String) {
        (key, value.to_owned())
    }

    #[test]
    fn the_variables_of_the_downward_api_name_the_pod() {
        let variables = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("POD_NAME", "wallets-7"),
            ("NODE_NAME", "node-3"),
            ("K8S_POD_UID", "u"),
            ("K8S_CLUSTER_NAME", "eu-1"),
            ("CONTAINER_NAME", " "),
        ];
        let expected = [
            pair("k8s.namespace.name", "payments"),
            pair("k8s.pod.name", "wallets-7"),
            pair("k8s.pod.uid", "u"),
            pair("k8s.node.name", "node-3"),
            pair("k8s.cluster.name", "eu-1"),
        ];
        assert_eq!(detected(&variables, Some("payments")), expected);
    }

    #[test]
    fn a_variable_wins_over_the_file_of_the_namespace() {
        let variables = [("K8S_NAMESPACE_NAME", "mine")];
        assert_eq!(detected(&variables, Some("payments")), [pair("k8s.namespace.name", "mine")]);
    }

    #[test]
    fn names_that_others_use_too_count_in_a_cluster_only() {
        // Jenkins sets this one on every agent.
        assert!(detected(&[("NODE_NAME", "agent-1"), ("CLUSTER_NAME", "x")], None).is_empty());
        assert_eq!(detected(&[("K8S_NODE_NAME", "n")], None), [pair("k8s.node.name", "n")]);
    }
}
