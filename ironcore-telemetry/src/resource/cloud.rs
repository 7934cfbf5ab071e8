//! The platform of a cloud, by the variables that it sets for each program.

use super::Attributes;
use super::surroundings::Surroundings;

/// A platform, in the names of the semantic conventions.
struct Platform {
    provider: &'static str,
    name: &'static str,
    /// Variables that are all set on this platform.
    marks: &'static [&'static str],
    /// A variable that is set on another one with the same marks.
    not: Option<&'static str>,
    /// Each attribute, with the variables of its value; the first one that is set counts.
    values: &'static [(&'static str, &'static [&'static str])],
}

const AWS_REGION: (&str, &[&str]) = ("cloud.region", &["AWS_REGION", "AWS_DEFAULT_REGION"]);
const GCP_REGION: (&str, &[&str]) = ("cloud.region", &["GOOGLE_CLOUD_REGION", "FUNCTION_REGION"]);
const GCP_PROJECT: (&str, &[&str]) = ("cloud.account.id", &["GOOGLE_CLOUD_PROJECT", "GCP_PROJECT"]);
const AZURE_REGION: (&str, &[&str]) = ("cloud.region", &["REGION_NAME"]);

/// The first one whose marks are set is the platform, so one that is part of another stands before it.
const PLATFORMS: &[Platform] = &[
    Platform {
        provider: "aws",
        name: "aws_lambda",
        marks: &["AWS_LAMBDA_FUNCTION_NAME"],
        not: None,
        values: &[
            AWS_REGION,
            ("faas.name", &["AWS_LAMBDA_FUNCTION_NAME"]),
            ("faas.version", &["AWS_LAMBDA_FUNCTION_VERSION"]),
            ("faas.instance", &["AWS_LAMBDA_LOG_STREAM_NAME"]),
        ],
    },
    Platform {
        provider: "aws",
        name: "aws_ecs",
        marks: &["ECS_CONTAINER_METADATA_URI_V4"],
        not: None,
        values: &[AWS_REGION],
    },
    Platform {
        provider: "aws",
        name: "aws_ecs",
        marks: &["ECS_CONTAINER_METADATA_URI"],
        not: None,
        values: &[AWS_REGION],
    },
    Platform {
        provider: "gcp",
        name: "gcp_cloud_functions",
        marks: &["K_SERVICE", "FUNCTION_TARGET"],
        not: Some("KUBERNETES_SERVICE_HOST"),
        values: &[GCP_REGION, GCP_PROJECT, ("faas.name", &["K_SERVICE"]), ("faas.version", &["K_REVISION"])],
    },
    Platform {
        provider: "gcp",
        name: "gcp_cloud_run",
        marks: &["K_SERVICE", "K_REVISION"],
        // Knative sets the same marks, in any cluster.
        not: Some("KUBERNETES_SERVICE_HOST"),
        values: &[GCP_REGION, GCP_PROJECT, ("faas.name", &["K_SERVICE"]), ("faas.version", &["K_REVISION"])],
    },
    Platform {
        provider: "gcp",
        name: "gcp_cloud_run",
        marks: &["CLOUD_RUN_JOB"],
        not: None,
        values: &[
            GCP_REGION,
            GCP_PROJECT,
            ("faas.name", &["CLOUD_RUN_JOB"]),
            ("faas.instance", &["CLOUD_RUN_EXECUTION"]),
        ],
    },
    Platform {
        provider: "gcp",
        name: "gcp_app_engine",
        marks: &["GAE_SERVICE"],
        not: None,
        values: &[
            GCP_REGION,
            GCP_PROJECT,
            ("faas.name", &["GAE_SERVICE"]),
            ("faas.version", &["GAE_VERSION"]),
            ("faas.instance", &["GAE_INSTANCE"]),
        ],
    },
    Platform {
        provider: "azure",
        name: "azure.functions",
        marks: &["WEBSITE_SITE_NAME", "FUNCTIONS_WORKER_RUNTIME"],
        not: None,
        values: &[AZURE_REGION, ("faas.name", &["WEBSITE_SITE_NAME"]), ("faas.instance", &["WEBSITE_INSTANCE_ID"])],
    },
    Platform {
        provider: "azure",
        name: "azure.app_service",
        marks: &["WEBSITE_SITE_NAME"],
        not: None,
        values: &[AZURE_REGION],
    },
    Platform {
        provider: "azure",
        name: "azure.container_apps",
        marks: &["CONTAINER_APP_NAME", "CONTAINER_APP_REVISION"],
        not: None,
        values: &[],
    },
];

