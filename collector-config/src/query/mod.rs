//! Small typed clients of what the servers answer, and a bounded wait for it.

mod jaeger;
mod prometheus;

use crate::interrupt;
pub use jaeger::Jaeger;
pub use prometheus::{Prometheus, Sample};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Display;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// The limit of one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No answer: not running, or too slow.
    #[error("{url} does not answer: {source}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// The server refuses the question.
    #[error("{url} answers {status}: {body}")]
    Refused {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it says about it.
        body: String,
    },
    /// The answer is not of the expected form.
    #[error("{url} answers something unexpected: {reason}")]
    Unexpected {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What was waited for did not come.
#[derive(Debug, thiserror::Error)]
#[error("waited {:.1} s for {what}, in vain{}", waited.as_secs_f64(), last.as_ref().map(|last| format!("; last: {last}")).unwrap_or_default())]
pub struct Timeout {
    /// What was awaited, in the words of the caller.
    pub what: String,
    /// For how long.
    pub waited: Duration,
    /// The last error on the way, if the last attempt was one.
    pub last: Option<String>,
}

/// Asks `f` every `poll` until it has something, for at most `timeout`. An error is not the end (a server may still be
/// starting): the last one is part of the [`Timeout`]. A signal after [`interrupt::catch`] ends the wait.
///
/// # Errors
/// [`Timeout`], naming `what`.
pub fn wait_until<T, E: Display>(
    timeout: Duration,
    poll: Duration,
    what: impl Into<String>,
    mut f: impl FnMut() -> Result<Option<T>, E>,
) -> Result<T, Timeout> {
    let start = Instant::now();
    loop {
        let last = match f() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error.to_string()),
        };
        let last = if interrupt::requested() {
            Some(interrupt::error().to_string())
        } else if start.elapsed() >= timeout {
            last
        } else {
            thread::sleep(poll);
            continue;
        };
        return Err(Timeout { what: what.into(), waited: start.elapsed(), last });
    }
}

/// A server that answers in JSON: what the typed clients do not know.
#[derive(Clone, Debug)]
pub struct Api {
    http: Http,
    base: String,
}

impl Api {
    /// For the server at `base`, such as `http://127.0.0.1:9090`.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self { http: Http::new(TIMEOUT), base: base.into() }
    }

    /// What it answers to GET `path`.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, QueryError> {
        self.http.json(&format!("{}{path}", self.base), parameters)
    }

    /// What it answers to GET `path` with a page that is no JSON, such as one of metrics.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn text(&self, path: &str) -> Result<String, QueryError> {
        self.http.text(&format!("{}{path}", self.base), &[])
    }
}

/// GET with a time limit, past any proxy of the environment: all servers are on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Http(ureq::Agent);

impl Http {
    pub(crate) fn new(timeout: Duration) -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).proxy(None).build();
        Self(config.new_agent())
    }

    /// Whether `http://…` answers 200, or `tcp://…` accepts a connection; else what it says, in words.
    pub(crate) fn health(&self, url: &str) -> Result<(), String> {
        if let Some(address) = url.strip_prefix("tcp://") {
            return TcpStream::connect(address).map(drop).map_err(|error| format!("{url}: {error}"));
        }
        match self.status(url) {
            Ok(200) => Ok(()),
            Ok(status) => Err(format!("{url} answers {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The status alone.
    pub(crate) fn status(&self, url: &str) -> Result<u16, QueryError> {
        Ok(self.get(url, &[])?.status().as_u16())
    }

    fn json<T: DeserializeOwned>(&self, url: &str, parameters: &[(&str, &str)]) -> Result<T, QueryError> {
        let body = self.text(url, parameters)?;
        serde_json::from_str(&body)
            .map_err(|error| QueryError::Unexpected { url: url.into(), reason: error.to_string() })
    }

    fn text(&self, url: &str, parameters: &[(&str, &str)]) -> Result<String, QueryError> {
        let mut response = self.get(url, parameters)?;
        let status = response.status();
        // Traces of a busy minute pass ureq's own limit of 10 MB.
        let body = response.body_mut().with_config().limit(256 << 20).read_to_string();
        let body = body.map_err(|source| QueryError::Unreachable { url: url.into(), source: Box::new(source) })?;
        if status.is_success() {
            return Ok(body);
        }
        Err(QueryError::Refused { url: url.into(), status: status.as_u16(), body })
    }

    fn get(&self, url: &str, parameters: &[(&str, &str)]) -> Result<ureq::http::Response<ureq::Body>, QueryError> {
        let request = parameters.iter().fold(self.0.get(url), |request, (key, value)| request.query(key, value));
        request.call().map_err(|source| QueryError::Unreachable { url: url.into(), source: Box::new(source) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vain_wait_names_what_was_awaited_and_the_last_error() {
        let mut attempts = 0;
        let error = wait_until(Duration::from_millis(20), Duration::from_millis(1), "the trace in Jaeger", || {
            attempts += 1;
            Err::<Option<()>, _>("connection refused")
        })
        .unwrap_err();
        assert!(attempts > 1);
        let text = error.to_string();
        assert!(text.contains("for the trace in Jaeger, in vain; last: connection refused"), "{text}");
    }

    #[test]
    fn a_wait_returns_what_came_and_forgives_errors_on_the_way() {
        let mut answers = [Ok(Some(7)), Ok(None), Err("not yet")].into_iter();
        let mut next = || answers.next_back().unwrap_or(Ok(None));
        assert_eq!(wait_until(Duration::from_mins(1), Duration::ZERO, "seven", &mut next).unwrap(), 7);
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let address = crate::addresses::free_address().unwrap();
        let error = Jaeger::new(format!("http://{address}")).services().unwrap_err();
        assert!(matches!(error, QueryError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
