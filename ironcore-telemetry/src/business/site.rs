//! The static behind each instrumented function: what is known of it when it is compiled, and its series.

use super::label::LabelSet;
use super::outcome::{KnownCodes, OutcomeClass};
use super::verdict::Verdict;
use crate::caught::caught;
use crate::current;
use crate::names::{self, OTHER};
use crate::recorder::{self, Recorder};
use crate::series::{self, Counter, Durations, Ended, Gauge, Registry, Shard, SpanIds};
use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Every instrumented function of the program, found by the linker.
#[linkme::distributed_slice]
pub static SITES: [&'static Site];

/// Puts the series of every site on the page at zero. The series of a site with labels come with its first call, when
/// the types of the labels are known.
pub(crate) fn install() {
    current::set_fields_of(fields_of);
    for site in SITES.iter().filter(|site| site.spec.labels.is_empty()) {
        let _ = site.process_series(&());
    }
}

/// The fields that the operations of this name declare.
pub(crate) fn fields_of(name: &str) -> Vec<&'static str> {
    let sites = SITES.iter().filter(|site| site.spec.name == name);
    let fields: BTreeSet<_> = sites.flat_map(|site| site.spec.fields.iter().copied()).collect();
    fields.into_iter().collect()
}

/// An instrumented function, as it is known when it is compiled.
#[derive(Debug)]
pub struct Spec {
    /// `wallet`, `transaction`, …
    pub domain: &'static str,
    /// `create`, `send`, …
    pub operation: &'static str,
    /// `{domain}.{operation}`, the name of the span.
    pub name: &'static str,
    /// Path of the function, module included.
    pub function: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line in it.
    pub line: u32,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The names of its fields.
    pub fields: &'static [&'static str],
    /// Adds the codes of its error type, where the signature names it.
    pub codes: fn(&mut KnownCodes),
}

/// An instrumented function and its series, resolved once.
#[derive(Debug)]
pub struct Site {
    pub(super) spec: Spec,
    /// The type of the labels of the first call, and the series of their combinations.
    sets: OnceLock<(&'static str, Box<[SiteSeries]>)>,
    /// The series of calls whose labels panicked.
    without_labels: OnceLock<SiteSeries>,
}

/// An instrumented function in the [`catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatalogEntry {
    /// `wallet`, `transaction`, …
    pub domain: &'static str,
    /// `create`, `send`, …
    pub operation: &'static str,
    /// Path of the function, module included.
    pub function: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line in it.
    pub line: u32,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// Every instrumented function of this program, sorted by domain and operation: for documentation, and for tests that
/// compare dashboards with what the code emits. Needs no `init`.
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// #[telemetry::instrument_business]
/// fn create_wallet() {}
///
/// let catalog = telemetry::catalog();
/// assert!(catalog.iter().any(|entry| (entry.domain, entry.operation) == ("wallet", "create")));
/// ```
#[must_use]
pub fn catalog() -> Vec<CatalogEntry> {
    let entry = |Spec { domain, operation, function, file, line, labels, .. }: &'static Spec| CatalogEntry {
        domain,
        operation,
        function,
        file,
        line: *line,
        labels,
    };
    let mut catalog: Vec<_> = SITES.iter().map(|site| entry(&site.spec)).collect();
    catalog.sort_unstable_by_key(|entry| (entry.domain, entry.operation, entry.function));
    catalog
}

impl Site {
    /// Used by the expansion of the attribute.
    #[must_use]
    pub const fn new(spec: Spec) -> Self {
        Self { spec, sets: OnceLock::new(), without_labels: OnceLock::new() }
    }

    /// The series of a combination of labels.
    #[inline]
    pub(super) fn series<S: LabelSet>(
        &'static self,
        labels: &S,
        recorder: &'static Recorder,
    ) -> Option<&'static SiteSeries> {
        if recorder.is_process() {
            return self.process_series(labels);
        }
        let values = S::values(labels.index());
        // Lives as long as the process, like the capture that it is for.
        Some(Box::leak(Box::new(SiteSeries::new(&self.spec, &values, &[], recorder.registry))))
    }

    /// The series of calls whose labels could not be evaluated: each is `_OTHER`.
    #[cold]
    pub(super) fn series_without_labels(&'static self, recorder: &'static Recorder) -> &'static SiteSeries {
        let values = vec![OTHER; self.spec.labels.len()];
        let make = || SiteSeries::new(&self.spec, &values, &[], recorder.registry);
        if recorder.is_process() { self.without_labels.get_or_init(make) } else { Box::leak(Box::new(make())) }
    }

    #[inline]
    fn process_series<S: LabelSet>(&'static self, labels: &S) -> Option<&'static SiteSeries> {
        let (of, sets) = self.sets.get_or_init(|| (type_name::<S>(), self.resolve::<S>()));
        let labels_are = type_name::<S>();
        // Equal type names nearly always have the same address.
        if S::IS_EMPTY || std::ptr::eq(*of, labels_are) || *of == labels_are {
            sets.get(labels.index())
        } else {
            Some(self.other(labels))
        }
    }

    #[cold]
    fn resolve<S: LabelSet>(&'static self) -> Box<[SiteSeries]> {
        let mut known = self.known_codes();
        if S::SIZE * known.len() > MOST_KNOWN {
            known.clear();
        }
        (0..S::SIZE).map(|set| SiteSeries::new(&self.spec, &S::values(set), &known, series::process())).collect()
    }

    /// The codes that its error type names. That is code of a user.
    fn known_codes(&self) -> Vec<Verdict> {
        let collect = || {
            let mut codes = KnownCodes::default();
            (self.spec.codes)(&mut codes);
            codes.into_codes()
        };
        let codes = caught(collect).unwrap_or_default();
        codes.into_iter().map(|(class, code)| Verdict { class, code }).collect()
    }

    /// The series of labels of another type than those of the first call: a generic function has one site for all its
    /// types. They are looked up in a list.
    #[cold]
    fn other<S: LabelSet>(&'static self, labels: &S) -> &'static SiteSeries {
        static OTHERS: Mutex<BTreeMap<(&str, &str, usize), &'static SiteSeries>> = Mutex::new(BTreeMap::new());
        let mut others = OTHERS.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || -> &'static SiteSeries {
            Box::leak(Box::new(SiteSeries::new(&self.spec, &S::values(labels.index()), &[], series::process())))
        };
        others.entry((self.spec.function, type_name::<S>(), labels.index())).or_insert_with(make)
    }
}

