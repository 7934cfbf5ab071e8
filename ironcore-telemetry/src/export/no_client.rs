//! Without a protocol of OTLP there is no client, and settings that need one are errors.

use super::answer::Answer;
use crate::config::{Otlp, Signal};
use crate::error::InitError;
use bytes::Bytes;

/// As the client of a build with OTLP; there is none here.
pub(crate) enum Client {}

impl Client {
    /// # Errors
    /// Always: the settings refuse such a protocol before, with both ways out.
    pub(crate) fn new(otlp: &Otlp, _: Signal) -> Result<Self, InitError> {
        let allowed = format!("enable the cargo feature `{}`", otlp.protocol.feature());
        Err(InitError::invalid("OTEL_EXPORTER_OTLP_PROTOCOL", otlp.protocol.name(), allowed))
    }

    #[expect(clippy::unused_async, reason = "there is nothing to wait for without a transport")]
    pub(crate) async fn send(&self, _: Vec<Bytes>) -> Answer {
        match *self {}
    }
}
