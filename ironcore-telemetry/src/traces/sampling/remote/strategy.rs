//! What the back end tells: a strategy, in the JSON of Jaeger's `sampling.proto`.

use super::{NAME, OPERATIONS};
use crate::redact::truncate;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;

/// How the traces of a service are to be sampled.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Strategy {
    /// A share of all traces.
    Probabilistic(f64),
    /// A number of traces in a second.
    RateLimiting(f64),
    /// A share of the traces that start at each operation.
    PerOperation {
        /// The share of those that start elsewhere.
        default: f64,
        /// Traces in a second that are recorded of each operation in any case.
        lower_bound: f64,
        /// The names of spans, cut at [`NAME`], each with its share.
        operations: HashMap<Box<str>, f64>,
    },
}

impl Strategy {
    /// Reads an answer. The most detailed part counts, as Jaeger's clients have it; the field `strategyType` is older than
    /// the strategies by operation, and is not read.
    ///
    /// # Errors
    /// It is no JSON, has no strategy, or a number that is none of its kind.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let answer: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON")?;
        let part = |name: &str| answer.get(name).filter(|part| !part.is_null());
        if let Some(part) = part("operationSampling") {
            return Self::per_operation(object(part)?);
        }
        if let Some(part) = part("rateLimitingSampling") {
            return number(object(part)?, "maxTracesPerSecond", f64::MAX).map(Self::RateLimiting);
        }
        if let Some(part) = part("probabilisticSampling") {
            return probability(part).map(Self::Probabilistic);
        }
        Err("the answer has no strategy".to_owned())
    }

    fn per_operation(part: &Map<String, Value>) -> Result<Self, String> {
        let entries = match part.get("perOperationStrategies") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(entries)) => entries.as_slice(),
            Some(_) => return Err("perOperationStrategies is no list".to_owned()),
        };
        let mut operations = HashMap::new();
        for entry in entries {
            let name = entry.get("operation").and_then(Value::as_str).ok_or("an operation has no name")?;
            let ratio = probability(entry.get("probabilisticSampling").unwrap_or(&Value::Null))?;
            // Further ones are sampled as those without a strategy.
            if operations.len() < OPERATIONS {
                operations.insert(truncate(name, NAME).into(), ratio);
            }
        }
        Ok(Self::PerOperation {
            default: number(part, "defaultSamplingProbability", 1.0)?,
            lower_bound: number(part, "defaultLowerBoundTracesPerSecond", f64::MAX)?,
            operations,
        })
    }
}

/// For a log line.
impl fmt::Display for Strategy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probabilistic(ratio) => write!(formatter, "{ratio} of all traces"),
            Self::RateLimiting(rate) => write!(formatter, "{rate} traces per second"),
            Self::PerOperation { default, lower_bound, operations } => write!(
                formatter,
                "by operation ({}), {default} of the others, at least {lower_bound} per second of each",
                operations.len()
            ),
        }
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| "a strategy is no object".to_owned())
}

fn probability(strategy: &Value) -> Result<f64, String> {
    number(object(strategy)?, "samplingRate", 1.0)
}