/// Codes that a site tells apart besides those that its error type names; further codes are counted as `_OTHER`.
const CODES: usize = 16;
/// A site whose labels and known codes have more combinations has no series for the codes before they occur.
const MOST_KNOWN: usize = 200;

/// The series of a site with one combination of labels.
pub(super) struct SiteSeries {
    registry: &'static Registry,
    pub(super) spec: &'static Spec,
    labels: Box<[(&'static str, &'static str)]>,
    in_flight: Gauge,
    ok: Counter,
    cancelled: Counter,
    panicked: Counter,
    /// Those that the error type names.
    known: Box<[(Verdict, Counter)]>,
    /// Pairs of class and code in the order of their first use; `failed` with code `error` is the first.
    coded: [OnceLock<(Verdict, Counter)>; CODES],
    durations: [OnceLock<Durations>; 5],
}

impl std::fmt::Debug for SiteSeries {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SiteSeries")
    }
}

impl SiteSeries {
    pub(super) fn new(
        spec: &'static Spec,
        values: &[&'static str],
        known: &[Verdict],
        registry: &'static Registry,
    ) -> Self {
        let labels: Box<[_]> = spec.labels.iter().copied().zip(values.iter().copied()).collect();
        let counter = |verdict| counter(registry, spec, &labels, verdict);
        let series = Self {
            registry,
            spec,
            in_flight: registry.gauge(&names::BUSINESS_OPERATIONS_IN_FLIGHT, &[spec.domain, spec.operation]),
            ok: counter(Verdict::OK),
            cancelled: counter(Verdict::CANCELLED),
            panicked: counter(Verdict::PANICKED),
            known: known.iter().map(|verdict| (*verdict, counter(*verdict))).collect(),
            coded: [const { OnceLock::new() }; CODES],
            durations: [const { OnceLock::new() }; 5],
            labels,
        };
        let _ = series.counter(Verdict::ERROR);
        let _ = series.durations(OutcomeClass::Ok);
        series
    }

    /// Counts a call that begins.
    #[inline]
    pub(super) fn begin(&self) {
        self.in_flight.add(1);
    }

    /// Counts an ended call.
    #[inline]
    pub(super) fn end(&self, verdict: Verdict, duration: Duration, sampled: Option<SpanIds>, now: Instant) {
        let shard = Shard::here();
        self.in_flight.add_at(shard, -1);
        let ended = Ended { count: self.counter(verdict), duration: self.durations(verdict.class) };
        ended.observe(shard, duration, sampled, now);
    }

    #[inline]
    fn counter(&self, verdict: Verdict) -> Counter {
        match verdict.class {
            OutcomeClass::Ok => self.ok,
            OutcomeClass::Cancelled => self.cancelled,
            OutcomeClass::Panicked => self.panicked,
            OutcomeClass::Rejected | OutcomeClass::Failed => self.coded(verdict),
        }
    }

    fn coded(&self, verdict: Verdict) -> Counter {
        if let Some((_, counter)) = self.known.iter().find(|(known, _)| *known == verdict) {
            return *counter;
        }
        let resolve = |verdict| counter(self.registry, self.spec, &self.labels, verdict);
        let known = self
            .coded
            .iter()
            .map(|slot| slot.get_or_init(|| (verdict, resolve(verdict))))
            .find(|(known, _)| *known == verdict);
        known.map_or_else(
            || {
                recorder::count_overflow(self.registry, &names::BUSINESS_OPERATIONS, "code");
                resolve(Verdict { code: OTHER, ..verdict })
            },
            |(_, counter)| *counter,
        )
    }

    #[inline]
    fn durations(&self, class: OutcomeClass) -> Durations {
        let Spec { domain, operation, .. } = *self.spec;
        let resolve = || {
            let values = [domain, operation, class.as_str()];
            self.registry.durations(&names::BUSINESS_OPERATION_DURATION, &values, &self.labels)
        };
        // Not reached: there is a slot for each class.
        self.durations.get(class as usize).map_or_else(resolve, |slot| *slot.get_or_init(resolve))
    }
}

fn counter(
    registry: &Registry,
    spec: &Spec,
    labels: &[(&'static str, &'static str)],
    Verdict { class, code }: Verdict,
) -> Counter {
    let values = [spec.domain, spec.operation, class.as_str(), code];
    registry.counter(&names::BUSINESS_OPERATIONS, &values, labels)
}
