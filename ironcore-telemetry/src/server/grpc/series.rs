//! The series of gRPC methods, found by path.

use crate::names::{self, OTHER};
use crate::recorder::Recorder;
use crate::series::{self, Counter, Registry};
use crate::server::settings::Settings;
use crate::wire::{self, CallSeries, Code, Interned, Key, Metrics, ThreadCache};
use std::cell::Cell;

/// Methods that are told apart.
const METHODS: usize = 200;

static METRICS: Metrics = Metrics {
    requests: &names::GRPC_REQUESTS,
    duration: &names::GRPC_REQUEST_DURATION,
    in_flight: &names::GRPC_REQUESTS_IN_FLIGHT,
};

static KNOWN: Interned<Rpc> = Interned::new(METHODS);

thread_local! {
    static FOUND: ThreadCache<Rpc> = const { [const { Cell::new(None) }; _] };
}

/// A method: what its calls count, and how their spans are called.
pub(super) struct Rpc {
    path: &'static str,
    pub(super) service: &'static str,
    pub(super) method: &'static str,
    pub(super) calls: CallSeries,
    pub(super) received: Counter,
    pub(super) sent: Counter,
}

impl Rpc {
    fn new(registry: &'static Registry, path: &'static str) -> Self {
        let (service, method) = wire::method_of(path).unwrap_or((OTHER, OTHER));
        let messages = |direction| registry.counter(&names::GRPC_MESSAGES, &[service, method, direction], &[]);
        Self {
            path,
            service,
            method,
            calls: CallSeries::new(registry, &METRICS, &[service, method], Code::label),
            received: messages("received"),
            sent: messages("sent"),
        }
    }

    fn process(path: &'static str) -> Self {
        Self::new(series::process(), path)
    }

    /// `package.Service/Method`; `_OTHER` for what is not known.
    pub(super) fn full_name(&self) -> &'static str {
        self.path.strip_prefix('/').unwrap_or(self.path)
    }

    pub(super) fn is_other(&self) -> bool {
        self.path == OTHER
    }
}

impl Key for Rpc {
    fn name(&self) -> &'static str {
        self.path
    }
}

/// Makes a method known.
pub(super) fn declare(path: &str) {
    KNOWN.find(path, Rpc::process);
}

/// The method of this path, if it is known; else that of all others.
pub(super) fn known(recorder: &Recorder, path: &str, settings: &Settings) -> &'static Rpc {
    if !recorder.is_process() {
        let known = settings.declares(path).then(|| &*Box::leak(path.into()));
        return captured(recorder, known.unwrap_or(OTHER));
    }
    KNOWN.look(&FOUND, path).unwrap_or_else(|| KNOWN.get(&FOUND, OTHER, Rpc::process))
}

/// The method of a path that something has answered behind.
#[cold]
pub(super) fn learn(recorder: &Recorder, path: &str) -> &'static Rpc {
    if recorder.is_process() { KNOWN.find(path, Rpc::process) } else { captured(recorder, Box::leak(path.into())) }
}

/// As long as the process, like the capture that it is for.
#[cold]
fn captured(recorder: &Recorder, path: &'static str) -> &'static Rpc {
    Box::leak(Box::new(Rpc::new(recorder.registry, path)))
}