/// A number from 0 to `most`. Protobuf's JSON may leave a zero out.
fn number(strategy: &Map<String, Value>, name: &str, most: f64) -> Result<f64, String> {
    let number = strategy.get(name).map_or(Some(0.0), Value::as_f64);
    number.filter(|number| (0.0..=most).contains(number)).ok_or_else(|| format!("{name} cannot be used"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Strategy, String> {
        Strategy::parse(json.as_bytes())
    }

    fn per_operation(default: f64, lower_bound: f64, operations: &[(&str, f64)]) -> Strategy {
        let operations = operations.iter().map(|(name, ratio)| ((*name).into(), *ratio)).collect();
        Strategy::PerOperation { default, lower_bound, operations }
    }

    #[test]
    fn the_answers_of_jaeger_and_of_the_collector_are_read() {
        for (json, strategy) in [
            // Jaeger 2.13, with the numbers and with the names of the type.
            (r#"{"strategyType":0,"probabilisticSampling":{"samplingRate":1}}"#, Strategy::Probabilistic(1.0)),
            (
                r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.25}}"#,
                Strategy::Probabilistic(0.25),
            ),
            (r#"{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":5}}"#, Strategy::RateLimiting(5.0)),
            (
                r#"{"strategyType":0,"probabilisticSampling":{"samplingRate":0.5},"operationSampling":{
                    "defaultSamplingProbability":0.5,"defaultLowerBoundTracesPerSecond":0.1,
                    "perOperationStrategies":[{"operation":"GET /a","probabilisticSampling":{"samplingRate":0.9}},
                        {"operation":"swap.execute","probabilisticSampling":{"samplingRate":0}}]}}"#,
                per_operation(0.5, 0.1, &[("GET /a", 0.9), ("swap.execute", 0.0)]),
            ),
            // A limit beside strategies by operation, which Jaeger copies from its default.
            (
                r#"{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":5},"operationSampling":{"defaultSamplingProbability":0.5,"defaultLowerBoundTracesPerSecond":0,"perOperationStrategies":[{"operation":"GET /health","probabilisticSampling":{"samplingRate":0}}],"defaultUpperBoundTracesPerSecond":0}}"#,
                per_operation(0.5, 0.0, &[("GET /health", 0.0)]),
            ),
            // Zeros that are left out, fields that are null, fields that are not known.
            (r#"{"probabilisticSampling":{},"rateLimitingSampling":null,"more":[]}"#, Strategy::Probabilistic(0.0)),
            (
                r#"{"operationSampling":{"perOperationStrategies":null,"defaultUpperBoundTracesPerSecond":9},
                    "rateLimitingSampling":{"maxTracesPerSecond":5}}"#,
                per_operation(0.0, 0.0, &[]),
            ),
        ] {
            assert_eq!(parse(json), Ok(strategy), "{json}");
        }
    }

    #[test]
    fn what_is_no_strategy_is_refused_as_a_whole() {
        for json in [
            "",
            "null",
            "[]",
            "7",
            "{}",
            r#"{"strategyType":"PROBABILISTIC"}"#,
            "<html>busy</html>",
            r#"{"probabilisticSampling":{"samplingRate":0.5}"#,
            r#"{"probabilisticSampling":{"samplingRate":1.1}}"#,
            r#"{"probabilisticSampling":{"samplingRate":-0.1}}"#,
            r#"{"probabilisticSampling":{"samplingRate":NaN}}"#,
            r#"{"probabilisticSampling":{"samplingRate":"NaN"}}"#,
            r#"{"probabilisticSampling":{"samplingRate":1e999}}"#,
            r#"{"probabilisticSampling":{"samplingRate":null}}"#,
            r#"{"probabilisticSampling":{"samplingRate":true}}"#,
            r#"{"probabilisticSampling":0.5}"#,
            r#"{"rateLimitingSampling":{"maxTracesPerSecond":-1}}"#,
            r#"{"rateLimitingSampling":[5]}"#,
            r#"{"operationSampling":[]}"#,
            r#"{"operationSampling":{"perOperationStrategies":{}}}"#,
            r#"{"operationSampling":{"defaultSamplingProbability":2}}"#,
            r#"{"operationSampling":{"defaultLowerBoundTracesPerSecond":-1}}"#,
            r#"{"operationSampling":{"perOperationStrategies":[{"probabilisticSampling":{"samplingRate":1}}]}}"#,
            r#"{"operationSampling":{"perOperationStrategies":[{"operation":"a"}]}}"#,
            r#"{"operationSampling":{"perOperationStrategies":[{"operation":"a","probabilisticSampling":{"samplingRate":7}}]}}"#,
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn operations_are_bounded_in_number_and_length() {
        let long = "é".repeat(NAME);
        let entries: Vec<_> = (0..OPERATIONS + 500)
            .map(|number| format!(r#"{{"operation":"{number}{long}","probabilisticSampling":{{"samplingRate":0.5}}}}"#))
            .collect();
        let json = format!(r#"{{"operationSampling":{{"perOperationStrategies":[{}]}}}}"#, entries.join(","));
        let Ok(Strategy::PerOperation { operations, .. }) = parse(&json) else { panic!("it is one") };
        assert_eq!(operations.len(), OPERATIONS);
        assert!(operations.keys().all(|name| name.len() <= NAME));
    }
}
