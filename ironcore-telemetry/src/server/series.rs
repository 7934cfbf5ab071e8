//! The series of HTTP requests, found by route, method and status.

use crate::names;
use crate::recorder::Recorder;
use crate::series::{self, Counter, Registry};
use crate::wire::{self, CallSeries, Interned, Key, METHODS, MethodIndex, Metrics, ThreadCache};
use std::cell::Cell;
use std::sync::OnceLock;

/// Routes that are told apart. A router has a fixed set; one that makes routes up at run time is stopped here.
const ROUTES: usize = 200;

static METRICS: Metrics = Metrics {
    requests: &names::HTTP_REQUESTS,
    duration: &names::HTTP_REQUEST_DURATION,
    in_flight: &names::HTTP_REQUESTS_IN_FLIGHT,
};

static KNOWN: Interned<Route> = Interned::new(ROUTES);

thread_local! {
    static FOUND: ThreadCache<Route> = const { [const { Cell::new(None) }; _] };
}

/// A route template and what its methods count. Lives as long as the process.
struct Route {
    name: &'static str,
    endpoints: [OnceLock<&'static Endpoint>; METHODS.len()],
}

impl Route {
    const fn new(name: &'static str) -> Self {
        Self { name, endpoints: [const { OnceLock::new() }; METHODS.len()] }
    }
}

impl Key for Route {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// One method of a route: what its requests count, and how their spans are called.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) span_name: &'static str,
    pub(super) requests: CallSeries,
    pub(super) request_body: Counter,
    pub(super) response_body: Counter,
}

/// The endpoint of this name in whatever records here.
#[inline]
pub(super) fn endpoint(recorder: &'static Recorder, method: MethodIndex, route: &str) -> &'static Endpoint {
    if !recorder.is_process() {
        return captured(recorder, method, route);
    }
    let route = KNOWN.get(&FOUND, route, Route::new);
    match route.endpoints.get(method.index()) {
        Some(place) => {
            let make = || Endpoint::new(series::process(), method, route.name);
            place.get_or_init(|| Box::leak(Box::new(make())))
        }
        // There is a place for each method.
        None => captured(recorder, method, route.name),
    }
}

/// As long as the process, like the capture that it is for.
#[cold]
fn captured(recorder: &Recorder, method: MethodIndex, route: &str) -> &'static Endpoint {
    let route = Box::leak(route.into());
    Box::leak(Box::new(Endpoint::new(recorder.registry, method, route)))
}

impl Endpoint {
    fn new(registry: &'static Registry, method: MethodIndex, route: &'static str) -> Self {
        let labels = [method.label(), route];
        let span_name: &'static str = if route == names::UNMATCHED || route == names::OTHER {
            method.shown()
        } else {
            Box::leak(format!("{} {route}", method.shown()).into())
        };
        Self {
            method: method.label(),
            route,
            span_name,
            requests: CallSeries::new(registry, &METRICS, &labels, wire::status_label),
            request_body: registry.counter(&names::HTTP_REQUEST_BODY, &labels, &[]),
            response_body: registry.counter(&names::HTTP_RESPONSE_BODY, &labels, &[]),
        }
    }
}
