//! The series of the requests that the service sends, by peer and method.

use crate::names::{self, OTHER};
use crate::recorder::{self, Closed, Recorder};
use crate::series;
use crate::wire::{self, CallSeries, Interned, Key, METHODS, MethodIndex, Metrics, ThreadCache};
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::OnceLock;

/// Peers that are told apart. Their names are declared in the code.
const PEERS: usize = 100;

/// There was no whole answer: in place of a status.
pub(super) const ERROR: u16 = 0;
/// The service gave the request up: in place of a status.
pub(super) const CANCELLED: u16 = 1;

static METRICS: Metrics = Metrics {
    requests: &names::HTTP_CLIENT_REQUESTS,
    duration: &names::HTTP_CLIENT_REQUEST_DURATION,
    in_flight: &names::HTTP_CLIENT_REQUESTS_IN_FLIGHT,
};

static KNOWN: Interned<Peer> = Interned::new(PEERS);

thread_local! {
    static FOUND: ThreadCache<Peer> = const { [const { Cell::new(None) }; _] };
}

/// A peer and what its methods count. Lives as long as the process.
struct Peer {
    name: &'static str,
    methods: [OnceLock<&'static CallSeries>; METHODS.len()],
}

impl Peer {
    const fn new(name: &'static str) -> Self {
        Self { name, methods: [const { OnceLock::new() }; METHODS.len()] }
    }
}

impl Key for Peer {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// What requests with this method to this peer are counted by.
#[inline]
pub(super) fn calls(recorder: &'static Recorder, peer: &'static str, method: MethodIndex) -> &'static CallSeries {
    let make = |registry, peer| -> &'static CallSeries {
        let labels = [peer, method.label()];
        Box::leak(Box::new(CallSeries::new(registry, &METRICS, &labels, result)))
    };
    if !recorder.is_process() {
        // As long as the process, like the capture that it is for.
        return make(recorder.registry, peer);
    }
    let known = KNOWN.get(&FOUND, peer, Peer::new);
    if known.name == OTHER {
        recorder::overflow(recorder.registry, Closed::HttpClientPeer);
    }
    match known.methods.get(method.index()) {
        Some(place) => place.get_or_init(|| make(series::process(), known.name)),
        // There is a place for each method.
        None => make(series::process(), known.name),
    }
}

fn result(status: u16) -> Cow<'static, str> {
    match status {
        ERROR => "error".into(),
        CANCELLED => "cancelled".into(),
        status => wire::status_label(status),
    }
}
