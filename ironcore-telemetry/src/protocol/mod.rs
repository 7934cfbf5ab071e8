//! The protocols as labels, attributes and bytes: what HTTP and gRPC put on the wire. Records nothing.

#[cfg(feature = "grpc")]
pub(crate) mod grpc;
#[cfg(feature = "grpc")]
pub(crate) mod grpc_messages;
#[cfg(feature = "http")]
pub(crate) mod http;

use std::borrow::Cow;

/// A label that tells the results of calls apart.
pub trait ResultLabel: Copy + Eq + 'static {
    /// The value on `/metrics`.
    fn label(self) -> Cow<'static, str>;
}
