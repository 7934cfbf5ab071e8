//! Requests to the service. They ignore the proxy of the environment.

use serde_json::Value;
use std::error::Error;
use std::fmt::Display;
use std::time::Duration;
use ureq::http::{Response, StatusCode};

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

    /// The body of a successful GET.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        self.send_get(path)?.success()
    }

    /// The body of a GET that the service must refuse.
    pub(crate) fn get_refused(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        self.send_get(path)?.refusal()
    }

    /// The body of a successful POST.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        self.send_post(path, body)?.success()
    }

    /// The body of a POST that the service must refuse.
    pub(crate) fn post_refused(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        self.send_post(path, body)?.refusal()
    }

    /// The body of a GET as text.
    pub(crate) fn text(&self, path: &str) -> Result<String, Box<dyn Error>> {
        let url = self.url(path);
        let mut response = self.agent.get(&url).call().map_err(with_url(&url))?;
        Ok(response.body_mut().read_to_string().map_err(with_url(&url))?)
    }

    fn send_get(&self, path: &str) -> Result<Answer, Box<dyn Error>> {
        let url = self.url(path);
        let response = self.agent.get(&url).call();
        Answer::read(url, response)
    }

    fn send_post(&self, path: &str, body: &Value) -> Result<Answer, Box<dyn Error>> {
        let url = self.url(path);
        let response = self.agent.post(&url).send_json(body);
        Answer::read(url, response)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// The answer to one request.
struct Answer {
    url: String,
    status: StatusCode,
    body: Value,
}

impl Answer {
    fn read(url: String, response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Self, Box<dyn Error>> {
        let mut response = response.map_err(with_url(&url))?;
        let body = response.body_mut().read_json().map_err(with_url(&url))?;
        Ok(Self { status: response.status(), url, body })
    }

    fn success(self) -> Result<Value, Box<dyn Error>> {
        if self.status.is_success() { Ok(self.body) } else { Err(self.unexpected()) }
    }

    fn refusal(self) -> Result<Value, Box<dyn Error>> {
        if self.status.is_success() { Err(self.unexpected()) } else { Ok(self.body) }
    }

    fn unexpected(&self) -> Box<dyn Error> {
        format!("{} answered {}: {}", self.url, self.status, self.body).into()
    }
}

fn with_url<E: Display>(url: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{url}: {error}")
}
