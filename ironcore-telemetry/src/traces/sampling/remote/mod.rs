//! Sampling told by the back end: Jaeger's remote sampling over HTTP.

mod client;
mod rules;
mod strategy;
#[cfg(test)]
mod tests;

use crate::config::RemoteSampling;
use crate::names;
use crate::series::{self, Gauge};
use crate::worker;
use client::Client;
use opentelemetry::trace::TraceId;
use rules::Rules;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use strategy::Strategy;

/// How long the back end has to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Operations with a strategy or a lower bound of their own.
const OPERATIONS: usize = 2_000;
/// The longest name of an operation in bytes.
const NAME: usize = 256;

/// Asks the back end how to sample, and samples so. What it has told last holds on while it gives no answer that can be
/// used.
pub(crate) struct Remote {
    url: String,
    interval: Duration,
    limit: Duration,
    client: Client,
    /// `None` until the first answer.
    rules: RwLock<Option<Rules>>,
    heard: Mutex<Heard>,
}

/// What the back end has said, as the task that asks it knows.
struct Heard {
    last: Option<Strategy>,
    is_failing: bool,
    /// 1 while it gives no answer that can be used.
    degraded: Gauge,
}

/// What is worth a line in the log.
#[derive(Debug, PartialEq)]
enum News {
    /// The first answer, or the first one after failures.
    Told(String),
    /// Another strategy than before.
    Changed(String),
    /// The first failure after an answer, or of all.
    Failed(String),
}

impl Remote {
    /// For a service of this name.
    pub(crate) fn new(settings: &RemoteSampling, service: &str) -> Self {
        Self::with_limit(settings, service, LIMIT)
    }

    fn with_limit(settings: &RemoteSampling, service: &str, limit: Duration) -> Self {
        Self {
            url: format!("{}?service={}", settings.endpoint, percent_encoded(service)),
            interval: settings.interval,
            limit,
            client: Client::default(),
            rules: RwLock::new(None),
            heard: Mutex::new(Heard {
                last: None,
                is_failing: false,
                degraded: series::gauge(&names::TELEMETRY_DEGRADED, &[names::SAMPLING]),
            }),
        }
    }

    /// Whether a trace is recorded whose first span has this name; `None` before the first answer.
    #[inline]
    pub(super) fn samples(&self, trace: TraceId, name: &str) -> Option<bool> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.as_ref().map(|rules| rules.sample(trace, name))
    }

    /// Asks again and again; does not return.
    pub(crate) async fn poll(self: Arc<Self>) {
        loop {
            if let Some(news) = self.ask().await {
                worker::log(move || news.log());
            }
            // Not all processes of a service at once.
            tokio::time::sleep(self.interval.mul_f64(rand::random_range(0.9..1.1))).await;
        }
    }

    /// Asks once.
    async fn ask(&self) -> Option<News> {
        let answer = tokio::time::timeout(self.limit, self.client.get(&self.url)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.limit)));
        let answer = answer.and_then(|body| Strategy::parse(&body));
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let strategy = match answer {
            Ok(strategy) => strategy,
            Err(reason) => return heard.failed().then_some(News::Failed(reason)),
        };
        let was_failing = heard.answered();
        let is_first = heard.last.is_none();
        if heard.last.as_ref() == Some(&strategy) {
            return was_failing.then(|| News::Told(strategy.to_string()));
        }
        {
            let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
            *rules = Some(Rules::new(&strategy, rules.as_ref()));
        }
        let told = strategy.to_string();
        heard.last = Some(strategy);
        Some(if is_first || was_failing { News::Told(told) } else { News::Changed(told) })
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Heard {
    /// Notes a failure; returns whether it is the first one of an outage.
    fn failed(&mut self) -> bool {
        let is_first = !std::mem::replace(&mut self.is_failing, true);
        if is_first {
            self.degraded.add(1);
        }
        is_first
    }

    /// Notes an answer; returns whether it ends an outage.
    fn answered(&mut self) -> bool {
        let was_failing = std::mem::replace(&mut self.is_failing, false);
        if was_failing {
            self.degraded.add(-1);
        }
        was_failing
    }
}

impl News {
    fn log(&self) {
        match self {
            Self::Told(sampling) => {
                tracing::info!(target: "ironcore_telemetry", sampling, "the back end tells how to sample traces");
            }
            Self::Changed(sampling) => {
                tracing::debug!(target: "ironcore_telemetry", sampling, "the back end samples traces in another way");
            }
            Self::Failed(error) => {
                tracing::warn!(
                    target: "ironcore_telemetry",
                    error,
                    "the back end does not tell how to sample traces: what it has told last holds on, before that \
                     initialSamplingRate. Look at the endpoint in OTEL_TRACES_SAMPLER_ARG; it is asked again"
                );
            }
        }
    }
}

/// A text as a value of a query.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
