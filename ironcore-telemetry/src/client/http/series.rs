//! The series of the requests that the service sends, by peer and method.

use crate::exchange::{CallMetrics, CallSeries, Interned, Key, ThreadCache};
use crate::names::{self, OTHER};
use crate::protocol::ResultLabel;
use crate::protocol::http::{METHODS, MethodLabel, StatusLabel};
use crate::recorder::{self, Recorder};
use crate::series;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::OnceLock;

/// Peers that have series of their own. Their names are declared in the code.
const PEERS: usize = 100;

/// A value of the label `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientResult {
    /// The status of the response.
    Status(StatusLabel),
    /// There was no whole response.
    Error,
    /// The service gave the request up before the response.
    Cancelled,
}

static METRICS: CallMetrics = CallMetrics {
    requests: &names::HTTP_CLIENT_REQUESTS,
    duration: &names::HTTP_CLIENT_REQUEST_DURATION,
    in_flight: &names::HTTP_CLIENT_REQUESTS_IN_FLIGHT,
};

static INTERNED: Interned<Peer> = Interned::new(PEERS);

thread_local! {
    static CACHE: ThreadCache<Peer> = const { [const { Cell::new(None) }; _] };
}

/// A peer and the series of its methods. Lives as long as the process.
struct Peer {
    name: &'static str,
    methods: [OnceLock<&'static CallSeries<ClientResult>>; METHODS.len()],
}

impl Peer {
    const fn new(name: &'static str) -> Self {
        Self { name, methods: [const { OnceLock::new() }; METHODS.len()] }
    }
}

impl Key for Peer {
    fn key(&self) -> &'static str {
        self.name
    }
}

/// What requests with this method to this peer are counted in.
#[inline]
pub(super) fn calls(
    recorder: &'static Recorder,
    peer: &'static str,
    method: MethodLabel,
) -> &'static CallSeries<ClientResult> {
    let make = |registry, peer| -> &'static CallSeries<ClientResult> {
        let labels = [peer, method.label()];
        Box::leak(Box::new(CallSeries::new(registry, &METRICS, &labels)))
    };
    if !recorder.is_process() {
        // Lives as long as the process, like the capture that it is for.
        return make(recorder.registry, peer);
    }
    let known = INTERNED.get(&CACHE, peer, Peer::new);
    if known.name == OTHER {
        recorder::count_overflow(recorder.registry, &names::HTTP_CLIENT_REQUESTS, "peer");
    }
    match known.methods.get(method.index()) {
        Some(place) => place.get_or_init(|| make(series::process(), known.name)),
        // Not reached: there is a slot for each method.
        None => make(series::process(), known.name),
    }
}

impl ResultLabel for ClientResult {
    fn label(self) -> Cow<'static, str> {
        match self {
            Self::Status(status) => status.label(),
            Self::Error => "error".into(),
            Self::Cancelled => "cancelled".into(),
        }
    }
}
