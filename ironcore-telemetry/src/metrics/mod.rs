//! Metrics: the `/metrics` page, the provider for the instruments of users and libraries, and OTLP on request.

#[cfg(feature = "prometheus")]
mod bridge;
#[cfg(feature = "prometheus")]
mod listener;
mod page;
mod provider;
mod push;

pub(crate) use crate::series::Format;
#[cfg(feature = "prometheus")]
pub(crate) use listener::{bind, serve};
pub(crate) use page::page;
pub(crate) use provider::Meters;
pub(crate) use push::Push;
