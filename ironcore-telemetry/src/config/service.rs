//! The name, the version and the environment of the service.

use super::Config;
use super::resolver::Resolver;
use super::table;
use crate::error::InitError;

/// The service that emits the telemetry.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) deployment_environment: String,
    pub(crate) attributes: Vec<(String, String)>,
}

pub(super) fn service(config: &Config, resolver: &mut Resolver<'_>) -> Result<Service, InitError> {
    let mut attributes = resolver.read(&table::RESOURCE_ATTRIBUTES)?;
    attributes.extend(config.attributes.iter().cloned());
    let listed_name = take(&mut attributes, "service.name");
    let listed_version = take(&mut attributes, "service.version");
    let listed_environment = take(&mut attributes, "deployment.environment.name");

    let name = config.service.as_deref().map(|name| ("Config::new", name));
    let version = config.version.as_deref().map(|version| ("Config::version", version));
    let environment = config.deployment_environment.as_deref();
    let environment = environment.map(|environment| ("Config::deployment_environment", environment));
    Ok(Service {
        name: resolver.read_listed(&table::SERVICE_NAME, name, listed_name.as_deref())?,
        version: resolver.read_listed(&table::SERVICE_VERSION, version, listed_version.as_deref())?,
        deployment_environment: resolver.read_listed(
            &table::DEPLOYMENT_ENVIRONMENT,
            environment,
            listed_environment.as_deref(),
        )?,
        attributes,
    })
}

/// The last value of an attribute, which leaves the list.
fn take(attributes: &mut Vec<(String, String)>, key: &str) -> Option<String> {
    let value = attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    attributes.retain(|(name, _)| name != key);
    value
}
