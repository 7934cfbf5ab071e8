//! Prometheus' HTTP API.

use super::Api;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Prometheus' HTTP API.
#[derive(Clone, Debug)]
pub struct Prometheus(Api);

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The labels, with `__name__` if the expression keeps it.
    pub labels: BTreeMap<String, String>,
    /// The value, which may be NaN or infinite.
    pub value: f64,
}

impl std::fmt::Display for Sample {
    /// As on a metrics page: `name{label="value"} 1`, without the labels of the target.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let target_labels = ["__name__", "host", "instance", "job"];
        let labels = self.labels.iter().filter(|(name, _)| !target_labels.contains(&name.as_str()));
        let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
        let name = self.labels.get("__name__").map_or("", String::as_str);
        write!(formatter, "{name}{{{}}} {}", labels.join(","), self.value)
    }
}

impl Prometheus {
    /// A client of the server at `base`, such as `http://127.0.0.1:9090`.
    pub fn new(base: impl Into<String>) -> Self {
        Self(Api::new(base))
    }

    /// The current value of a `PromQL` expression whose result is a vector or a scalar.
    pub fn instant(&self, query: &str) -> Result<Vec<Sample>> {
        let response: PrometheusResponse<Query> = self.0.json("/api/v1/query", &[("query", query)])?;
        samples(response.data).with_context(|| format!("unexpected response to {query}"))
    }

    /// Whether a job scrapes this address, with or without success.
    pub fn knows_target(&self, job: &str, address: &str) -> Result<bool> {
        let has = |target: &Target, label, value| target.labels.get(label).is_some_and(|known| known == value);
        let targets = self.targets()?;
        Ok(targets.iter().any(|target| has(target, "job", job) && has(target, "instance", address)))
    }

    /// The number of targets of all jobs; 0 while Prometheus starts.
    pub fn targets_listed(&self) -> Result<usize> {
        Ok(self.targets()?.len())
    }

    /// The number of targets of a job whose last scrape was successful.
    pub fn targets_up(&self, job: &str) -> Result<usize> {
        let up = |target: &&Target| target.health == "up" && target.labels.get("job").is_some_and(|name| name == job);
        Ok(self.targets()?.iter().filter(up).count())
    }

    fn targets(&self) -> Result<Vec<Target>> {
        let response: PrometheusResponse<Targets> = self.0.json("/api/v1/targets", &[("state", "active")])?;
        Ok(response.data.active)
    }
}

#[derive(Deserialize)]
struct PrometheusResponse<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

fn samples(query: Query) -> Result<Vec<Sample>> {
    let elements: Vec<Element> = match query.result_type.as_str() {
        "vector" => serde_json::from_value(query.result)?,
        "scalar" => vec![Element { metric: BTreeMap::new(), value: serde_json::from_value(query.result)? }],
        other => bail!("a {other}, neither a vector nor a scalar"),
    };
    // The number is a string, as JSON has no NaN.
    let sample = |Element { metric, value: (_, number) }: Element| {
        let value = number.parse().with_context(|| format!("`{number}` is not a number"))?;
        Ok(Sample { labels: metric, value })
    };
    elements.into_iter().map(sample).collect()
}

#[derive(Deserialize)]
struct Targets {
    #[serde(rename = "activeTargets")]
    active: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    health: String,
    labels: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(response: &str) -> Result<Vec<Sample>> {
        samples(serde_json::from_str::<PrometheusResponse<Query>>(response).unwrap().data)
    }

    #[test]
    fn a_vector_becomes_samples_even_if_a_value_is_not_a_json_number() {
        let samples = read(
            r#"{"status":"success","data":{"resultType":"vector","result":[
                {"metric":{"__name__":"up","job":"ironcore"},"value":[1.5,"1"]},{"metric":{},"value":[1.5,"NaN"]}]}}"#,
        )
        .unwrap();
        assert_eq!(samples[0].labels["job"], "ironcore");
        assert_eq!(format!("{} {}", samples[0].value, samples[1].value), "1 NaN");
    }

    #[test]
    fn a_scalar_is_one_sample_and_a_matrix_is_refused() {
        let scalar = read(r#"{"data":{"resultType":"scalar","result":[1.5,"+Inf"]}}"#).unwrap();
        assert_eq!(scalar, [Sample { labels: BTreeMap::new(), value: f64::INFINITY }]);
        assert!(read(r#"{"data":{"resultType":"matrix","result":[]}}"#).unwrap_err().to_string().contains("a matrix"));
    }
}