pub(super) fn attributes(surroundings: Surroundings<'_>) -> Attributes {
    let is_set = |name: &&str| surroundings.variable(name).is_some();
    let is_here =
        |platform: &&Platform| platform.marks.iter().all(&is_set) && !platform.not.as_ref().is_some_and(&is_set);
    let Some(platform) = PLATFORMS.iter().find(is_here) else {
        return Vec::new();
    };
    let values = platform.values.iter().filter_map(|(key, names)| Some((*key, surroundings.first_of(names)?)));
    let platform = [("cloud.provider", platform.provider.to_owned()), ("cloud.platform", platform.name.to_owned())];
    platform.into_iter().chain(values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(variables: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let attributes = attributes(Surroundings { variable: &variable, file: &|_| None });
        attributes.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_platform_is_known_by_its_variables() {
        for (variables, expected) in [
            (
                &[
                    ("AWS_LAMBDA_FUNCTION_NAME", "pay"),
                    ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
                    ("AWS_REGION", "eu-west-1"),
                ][..],
                "cloud.provider=aws cloud.platform=aws_lambda cloud.region=eu-west-1 faas.name=pay faas.version=7",
            ),
            (
                &[("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x"), ("AWS_DEFAULT_REGION", "eu-west-1")],
                "cloud.provider=aws cloud.platform=aws_ecs cloud.region=eu-west-1",
            ),
            (&[("ECS_CONTAINER_METADATA_URI", "x")], "cloud.provider=aws cloud.platform=aws_ecs"),
            (
                &[("K_SERVICE", "pay"), ("K_REVISION", "pay-3"), ("GOOGLE_CLOUD_PROJECT", "p")],
                "cloud.provider=gcp cloud.platform=gcp_cloud_run cloud.account.id=p faas.name=pay faas.version=pay-3",
            ),
            (
                &[("K_SERVICE", "pay"), ("K_REVISION", "pay-3"), ("FUNCTION_TARGET", "main")],
                "cloud.provider=gcp cloud.platform=gcp_cloud_functions faas.name=pay faas.version=pay-3",
            ),
            (&[("CLOUD_RUN_JOB", "settle")], "cloud.provider=gcp cloud.platform=gcp_cloud_run faas.name=settle"),
            (
                &[("GAE_SERVICE", "pay"), ("GAE_VERSION", "3")],
                "cloud.provider=gcp cloud.platform=gcp_app_engine faas.name=pay faas.version=3",
            ),
            (
                &[("WEBSITE_SITE_NAME", "pay"), ("REGION_NAME", "West Europe")],
                "cloud.provider=azure cloud.platform=azure.app_service cloud.region=West Europe",
            ),
            (
                &[("WEBSITE_SITE_NAME", "pay"), ("FUNCTIONS_WORKER_RUNTIME", "custom")],
                "cloud.provider=azure cloud.platform=azure.functions faas.name=pay",
            ),
            (
                &[("CONTAINER_APP_NAME", "pay"), ("CONTAINER_APP_REVISION", "pay--1")],
                "cloud.provider=azure cloud.platform=azure.container_apps",
            ),
        ] {
            assert_eq!(detected(variables), expected);
        }
    }

    #[test]
    fn elsewhere_nothing_is_claimed() {
        assert_eq!(detected(&[]), "");
        assert_eq!(detected(&[("AWS_REGION", "eu-west-1"), ("GOOGLE_CLOUD_PROJECT", "p")]), "");
        let knative = [("K_SERVICE", "pay"), ("K_REVISION", "pay-3"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
        assert_eq!(detected(&knative), "");
    }
}
