//! The name, the version and the environment of the service.

use super::Config;
use super::resolver::{Given, Origin, Resolver};
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
    // `OTEL_SERVICE_NAME` wins over the attribute of the list.
    let listed_name = take(&mut attributes, "service.name");
    let listed_name = listed_name.filter(|_| resolver.variable(&table::SERVICE_NAME).is_none());
    let listed_version = take(&mut attributes, "service.version");
    let listed_environment = take(&mut attributes, "deployment.environment.name");

    let name = given("Config::new", config.service.as_deref(), listed_name.as_deref());
    let version = given("Config::version", config.version.as_deref(), listed_version.as_deref());
    let environment = config.deployment_environment.as_deref();
    let environment = given("Config::deployment_environment", environment, listed_environment.as_deref());
    Ok(Service {
        name: resolver.read_with(&table::SERVICE_NAME, name)?,
        version: resolver.read_with(&table::SERVICE_VERSION, version)?,
        deployment_environment: resolver.read_with(&table::DEPLOYMENT_ENVIRONMENT, environment)?,
        attributes,
    })
}

/// The last value of an attribute, which leaves the list.
fn take(attributes: &mut Vec<(String, String)>, key: &str) -> Option<String> {
    let value = attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    attributes.retain(|(name, _)| name != key);
    value
}

/// The value from code, else the one of the list of resource attributes.
fn given<'a>(method: &'static str, in_code: Option<&'a str>, listed: Option<&'a str>) -> Option<Given<'a, String>> {
    let listed = || listed.map(|value| Given::Text(Origin::Variable("OTEL_RESOURCE_ATTRIBUTES"), value));
    in_code.map(|value| Given::Text(Origin::Code(method), value)).or_else(listed)
}
