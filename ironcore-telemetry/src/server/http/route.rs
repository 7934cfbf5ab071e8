//! The route of a request that no router has matched.

use crate::caught::caught;
use http::{Extensions, HeaderMap, Method, Request};
use std::sync::Arc;

/// What [`route_by`](crate::HttpTelemetryLayer::route_by) can inspect of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'request> {
    method: &'request Method,
    path: &'request str,
    headers: &'request HeaderMap,
    extensions: &'request Extensions,
}

impl<'request> RequestHead<'request> {
    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'request Method {
        self.method
    }

    /// The path, as the caller has sent it: any text. Compare it, and never return a part of it.
    #[must_use]
    pub const fn path(&self) -> &'request str {
        self.path
    }

    /// The headers, such as `host`.
    #[must_use]
    pub const fn headers(&self) -> &'request HeaderMap {
        self.headers
    }

    /// The values that the server and the outer layers have added.
    #[must_use]
    pub const fn extensions(&self) -> &'request Extensions {
        self.extensions
    }
}

/// The user's function that names routes.
#[derive(Clone)]
pub(in crate::server) struct RouteBy(Arc<Name>);

type Name = dyn Fn(&RequestHead<'_>) -> Option<&'static str> + Send + Sync;

impl RouteBy {
    pub(super) fn new(name: impl Fn(&RequestHead<'_>) -> Option<&'static str> + Send + Sync + 'static) -> Self {
        Self(Arc::new(name))
    }

    pub(super) fn of<Body>(&self, request: &Request<Body>) -> Option<&'static str> {
        let head = RequestHead {
            method: request.method(),
            path: request.uri().path(),
            headers: request.headers(),
            extensions: request.extensions(),
        };
        // A panic in the user's function must not end the request.
        caught(|| (self.0)(&head)).flatten()
    }
}

impl std::fmt::Debug for RouteBy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RouteBy")
    }
}
