//! The series of the gRPC calls that the service makes, by peer and method.

use crate::exchange::{CallMetrics, Interned, Key, Rpc, RpcMetrics, ThreadCache};
use crate::names::{self, OTHER};
use crate::protocol::grpc;
use crate::recorder::{self, Recorder};
use crate::series;
use std::cell::Cell;

/// Peers that have series of their own. Their names are declared in the code.
const PEERS: usize = 100;
/// Methods of one peer that have series of their own. They are named in the code of the service.
const METHODS: usize = 200;

static METRICS: RpcMetrics = RpcMetrics {
    calls: CallMetrics {
        requests: &names::GRPC_CLIENT_REQUESTS,
        duration: &names::GRPC_CLIENT_REQUEST_DURATION,
        in_flight: &names::GRPC_CLIENT_REQUESTS_IN_FLIGHT,
    },
    messages: &names::GRPC_CLIENT_MESSAGES,
};

static INTERNED: Interned<Peer> = Interned::new(PEERS);

thread_local! {
    static CACHE: ThreadCache<Peer> = const { [const { Cell::new(None) }; _] };
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
    fn key(&self) -> &'static str {
        self.name
    }
}

/// The method of a path at a peer.
pub(super) fn rpc(recorder: &Recorder, peer: &'static str, path: &str) -> &'static Rpc {
    let path = if grpc::method_of(path).is_some() { path } else { OTHER };
    if !recorder.is_process() {
        // Lives as long as the process, like the capture that it is for.
        let path = Box::leak(path.into());
        return Box::leak(Box::new(Rpc::new(recorder.registry, &METRICS, Some(peer), path)));
    }
    let peer = INTERNED.get(&CACHE, peer, Peer::new);
    if peer.name == OTHER {
        recorder::count_overflow(recorder.registry, &names::GRPC_CLIENT_REQUESTS, "peer");
    }
    peer.methods.find(path, |path| Rpc::new(series::process(), &METRICS, Some(peer.name), path))
}
