//! The series of HTTP requests, found by route, method and status.

use crate::names;
use crate::recorder::Recorder;
use crate::series::{self, Counter, Ended, Gauge, Ids, Registry, Shard};
use crate::wire::{Hints, Known, METHODS, MethodIndex};
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Routes that are told apart. A router has a fixed set; one that makes routes up at run time is stopped here.
const ROUTES: usize = 200;
/// Statuses of one endpoint that are found without a lock. A service has few.
const STATUSES: usize = 24;

static KNOWN: Known<Route> = Known::new(ROUTES, Route::new, Route::name);

thread_local! {
    static FOUND: Hints<Route> = const { [const { Cell::new(None) }; _] };
}

/// A route template and what its methods count. Lives as long as the process.
struct Route {
    name: &'static str,
    endpoints: [OnceLock<&'static Endpoint>; METHODS.len()],
}

impl Route {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            endpoints: [const { OnceLock::new() }; METHODS.len()],
        }
    }

    const fn name(&self) -> &'static str {
        self.name
    }
}

/// One method of a route: what its requests count, and how their spans are called.
pub(super) struct Endpoint {
    registry: &'static Registry,
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) span_name: &'static str,
    pub(super) in_flight: Gauge,
    pub(super) request_body: Counter,
    pub(super) response_body: Counter,
    answers: [OnceLock<(u16, Ended)>; STATUSES],
}

/// The endpoint of this name in whatever records here.
#[inline]
pub(super) fn endpoint(
    recorder: &'static Recorder,
    method: MethodIndex,
    route: &str,
) -> &'static Endpoint {
    if !recorder.is_process() {
        return captured(recorder, method, route);
    }
    let route = KNOWN.get(&FOUND, route);
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
            registry,
            method: method.label(),
            route,
            span_name,
            in_flight: registry.gauge(&names::HTTP_REQUESTS_IN_FLIGHT, &labels),
            request_body: registry.counter(&names::HTTP_REQUEST_BODY, &labels, &[]),
            response_body: registry.counter(&names::HTTP_RESPONSE_BODY, &labels, &[]),
            answers: [const { OnceLock::new() }; STATUSES],
        }
    }

    /// Counts an ended request.
    #[inline]
    pub(super) fn end(
        &self,
        (status, sent): (u16, u64),
        duration: Duration,
        sampled: Option<Ids>,
        now: Instant,
    ) {
        let shard = Shard::here();
        self.in_flight.add_at(shard, -1);
        if sent > 0 {
            self.response_body.add_at(shard, sent);
        }
        self.answers(status).record(shard, duration, sampled, now);
    }

    #[inline]
    fn answers(&self, status: u16) -> Ended {
        let known = self
            .answers
            .iter()
            .map(|place| place.get_or_init(|| (status, self.resolve(status))))
            .find(|(known, _)| *known == status);
        known.map_or_else(|| self.resolve(status), |(_, answers)| *answers)
    }

    #[cold]
    fn resolve(&self, status: u16) -> Ended {
        let text = status.to_string();
        let labels = [self.method, self.route, &text];
        Ended {
            count: self.registry.counter(&names::HTTP_REQUESTS, &labels, &[]),
            duration: self
                .registry
                .durations(&names::HTTP_REQUEST_DURATION, &labels, &[]),
        }
    }
}
