//! The static behind each instrumented function.

use super::outcome::OutcomeClass;
use super::verdict::Verdict;
use crate::names::{self, OTHER};
use crate::series::{self, Counter, Durations};
use opentelemetry::global::BoxedTracer;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Every instrumented function of the program, found by the linker.
#[linkme::distributed_slice]
pub static SITES: [&'static Site];

/// Whether operations are recorded: from `init` on.
static RECORDING: AtomicBool = AtomicBool::new(false);
/// Whether the sampler keeps a caller's decision; else it has to be asked for each call.
static FOLLOWS_PARENT: AtomicBool = AtomicBool::new(true);
/// Makes the spans; unset while traces are off.
static TRACER: OnceLock<BoxedTracer> = OnceLock::new();

/// Starts recording: every site's series stand at zero from here on.
pub(crate) fn install(tracer: Option<BoxedTracer>, follows_parent: bool) {
    FOLLOWS_PARENT.store(follows_parent, Ordering::Relaxed);
    if let Some(tracer) = tracer {
        // Set once: `init` refuses a second call.
        let _ = TRACER.set(tracer);
    }
    for site in SITES {
        let _ = site.series();
    }
    RECORDING.store(true, Ordering::Release);
}

/// How to make an operation's span; `None` while traces are off.
pub(super) fn tracer() -> Option<&'static BoxedTracer> {
    TRACER.get()
}

/// Whether a call whose caller in another process is not sampled is not sampled either.
pub(super) fn follows_parent() -> bool {
    FOLLOWS_PARENT.load(Ordering::Relaxed)
}

/// Whether operations are recorded.
pub(super) fn is_recording() -> bool {
    RECORDING.load(Ordering::Acquire)
}

/// One instrumented function: its names and its series, resolved once.
#[derive(Debug)]
pub struct Site {
    /// `wallet`, `transaction`, …
    pub(super) domain: &'static str,
    /// `create`, `send`, …
    pub(super) operation: &'static str,
    /// `{domain}.{operation}`, the name of the span.
    pub(super) name: &'static str,
    /// Path of the function, module included.
    pub(super) function: &'static str,
    series: OnceLock<SiteSeries>,
}

/// Codes a site can tell apart; more are counted as `_OTHER`.
const CODES: usize = 16;

struct SiteSeries {
    ok: Counter,
    cancelled: Counter,
    panicked: Counter,
    /// Pairs of class and code in the order of their first use; `failed` with code `error` is the first.
    coded: [OnceLock<(Verdict, Counter)>; CODES],
    durations: [OnceLock<Durations>; 5],
}

impl std::fmt::Debug for SiteSeries {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SiteSeries")
    }
}

impl Site {
    /// For the expansion of the attribute.
    #[must_use]
    pub const fn new(
        domain: &'static str,
        operation: &'static str,
        name: &'static str,
        function: &'static str,
    ) -> Self {
        Self {
            domain,
            operation,
            name,
            function,
            series: OnceLock::new(),
        }
    }

    /// Counts an ended call.
    pub(super) fn record(&self, verdict: Verdict, duration: Duration) {
        self.series().counter(self, verdict).add(1);
        self.series()
            .durations(self, verdict.class)
            .record(duration);
    }

    fn series(&self) -> &SiteSeries {
        self.series.get_or_init(|| SiteSeries::new(self))
    }

    fn counter(&self, Verdict { class, code }: Verdict) -> Counter {
        series::counter(
            &names::BUSINESS_OPERATIONS,
            &[self.domain, self.operation, class.as_str(), code],
        )
    }
}

impl SiteSeries {
    fn new(site: &Site) -> Self {
        let series = Self {
            ok: site.counter(Verdict::OK),
            cancelled: site.counter(Verdict::CANCELLED),
            panicked: site.counter(Verdict::PANICKED),
            coded: [const { OnceLock::new() }; CODES],
            durations: [const { OnceLock::new() }; 5],
        };
        let _ = series.counter(site, Verdict::ERROR);
        let _ = series.durations(site, OutcomeClass::Ok);
        series
    }

    fn counter(&self, site: &Site, verdict: Verdict) -> Counter {
        match verdict.class {
            OutcomeClass::Ok => self.ok,
            OutcomeClass::Cancelled => self.cancelled,
            OutcomeClass::Panicked => self.panicked,
            OutcomeClass::Rejected | OutcomeClass::Failed => self
                .coded
                .iter()
                .map(|slot| slot.get_or_init(|| (verdict, site.counter(verdict))))
                .find(|(known, _)| *known == verdict)
                .map_or_else(
                    || {
                        site.counter(Verdict {
                            code: OTHER,
                            ..verdict
                        })
                    },
                    |(_, counter)| *counter,
                ),
        }
    }

    fn durations(&self, site: &Site, class: OutcomeClass) -> Durations {
        let resolve = || {
            let labels = [site.domain, site.operation, class.as_str()];
            series::durations(&names::BUSINESS_OPERATION_DURATION, &labels)
        };
        // The array has a place for each class.
        self.durations
            .get(class as usize)
            .map_or_else(resolve, |slot| *slot.get_or_init(resolve))
    }
}
