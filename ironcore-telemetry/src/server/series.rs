//! The series of HTTP requests, found by route, method and status.

use crate::names::{self, OTHER};
use crate::recorder::Recorder;
use crate::series::{self, Counter, Durations, Ids, Registry, Shard};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Routes that are told apart. A router has a fixed set; one that makes routes up at run time is stopped here.
const ROUTES: usize = 200;

static KNOWN: RwLock<BTreeMap<&'static str, &'static Route>> = RwLock::new(BTreeMap::new());

/// A route template and its series by method and status. Lives as long as the process.
#[derive(Debug)]
pub(super) struct Route {
    name: &'static str,
    requests: RwLock<Vec<Requests>>,
}

struct Requests {
    method: &'static str,
    status: u16,
    count: Counter,
    duration: Durations,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.status)
    }
}

/// The route of this name; `_OTHER` when there are too many already.
pub(super) fn route(name: &str) -> &'static Route {
    if let Some(route) = KNOWN
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(name)
    {
        return route;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let name = if known.len() < ROUTES { name } else { OTHER };
    if let Some(route) = known.get(name) {
        return route;
    }
    let name: &'static str = Box::leak(name.into());
    let route: &'static Route = Box::leak(Box::new(Route {
        name,
        requests: RwLock::default(),
    }));
    known.insert(name, route);
    route
}

impl Route {
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Counts an ended request.
    pub(super) fn record(
        &self,
        recorder: &Recorder,
        (method, status): (&'static str, u16),
        duration: Duration,
        sampled: Option<Ids>,
        now: Instant,
    ) {
        let (count, durations) = if recorder.is_process() {
            self.known(method, status)
                .unwrap_or_else(|| self.register(method, status))
        } else {
            self.resolve(recorder.registry, method, status)
        };
        let shard = Shard::here();
        count.add_at(shard, 1);
        durations.record(shard, duration, sampled, now);
    }

    fn known(&self, method: &'static str, status: u16) -> Option<(Counter, Durations)> {
        let of = |requests: &&Requests| requests.status == status && requests.method == method;
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        requests.iter().find(of).map(Requests::handles)
    }

    fn register(&self, method: &'static str, status: u16) -> (Counter, Durations) {
        let (count, duration) = self.resolve(series::process(), method, status);
        let mut requests = self
            .requests
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if !requests
            .iter()
            .any(|known| known.status == status && known.method == method)
        {
            requests.push(Requests {
                method,
                status,
                count,
                duration,
            });
        }
        (count, duration)
    }

    fn resolve(
        &self,
        registry: &Registry,
        method: &'static str,
        status: u16,
    ) -> (Counter, Durations) {
        let text = status.to_string();
        let labels = [method, self.name, &text];
        (
            registry.counter(&names::HTTP_REQUESTS, &labels, &[]),
            registry.durations(&names::HTTP_REQUEST_DURATION, &labels, &[]),
        )
    }
}

impl Requests {
    const fn handles(&self) -> (Counter, Durations) {
        (self.count, self.duration)
    }
}
