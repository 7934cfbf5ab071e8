//! The series of the calls that the service makes, by peer and method.

use crate::names::{self, OTHER};
use crate::recorder::{self, Closed, Recorder};
use crate::series::{self, Counter, Registry};
use crate::wire::{self, CallSeries, Code, Interned, Key, Metrics, ThreadCache};
use std::cell::Cell;

/// Peers that are told apart. Their names are declared in the code.
const PEERS: usize = 100;
/// Methods of one peer that are told apart. They stand in the code of the service.
const METHODS: usize = 200;

static METRICS: Metrics = Metrics {
    requests: &names::GRPC_CLIENT_REQUESTS,
    duration: &names::GRPC_CLIENT_REQUEST_DURATION,
    in_flight: &names::GRPC_CLIENT_REQUESTS_IN_FLIGHT,
};

static KNOWN: Interned<Peer> = Interned::new(PEERS);

thread_local! {
    static FOUND: ThreadCache<Peer> = const { [const { Cell::new(None) }; _] };
}

/// A peer and its methods. Lives as long as the process.
struct Peer {
    name: &'static str,
    methods: Interned<Rpc>,
}

impl Peer {
    const fn new(name: &'static str) -> Self {
        Self { name, methods: Interned::new(METHODS) }
    }
}

impl Key for Peer {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// A method of a peer: what its calls count, and how their spans are called.
pub(super) struct Rpc {
    path: &'static str,
    pub(super) calls: CallSeries,
    pub(super) received: Counter,
    pub(super) sent: Counter,
}

impl Key for Rpc {
    fn name(&self) -> &'static str {
        self.path
    }
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
            calls: CallSeries::new(registry, &METRICS, &[peer, service, method], Code::label),
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
    let is_method = wire::method_of(path).is_some();
    let path = if is_method { path } else { OTHER };
    if !recorder.is_process() {
        // As long as the process, like the capture that it is for.
        let path = Box::leak(path.into());
        return Box::leak(Box::new(Rpc::new(recorder.registry, peer, path)));
    }
    let peer = KNOWN.get(&FOUND, peer, Peer::new);
    if peer.name == OTHER {
        recorder::overflow(recorder.registry, Closed::GrpcClientPeer);
    }
    peer.methods.find(path, |path| Rpc::new(series::process(), peer.name, path))
}
