//! Who emits: the name, version and place of the service.

use super::Config;
use super::source::{Source, pairs};
use crate::error::InitError;

const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Who emits.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) environment: String,
    pub(crate) attributes: Vec<(String, String)>,
}

pub(super) fn service(config: &Config, source: &mut Source<'_>) -> Result<Service, InitError> {
    let mut attributes = resource_attributes(source)?;
    attributes.extend(config.attributes.iter().cloned());
    let take = |attributes: &mut Vec<(String, String)>, key: &str| {
        let value = attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        attributes.retain(|(name, _)| name != key);
        value
    };
    let (name, version, environment) = (
        take(&mut attributes, "service.name"),
        take(&mut attributes, "service.version"),
        take(&mut attributes, "deployment.environment.name"),
    );
    let executable = std::env::current_exe().ok();
    let executable = executable.as_deref().and_then(|path| path.file_name()).unwrap_or_default();
    let default_name = format!("unknown_service:{}", executable.to_string_lossy());
    let code = config.service.clone().map(|name| ("Config::new", name));
    // `OTEL_SERVICE_NAME` wins over the attribute of the list.
    let listed = || name.map(|name| (RESOURCE_ATTRIBUTES, name));
    let code = code.or_else(|| if source.variable(&["OTEL_SERVICE_NAME"]).is_none() { listed() } else { None });
    let not_empty = |value: &str| match value {
        "" => Err("give a name that is not empty".to_owned()),
        name => Ok(name.to_owned()),
    };
    let unknown = || "unknown".to_owned();
    Ok(Service {
        name: source.pick("service.name", code, &["OTEL_SERVICE_NAME"], &default_name, not_empty)?,
        version: config.version.clone().or(version).unwrap_or_else(unknown),
        environment: config.environment.clone().or(environment).unwrap_or_else(unknown),
        attributes,
    })
}

/// `key=value` pairs, percent-encoded where they hold a comma or an equals sign.
fn resource_attributes(source: &Source<'_>) -> Result<Vec<(String, String)>, InitError> {
    let Some((_, list)) = source.variable(&[RESOURCE_ATTRIBUTES]) else {
        return Ok(Vec::new());
    };
    pairs(&list).ok_or_else(|| {
        InitError::invalid(
            RESOURCE_ATTRIBUTES,
            list,
            "use key=value pairs with commas between them, as in team=wallet,region=eu",
        )
    })
}
