//! The series of HTTP requests, found by route, method and status.

use crate::exchange::{CallMetrics, CallSeries, Interned, Key, ThreadCache};
use crate::names;
use crate::protocol::http::{METHODS, MethodLabel, StatusLabel};
use crate::recorder::Recorder;
use crate::series::{self, Counter, Registry};
use std::cell::Cell;
use std::sync::OnceLock;

/// Routes that have series of their own. A router has a fixed set; this bounds one that makes routes up at run time.
const ROUTES: usize = 200;

static METRICS: CallMetrics = CallMetrics {
    requests: &names::HTTP_REQUESTS,
    duration: &names::HTTP_REQUEST_DURATION,
    in_flight: &names::HTTP_REQUESTS_IN_FLIGHT,
};

static INTERNED: Interned<Route> = Interned::new(ROUTES);

thread_local! {
    static CACHE: ThreadCache<Route> = const { [const { Cell::new(None) }; _] };
}

/// A route template and the series of its methods. Lives as long as the process.
struct Route {
    name: &'static str,
    endpoints: [OnceLock<&'static Endpoint>; METHODS.len()],
}

impl Route {
    const fn new(name: &'static str) -> Self {
        Self { name, endpoints: [const { OnceLock::new() }; METHODS.len()] }
    }

    #[inline]
    fn endpoint(&self, method: MethodLabel) -> &'static Endpoint {
        let make = || -> &'static Endpoint { Box::leak(Box::new(Endpoint::new(series::process(), method, self.name))) };
        match self.endpoints.get(method.index()) {
            Some(place) => place.get_or_init(make),
            // Not reached: there is a slot for each method.
            None => make(),
        }
    }
}

impl Key for Route {
    fn key(&self) -> &'static str {
        self.name
    }
}

/// One method of a route: what its requests are counted in, and the name of their spans.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) span_name: &'static str,
    pub(super) requests: CallSeries<StatusLabel>,
    pub(super) request_body: Counter,
    pub(super) response_body: Counter,
}

/// The endpoint of a method and a route, in the process or in the capture of a test.
#[inline]
pub(super) fn endpoint(recorder: &'static Recorder, method: MethodLabel, route: &str) -> &'static Endpoint {
    if !recorder.is_process() {
        return captured(recorder, method, route);
    }
    INTERNED.get(&CACHE, route, Route::new).endpoint(method)
}

/// Makes an endpoint known before its first request: its counters stand at zero, for a success and for an error of the
/// server, so that the increase of the first one is seen. Not its histograms, which are large.
pub(super) fn declare(method: MethodLabel, route: &str) {
    let route = INTERNED.find(route, Route::new);
    let endpoint = route.endpoint(method);
    for status in ["200", "500"] {
        series::counter(&names::HTTP_REQUESTS, &[endpoint.method, endpoint.route, status]);
    }
}

/// Lives as long as the process, like the capture that it is for.
#[cold]
fn captured(recorder: &Recorder, method: MethodLabel, route: &str) -> &'static Endpoint {
    let route = Box::leak(route.into());
    Box::leak(Box::new(Endpoint::new(recorder.registry, method, route)))
}

impl Endpoint {
    fn new(registry: &'static Registry, method: MethodLabel, route: &'static str) -> Self {
        let labels = [method.label(), route];
        let span_name: &'static str = if route == names::UNMATCHED || route == names::OTHER {
            method.span_name()
        } else {
            Box::leak(format!("{} {route}", method.span_name()).into())
        };
        Self {
            method: method.label(),
            route,
            span_name,
            requests: CallSeries::new(registry, &METRICS, &labels),
            request_body: registry.counter(&names::HTTP_REQUEST_BODY, &labels, &[]),
            response_body: registry.counter(&names::HTTP_RESPONSE_BODY, &labels, &[]),
        }
    }
}
