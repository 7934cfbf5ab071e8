//! Small typed clients for the APIs of the servers, and a bounded wait for an expected answer.

mod jaeger;
mod prometheus;

use crate::interrupt;
use anyhow::{Context as _, Error, Result, bail, ensure};
pub use jaeger::Jaeger;
pub use prometheus::{Prometheus, Sample};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// The timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Calls `attempt` every `poll` until it returns a value, for at most `timeout`. An error does not end the wait, as a
/// server may still be starting; the last one is in the error after the timeout, with `awaited`. A signal after
/// [`interrupt::catch`] ends the wait.
pub fn wait_until<T, E: Into<Error>>(
    timeout: Duration,
    poll: Duration,
    awaited: impl Into<String>,
    mut attempt: impl FnMut() -> Result<Option<T>, E>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let last = match attempt() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::new(),
            Err(error) => format!("; last error: {:#}", error.into()),
        };
        interrupt::check()?;
        if start.elapsed() >= timeout {
            let waited = start.elapsed().as_secs_f64();
            bail!("waited {waited:.1} s for {} without success{last}", awaited.into());
        }
        thread::sleep(poll);
    }
}

/// A client of one server. It ignores the proxy of the environment, as all servers are on loopback.
#[derive(Clone, Debug)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
}

impl Api {
    /// For the server at `base`, such as `http://127.0.0.1:9090`.
    pub fn new(base: impl Into<String>) -> Self {
        Self::with_timeout(base, TIMEOUT)
    }

    /// With another timeout of each request than 30 s.
    pub fn with_timeout(base: impl Into<String>, timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false);
        Self { agent: config.proxy(None).build().into(), base: base.into() }
    }

    /// The JSON response to GET `path`; an error if its status is not a success.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        self.json(path, parameters)
    }

    /// The response to GET `path`, a JSON value in each line.
    pub fn lines(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
        let body = self.success(path, self.send(path, parameters, None)?)?;
        let unexpected = || format!("unexpected response of {}{path}", self.base);
        body.lines().map(|line| serde_json::from_str(line).with_context(unexpected)).collect()
    }

    /// The response to GET `path` as text, such as a page of metrics.
    pub fn text(&self, path: &str) -> Result<String> {
        self.success(path, self.send(path, &[], None)?)
    }

    /// The status and the JSON response to POST `path`, whatever the status is.
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let (status, text) = self.send(path, &[], Some(body))?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// The status of GET `path`.
    pub fn status(&self, path: &str) -> Result<u16> {
        Ok(self.send(path, &[], None)?.0)
    }

    /// Whether the server at `http://…` answers 200, or the one at `tcp://…` accepts a connection; otherwise the reason.
    pub(crate) fn health(&self) -> Result<()> {
        if let Some(address) = self.base.strip_prefix("tcp://") {
            return TcpStream::connect(address).map(drop).with_context(|| self.base.clone());
        }
        let status = self.status("")?;
        ensure!(status == 200, "{} answers {status}", self.base);
        Ok(())
    }

    fn json<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<T> {
        self.decoded(path, self.send(path, parameters, None)?)
    }

    /// As [`json`](Self::json); `None` if the status is 404.
    fn json_if_found<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Option<T>> {
        match self.send(path, parameters, None)? {
            (404, _) => Ok(None),
            answer => self.decoded(path, answer).map(Some),
        }
    }

    fn decoded<T: DeserializeOwned>(&self, path: &str, answer: (u16, String)) -> Result<T> {
        let body = self.success(path, answer)?;
        serde_json::from_str(&body).with_context(|| format!("unexpected response of {}{path}", self.base))
    }

    fn success(&self, path: &str, (status, body): (u16, String)) -> Result<String> {
        ensure!((200..300).contains(&status), "{}{path} answers {status}: {body}", self.base);
        Ok(body)
    }

    fn send(&self, path: &str, parameters: &[(&str, &str)], body: Option<&Value>) -> Result<(u16, String)> {
        let url = format!("{}{path}", self.base);
        let answer = match body {
            None => parameters.iter().fold(self.agent.get(&url), |get, (key, value)| get.query(key, value)).call(),
            Some(body) => self.agent.post(&url).send_json(body),
        };
        let mut answer = answer.with_context(|| format!("{url} does not answer"))?;
        // The traces of a busy minute exceed ureq's default limit of 10 MB.
        let text = answer.body_mut().with_config().limit(256 << 20).read_to_string();
        Ok((answer.status().as_u16(), text.with_context(|| format!("{url} does not answer"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_timeout_names_what_was_awaited_and_the_last_error() {
        let mut attempts = 0;
        let error = wait_until(Duration::from_millis(20), Duration::from_millis(1), "the trace in Jaeger", || {
            attempts += 1;
            Err::<Option<()>, _>(anyhow!("connection refused"))
        })
        .unwrap_err();
        assert!(attempts > 1);
        let text = error.to_string();
        assert!(text.contains("for the trace in Jaeger without success; last error: connection refused"), "{text}");
    }

    #[test]
    fn a_wait_returns_the_first_value_and_ignores_errors_before_it() {
        let mut answers = [Ok(Some(7)), Ok(None), Err(anyhow!("not yet"))].into_iter();
        let mut next = || answers.next_back().unwrap_or(Ok(None));
        assert_eq!(wait_until(Duration::from_mins(1), Duration::ZERO, "seven", &mut next).unwrap(), 7);
    }

    #[test]
    fn an_unreachable_server_is_named() {
        let address = crate::addresses::free_address().unwrap();
        let error = Jaeger::new(format!("http://{address}")).services().unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
