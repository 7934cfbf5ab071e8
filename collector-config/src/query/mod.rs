//! Small typed clients for the APIs of the servers, and a bounded wait for an expected answer.

mod jaeger;
mod prometheus;

use crate::error::error_chain;
use crate::interrupt;
pub use jaeger::Jaeger;
pub use prometheus::{Prometheus, Sample};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// The timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No response: the server does not run, or is too slow.
    #[error("{url} does not answer")]
    Unreachable {
        /// The URL of the query.
        url: String,
        /// The error of the HTTP client.
        source: Box<ureq::Error>,
    },
    /// The server refuses the query.
    #[error("{url} answers {status}: {body}")]
    Refused {
        /// The URL of the query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The body of the response.
        body: String,
    },
    /// The response does not have the expected form.
    #[error("unexpected response of {url}: {reason}")]
    Unexpected {
        /// The URL of the query.
        url: String,
        /// How it differs.
        reason: String,
    },
}

/// A wait was not successful.
#[derive(Debug, thiserror::Error)]
#[error("waited {:.1} s for {awaited} without success{}", waited.as_secs_f64(), last.as_ref().map(|last| format!("; last error: {last}")).unwrap_or_default())]
pub struct Timeout {
    /// What the caller waited for.
    pub awaited: String,
    /// How long it waited.
    pub waited: Duration,
    /// The error of the last attempt, if it was one.
    pub last: Option<String>,
}

/// Calls `attempt` every `poll` until it returns a value, for at most `timeout`. An error does not end the wait, as a
/// server may still be starting; the last one is part of the [`Timeout`]. A signal after [`interrupt::catch`] ends the
/// wait.
///
/// # Errors
/// [`Timeout`], with `awaited` in its message.
pub fn wait_until<T, E: Into<Box<dyn Error>>>(
    timeout: Duration,
    poll: Duration,
    awaited: impl Into<String>,
    mut attempt: impl FnMut() -> Result<Option<T>, E>,
) -> Result<T, Timeout> {
    let start = Instant::now();
    loop {
        let last = match attempt() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error_chain(error.into().as_ref())),
        };
        let last = if interrupt::requested() {
            Some(interrupt::error().to_string())
        } else if start.elapsed() >= timeout {
            last
        } else {
            thread::sleep(poll);
            continue;
        };
        return Err(Timeout { awaited: awaited.into(), waited: start.elapsed(), last });
    }
}

/// An untyped client, for the parts of the APIs that the typed clients do not cover.
#[derive(Clone, Debug)]
pub struct Api {
    http: Http,
    base: String,
}

impl Api {
    /// A client of the server at `base`, such as `http://127.0.0.1:9090`.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self { http: Http::new(TIMEOUT), base: base.into() }
    }

    /// The JSON response to GET `path`.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, QueryError> {
        self.http.json(&format!("{}{path}", self.base), parameters)
    }

    /// The response to GET `path`, a JSON value in each line.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn lines(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>, QueryError> {
        let url = format!("{}{path}", self.base);
        let parsed = |line: &str| {
            serde_json::from_str(line)
                .map_err(|error| QueryError::Unexpected { url: url.clone(), reason: error.to_string() })
        };
        self.http.text(&url, parameters)?.lines().map(parsed).collect()
    }

    /// The response to GET `path` as text, such as a page of metrics.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn text(&self, path: &str) -> Result<String, QueryError> {
        self.http.text(&format!("{}{path}", self.base), &[])
    }
}

/// GET with a timeout. It ignores the proxy of the environment, as all servers are on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Http(ureq::Agent);

impl Http {
    pub(crate) fn new(timeout: Duration) -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).proxy(None).build();
        Self(config.new_agent())
    }

    /// Whether `http://…` answers 200, or `tcp://…` accepts a connection; otherwise the reason.
    pub(crate) fn health(&self, url: &str) -> Result<(), String> {
        if let Some(address) = url.strip_prefix("tcp://") {
            return TcpStream::connect(address).map(drop).map_err(|error| format!("{url}: {error}"));
        }
        match self.status(url) {
            Ok(200) => Ok(()),
            Ok(status) => Err(format!("{url} answers {status}")),
            Err(error) => Err(error_chain(&error)),
        }
    }

    /// The HTTP status only.
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
        // The traces of a busy minute exceed ureq's default limit of 10 MB.
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
    fn a_timeout_names_what_was_awaited_and_the_last_error() {
        let mut attempts = 0;
        let error = wait_until(Duration::from_millis(20), Duration::from_millis(1), "the trace in Jaeger", || {
            attempts += 1;
            Err::<Option<()>, _>("connection refused")
        })
        .unwrap_err();
        assert!(attempts > 1);
        let text = error.to_string();
        assert!(text.contains("for the trace in Jaeger without success; last error: connection refused"), "{text}");
    }

    #[test]
    fn a_wait_returns_the_first_value_and_ignores_errors_before_it() {
        let mut answers = [Ok(Some(7)), Ok(None), Err("not yet")].into_iter();
        let mut next = || answers.next_back().unwrap_or(Ok(None));
        assert_eq!(wait_until(Duration::from_mins(1), Duration::ZERO, "seven", &mut next).unwrap(), 7);
    }

    #[test]
    fn an_unreachable_server_is_named() {
        let address = crate::addresses::free_address().unwrap();
        let error = Jaeger::new(format!("http://{address}")).services().unwrap_err();
        assert!(matches!(error, QueryError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
