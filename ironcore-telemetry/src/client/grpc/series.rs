//! The series of the calls that the service makes, by peer and method.

use crate::names::{self, OTHER};
use crate::recorder::Recorder;
use crate::series::{self, Counter, Registry};
use crate::wire::{self, Calls, Code, Metrics};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Methods of peers that are told apart. They stand in the code of the service.
const METHODS: usize = 500;

static METRICS: Metrics = Metrics {
    requests: &names::GRPC_CLIENT_REQUESTS,
    duration: &names::GRPC_CLIENT_REQUEST_DURATION,
    in_flight: &names::GRPC_CLIENT_REQUESTS_IN_FLIGHT,
};

/// By peer, and by path below it.
static KNOWN: RwLock<BTreeMap<&'static str, Peer>> = RwLock::new(BTreeMap::new());

type Peer = BTreeMap<&'static str, &'static Rpc>;

/// A method of a peer: what its calls count, and how their spans are called.
pub(super) struct Rpc {
    path: &'static str,
    pub(super) calls: Calls,
    pub(super) received: Counter,
    pub(super) sent: Counter,
}

impl Rpc {
    fn new(registry: &'static Registry, peer: &'static str, path: &'static str) -> Self {
        let (service, method) = wire::method_of(path).unwrap_or((OTHER, OTHER));
        let messages = |direction| {
            let labels = [peer, service, method, direction];
            registry.counter(&names::GRPC_CLIENT_MESSAGES, &labels, &[])
        };
        Self {
            path,
            calls: Calls::new(registry, &METRICS, &[peer, service, method], Code::label),
            received: messages("received"),
            sent: messages("sent"),
        }
    }

    /// `package.Service/Method`; `_OTHER` for what is no method's path.
    pub(super) fn full_name(&self) -> &'static str {
        self.path.strip_prefix('/').unwrap_or(self.path)
    }

    pub(super) fn is_other(&self) -> bool {
        self.path == OTHER
    }
}

/// The method of this path.
pub(super) fn rpc(recorder: &Recorder, peer: &'static str, path: &str) -> &'static Rpc {
    let path = if wire::method_of(path).is_some() {
        path
    } else {
        OTHER
    };
    if !recorder.is_process() {
        // As long as the process, like the capture that it is for.
        let path = Box::leak(path.into());
        return Box::leak(Box::new(Rpc::new(recorder.registry, peer, path)));
    }
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let found = known.get(peer).and_then(|methods| methods.get(path));
    if let Some(rpc) = found {
        return rpc;
    }
    drop(known);
    learn(peer, path)
}

#[cold]
fn learn(peer: &'static str, path: &str) -> &'static Rpc {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let count: usize = known.values().map(BTreeMap::len).sum();
    let path = if count < METHODS { path } else { OTHER };
    let methods = known.entry(peer).or_default();
    if let Some(rpc) = methods.get(path) {
        return rpc;
    }
    let path: &'static str = Box::leak(path.into());
    let rpc: &'static Rpc = Box::leak(Box::new(Rpc::new(series::process(), peer, path)));
    methods.insert(path, rpc);
    rpc
}
