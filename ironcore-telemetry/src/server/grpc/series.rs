//! The series of gRPC methods, found by path.

use crate::exchange::{CallMetrics, Interned, Rpc, RpcMetrics, ThreadCache};
use crate::names::{self, OTHER};
use crate::protocol::grpc::Code;
use crate::recorder::Recorder;
use crate::series;
use crate::server::options::Options;
use std::cell::Cell;

/// Methods that have series of their own.
const METHODS: usize = 200;

static METRICS: RpcMetrics = RpcMetrics {
    calls: CallMetrics {
        requests: &names::GRPC_REQUESTS,
        duration: &names::GRPC_REQUEST_DURATION,
        in_flight: &names::GRPC_REQUESTS_IN_FLIGHT,
    },
    messages: &names::GRPC_MESSAGES,
};

static INTERNED: Interned<Rpc> = Interned::new(METHODS);

thread_local! {
    static CACHE: ThreadCache<Rpc> = const { [const { Cell::new(None) }; _] };
}

fn process(path: &'static str) -> Rpc {
    Rpc::new(series::process(), &METRICS, None, path)
}

/// Makes a method known before its first call: its counters stand at zero, for a success and for each error of the
/// server, so that the increase of the first one is seen. Not its histograms, which are large.
pub(super) fn declare(path: &str) {
    let rpc = INTERNED.find(path, process);
    for code in std::iter::once(Code::OK).chain(Code::SERVER_ERRORS) {
        series::counter(&names::GRPC_REQUESTS, &[rpc.service, rpc.method, code.name()]);
    }
}

/// The method of this path, if it is known; else the one that stands for all others.
pub(super) fn known(recorder: &Recorder, path: &str, options: &Options) -> &'static Rpc {
    if !recorder.is_process() {
        let known = options.declares(path).then(|| &*Box::leak(path.into()));
        return captured(recorder, known.unwrap_or(OTHER));
    }
    INTERNED.look(&CACHE, path).unwrap_or_else(|| INTERNED.get(&CACHE, OTHER, process))
}

/// The method of a path behind which something has answered: from now on it is known.
#[cold]
pub(super) fn learn(recorder: &Recorder, path: &str) -> &'static Rpc {
    if recorder.is_process() { INTERNED.find(path, process) } else { captured(recorder, Box::leak(path.into())) }
}

/// Lives as long as the process, like the capture that it is for.
#[cold]
fn captured(recorder: &Recorder, path: &'static str) -> &'static Rpc {
    Box::leak(Box::new(Rpc::new(recorder.registry, &METRICS, None, path)))
}
