//! Metrics: the `/metrics` page, the meter provider for the instruments of users and libraries, and the push over OTLP.

mod births;
#[cfg(feature = "prometheus")]
mod bridge;
mod callbacks;
#[cfg(feature = "prometheus")]
mod claims;
#[cfg(feature = "prometheus")]
mod families;
#[cfg(feature = "prometheus")]
mod listener;
mod meters;
#[cfg(feature = "prometheus")]
mod naming;
#[cfg(any(feature = "prometheus", feature = "http"))]
mod negotiation;
#[cfg(feature = "prometheus")]
mod number;
mod page;
#[cfg(feature = "prometheus")]
mod protobuf;
mod provider;
mod push;
mod reader;
#[cfg(any(feature = "prometheus", feature = "http"))]
mod response;

pub(crate) use crate::series::Format;
#[cfg(feature = "prometheus")]
pub(crate) use listener::Listener;
pub(crate) use page::page;
pub(crate) use provider::Meters;
pub(crate) use push::Push;
#[cfg(feature = "http")]
pub(crate) use response::{renderings, respond};
