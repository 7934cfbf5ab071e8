//! Requests to the service, past any proxy.

use serde_json::Value;
use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of the service.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// For the service at `base`.
    pub(crate) fn new(base: String) -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).proxy(None);
        Self { agent: config.build().into(), base }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        let url = self.url(path);
        let response = self.agent.get(&url).call();
        answer(&url, response, true)
    }

    pub(crate) fn get_refused(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        let url = self.url(path);
        let response = self.agent.get(&url).call();
        answer(&url, response, false)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        let url = self.url(path);
        let response = self.agent.post(&url).send_json(body);
        answer(&url, response, true)
    }

    pub(crate) fn post_refused(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        let url = self.url(path);
        let response = self.agent.post(&url).send_json(body);
        answer(&url, response, false)
    }

    /// A page that is no JSON.
    pub(crate) fn text(&self, path: &str) -> Result<String, Box<dyn Error>> {
        let url = self.url(path);
        let mut response = self.agent.get(&url).call().map_err(naming(&url))?;
        Ok(response.body_mut().read_to_string().map_err(naming(&url))?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

fn answer(
    url: &str,
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    success: bool,
) -> Result<Value, Box<dyn Error>> {
    let mut response = response.map_err(naming(url))?;
    let status = response.status();
    let body: Value = response.body_mut().read_json().map_err(naming(url))?;
    if status.is_success() == success { Ok(body) } else { Err(format!("{url} answered {status}: {body}").into()) }
}

fn naming<E: Display>(url: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{url}: {error}")
}
