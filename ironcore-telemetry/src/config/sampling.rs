//! The settings of sampling.

use super::resolver::{Origin, Resolver};
use super::table::{self, RootSampler, Sampler};
use super::{Config, Sampling, parse};
use crate::error::InitError;
use std::time::Duration;

/// Sampling that is told by an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RemoteSampling {
    pub(crate) endpoint: String,
    /// How often it is asked.
    pub(crate) interval: Duration,
    /// The share of the traces that is recorded before the first answer.
    pub(crate) initial_ratio: f64,
}

/// What samplers that are told by an endpoint need.
const FEATURE: &str = "jaeger-sampling";

/// The sampler, and what tells it how to sample.
pub(super) fn sampler(
    config: &Config,
    resolver: &mut Resolver<'_>,
) -> Result<(Sampler, Option<RemoteSampling>), InitError> {
    if let Some(root) = config.sampling {
        check_sampling("Config::sampling", root)?;
        resolver.note(table::SAMPLER.key, &format!("{root:?}"), Origin::Code("Config::sampling"));
        return Ok((Sampler { root, follows_parent: true }, None));
    }
    let (mut named, mut origin) = resolver.read_unnoted(&table::SAMPLER, None)?;
    if named.root == RootSampler::JaegerRemote && !resolver.has(FEATURE) {
        let value = table::SAMPLER.reported(&named).unwrap_or_default();
        let Some(variable) = resolver.forgiven(&table::SAMPLER, origin) else {
            return Err(Resolver::missing(FEATURE, &value, origin, "choose another sampler".to_owned()));
        };
        let allowed = format!("it needs the cargo feature `{FEATURE}` of ironcore-telemetry");
        named = (table::SAMPLER.default)();
        let used = table::SAMPLER.reported(&named).unwrap_or_default();
        resolver.forgive(&table::SAMPLER, (variable, &value, origin), allowed, &used);
        origin = Origin::Default(variable);
    }
    resolver.note_value(&table::SAMPLER, &named, origin);
    let (root, remote) = match named.root {
        RootSampler::AlwaysOn => (Sampling::Always, None),
        RootSampler::AlwaysOff => (Sampling::Never, None),
        RootSampler::TraceIdRatio => (Sampling::Ratio(resolver.read(&table::SAMPLER_RATIO)?), None),
        RootSampler::JaegerRemote => {
            let remote = resolver.read(&table::SAMPLER_REMOTE)?;
            (Sampling::Ratio(remote.initial_ratio), Some(remote))
        }
    };
    let takes_argument = matches!(named.root, RootSampler::TraceIdRatio | RootSampler::JaegerRemote);
    if let ([argument], false) = (table::SAMPLER_RATIO.variables, takes_argument)
        && resolver.variable(argument).is_some()
    {
        resolver.not_acted_on(argument);
    }
    Ok((Sampler { root, follows_parent: named.follows_parent }, remote))
}

/// The rules for traces that start at a certain place.
pub(super) fn sampling_for(config: &Config, resolver: &mut Resolver<'_>) -> Result<Vec<(String, Sampling)>, InitError> {
    const METHOD: &str = "Config::sampling_for";
    for (name, sampling) in &config.sampling_for {
        if name.is_empty() {
            return Err(InitError::invalid(METHOD, "", "name a domain, an operation or a span"));
        }
        check_sampling(METHOD, *sampling)?;
        resolver.note(&format!("sampling_for[{name}]"), &format!("{sampling:?}"), Origin::Code(METHOD));
    }
    Ok(config.sampling_for.clone())
}

fn check_sampling(method: &'static str, sampling: Sampling) -> Result<(), InitError> {
    let (number, check) = match sampling {
        Sampling::Always | Sampling::Never => return Ok(()),
        Sampling::Ratio(ratio) => (ratio, parse::check_ratio(ratio)),
        Sampling::PerSecond(rate) => (rate, parse::check_rate(rate)),
    };
    check.map_err(|allowed| InitError::invalid(method, number.to_string(), allowed))
}
