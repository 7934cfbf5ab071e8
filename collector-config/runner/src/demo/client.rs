//! Requests to the service that must succeed, or must be refused.

use anyhow::ensure;
use serde_json::Value;
use stack::Result;
use stack::query::Api;

/// A client of the service.
pub(crate) struct Client(Api);

impl Client {
    /// For the service at `base`.
    pub(crate) fn new(base: String) -> Self {
        Self(Api::new(base))
    }

    /// The body of a successful GET.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.0.get(path, &[])
    }

    /// A GET that the service must refuse.
    pub(crate) fn get_refused(&self, path: &str) -> Result<()> {
        let status = self.0.status(path)?;
        ensure!(status >= 400, "{path} answered {status}");
        Ok(())
    }

    /// The body of a successful POST.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.0.post(path, body)?;
        ensure!(status < 300, "{path} answered {status}: {answer}");
        Ok(answer)
    }

    /// A POST that the service must refuse.
    pub(crate) fn post_refused(&self, path: &str, body: &Value) -> Result<()> {
        let (status, answer) = self.0.post(path, body)?;
        ensure!(status >= 400, "{path} answered {status}: {answer}");
        Ok(())
    }

    /// The body of a successful GET as text.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        self.0.text(path)
    }
}
